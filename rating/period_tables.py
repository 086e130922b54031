"""Reads the tariff's `[[period]]` tables into windows of the calendar, or refuses them by file, period and key."""

import re
from datetime import date
from typing import Any, Final

from rating.periods import ANY_PERIOD, DAY_S, Period, public_holidays
from rating.refusal import refusal, shown
from rating.toml_keys import TomlKeys, as_day

MAX_PERIODS: Final = 1_000
"""Most `[[period]]` tables of one tariff."""
MAX_PRIORITY: Final = 2**31 - 1

_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00)")
_YEARLY: Final = re.compile(r"[0-9]{2}-[0-9]{2}")
_LEAP_YEAR: Final = 2000
"""Has every day that a yearly date may name; 02-29 holds in leap years alone."""


def read_periods(tables: object, file_name: str) -> tuple[Period, ...]:
    """The windows of the tables in their order; `tables` is what TOML has under `period`, None where it is absent."""
    if tables is None:
        return ()
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise refusal(f"{file_name}: period", "is not a list of tables", "begin each period with [[period]]")
    if len(tables) > MAX_PERIODS:
        what = f"{len(tables)} periods are more than {MAX_PERIODS}"
        raise refusal(f"{file_name}: period", what, "name several dates in one period")
    return tuple(_read_period(table, f"{file_name}: period {place}") for place, table in enumerate(tables, start=1))


def _read_period(table: dict[str, Any], where: str) -> Period:
    keys = TomlKeys(table, where)
    name = keys.required_text("name")
    if name == ANY_PERIOD:
        raise keys.refusal("name", '"any" is what holds where no period does', "call it something else")
    if name != name.strip():
        raise keys.refusal("name", f"{shown(name)} begins or ends with a blank", "write it as the deck does")
    dates, yearly = _dates(keys)
    from_s = _clock_s(keys, "from", "00:00")
    to_s = _clock_s(keys, "to", "24:00")
    if from_s >= to_s:
        remedy = "make a period over midnight from two [[period]] of one name: to 24:00, and from 00:00"
        raise keys.refusal("to", "is not later than from", remedy)
    period = Period(
        name=name,
        priority=keys.whole("priority", -MAX_PRIORITY, MAX_PRIORITY) or 0,
        from_s=from_s,
        to_s=to_s,
        weekdays=_weekdays(keys),
        dates=dates,
        yearly=yearly,
        holidays=_holidays(keys),
    )
    keys.end()
    return period


def _clock_s(keys: TomlKeys, key: str, otherwise: str) -> int:
    """A time HH:MM as seconds since 00:00, 0 to `DAY_S`."""
    text = keys.text(key) or otherwise
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise keys.refusal(key, f"{shown(text)} is not a time of day", "write HH:MM, from 00:00 to 24:00")
    hours, minutes = (int(group) for group in match.groups() if group is not None)
    seconds = hours * 3_600 + minutes * 60
    assert 0 <= seconds <= DAY_S
    return seconds


def _weekdays(keys: TomlKeys) -> frozenset[int] | None:
    """Days and ranges of them with commas between; a range may run over Sunday, as in sat-mon."""
    text = keys.text("days")
    if text is None:
        return None
    days: set[int] = set()
    for part in text.split(","):
        ends = [end.strip() for end in part.split("-")]
        if len(ends) > 2 or any(end not in _WEEKDAYS for end in ends):
            remedy = f"use {', '.join(_WEEKDAYS)}, ranges as mon-fri, and commas between"
            raise keys.refusal("days", f"{shown(part)} names no days", remedy)
        first, last = _WEEKDAYS.index(ends[0]), _WEEKDAYS.index(ends[-1])
        days.update(day % 7 for day in range(first, last + 1 if first <= last else last + 8))
    return frozenset(days)


def _dates(keys: TomlKeys) -> tuple[frozenset[date] | None, frozenset[tuple[int, int]] | None]:
    """The single days and the yearly (month, day) of `dates`, which is one date or a list of them."""
    value = keys.value("dates")
    if value is None:
        return None, None
    days: set[date] = set()
    yearly: set[tuple[int, int]] = set()
    for item in value if isinstance(value, list) else [value]:
        every_year = isinstance(item, str) and _YEARLY.fullmatch(item) is not None
        day = as_day(f"{_LEAP_YEAR}-{item}" if every_year else item)
        if day is None:
            raise keys.refusal("dates", f"{shown(item)} is not a day", 'write "2026-12-24", or "12-24" for every year')
        if every_year:
            yearly.add((day.month, day.day))
        else:
            days.add(day)
    if not days and not yearly:
        raise keys.refusal("dates", "names no day", "name one, or remove the key")
    return frozenset(days), frozenset(yearly)


def _holidays(keys: TomlKeys) -> str | None:
    code = keys.text("holidays")
    if code is not None:
        try:
            public_holidays(code)
        except LookupError:
            remedy = "use a country of the package holidays, as US, or one of its parts, as US-NY"
            raise keys.refusal("holidays", f"{shown(code)} is unknown", remedy) from None
    return code
