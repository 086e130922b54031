"""Stretches of time as numbers, so that where an account gathers is one number too, and is compared by the thousand."""

from collections.abc import Collection
from typing import Final

import numpy as np
from numpy.typing import NDArray

from control.events.patterns import Cell

NEVER: Final = -1
"""Of an account that gathers nowhere yet."""
APART: Final = -2
"""Of an account whose lanes are not in arrays at present."""
_FIRST_ROOM: Final = 64
_EARLIEST, _LATEST = -(1 << 63), (1 << 63) - 1


class CellNumbers:
    """Cells by number. What is asked of arrays for `NEVER` and `APART` is anything."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        """By the cell's `id`."""
        self._cells: list[Cell | None] = [None] * _FIRST_ROOM
        self._free = list(reversed(range(_FIRST_ROOM)))
        self.begins = np.zeros(_FIRST_ROOM, np.int64)
        """First instant, by number."""
        self.ends = np.zeros(_FIRST_ROOM, np.int64)
        """First instant after it."""
        self.patterns = np.zeros(_FIRST_ROOM, np.int64)
        """Number of the cell's pattern."""

    def cell(self, number: int) -> Cell:
        """The cell of a number."""
        found = self._cells[number]
        assert found is not None, "a number is free only when nobody gathers there"
        return found

    def find(self, cell: Cell) -> int | None:
        """The number of a cell, if it has one."""
        return self._numbers.get(id(cell))

    def add(self, cell: Cell, used: NDArray[np.int32]) -> int:
        """Give a cell a number. `used` are those in use: when there is none left, the others become free."""
        if not self._free:
            self.keep(used)
            if len(self._free) < len(self._cells) // 4:
                self._grow()
        number = self._numbers[id(cell)] = self._free.pop()
        self._cells[number] = cell
        self.begins[number] = max(cell.begins, _EARLIEST)
        self.ends[number] = min(cell.ends, _LATEST)
        self.patterns[number] = cell.pattern.number
        return number

    def gathering_in(self, tallies: Collection[int]) -> list[int]:
        """The numbers of cells that have one of these tallies (by `id`)."""
        return [
            number
            for number, cell in enumerate(self._cells)
            if cell is not None and any(id(tally) in tallies for tally in cell.tallies)
        ]

    def keep(self, used: NDArray[np.int32]) -> None:
        """Drop the cells whose numbers are not used any more."""
        is_used = np.zeros(len(self._cells), np.bool_)
        is_used[used[used >= 0]] = True
        for number in np.flatnonzero(~is_used).tolist():
            cell = self._cells[number]
            if cell is not None:
                self._cells[number] = None
                del self._numbers[id(cell)]
                self._free.append(number)

    def _grow(self) -> None:
        more = len(self._cells)
        self._cells += [None] * more
        self._free += reversed(range(more, 2 * more))
        self.begins, self.ends, self.patterns = (
            np.concatenate([known, np.zeros(more, np.int64)]) for known in (self.begins, self.ends, self.patterns)
        )
