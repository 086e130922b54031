"""What alerts say, by kind: one letter, written out as plain text and as HTML.

A letter holds no amounts, account numbers or lines, but a link to where they are, unless the account asks for them:
mail is read by more people than those it is addressed to.
"""

from html import escape
from typing import Final

import msgspec

from control.alerts import phrases
from control.alerts.alert import (
    PROVIDER,
    Alert,
    BarConfirmed,
    Enrolled,
    EnrolmentCancelled,
    Fired,
    LimitRaised,
    Restored,
)
from control.alerts.situation import Situation

_CELL: Final = "padding:0.25em 1em 0.25em 0;text-align:left;vertical-align:top"


class Letter(msgspec.Struct, frozen=True):
    """An alert in words, before it is made plain text or HTML."""

    subject: str
    greeting: str
    paragraphs: tuple[str, ...]
    rows: tuple[tuple[str, str], ...]
    """Names and values."""
    link: str | None


class Wording(msgspec.Struct, frozen=True):
    """What a site or an account says about its letters."""

    site_url: str | None = None
    """Where the pages are, as customers reach them; None: letters have no link."""
    with_amounts: bool = False


def letter(alert: Alert, situation: Situation, wording: Wording) -> Letter:
    """What an alert says as things stand."""
    subject, paragraphs, rows = _told(alert, situation, with_amounts=wording.with_amounts)
    ours = alert.recipient == PROVIDER
    if ours:
        number = f"firing {alert.firing}" if alert.firing is not None else f"alert {alert.id}"
        paragraphs = [f"This concerns a customer's account; see {number}.", *paragraphs]
    else:
        paragraphs = [*paragraphs, *phrases.ways_back(situation.orders, alert.facts)]
    if wording.with_amounts:
        rows = [("Account", alert.account), *rows]
    agent = alert.facts.agent if isinstance(alert.facts, Enrolled | EnrolmentCancelled) else None
    page = "/firings" if ours else "/agent/notices" if agent else "/alerts"
    link = wording.site_url.rstrip("/") + page if wording.site_url else None
    if link is None and not ours:
        where = "to see the account" if agent else "to your account to see the details"
        paragraphs = [*paragraphs, f"Sign in {where}."]
    return Letter(
        subject=_one_line(subject),
        greeting="Hello," if ours else f"Dear {_one_line(agent or situation.account.name)},",
        paragraphs=tuple(_one_line(text) for text in paragraphs),
        rows=tuple((_one_line(name), _one_line(value)) for name, value in rows),
        link=link,
    )


def plain(letter: Letter) -> str:
    """A letter as plain text."""
    parts = [letter.greeting, *letter.paragraphs]
    if letter.rows:
        parts.append("\n".join(f"{name}: {value}" for name, value in letter.rows))
    if letter.link:
        parts.append(f"Details: {letter.link}")
    return "\n\n".join(parts) + "\n"


def html(letter: Letter) -> str:
    """A letter as an HTML page without anything that is loaded from elsewhere."""
    parts = [f"<p>{escape(text)}</p>" for text in (letter.greeting, *letter.paragraphs)]
    if letter.rows:
        rows = "".join(
            f'<tr><th scope="row" style="{_CELL}">{escape(name)}</th><td style="{_CELL}">{escape(value)}</td></tr>\n'
            for name, value in letter.rows
        )
        parts.append(f"<table>\n{rows}</table>")
    if letter.link:
        parts.append(f'<p><a href="{escape(letter.link)}">Details</a></p>')
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        f"<title>{escape(letter.subject)}</title></head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _told(alert: Alert, situation: Situation, *, with_amounts: bool) -> tuple[str, list[str], list[tuple[str, str]]]:
    """Subject, paragraphs and rows of each kind."""
    account = situation.account
    when = ("When", phrases.local(alert.facts.at, account.timezone))
    orders = phrases.orders(situation.orders, with_lines=with_amounts)
    match alert.facts:
        case Fired(event=event, findings=findings, late=late):
            rows = [phrases.finding(found, account.currency, with_amounts=with_amounts) for found in findings]
            paragraphs = [f"The account event “{event}” has occurred."]
            if late:
                paragraphs.append("A call record that came late brought it about, in a period that is over.")
            return f"Account alert: {event}", paragraphs, [when, *rows, *orders]
        case BarConfirmed(event=event, findings=findings):
            rows = [phrases.finding(found, account.currency, with_amounts=with_amounts) for found in findings]
            return (
                f"Service alert: {event}",
                [f"This is what was done after the account event “{event}”."],
                [when, *rows, *orders],
            )
        case LimitRaised(event=event, before_micros=before, after_micros=after):
            raised = f"The credit limit was raised after the account event “{event}”."
            limits = [
                ("Before", phrases.money(before, account.currency)),
                ("Now", phrases.money(after, account.currency)),
            ]
            return "The credit limit was raised", [raised], [when, *(limits if with_amounts else []), *orders]
        case Restored(reason=reason):
            return "Services are given back", [f"Services are given back: {reason}."], [when, *orders]
        case Enrolled():
            enrolled = f"{account.name}, an account of yours, has enrolled for online bills."
            return f"Enrolled for online bills: {account.name}", [enrolled], [when]
        case EnrolmentCancelled():
            cancelled = f"{account.name}, an account of yours, has cancelled its online bills."
            return f"Online bills cancelled: {account.name}", [cancelled], [when]


def _one_line(text: str) -> str:
    """Printable, and blanks for whatever else: what people call things does not make a header, or a line of its own."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
