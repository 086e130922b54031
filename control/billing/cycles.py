"""Which bill cycle of an account begins in a month, and whether it has ended."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from rating.calendar import AccountCalendar
from rating.cdr import MICROS

_PERIOD: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])", re.ASCII)
_FIRST_YEAR, _LAST_YEAR = 1970, 9998
_USUAL: Final = 3


class Cycle(NamedTuple):
    """A bill cycle of an account."""

    period: str
    """`YYYY-MM`: the month in which it begins, by the account's clock."""
    start: int
    end: int
    """First instants of it and of the next one, µs UTC."""


class Cycles:
    """The cycles that begin in one month, for every zone and cycle day; each worked out once."""

    def __init__(self, period: str) -> None:
        """`period` is valid."""
        self.period: Final = period
        self._known: dict[tuple[str, int], Cycle] = {}

    def of(self, timezone: str, cycle_day: int) -> Cycle:
        """The cycle of an account with this clock."""
        clock = timezone, cycle_day
        cycle = self._known.get(clock)
        if cycle is None:
            cycle = self._known[clock] = cycle_beginning_in(self.period, timezone, cycle_day)
        return cycle


def parse_period(text: str) -> str:
    """A period as typed. ValueError, with words, for what is none."""
    match = _PERIOD.fullmatch(text)
    if match is None or not _FIRST_YEAR <= int(match[1]) <= _LAST_YEAR:
        raise ValueError(f"{text!r} is not a period: write the month in which the cycle begins, as 2026-10")
    return text


def cycle_beginning_in(period: str, timezone: str, cycle_day: int) -> Cycle:
    """The one cycle that begins in a month: the one that holds the noon of the month's last day, since no cycle day is
    after that."""
    following = (date.fromisoformat(f"{period}-01") + timedelta(days=32)).replace(day=1)
    last = following - timedelta(days=1)
    noon = datetime(last.year, last.month, last.day, 12, tzinfo=ZoneInfo(timezone))
    return Cycle(period, *AccountCalendar(timezone, cycle_day).cycle(int(noon.timestamp()) * MICROS))


def periods_to_look_at(now: int, last_billed: str | None, at_most: int = 24) -> list[str]:
    """The months in which cycles may begin that have ended by an instant and are not billed, the oldest first: the last
    ones, and since the last one of which there are bills, at most so many."""
    # Somewhere it is tomorrow already.
    newest = datetime.fromtimestamp(now // MICROS + 86_400, UTC).strftime("%Y-%m")
    periods = [newest]
    # A cycle that ends in a month has begun in the one before; one that ended last month, two before.
    while len(periods) < min(_USUAL, at_most) or (
        last_billed is not None and periods[-1] > last_billed and len(periods) < at_most
    ):
        last = date.fromisoformat(f"{periods[-1]}-01") - timedelta(days=1)
        periods.append(f"{last.year:04d}-{last.month:02d}")
    return periods[::-1]
