"""An account event in one plain sentence, for pages and mail."""

from collections.abc import Sequence
from typing import Final

from control.events.definition import (
    Accounts,
    Alert,
    Bar,
    Check,
    Condition,
    EventDefinition,
    Filters,
    Fixed,
    OverAverage,
    RaiseCreditLimit,
    Response,
    Several,
    When,
)
from rating.numbering import display
from rating.search.countries import country_words

_MEASURES: Final = {
    "charges": "the charges",
    "minutes": "the minutes",
    "calls": "the calls",
    "sessions": "the open sessions of one user name",
    "charge": "the charge of a single call",
}
_PERIODS: Final = {
    "bill-cycle": "bill cycle",
    "month": "month",
    "week": "week",
    "weekdays": "Monday to Friday",
    "weekend": "weekend",
    "day": "day",
    "hour": "hour",
}
_MEDIA: Final = {
    "email": "e-mail",
    "fax": "fax",
    "page": "pager",
    "voicemail": "voice mail",
    "webhook": "webhook",
}
_MOST_NAMED: Final = 5


def describe(event: EventDefinition) -> str:
    """What it does, and when."""
    does = [*(_alert(alert) for alert in event.alert), *(_response(response) for response in event.respond)]
    then = _listed(does, "and") if does else "write it down, and nothing else"
    return f"For {_accounts(event.accounts)}: when {_when(event.when)} ({_check(event.check)}), {then}."


def _accounts(accounts: Accounts) -> str:
    if accounts.all:
        return "every account"
    if accounts.segment is not None:
        return f"every account of segment {accounts.segment}"
    numbers = accounts.numbers
    if len(numbers) > _MOST_NAMED:
        return f"{len(numbers)} accounts"
    return f"account{'s' if len(numbers) > 1 else ''} {_listed(numbers, 'and')}"


def _when(when: When) -> str:
    if type(when) is Condition:
        return _condition(when)
    assert type(when) is Several
    parts = [f"({_when(part)})" if type(part) is Several else _when(part) for part in when.of]
    return (" or " if when.how == "any" else " and ").join(parts)


def _condition(condition: Condition) -> str:
    if condition.of_exposure:
        return "what the account owes is above its credit limit"
    subject = f"{_MEASURES[condition.measure]}{_filters(condition.filters)}"
    if condition.measure != "sessions":
        subject += f" in a {_PERIODS[condition.period]}"
    verb = "is" if condition.measure == "charge" else "are"
    match condition.threshold:
        case Fixed(given=given, at_least=at_least):
            return f"{subject} {verb} {'at least' if at_least else 'above'} {given}"
        case OverAverage(periods=periods, given=given, more=more):
            before = f"the average of the {periods} before" if periods > 1 else "those of the one before"
            return f"{subject} {verb} {f'more than {given} % above' if more else f'above {given} % of'} {before}"
        case _:
            return f"{subject} {verb} above the credit limit"


def _filters(filters: Filters) -> str:
    words = ""
    if filters.type is not None:
        words += f" of type {filters.type}"
    if filters.service is not None:
        words += f" of service {filters.service}"
    if filters.line is not None:
        words += f" of line {display(filters.line)}"
    if filters.device is not None:
        words += f" from device {filters.device}"
    if filters.called is not None:
        words += f" to {display(filters.called)}"
    if filters.place is not None:
        words += f" to {filters.place}"
    if filters.called_country:
        words += f" to {_listed([country_words(code) for code in filters.called_country], 'or')}"
    if filters.called_country_not_in:
        words += f" to anywhere but {_listed([country_words(code) for code in filters.called_country_not_in], 'and')}"
    return words


def _check(check: Check) -> str:
    match check.how:
        case "every":
            return f"checked every {check.every}" if check.every else "checked at the usual interval"
        case "once":
            return f"checked once, at {check.once}"
    return "checked continuously"


def _alert(alert: Alert) -> str:
    who = {None: "the account", "provider": "the service provider"}.get(alert.to, alert.to)
    when = " once the bar is confirmed" if alert.when == "confirmed" else ""
    return f"tell {who} by {_MEDIA[alert.by]}{when}"


def _response(response: Response) -> str:
    match response:
        case Bar(services=services, until=until):
            end = {
                "cleared": "that is no longer so",
                "period-end": "the period ends",
                "restored": "somebody restores it",
            }[until]
            return f"bar {_listed(services, 'and')} until {end}"
        case RaiseCreditLimit(percent=percent, at_most=at_most):
            return f"raise the credit limit by {percent} %" + (f", to {at_most} at most" if at_most else "")
        case _:
            return "end the live sessions"


def _listed(words: Sequence[str], last: str) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
