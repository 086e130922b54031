"""The JSON of an account event, read into its definition or refused in words."""

import re
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from control.events.definition import (
    MEASURES,
    NO_FILTERS,
    OF_MONEY,
    Accounts,
    Alert,
    Bar,
    Check,
    Condition,
    Disconnect,
    EventDefinition,
    Filters,
    Fixed,
    Measure,
    OverAverage,
    OverCreditLimit,
    RaiseCreditLimit,
    Response,
    Several,
    Threshold,
    When,
)
from control.events.json_fields import DefinitionError, Fields, as_text, shown
from control.events.terms import TooManyTerms, terms_of
from control.events.windows import PERIODS
from rating.calendar import BILL_CYCLE
from rating.cdr import CALL_TYPES, MICROS
from rating.numbering import to_e164
from rating.search.country_names import NAMES

MOST_ACCOUNTS: Final = 10_000
MOST_CONDITIONS: Final = 16
DEEPEST: Final = 3
"""any and all within one another."""
MOST_ALERTS: Final = 20
MOST_SERVICES: Final = 50
MOST_PERIODS: Final = 60
MOST_PERCENT: Final = 1_000_000

_HUNDRED_PERCENT: Final = 100 * MICROS
_THRESHOLDS: Final = ("above", "at_least", "above_credit_limit", "above_average", "of_average")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_INTERVAL: Final = re.compile(r"([0-9]{1,9})([smhd])", re.ASCII)
_LONGEST_S: Final = 366 * 86400
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND: Final = timedelta(microseconds=1)


def parse_event(document: object) -> EventDefinition:
    """An account event of its JSON, as objects. Raises DefinitionError for the first thing that is wrong."""
    fields = Fields(document, "")
    accounts = _accounts(fields.value("accounts"))
    name = fields.text("name")
    if name is None:
        raise fields.error("name", "is missing", "write what people are to call it")
    when = fields.value("when")
    if when is None:
        raise fields.error("when", "is missing", 'write a condition, or {"any": […]} or {"all": […]} of several')
    event = EventDefinition(
        accounts,
        name,
        _when(when, "when", 1),
        _check(fields.value("check")),
        tuple(_alert(*entry) for entry in fields.entries("alert", MOST_ALERTS, "write a list of alerts") or ()),
        tuple(_response(*entry) for entry in fields.entries("respond", MOST_ALERTS, "write a list") or ()),
    )
    fields.end()
    if len(event.conditions) > MOST_CONDITIONS:
        raise DefinitionError("when", f"has {len(event.conditions)} conditions", f"write at most {MOST_CONDITIONS}")
    try:
        terms_of(event.when)
    except TooManyTerms as many:
        raise DefinitionError("when", str(many), "make several events of it") from None
    return event


def _accounts(value: object) -> Accounts:
    fields = Fields(value, "accounts", 'write {"numbers": […]}, {"segment": "…"} or {"all": true}')
    match fields.only(("numbers", "segment", "all")):
        case "numbers":
            numbers = fields.texts("numbers", MOST_ACCOUNTS, "write a list of account numbers")
            accounts = Accounts(numbers=tuple(dict.fromkeys(numbers or ())))
        case "segment":
            accounts = Accounts(segment=fields.text("segment"))
        case _:
            fields.true("all")
            accounts = Accounts()
    fields.end()
    return accounts


def _when(value: object, path: str, depth: int) -> When:
    fields = Fields(value, path)
    if not (fields.has("any") or fields.has("all")):
        return _condition(fields)
    how: Any = fields.only(("any", "all"))
    if depth > DEEPEST:
        raise DefinitionError(path, "goes too deep", f"put any and all into one another at most {DEEPEST} times")
    entries = fields.entries(how, MOST_CONDITIONS, "write a list of conditions")
    if not entries:
        raise fields.error(how, "is empty", "write one condition or more")
    fields.end()
    return Several(how, tuple(_when(entry, at, depth + 1) for at, entry in entries))


def _condition(fields: Fields) -> Condition:
    measure: Measure = fields.word("measure", MEASURES)
    filters = _filters(fields)
    threshold = _threshold(fields, measure)
    exposure = type(threshold) is OverCreditLimit and not filters
    # What is owed, a single call and open sessions mean something without a period: they fire once a bill cycle then.
    default = BILL_CYCLE if exposure or measure in ("charge", "sessions") else None
    period = fields.word("period", PERIODS, default)
    fields.end()
    return Condition(measure, threshold, period, filters)


def _threshold(fields: Fields, measure: Measure) -> Threshold:
    key = fields.only(_THRESHOLDS)
    if key == "above_credit_limit":
        if measure != "charges":
            raise fields.error(key, f"{measure} cannot be compared with a credit limit", 'write "measure": "charges"')
        fields.true(key)
        return OverCreditLimit()
    if key in ("above_average", "of_average"):
        if measure == "sessions":
            raise fields.error(key, "sessions have no average", "write above or at_least")
        return _average(fields, key)
    number = fields.decimal(key)
    assert number is not None
    micros, given = number
    if measure in OF_MONEY:
        value = micros
    elif measure == "minutes":
        value = micros * 60  # a millionth of a minute is 60 µs
    else:
        value, rest = divmod(micros, MICROS)
        if rest:
            raise fields.error(key, f"{shown(given)} is no number of {measure}", "write a whole number")
    if key == "at_least" and value == 0:
        raise fields.error(key, "holds always", "write a number above 0")
    return Fixed(value - (key == "at_least"), given, key == "at_least")


