"""What a condition looks at: the window of its period, its sum there, and what it is compared with."""

from collections.abc import Callable

import msgspec

from control.events.definition import Condition, OverAverage, OverCreditLimit
from control.events.evaluation import Reading
from control.events.tallies import Series, opening, series_of
from control.events.windows import PeriodClock

SumsOf = Callable[[Series, int, int], int]
"""The sum of an account's transactions in a series' window: series, start, end."""


class Standing(msgspec.Struct, frozen=True, gc=False):
    """How an account stands, besides its transactions."""

    opened_at: int
    """When it was imported, µs UTC. It was open before if it has transactions from before."""
    credit_limit: int | None
    """Micro-units."""


def read(
    condition: Condition, clock: PeriodClock, at: int, sums: SumsOf, standing: Standing, exposure: Callable[[], int]
) -> Reading:
    """What a condition looks at, at an instant (µs UTC)."""
    start, end = clock.window(condition.period, at)
    if condition.measure == "sessions":
        return Reading(0, start, end)
    limit = standing.credit_limit if type(condition.threshold) is OverCreditLimit else None
    if condition.of_exposure:
        return Reading(exposure(), start, end, limit)
    value = sums(series_of(condition), start, end)
    return Reading(value, start, end, limit, _history(condition, clock, at, sums, standing))


def _history(condition: Condition, clock: PeriodClock, at: int, sums: SumsOf, standing: Standing) -> tuple[int, ...]:
    if type(condition.threshold) is not OverAverage:
        return ()
    windows = clock.before(condition.period, at, condition.threshold.periods)
    # From the earliest window on in which the account was open: imported before its end, or with any transaction.
    open_ = len(windows)
    while open_ and not _was_open(condition, *windows[open_ - 1], sums, standing):
        open_ -= 1
    series = series_of(condition)
    return tuple(sums(series, start, end) for start, end in windows[:open_])


def _was_open(condition: Condition, start: int, end: int, sums: SumsOf, standing: Standing) -> bool:
    return standing.opened_at < end or sums(opening(condition.period), start, end) > 0
