"""Whether an event holds for an account, and why: from the sums that its conditions are compared with, nothing else."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from control.events.definition import Condition, Fixed, OverAverage, OverCreditLimit, filters_json
from control.events.terms import Term
from rating.cdr import MICROS

_MINUTE_US: Final = 60 * MICROS
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HUNDRED: Final = 100 * MICROS


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What one condition looks at. Values are in the measure's unit: micro-units, microseconds or calls."""

    value: int
    starts_at: int
    """Of the period's window, as `ends_at`, µs UTC."""
    ends_at: int
    credit_limit: int | None = None
    """For a condition that compares with it; None is no limit."""
    history: tuple[int, ...] = ()
    """For one that compares with an average: the value in each complete period before, the latest first; those before
    the account opened are left out."""


class Finding(msgspec.Struct, frozen=True, gc=False):
    """A condition with what was read, and whether it holds."""

    condition: Condition
    reading: Reading
    most: int | None
    """The greatest value that would not hold; None where there is nothing to compare with."""

    @property
    def holds(self) -> bool:
        """Whether the condition holds."""
        return self.most is not None and self.reading.value > self.most


class Occasion(NamedTuple):
    """What an event fires for, once an account."""

    starts_at: int
    """The period: of several conditions that hold together, the latest begin."""
    ends_at: int
    """Their earliest end: from then on they do not hold together any more, but for what is owed."""
    threshold: str
    """In force."""
    standing: bool
    """Only of what is owed: it does not end with the period."""


class Judgement(NamedTuple):
    """Whether an event holds, and for what."""

    findings: tuple[Finding, ...]
    """One a condition, as they are written."""
    occasions: tuple[Occasion, ...]
    """One for each combination of conditions that holds; none: the event does not hold."""

    @property
    def holds(self) -> bool:
        """Whether the event holds."""
        return bool(self.occasions)


def most_of(condition: Condition, reading: Reading) -> int | None:
    """The greatest value with which a condition does not hold; None where it cannot hold at all."""
    match condition.threshold:
        case Fixed(limit=limit):
            return limit
        case OverCreditLimit():
            return reading.credit_limit
        case OverAverage(percent_micros=percent):
            count = len(reading.history)
            # Values are whole: one is above a fraction when it is above the whole number below it.
            return sum(reading.history) * percent // (count * _HUNDRED) if count else None
    raise AssertionError(condition.threshold)


def judge(conditions: Sequence[Condition], terms: Sequence[Term], read: Callable[[Condition], Reading]) -> Judgement:
    """Whether an event of these conditions and terms holds."""
    findings = tuple(
        Finding(condition, reading, most_of(condition, reading))
        for condition in conditions
        for reading in (read(condition),)
    )
    occasions = tuple(
        _occasion([findings[number] for number in term])
        for term in terms
        if all(findings[number].holds for number in term)
    )
    return Judgement(findings, occasions)


def _occasion(findings: list[Finding]) -> Occasion:
    return Occasion(
        max(finding.reading.starts_at for finding in findings),
        min(finding.reading.ends_at for finding in findings),
        " and ".join(threshold_text(finding.condition, finding.reading) for finding in findings),
        all(finding.condition.of_exposure for finding in findings),
    )


def threshold_text(condition: Condition, reading: Reading) -> str:
    """The threshold in force. That of an average is its rule: a late record that moves the average is no new one."""
    match condition.threshold:
        case Fixed(limit=limit, at_least=at_least):
            value = amount_text(condition, limit + at_least)
            return f"{condition.measure} {'at least' if at_least else 'above'} {value}"
        case OverAverage(percent_micros=percent, periods=periods):
            return f"{condition.measure} above {decimal_text(percent)} % of the average of {periods}"
        case _:
            assert reading.credit_limit is not None
            return f"{condition.measure} above the credit limit {decimal_text(reading.credit_limit, 2)}"


def amount_text(condition: Condition, value: int) -> str:
    """A value of a condition's measure for people: units of money, minutes (to the ten-thousandth) or calls."""
    match condition.measure:
        case "charges" | "charge":
            return decimal_text(value, 2)
        case "minutes":
            return decimal_text(value * 10_000 // _MINUTE_US * 100)
    return str(value)


def decimal_text(micros: int, places: int = 0) -> str:
    """Millionths as a plain decimal, with at least so many places and no further zeros."""
    whole, rest = divmod(abs(micros), MICROS)
    digits = f"{rest:06d}".rstrip("0").ljust(places, "0")
    return ("-" if micros < 0 else "") + f"{whole}" + (f".{digits}" if digits else "")


def trace(judgement: Judgement) -> list[dict[str, Any]]:
    """What each condition was compared with, for a person who asks why the event fired, or did not."""
    return [_told(finding) for finding in judgement.findings]


def _told(finding: Finding) -> dict[str, Any]:
    condition, reading = finding.condition, finding.reading
    told: dict[str, Any] = {
        "measure": condition.measure,
        **filters_json(condition.filters),
        "period": condition.period,
        "from": instant_text(reading.starts_at),
        "to": instant_text(reading.ends_at),
        "value": amount_text(condition, reading.value),
        "threshold": None,
        "holds": finding.holds,
    }
    if condition.measure == "sessions":
        return told | {"because": "open sessions are not counted"}
    if condition.of_exposure:
        told["compared"] = "exposure"
    if finding.most is None:
        nothing = "the account has no credit limit"
        if type(condition.threshold) is OverAverage:
            nothing = "there is no complete period before this one to take an average of"
        return told | {"because": nothing}
    told["threshold"] = threshold_text(condition, reading)
    told |= _limit(condition, finding.most, reading.value)
    if type(condition.threshold) is OverAverage:
        told["average"] = amount_text(condition, sum(reading.history) // len(reading.history))
        told["periods"] = len(reading.history)
    return told


def _limit(condition: Condition, most: int, value: int) -> dict[str, str]:
    """What a value was compared with, as a number; minutes also in seconds, exactly."""
    basis, at_least = {}, 0
    match condition.threshold:
        case Fixed():
            at_least = int(condition.threshold.at_least)
        case OverCreditLimit():
            basis = {"basis": "credit limit"}
        case OverAverage(periods=periods):
            basis = {"basis": f"average of {periods} {'month' if periods == 1 else 'months'}"}
    limit = most + at_least
    told = {"relation": "at_least" if at_least else "above", "limit": amount_text(condition, limit), **basis}
    if condition.measure == "minutes":
        told |= {"value_s": decimal_text(value), "limit_s": decimal_text(limit)}
    return told


def instant_text(at: int) -> str:
    """RFC 3339 UTC."""
    return (_EPOCH + timedelta(microseconds=at)).isoformat().replace("+00:00", "Z")