def _average(fields: Fields, key: str) -> OverAverage:
    average = Fields(fields.value(key), fields.path(key), 'write {"months": 3, "percent": 50}')
    periods = average.whole("months", 1, MOST_PERIODS)
    if periods is None:
        raise average.error("months", "is missing", f"write how many periods before this one, 1 to {MOST_PERIODS}")
    percent = average.decimal("percent")
    if percent is None:
        raise average.error("percent", "is missing", "write a number such as 50")
    micros, given = percent
    if micros > MOST_PERCENT * MICROS:
        raise average.error("percent", f"{shown(given)} is too much", f"write at most {MOST_PERCENT}")
    average.end()
    more = key == "above_average"
    return OverAverage(periods, micros + (_HUNDRED_PERCENT if more else 0), given, more)


def _filters(fields: Fields) -> Filters:
    line, called = (_number(fields, name) for name in ("line", "called"))
    type_ = fields.text("type")
    if type_ is not None and type_ not in CALL_TYPES:
        raise fields.error(
            "type", f"{shown(type_)} is no type of call", f"write one of {', '.join(sorted(CALL_TYPES))}"
        )
    filters = Filters(
        service=fields.text("service"),
        line=line,
        called=called,
        place=fields.text("place"),
        called_country=_countries(fields, "called_country"),
        called_country_not_in=_countries(fields, "called_country_not_in"),
        type=type_,
        device=fields.text("device"),
    )
    return filters or NO_FILTERS


def _number(fields: Fields, key: str) -> str | None:
    text = fields.text(key)
    if text is None:
        return None
    number = to_e164(text)
    if number is None:
        raise fields.error(key, f"{shown(text)} is no number", "write E.164 such as +12125550142, or sip:user@host")
    return number


def _countries(fields: Fields, key: str) -> tuple[str, ...]:
    remedy = 'write two-letter codes (ISO 3166) such as ["US", "CA"]'
    value = fields.value(key)
    if value is None:
        return ()
    entries = [(fields.path(key), value)]
    if isinstance(value, list | tuple):
        entries = [(f"{fields.path(key)}[{index}]", entry) for index, entry in enumerate(value)]
    if not entries or len(entries) > len(NAMES):
        raise fields.error(key, f"has {len(entries)} entries", remedy)
    codes = []
    for path, entry in entries:
        code = as_text(entry, path).upper()
        if code not in NAMES:
            raise DefinitionError(path, f"{shown(entry)} is no country", remedy)
        codes.append(code)
    return tuple(dict.fromkeys(codes))


def _check(value: object) -> Check:
    if value is None:
        return Check()
    fields = Fields(value, "check", 'write {"continuous": true}, {"every": "1h"} or {"once": "2026-12-01T00:00:00Z"}')
    match fields.only(("continuous", "every", "once")):
        case "continuous":
            fields.true("continuous")
            check = Check()
        case "every":
            check = _every(fields)
        case _:
            check = _once(fields)
    fields.end()
    return check


def _every(fields: Fields) -> Check:
    given = fields.value("every")
    if given is True:  # the site's own interval
        return Check("every")
    match = _INTERVAL.fullmatch(given) if isinstance(given, str) else None
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not 1 <= seconds <= _LONGEST_S:
        raise fields.error("every", f"{shown(given)} is no interval", 'write a number with s, m, h or d, as "1h"')
    return Check("every", every_s=seconds, every=given)


def _once(fields: Fields) -> Check:
    given = fields.value("once")
    try:
        moment = datetime.fromisoformat(given)
        if moment.tzinfo is None or len(given) < len("2026-12-01T00:00Z"):
            raise ValueError
        at = (moment - _EPOCH) // _MICROSECOND
        if at < 0:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        what = f"{shown(given)} is no instant"
        raise fields.error("once", what, 'write RFC 3339 with an offset, as "2026-12-01T00:00:00Z"') from None
    return Check("once", once_at=at, once=given)


def _alert(path: str, value: object) -> Alert:
    fields = Fields(value, path)
    by = fields.word("by", ("email", "fax", "page", "voicemail", "webhook"))
    to = fields.text("to")
    when = fields.word("when", ("fired", "confirmed"), "fired")
    fields.end()
    if by == "webhook" and to != "provider":
        if to is None:
            raise fields.error("to", "is missing: an account has no webhook", "write an http(s):// address")
        if not _is_web_address(to):
            raise fields.error("to", f"{shown(to)} is no web address", "write https://…")
    if by == "email" and to not in (None, "provider") and not re.fullmatch(r"[^@\s]+@[^@\s]+", to or ""):
        raise fields.error("to", f"{shown(to)} is no e-mail address", 'write one, or "provider", or leave it out')
    return Alert(by, to, when)


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _response(path: str, value: object) -> Response:
    fields = Fields(value, path)
    response: Response
    match fields.word("do", ("bar", "raise-credit-limit", "disconnect")):
        case "bar":
            services = fields.texts("services", MOST_SERVICES, 'write a list such as ["long-distance"]')
            if services is None:
                raise fields.error("services", "is missing", 'write a list such as ["long-distance"]')
            until = fields.word("until", ("cleared", "period-end", "restored"), "cleared")
            response = Bar(tuple(dict.fromkeys(services)), until)
        case "raise-credit-limit":
            response = _raise(fields)
        case _:
            response = Disconnect()
    fields.end()
    return response


def _raise(fields: Fields) -> RaiseCreditLimit:
    percent = fields.decimal("percent")
    if percent is None or not 0 < percent[0] <= MOST_PERCENT * MICROS:
        remedy = f"write a number above 0 and at most {MOST_PERCENT}, such as 10"
        if percent is None:
            raise fields.error("percent", "is missing", remedy)
        raise fields.error(
            "percent", f"{shown(percent[1])} {'is too much' if percent[0] > 0 else 'raises nothing'}", remedy
        )
    at_most = fields.decimal("at_most")
    return RaiseCreditLimit(*percent, *(at_most or (None, None)))
