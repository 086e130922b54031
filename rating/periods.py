"""The tariff's calendar: which period holds at an instant, by the local clock of the tariff's zone, and until when.

Clock changes are followed to the second: a period that the clock skips does not happen, one that it repeats does twice.
"""

import re
from bisect import bisect_right
from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

ANY_PERIOD: Final = "any"
"""Stands where no period holds, and in the deck for every period without a row of its own."""
DAY_S: Final = 86_400
MAX_DAYS_KEPT: Final = 4_096
"""UTC days whose break points are remembered: eleven years of calls, in about two megabytes."""
MAX_CLOCKS_KEPT: Final = 256
"""Kinds of local day whose windows are remembered: workdays, Saturdays, one holiday or another."""

# The years 2 to 9998: a day either side of what `datetime` can name stays nameable in every zone.
_FIRST_DAY: Final = date(2, 1, 1).toordinal() - date(1970, 1, 1).toordinal()
_LAST_DAY: Final = date(9998, 12, 31).toordinal() - date(1970, 1, 1).toordinal()
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_SECOND: Final = timedelta(seconds=1)
# No zone of the tz database has ever changed its offset twice within three days: looking every six hours finds all.
_LOOK_S: Final = 6 * 3_600


@dataclass(frozen=True, slots=True)
class Period:
    """One `[[period]]`: a window of local clock time on the days that meet every condition given.

    Several windows may have one name; they are one period then, and each has its own priority.
    """

    name: str
    priority: int = 0
    """The highest that holds wins; a tie goes to the earlier in the file."""
    from_s: int = 0
    """Local clock time at which it begins, in seconds since 00:00 on the clock, 0 to 86,399."""
    to_s: int = DAY_S
    """Local clock time at which it is over, > `from_s`, at most 86,400."""
    weekdays: frozenset[int] | None = None
    """Days of the week on which it holds, Monday 0 to Sunday 6; None is every one."""
    dates: frozenset[date] | None = None
    """Single days; with `yearly` and `holidays` these are alternatives, and all three None is every day."""
    yearly: frozenset[tuple[int, int]] | None = None
    """(month, day) of every year."""
    holidays: str | None = None
    """Country, or country-subdivision, of which the public holidays count, those observed on another day too."""


def public_holidays(code: str) -> Container[date]:
    """The public holidays of "US" or "US-NY" (package `holidays`, observed days too). LookupError: unknown code."""
    # Here and not above: it costs 40 ms and some megabytes, and few tariffs name holidays.
    import holidays

    country, dash, subdivision = code.partition("-")
    # The package looks any name up among its classes: only what has the form of ISO 3166 may get there.
    if re.fullmatch("[A-Z]{2}", country) and (subdivision or not dash):
        try:
            return holidays.country_holidays(country, subdiv=subdivision or None, observed=True)
        except NotImplementedError:
            pass
    raise LookupError(code)


class TariffCalendar:
    """Which period holds when. Periods go by number: 0 when none holds, else the place of the name in `names`."""

    names: tuple[str, ...]
    """The periods' names in the order of the file, after `ANY_PERIOD` for "none holds"."""

    def __init__(self, timezone: str, periods: tuple[Period, ...]) -> None:
        self.names = (ANY_PERIOD, *dict.fromkeys(period.name for period in periods))
        self._zone = ZoneInfo(timezone)
        self._ranked = sorted(periods, key=lambda period: -period.priority)  # stable: a tie stays as in the file
        self._number = {name: number for number, name in enumerate(self.names)}
        self._holidays = {code: public_holidays(code) for period in periods if (code := period.holidays)}
        self._day = lru_cache(MAX_DAYS_KEPT)(self._read_day)
        self._clock = lru_cache(MAX_CLOCKS_KEPT)(self._read_clock)

    def at(self, second: int) -> tuple[int, int]:
        """The period at an instant and a later one before which it does not change, both in seconds since 1970 UTC.

        The period may go on after that instant: the answer ends at midnight UTC at the latest. Before the year 2
        and after the year 9998 no period holds.
        """
        starts, numbers = self._day(second // DAY_S)
        after = bisect_right(starts, second)
        return numbers[after - 1], starts[after]

    def _read_day(self, day: int) -> tuple[list[int], list[int]]:
        """The break points of a UTC day, its end among them, and the period from each but the last."""
        starts, numbers = [day * DAY_S], [0]
        if _FIRST_DAY <= day <= _LAST_DAY:
            for start, number in self._windows(day):
                if start == starts[-1]:
                    numbers[-1] = number
                elif number != numbers[-1]:
                    starts.append(start)
                    numbers.append(number)
        starts.append((day + 1) * DAY_S)
        return starts, numbers

    def _windows(self, day: int) -> Iterator[tuple[int, int]]:
        """Every instant of a UTC day at which a window of the local clock begins, with the window's period."""
        for begin, end, offset_s in self._offsets(day * DAY_S, (day + 1) * DAY_S):
            for local_day in range((begin + offset_s) // DAY_S, (end + offset_s - 1) // DAY_S + 1):
                midnight = local_day * DAY_S - offset_s
                holding = self._holding(date.fromordinal(local_day + _EPOCH_ORDINAL))
                for from_s, to_s, number in self._clock(holding):
                    if midnight + to_s > begin and midnight + from_s < end:
                        yield max(begin, midnight + from_s), number

    def _offsets(self, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(from, to, UTC offset) in seconds, for each part of a UTC day with one offset."""
        offset_s = self._offset_s(begin)
        for look in range(begin + _LOOK_S, end + 1, _LOOK_S):
            if self._offset_s(look) != offset_s:
                before, change = look - _LOOK_S, look
                while change - before > 1:
                    middle = (before + change) // 2
                    before, change = (middle, change) if self._offset_s(middle) == offset_s else (before, middle)
                yield begin, change, offset_s
                begin, offset_s = change, self._offset_s(change)
        if begin < end:
            yield begin, end, offset_s

    def _offset_s(self, second: int) -> int:
        offset = (_EPOCH + second * _SECOND).astimezone(self._zone).utcoffset()
        assert offset is not None  # a zone's instants have one
        return offset // _SECOND

    def _holding(self, day: date) -> tuple[int, ...]:
        """The windows that hold on a local day, the first to win first."""
        return tuple(place for place, period in enumerate(self._ranked) if self._holds_on(period, day))

    def _read_clock(self, holding: tuple[int, ...]) -> tuple[tuple[int, int, int], ...]:
        """What the clock of a local day passes through: (from, to, period), without a gap from 0 to `DAY_S`."""
        periods = [self._ranked[place] for place in holding]
        breaks = sorted({0, DAY_S}.union(*((period.from_s, period.to_s) for period in periods)))
        windows = []
        for from_s, to_s in pairwise(breaks):
            first = next((period for period in periods if period.from_s <= from_s < period.to_s), None)
            windows.append((from_s, to_s, 0 if first is None else self._number[first.name]))
        return tuple(windows)

    def _holds_on(self, period: Period, day: date) -> bool:
        if period.weekdays is not None and day.weekday() not in period.weekdays:
            return False
        if period.dates is None and period.yearly is None and period.holidays is None:
            return True
        return (
            (period.dates is not None and day in period.dates)
            or (period.yearly is not None and (day.month, day.day) in period.yearly)
            or (period.holidays is not None and day in self._holidays[period.holidays])
        )
