"""The periods in which an account's use is measured: where they begin and end, by the local clock of its zone.

The windows of a period are pieces of time that follow one another: a clock change neither adds nor loses any of it.
"""

from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from rating.account import Account
from rating.calendar import BILL_CYCLE, MONTH, AccountCalendar
from rating.cdr import MICROS

WEEK: Final = "week"
WEEKDAYS: Final = "weekdays"
WEEKEND: Final = "weekend"
DAY: Final = "day"
HOUR: Final = "hour"
PERIODS: Final = (BILL_CYCLE, MONTH, WEEK, WEEKDAYS, WEEKEND, DAY, HOUR)

QUARTER_US: Final = 900 * MICROS
"""Every window begins at a quarter of an hour in UTC, whatever the zone."""
_HOUR_US: Final = 3600 * MICROS

Window = tuple[int, int]
"""First instant, and the first one after it (µs UTC)."""


class PeriodClock:
    """The windows of every period, for one zone and cycle day."""

    def __init__(self, timezone: str, cycle_day: int) -> None:
        self._zone = ZoneInfo(timezone)
        self._calendar = AccountCalendar(timezone, cycle_day)
        self._day = (0, 0)
        self._date = date.min

    def window(self, period: str, at: int) -> Window:
        """The window of an instant. That of `weekdays` is Monday to Friday of the instant's week, that of `weekend`
        its Saturday and Sunday: the instant itself may lie outside, and a transaction then does not count."""
        match period:
            case "month":
                return self._calendar.month(at)
            case "bill-cycle":
                return self._calendar.cycle(at)
            case "day":
                return self._around(at)
            case "hour":
                start, end = self._around(at)
                start += (at - start) // _HOUR_US * _HOUR_US
                return start, min(start + _HOUR_US, end)
        self._around(at)
        monday = self._date - timedelta(days=self._date.weekday())
        first, last = {WEEK: (0, 7), WEEKDAYS: (0, 5), WEEKEND: (5, 7)}[period]
        return self._midnight(monday + timedelta(days=first)), self._midnight(monday + timedelta(days=last))

    def cell(self, period: str, at: int) -> Window:
        """The stretch around an instant in which the period's window is the same one: the window itself, or the week
        that holds it."""
        return self.window(WEEK if period in (WEEKDAYS, WEEKEND) else period, at)

    def piece(self, period: str, at: int) -> Window:
        """The stretch around an instant whose transactions all count in the period's window, or all do not."""
        if period not in (WEEKDAYS, WEEKEND):
            return self.window(period, at)
        weekdays = self.window(WEEKDAYS, at)
        return weekdays if at < weekdays[1] else self.window(WEEKEND, at)

    def before(self, period: str, at: int, count: int) -> list[Window]:
        """The complete windows before that of an instant, the latest first."""
        windows = []
        for _ in range(count):
            at = self.cell(period, at)[0] - 1
            windows.append(self.window(period, at))
        return windows

    def _around(self, at: int) -> Window:
        """The local day that holds an instant."""
        if not self._day[0] <= at < self._day[1]:
            today = datetime.fromtimestamp(at // MICROS, self._zone).date()
            # A clock set back over midnight shows the day before once more. What has begun stays begun.
            if at >= self._midnight(today + timedelta(days=1)):
                today += timedelta(days=1)
            self._date = today
            self._day = self._midnight(today), self._midnight(today + timedelta(days=1))
        return self._day

    def _midnight(self, day: date) -> int:
        return int(datetime(day.year, day.month, day.day, tzinfo=self._zone).timestamp()) * MICROS


class Clocks:
    """The clocks of accounts; those with one zone and cycle day share one. For one thread."""

    def __init__(self) -> None:
        self._clocks: dict[tuple[str, int], PeriodClock] = {}

    def of(self, account: Account) -> PeriodClock:
        """The account's."""
        key = account.clock
        clock = self._clocks.get(key)
        if clock is None:
            clock = self._clocks[key] = PeriodClock(*key)
        return clock
