"""A letter as an internet message (RFC 5322) with a text and an HTML part."""

import hashlib
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from control.alerts.alert import Alert
from control.alerts.texts import Letter, html, plain
from rating.cdr import MICROS


def message_id(alert: Alert, sender: str) -> str:
    """The same for an alert whenever it is sent, so that mail systems know one that comes twice. When it was queued
    is part of it: another site, or this one set up anew, has other alerts under the same keys."""
    digest = hashlib.blake2b(f"{alert.at}/{alert.key}".encode(), digest_size=16).hexdigest()
    return f"<alert.{digest}@{sender.rpartition('@')[2]}>"


def message_bytes(alert: Alert, letter: Letter, *, sender: str, recipient: str, now: int) -> bytes:
    """The whole message as it is given to a mail server."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(datetime.fromtimestamp(now // MICROS, UTC))
    message["Message-ID"] = message_id(alert, sender)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's out-of-office answers it
    message.set_content(plain(letter), cte="quoted-printable")
    message.add_alternative(html(letter), subtype="html", cte="quoted-printable")
    return message.as_bytes()
