"""Measures, instants and access orders in words for alerts, in English."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from control.alerts.alert import BarConfirmed, Finding, Fired
from control.alerts.situation import OrderNow
from rating.cdr import MICROS

_MEASURES: Final = {
    "charges": "Charges",
    "charge": "The charge of a single call",
    "minutes": "Minutes",
    "calls": "Number of calls",
    "sessions": "Open sessions",
}
_PERIODS: Final = {
    "bill-cycle": "in the bill cycle",
    "month": "in the month",
    "week": "in the week",
    "weekdays": "on weekdays",
    "weekend": "at the weekend",
    "day": "on the day",
    "hour": "in the hour",
}
_RELATIONS: Final = {"above": "above", "at_least": "at least"}
_ORDERS: Final = {
    ("bar", "planned"): "about to be barred",
    ("bar", "held"): "to be barred, if a person of ours releases it",
    ("bar", "sent"): "being barred",
    ("bar", "acknowledged"): "being barred",
    ("bar", "unknown"): "being barred; the switch has not answered",
    ("bar", "confirmed"): "barred",
    ("bar", "refused"): "not barred: the switch refused",
    ("bar", "failed"): "not barred: given up after several tries",
    ("bar", "cancelled"): "not barred: no longer called for",
    ("restore", "planned"): "about to be restored",
    ("restore", "held"): "to be restored, if a person of ours releases it",
    ("restore", "sent"): "being restored",
    ("restore", "acknowledged"): "being restored",
    ("restore", "unknown"): "being restored; the switch has not answered",
    ("restore", "confirmed"): "restored",
    ("restore", "refused"): "not restored: the switch refused",
    ("restore", "failed"): "not restored: given up after several tries",
    ("restore", "cancelled"): "not restored: no longer called for",
}

_NOT_BARRED: Final = frozenset({"refused", "failed", "cancelled"})
_PAY: Final = "What is barred is given back by itself as soon as a payment brings the account under its limit again."
_CLEARED: Final = (
    "What is barred is given back by itself as soon as this is no longer so: after a payment, with another limit, or in"
    " the next period."
)
_PERIOD_END: Final = "What is barred is given back by itself when the period ends."
_BY_US: Final = "What is barred stays so until we give it back: please write to us, or call."


def money(micros: int, currency: str) -> str:
    """An amount as people write it, exactly: two places, or as many more as it has."""
    whole, rest = divmod(abs(micros), MICROS)
    places = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if micros < 0 else ''}{whole:,}.{places} {currency}"


def local(at: int, zone: str) -> str:
    """An instant by an account's clock, to the minute."""
    moment = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).astimezone(ZoneInfo(zone))
    return f"{moment.day} {moment:%B %Y, %H:%M %Z}"


def finding(found: Finding, currency: str, *, with_amounts: bool) -> tuple[str, str]:
    """What was measured, and against what; in numbers only if asked for."""
    measure = _MEASURES.get(found.measure, found.measure)
    scope = f"{measure} ({found.of})" if found.of else measure
    what = " ".join(part for part in (scope, _PERIODS.get(found.period, found.period)) if part)
    relation = _RELATIONS.get(found.relation, found.relation)
    basis = f"the {found.basis}" if found.basis else "the limit that is set"
    if not with_amounts:
        return what, f"{relation} {basis}"
    measured, threshold = (_amount(found.measure, number, currency) for number in (found.measured, found.threshold))
    return what, f"{measured}, {relation} {basis} of {threshold}"


def _amount(measure: str, number: int, currency: str) -> str:
    if measure in ("charges", "charge"):
        return money(number, currency)
    if measure == "minutes":
        minutes, rest = divmod(number, 60 * MICROS)
        # Rounded up: what is above a whole minute shall not look as if it were equal to it.
        return f"{minutes:,} min {-(-rest // MICROS)} s" if rest else f"{minutes:,} min"
    return f"{number:,}"


def orders(now: Iterable[OrderNow], *, with_lines: bool) -> list[tuple[str, str]]:
    """Each service, and how its access orders stand; lines by name only if asked for."""
    told: dict[tuple[str, str], list[str]] = {}
    for order in now:
        words = _ORDERS.get((order.do, order.state), f"{order.do}: {order.state}")
        told.setdefault((order.service, words), []).append(order.line)
    ways = Counter(service for service, _ in told)
    rows = []
    for (service, words), lines in told.items():
        if with_lines:
            words = f"{words}: {', '.join(lines)}"
        elif len(lines) > 1 or ways[service] > 1:
            words = f"{words} ({len(lines)} {'line' if len(lines) == 1 else 'lines'})"
        rows.append((service, words))
    return rows


def ways_back(now: Iterable[OrderNow], told: object) -> list[str]:
    """How the services that are barred, or are about to be, are given back."""
    barring = [order for order in now if order.do == "bar" and order.state not in _NOT_BARRED]
    findings = told.findings if isinstance(told, Fired | BarConfirmed) else ()
    over_limit = any(found.basis == "credit limit" for found in findings)
    return [
        words
        for until, words in (
            ("cleared", _PAY if over_limit else _CLEARED), ("period-end", _PERIOD_END), ("restored", _BY_US),
        )
        if any(order.until == until for order in barring)
    ]  # fmt: skip
