"""Prices as whole numbers: the rows that rule 1 of the tariff leaves for a call, on one scale without fractions."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from math import lcm
from operator import attrgetter
from typing import Final

import msgspec

from rating.cdr import MICROS
from rating.deck import DeckRow
from rating.periods import ANY_PERIOD

NEVER: Final = 1 << 127
"""A number of seconds, or an instant in seconds, that no call comes to."""

_USUAL_SCALE: Final = 2 * MICROS * 3_600
"""Holds rates of up to six decimal places a second, minute or hour: nearly all rows share one `Scale`."""


class Scale(msgspec.Struct, frozen=True, gc=False):
    """What the whole numbers of some rows count, and how a sum of them is rounded to a charge."""

    per_unit: int
    """Parts in one unit of the currency."""
    quantum: int
    """Parts in the smallest amount that charges differ by, 10 ** -decimals; even."""
    quantum_micros: int
    bias: int
    """Added before dividing by `quantum`, so that rounding down rounds as the tariff says."""
    half_even: bool
    conversion: tuple[int, int]
    """What one unit of the rows' currency is in that of the charges, as a fraction."""


class Step(msgspec.Struct, frozen=True, gc=False):
    """One row ready for charging: its amounts are whole numbers of parts of its `scale`.

    A msgspec struct and not a dataclass, as are the two beside it: a pass of calls over a fresh deck, which prepares
    its rows, takes a tenth less. Name and place are copied from the row because the hot path waits for memory.
    """

    first_s: int
    next_s: int
    until_s: int
    """Seconds consumed at which the next step begins, or `NEVER`."""
    connect: int
    per_second: int
    least: int
    most: int
    """Greatest charge before rounding, or -1 where the row has none."""
    scale: Scale
    destination: str | None
    place: str | None
    row: DeckRow

    def charge_micros(self, price: int) -> int:
        """The charge of a call that begins with this row and whose increments cost `price`: rule 4, one rounding."""
        amount = self.connect + price
        if amount < self.least:
            amount = self.least
        elif amount > self.most >= 0:
            amount = self.most
        scale = self.scale
        quanta, rest = divmod(amount + scale.bias, scale.quantum)
        if not rest and scale.half_even and quanta & 1:
            quanta -= 1  # it was a tie, and rounding it up has made it odd
        return quanta * scale.quantum_micros

    def limited(self, price: int) -> int:
        """The same before it is rounded, in parts of the scale."""
        amount = max(self.connect + price, self.least)
        return self.most if amount > self.most >= 0 else amount

    def caps(self, price: int) -> bool:
        """Whether `max_charge` makes the charge of such a call less."""
        return self.connect + price > self.most >= 0


class RowSet(msgspec.Struct, frozen=True, gc=False):
    """The rows of one prefix and one set of filters. Periods go by their number in the calendar."""

    firsts: tuple[Step | None, ...]
    """For each period the step that a call begins with; None where the rows leave the period out."""
    ladders: tuple[tuple[Step, ...] | None, ...]
    """For each period its steps in the order of `after_s`, the one in `firsts` first."""
    any_time: bool
    """Whether the steps are the same in every period: such a call needs no calendar."""
    row: DeckRow
    """The first of the rows, which names the destination where no step does."""


def step_at(ladder: tuple[Step, ...], consumed_s: int) -> Step:
    """The step with the greatest `after_s` not above the seconds consumed so far (rule 3)."""
    if consumed_s < ladder[0].until_s:
        return ladder[0]
    return ladder[bisect_right(ladder, consumed_s, key=_until_s)]


_until_s: Final = attrgetter("until_s")


class Pricing:
    """Prepares rows for charging, by the rounding of one tariff."""

    def __init__(self, periods: Sequence[str], decimals: int, rounding: str, conversion: Decimal = Decimal(1)) -> None:
        """`periods` are the calendar's names, by number; `decimals` and `rounding` the tariff's; `conversion` is what
        one unit of the rows' currency is in that of the charges."""
        self._periods = periods
        self._conversion = conversion.as_integer_ratio()
        self._decimals = decimals
        self._rounding = rounding
        self._scales: dict[int, Scale] = {}

    def prepare(self, rows: Sequence[DeckRow]) -> RowSet:
        """The rows of one prefix and one set of filters. Every amount is exact, however many places it has."""
        by_period: dict[str, list[DeckRow]] = {}
        for row in rows:
            by_period.setdefault(row.period, []).append(row)
        scale = self._scale(rows)
        own = {period: _ladder(members, scale) for period, members in by_period.items()}
        ladders = tuple(own.get(period, own.get(ANY_PERIOD)) for period in self._periods)
        return RowSet(
            firsts=tuple(None if ladder is None else ladder[0] for ladder in ladders),
            ladders=ladders,
            any_time=all(ladder is ladders[0] for ladder in ladders),
            row=rows[0],
        )

    def _scale(self, rows: Iterable[DeckRow]) -> Scale:
        """The scale in which fees, limits and prices of a second are whole, so that a charge takes one division."""
        of_rate = self._conversion[1]
        per_unit = lcm(_USUAL_SCALE, *(part * of_rate for row in rows for part in _denominators(row)))
        scale = self._scales.get(per_unit)
        if scale is None:
            quantum = per_unit // 10**self._decimals
            scale = self._scales[per_unit] = Scale(
                per_unit=per_unit,
                quantum=quantum,
                quantum_micros=MICROS // 10**self._decimals,
                bias={"up": quantum - 1, "down": 0, "half-up": quantum // 2, "half-even": quantum // 2}[self._rounding],
                half_even=self._rounding == "half-even",
                conversion=self._conversion,
            )
        return scale


def _denominators(row: DeckRow) -> Iterator[int]:
    yield row.connect_fee.as_integer_ratio()[1]
    yield row.rate.as_integer_ratio()[1] * row.per_s
    if row.min_charge is not None:
        yield row.min_charge.as_integer_ratio()[1]
    if row.max_charge is not None:
        yield row.max_charge.as_integer_ratio()[1]


def _ladder(rows: list[DeckRow], scale: Scale) -> tuple[Step, ...]:
    rows.sort(key=lambda row: row.after_s)
    assert rows[0].after_s == 0  # a deck without that row was refused
    untils_s = [row.after_s for row in rows[1:]]
    untils_s.append(NEVER)
    return tuple(_step(row, until_s, scale) for row, until_s in zip(rows, untils_s, strict=True))


def _step(row: DeckRow, until_s: int, scale: Scale) -> Step:
    first_s, next_s = row.increments
    return Step(
        first_s,
        next_s,
        until_s,
        _parts(row.connect_fee, 1, scale),
        _parts(row.rate, row.per_s, scale),
        0 if row.min_charge is None else _parts(row.min_charge, 1, scale),
        -1 if row.max_charge is None else _parts(row.max_charge, 1, scale),
        scale,
        row.destination,
        row.place,
        row,
    )


def _parts(amount: Decimal, per: int, scale: Scale) -> int:
    """amount ÷ per, in parts of the scale."""
    numerator, denominator = amount.as_integer_ratio()
    times, over = scale.conversion
    parts, rest = divmod(numerator * times * scale.per_unit, denominator * over * per)
    assert rest == 0  # the scale was made for it
    return parts
