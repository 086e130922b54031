"""What a charge is made of, as plain data: with it the store's owner applies the rules without a tariff's deck."""

from collections.abc import Sequence
from typing import Final

import msgspec

from rating.stretches import Stretch

_MOST: Final = (1 << 63) - 1
"""Greatest number that crosses the seam as one; what is beyond it is written out."""

Number = int | str


class Parts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The parts of one call's charge, and in which windows it is used."""

    month_at: int
    """First instant of the account's calendar month that holds the answer, µs UTC."""
    cycle_at: int
    """The same of its bill cycle."""
    is_timed: bool
    favourites: tuple[str, ...]
    """The rules for favourite numbers of which the call is one."""
    amounts: tuple[Number, ...]
    """Parts in one unit of the currency; then in those parts: connect fee, least charge, most or -1; then of each
    stretch the seconds, and the price of a second."""


def parts_of(
    stretches: Sequence[Stretch], month_at: int, cycle_at: int, favourites: tuple[str, ...], *, is_timed: bool
) -> Parts:
    """The parts of a call with these stretches, at least one."""
    first = stretches[0].step
    amounts = [first.scale.per_unit, first.connect, first.least, first.most]
    for stretch in stretches:
        amounts += (stretch.seconds, stretch.step.per_second)
    if max(amounts) > _MOST:
        return Parts(month_at, cycle_at, is_timed, favourites, tuple(map(_packed, amounts)))
    return Parts(month_at, cycle_at, is_timed, favourites, tuple(amounts))


def _packed(number: int) -> Number:
    return number if number <= _MOST else str(number)
