"""The periods of an account: calendar months and bill cycles, by the local clock of its zone."""

from calendar import monthrange
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from rating.cdr import MICROS

MONTH: Final = "month"
BILL_CYCLE: Final = "bill-cycle"

NO_ZONES: Final = frozenset({"localtime", "posixrules", "Factory"})
"""Files among the zones that name no place, or whatever place the machine is in."""


class AccountCalendar:
    """Where the months and bill cycles begin, for one zone and cycle day; shared by all accounts that have both."""

    def __init__(self, timezone: str, cycle_day: int) -> None:
        self._zone = ZoneInfo(timezone)
        self._cycle_day = cycle_day
        # The last two of each: around the end of one, calls of both come in turns.
        self._months = self._cycles = ((0, 0), (0, 0))

    def month(self, at: int) -> tuple[int, int]:
        """First instant of the calendar month that holds `at`, and of the next one (µs UTC)."""
        last, before = self._months
        if last[0] <= at < last[1]:
            return last
        self._months = before if before[0] <= at < before[1] else self._around(at, 1), last
        return self._months[0]

    def cycle(self, at: int) -> tuple[int, int]:
        """First instant of the bill cycle that holds `at`, and of the next one (µs UTC)."""
        last, before = self._cycles
        if last[0] <= at < last[1]:
            return last
        self._cycles = before if before[0] <= at < before[1] else self._around(at, self._cycle_day), last
        return self._cycles[0]

    def _around(self, at: int, first_day: int) -> tuple[int, int]:
        local = datetime.fromtimestamp(at // MICROS, self._zone).date()
        begins = _clamped(local.year, local.month, first_day)
        if begins > local:
            before = local.replace(day=1) - timedelta(days=1)
            begins = _clamped(before.year, before.month, first_day)
        following = _following(begins, first_day)
        if at >= self._midnight(following):
            # A clock set back over midnight shows the day before once more (St John's, until 2011). What has begun
            # stays begun: a period is one piece of time.
            begins, following = following, _following(following, first_day)
        return self._midnight(begins), self._midnight(following)

    def _midnight(self, day: date) -> int:
        return int(datetime(day.year, day.month, day.day, tzinfo=self._zone).timestamp()) * MICROS


def _following(begins: date, first_day: int) -> date:
    """The first day of the period after the one that begins on a day."""
    after = begins.replace(day=1) + timedelta(days=32)
    return _clamped(after.year, after.month, first_day)


def _clamped(year: int, month: int, day: int) -> date:
    """Cycle days 29 to 31 mean the last day of a shorter month."""
    return date(year, month, min(day, monthrange(year, month)[1]))
