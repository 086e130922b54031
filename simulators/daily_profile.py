"""How busy an hour is: the share of a line's calls by local weekday and hour."""

from datetime import datetime
from typing import Final

from simulators.population import Habit

# Calls an hour from midnight to midnight, in arbitrary units. Homes peak after dinner, offices before and after lunch.
_HOME_WEEKDAY: Final = (2, 1, 1, 1, 1, 2, 5, 10, 14, 16, 17, 18, 19, 18, 18, 20, 24, 30, 38, 42, 40, 30, 16, 6)
_HOME_WEEKEND: Final = (5, 3, 2, 1, 1, 1, 3, 6, 12, 20, 27, 30, 31, 30, 29, 28, 29, 31, 34, 36, 34, 27, 17, 9)
_WORK_WEEKDAY: Final = (1, 1, 1, 1, 1, 2, 6, 22, 58, 80, 88, 84, 60, 70, 82, 80, 72, 48, 20, 10, 6, 4, 2, 1)
_WORK_WEEKEND: Final = (1, 1, 1, 1, 1, 1, 1, 3, 6, 10, 12, 12, 10, 9, 8, 7, 6, 4, 3, 2, 2, 1, 1, 1)

_Week = tuple[tuple[float, ...], ...]


def _week(weekday: tuple[int, ...], weekend: tuple[int, ...]) -> _Week:
    """Seven days of 24 weights whose mean is 1, so that a line's appetite is its mean over the week."""
    days = (*[weekday] * 5, *[weekend] * 2)
    mean = sum(map(sum, days)) / (7 * 24)
    return tuple(tuple(hour / mean for hour in day) for day in days)


_WEEKS: Final[dict[Habit, _Week]] = {
    "home": _week(_HOME_WEEKDAY, _HOME_WEEKEND),
    "work": _week(_WORK_WEEKDAY, _WORK_WEEKEND),
}


def busyness(habit: Habit, local: datetime) -> float:
    """Calls at this local time relative to the week's mean: 1 is average, always above 0."""
    return _WEEKS[habit][local.weekday()][local.hour]
