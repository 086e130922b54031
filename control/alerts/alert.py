"""An alert: what happened, who shall be told, by which medium, and what has become of it."""

import re
from enum import StrEnum
from typing import Final

import msgspec

from rating.account import Account

PROVIDER: Final = "provider"
"""As the recipient of an alert: the service provider, wherever the configuration says that is when it is sent."""
NOT_SENT_YET: Final = "this version sends e-mail only"
"""Why alerts by another medium wait."""

_MAILBOX: Final = re.compile(r"[!-~]+@[!-~]+")
_NEVER_IN_A_MAILBOX: Final = frozenset('<>,;"()[]:\\')


class Medium(StrEnum):
    """How somebody is told."""

    EMAIL = "email"
    FAX = "fax"
    PAGE = "page"
    VOICEMAIL = "voicemail"
    WEBHOOK = "webhook"


CONTACTS: Final = {
    Medium.EMAIL: "email",
    Medium.FAX: "fax",
    Medium.PAGE: "pager",
    Medium.VOICEMAIL: "phone",
}
"""The columns of accounts.csv that say where an account is reached; a webhook is always named by the account event."""


class State(StrEnum):
    """What has become of an alert."""

    WAITING = "waiting"
    """To be sent when it is due."""
    SENDING = "sending"
    """Being handed over. Written before anything is: an alert found like this after a restart may have gone out."""
    SENT = "sent"
    """Taken by the mail server."""
    FAILED = "failed"
    """Refused for good, or for too long."""
    DROPPED = "dropped"
    """Nobody to be told, or a person decided that it is not to be sent."""
    UNKNOWN = "unknown"
    """Handed over, and no answer came. Not sent again, but by a person."""


class Finding(msgspec.Struct, frozen=True):
    """One measure of an account event, as it stood when its condition became true."""

    measure: str
    """charges, minutes, calls, sessions, or charge (a single call's)."""
    measured: int
    """In micro-units for charges and charge, in µs for minutes, otherwise a number."""
    threshold: int
    """In the same unit."""
    relation: str = "above"
    """above, or at_least."""
    period: str = ""
    """bill-cycle, month, week, weekdays, weekend, day or hour; empty for a single call's charge and for sessions."""
    of: str = ""
    """What the filters leave, in words: `long-distance`; empty for everything."""
    basis: str = ""
    """What the threshold is, where it is not just prescribed: `credit limit`, `average of 3 months`."""


class Fired(msgspec.Struct, frozen=True, tag="fired"):
    """An account event fired."""

    event: str
    """Its name."""
    at: int
    """When its condition became true, µs UTC."""
    findings: tuple[Finding, ...] = ()
    late: bool = False
    """By a record of a period that is over."""


class LimitRaised(msgspec.Struct, frozen=True, tag="limit-raised"):
    """The credit limit was raised in response to an account event."""

    event: str
    at: int
    before_micros: int
    after_micros: int


class BarConfirmed(msgspec.Struct, frozen=True, tag="bar-confirmed"):
    """The bars of a firing are confirmed by the switches."""

    event: str
    at: int
    """When the account event fired."""
    findings: tuple[Finding, ...] = ()


class Restored(msgspec.Struct, frozen=True, tag="restored"):
    """What was barred is given back."""

    reason: str
    """In a few words: `a payment was received`."""
    at: int


class Enrolled(msgspec.Struct, frozen=True, tag="enrolled"):
    """An account takes e-billing; its agent is told."""

    agent: str
    """The user name of the recipient."""
    at: int


class EnrolmentCancelled(msgspec.Struct, frozen=True, tag="enrolment-cancelled"):
    """An account takes e-billing no longer; its agent is told."""

    agent: str
    """The user name of the recipient."""
    at: int


Occasion = Fired | LimitRaised | BarConfirmed | Restored | Enrolled | EnrolmentCancelled
"""What an alert is about."""


class Alert(msgspec.Struct, frozen=True):
    """One message to one recipient."""

    id: int
    key: str
    """What makes it the same alert, see `key_of`."""
    medium: Medium
    recipient: str
    """An address of the medium, or `PROVIDER`; empty where the account has none."""
    account: str
    firing: int | None
    facts: Occasion
    state: State
    tries: int
    at: int
    """When it was called for; µs UTC, as every instant here."""
    due_at: int
    """Not to be sent before."""
    sent_at: int | None
    words: str
    """Why it stands as it does: the mail server's answer, or what is missing. May be empty."""


def key_of(cause: str, occasion: Occasion, medium: Medium, recipient: str) -> str:
    """The key under which an alert is queued once only. `cause` is what calls for it, with its version: `firing 17`,
    `firing 17/2`, `order 5`, `enrolment change 3`."""
    return f"{cause}/{occasion.__struct_config__.tag}/{medium}/{recipient}"


def contact_of(account: Account, medium: Medium) -> str | None:
    """Where an account is reached by a medium."""
    column = CONTACTS.get(medium)
    contact: str | None = getattr(account, column) if column else None
    return contact


def is_mailbox(text: str) -> bool:
    """Whether mail can be sent to it: a bare address, ASCII, nothing that would need quoting in a command."""
    return bool(_MAILBOX.fullmatch(text)) and text.count("@") == 1 and not _NEVER_IN_A_MAILBOX & set(text)
