"""Cells as numbers: each keeps its own as long as somebody gathers there."""

from typing import Final

import numpy as np
import pytest

from control.events.cell_numbers import APART, NEVER, CellNumbers
from control.events.definition import NO_FILTERS
from control.events.patterns import Cell, Pattern
from control.events.plans import FAR
from control.events.tallies import Series, Tally

PATTERN: Final = Pattern((), 3)
ROOM: Final = 64


def cells(number: int, begin: int = 0) -> list[Cell]:
    """So many, one after the other."""
    return [Cell(PATTERN, at, at + 1, ((),)) for at in range(begin, begin + number)]


def numbers_of(known: CellNumbers, some: list[Cell], used: list[int]) -> list[int]:
    """Numbers of new cells, while some numbers are in use."""
    return [known.add(cell, np.array(used, np.int32)) for cell in some]


def test_a_cell_is_found_by_its_number_and_the_other_way_round() -> None:
    known, (first, second) = CellNumbers(), cells(2, begin=70)
    assert known.find(first) is None
    one, other = numbers_of(known, [first, second], [])
    assert (known.find(first), known.find(second)) == (one, other)
    assert known.cell(other) is second
    assert (known.begins[other], known.ends[other], known.patterns[other]) == (71, 72, 3)


def test_a_cell_without_end_is_as_long_as_time() -> None:
    known = CellNumbers()
    number = known.add(Cell(PATTERN, -FAR, FAR, ((),)), np.zeros(0, np.int32))
    assert known.begins[number] < -(1 << 62) < 1 << 62 < known.ends[number]


@pytest.mark.parametrize(("in_use", "size"), [(2, ROOM), (ROOM, 2 * ROOM)])
def test_numbers_that_nobody_uses_are_given_again_before_there_are_more(in_use: int, size: int) -> None:
    known, some = CellNumbers(), cells(ROOM)
    given = numbers_of(known, some, [])
    used = given[:in_use]
    (new,) = numbers_of(known, [Cell(PATTERN, 999, 1000, ((),))], [NEVER, APART, *used])
    assert new not in used
    assert len(known.begins) == len(known.ends) == len(known.patterns) == size
    assert known.begins[new] == 999
    assert [known.find(cell) for cell in some] == [*used, *[None] * (ROOM - in_use)]
    assert [known.begins[number] for number in used] == list(range(in_use))


def test_cells_are_found_by_what_is_summed_there() -> None:
    known = CellNumbers()
    tallies = [Tally(Series(NO_FILTERS, "day", "charges"), start, {}, True) for start in range(3)]
    numbers = numbers_of(known, [Cell(PATTERN, 0, 1, (((tally, 1),), ())) for tally in tallies], [])
    assert known.gathering_in({id(tallies[0]), id(tallies[2])}) == [numbers[0], numbers[2]]
