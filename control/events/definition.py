"""An account event as it is prescribed: on which accounts, when, how it is checked, and what is to follow.

`definition_json` reads it from the JSON of the contract; `as_json` gives that back. `sentence` says it in words.
"""

from typing import Any, Final, Literal

import msgspec

Measure = Literal["charges", "minutes", "calls", "sessions", "charge"]
MEASURES: Final[tuple[Measure, ...]] = ("charges", "minutes", "calls", "sessions", "charge")
OF_MONEY: Final = frozenset({"charges", "charge"})

FILTERS: Final = (
    "service",
    "line",
    "called",
    "place",
    "called_country",
    "called_country_not_in",
    "type",
    "device",
)


class Filters(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which transactions count; all that are given must hold."""

    service: str | None = None
    line: str | None = None
    """As the store has it: E.164 digits, or an address."""
    called: str | None = None
    place: str | None = None
    """Without regard to upper and lower case."""
    called_country: tuple[str, ...] = ()
    """ISO alpha-2: the called number's is one of these."""
    called_country_not_in: tuple[str, ...] = ()
    """It is none of these; a number of no country is none of them."""
    type: str | None = None
    device: str | None = None

    def __bool__(self) -> bool:
        return self != NO_FILTERS


NO_FILTERS: Final = Filters()


class Fixed(msgspec.Struct, frozen=True):
    """A number to compare with."""

    limit: int
    """The greatest value that does not hold, in the measure's unit: micro-units, microseconds or calls."""
    given: str | int | float
    """As it was written."""
    at_least: bool
    """≥ instead of >."""


class OverCreditLimit(msgspec.Struct, frozen=True):
    """Above the account's credit limit."""


class OverAverage(msgspec.Struct, frozen=True):
    """Above a percentage of the average over complete periods before."""

    periods: int
    percent_micros: int
    """Of the average, in millionths of a percent: 150 % for `above_average` of 50."""
    given: str | int | float
    """The percent as it was written."""
    more: bool
    """`above_average` (so much more than it), not `of_average` (so much of it)."""


Threshold = Fixed | OverCreditLimit | OverAverage


class Condition(msgspec.Struct, frozen=True):
    """One measure in one period against one threshold."""

    measure: Measure
    threshold: Threshold
    period: str
    """One of `windows.PERIODS`."""
    filters: Filters = NO_FILTERS

    @property
    def of_exposure(self) -> bool:
        """Whether it compares what the account owes, not what a period's transactions sum to."""
        return type(self.threshold) is OverCreditLimit and not self.filters


class Several(msgspec.Struct, frozen=True):
    """Conditions of which any must hold, or all."""

    how: Literal["any", "all"]
    of: tuple["Condition | Several", ...]


When = Condition | Several


class Accounts(msgspec.Struct, frozen=True):
    """Which accounts: those of the numbers, those of a segment, or (neither given) all."""

    numbers: tuple[str, ...] = ()
    segment: str | None = None

    @property
    def all(self) -> bool:
        """Whether it is every account."""
        return not self.numbers and self.segment is None


class Check(msgspec.Struct, frozen=True):
    """When it is looked at: continuously, in intervals, or once."""

    how: Literal["continuous", "every", "once"] = "continuous"
    every_s: int | None = None
    """None is the site's default interval."""
    every: str | None = None
    """As it was written."""
    once_at: int | None = None
    """µs UTC."""
    once: str | None = None
    """As it was written."""


class Alert(msgspec.Struct, frozen=True):
    """Somebody to be told."""

    by: Literal["email", "fax", "page", "voicemail", "webhook"]
    to: str | None = None
    """`provider`, an address of the medium, or None: the account's own contact."""
    when: Literal["fired", "confirmed"] = "fired"


class Bar(msgspec.Struct, frozen=True):
    """Bar services of the account."""

    services: tuple[str, ...]
    until: Literal["cleared", "period-end", "restored"] = "cleared"


class RaiseCreditLimit(msgspec.Struct, frozen=True):
    """Raise the account's credit limit by a percentage of it."""

    percent_micros: int
    """In millionths of a percent."""
    percent: str | int | float
    """As it was written."""
    at_most_micros: int | None = None
    at_most: str | int | float | None = None
    """As it was written."""


class Disconnect(msgspec.Struct, frozen=True):
    """End the account's live sessions."""


Response = Bar | RaiseCreditLimit | Disconnect


class EventDefinition(msgspec.Struct, frozen=True):
    """A whole account event."""

    accounts: Accounts
    name: str
    when: When
    check: Check = Check()
    alert: tuple[Alert, ...] = ()
    respond: tuple[Response, ...] = ()

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All its conditions, in the order in which they are written."""
        return tuple(_conditions(self.when))


def _conditions(when: When) -> list[Condition]:
    if type(when) is Condition:
        return [when]
    assert type(when) is Several
    return [condition for part in when.of for condition in _conditions(part)]


def as_json(event: EventDefinition) -> dict[str, Any]:
    """The contract's JSON of an event, as objects."""
    document: dict[str, Any] = {
        "accounts": _accounts_json(event.accounts),
        "name": event.name,
        "when": when_json(event.when),
        "check": _check_json(event.check),
    }
    if event.alert:
        document["alert"] = [
            {"by": a.by, **({} if a.to is None else {"to": a.to}), "when": a.when} for a in event.alert
        ]
    if event.respond:
        document["respond"] = [_response_json(response) for response in event.respond]
    return document


def when_json(when: When) -> dict[str, Any]:
    """The contract's JSON of a condition, or of several."""
    if type(when) is Several:
        return {when.how: [when_json(part) for part in when.of]}
    assert type(when) is Condition
    return {
        "measure": when.measure,
        **filters_json(when.filters),
        "period": when.period,
        **_threshold_json(when.threshold),
    }


def filters_json(filters: Filters) -> dict[str, Any]:
    """Those filters that are given, in the contract's words."""
    given: dict[str, Any] = {name: value for name in FILTERS if (value := getattr(filters, name))}
    for name in ("called_country", "called_country_not_in"):
        if name in given:
            given[name] = list(given[name])
    if len(filters.called_country) == 1:
        given["called_country"] = filters.called_country[0]
    return given


def _threshold_json(threshold: Threshold) -> dict[str, Any]:
    match threshold:
        case Fixed(given=given, at_least=at_least):
            return {"at_least" if at_least else "above": given}
        case OverAverage(periods=periods, given=given, more=more):
            return {"above_average" if more else "of_average": {"months": periods, "percent": given}}
        case _:
            return {"above_credit_limit": True}


def _accounts_json(accounts: Accounts) -> dict[str, Any]:
    if accounts.all:
        return {"all": True}
    return {"numbers": list(accounts.numbers)} if accounts.numbers else {"segment": accounts.segment}


def _check_json(check: Check) -> dict[str, Any]:
    match check.how:
        case "every":
            return {"every": True if check.every is None else check.every}
        case "once":
            return {"once": check.once}
    return {"continuous": True}


def _response_json(response: Response) -> dict[str, Any]:
    match response:
        case Bar(services=services, until=until):
            return {"do": "bar", "services": list(services), "until": until}
        case RaiseCreditLimit(percent=percent, at_most=at_most):
            return {"do": "raise-credit-limit", "percent": percent} | ({} if at_most is None else {"at_most": at_most})
        case _:
            return {"do": "disconnect"}
