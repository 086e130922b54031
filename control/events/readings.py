"""What a condition looks at: the window of its period, its sum there, and what it is compared with."""

from collections.abc import Callable

import msgspec

from control.events.definition import NO_FILTERS, Condition, Filters, OverAverage, OverCreditLimit
from control.events.evaluation import Reading
from control.events.measures import Sums
from control.events.windows import PeriodClock

SumsOf = Callable[[Filters, str, int, int], Sums]
"""The sums of an account's transactions that pass the filters, in a window: filters, period, start, end."""


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
    value = sums(condition.filters, condition.period, start, end).of(condition.measure)
    return Reading(value, start, end, limit, _history(condition, clock, at, sums, standing))


def _history(condition: Condition, clock: PeriodClock, at: int, sums: SumsOf, standing: Standing) -> tuple[int, ...]:
    if type(condition.threshold) is not OverAverage:
        return ()
    windows = clock.before(condition.period, at, condition.threshold.periods)
    # From the earliest window on in which the account was open: imported before its end, or with any transaction.
    open_ = len(windows)
    while open_ and not _was_open(condition, *windows[open_ - 1], sums, standing):
        open_ -= 1
    return tuple(
        sums(condition.filters, condition.period, start, end).of(condition.measure) for start, end in windows[:open_]
    )


def _was_open(condition: Condition, start: int, end: int, sums: SumsOf, standing: Standing) -> bool:
    return standing.opened_at < end or sums(NO_FILTERS, condition.period, start, end).transactions > 0
