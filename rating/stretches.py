"""How a call is consumed (rule 3): which row each increment begins in, without counting equal increments one by one."""

from typing import Final, NamedTuple

from rating.periods import TariffCalendar
from rating.pricing import NEVER, RowSet, Step, step_at

NO_RATE: Final = "no-rate"
"""Reason: an increment begins in a period that the rows of the prefix do not cover, or there is no prefix."""
OUT_OF_RANGE: Final = "out-of-range"
"""Reason: the charge or the seconds do not fit into a signed 64-bit number, or the price changes too often."""

MAX_STRETCHES: Final = 20_000
"""Most stretches of a call: it bounds the work on one record. A call of ten years through peak and off-peak has half
of them; a switch whose counter wrapped reports 136 years."""


class Stretch(NamedTuple):
    """Equal increments of one row in one piece of a period; the call's first increment is one by itself."""

    step: Step
    consumed_s: int
    """Seconds of the call before its first increment."""
    increment_s: int
    seconds: int
    """Sum of the increments."""


def consume(
    rows: RowSet, calendar: TariffCalendar, answer_s: int, quantity_s: int, *, timed: bool
) -> list[Stretch] | str:
    """The stretches of a call in their order, at least one, or a reason why it cannot be charged.

    `answer_s` is in whole seconds since 1970 UTC: a fraction decides nothing, for periods begin at whole seconds.
    `quantity_s` > 0 is in seconds, begun ones counted, or in units where `timed` is false: these take no time, and
    the period is that of the answer throughout (rule 6).
    """
    stretches: list[Stretch] = []
    consumed_s = 0
    ladder = rows.ladders[0] if rows.any_time else None
    until_s = NEVER if rows.any_time else 0  # seconds consumed at which the period has to be looked up again
    while consumed_s < quantity_s:
        if consumed_s >= until_s:
            period, end_s = calendar.at(answer_s + consumed_s)
            ladder = rows.ladders[period]
            until_s = end_s - answer_s if timed else NEVER
        if ladder is None:
            return NO_RATE
        if len(stretches) == MAX_STRETCHES:
            return OUT_OF_RANGE
        step = step_at(ladder, consumed_s)
        if consumed_s == 0:
            increment_s, count = step.first_s, 1
        else:
            increment_s = step.next_s
            # Every increment that begins before whatever comes first: the end of the call, of the step, of the period.
            count = -((consumed_s - min(quantity_s, step.until_s, until_s)) // increment_s)
        stretches.append(Stretch(step, consumed_s, increment_s, count * increment_s))
        consumed_s += count * increment_s
    return stretches


def price_of(stretches: list[Stretch]) -> int:
    """Σ increment × rate ÷ per_s, in parts of the rows' scale."""
    return sum(stretch.seconds * stretch.step.per_second for stretch in stretches)


def billed_s_of(stretches: list[Stretch]) -> int:
    """The sum of the increments, in seconds or units."""
    return stretches[-1].consumed_s + stretches[-1].seconds
