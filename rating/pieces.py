"""Pieces of time by number: where accounts are counted takes one small number of each."""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rating.account_slots import Slots
from rating.calendar import BILL_CYCLE, MONTH

NEVER: Final = -(1 << 62)


class Piece(NamedTuple):
    """A stretch in which neither a month nor a bill cycle of some accounts begins."""

    begins: int
    ends: int
    """First instant, and the next one after it; both 0: somewhere in the month and the cycle."""
    month_at: int
    """First instant of the month that holds it; `NEVER`: of none."""
    cycle_at: int


_NOWHERE: Final = Piece(0, 0, NEVER, NEVER)
_COLUMN: Final = {MONTH: 2, BILL_CYCLE: 3}


class Pieces:
    """The piece of each account, by slot."""

    def __init__(self) -> None:
        self._pieces = [_NOWHERE, _NOWHERE]  # of an account that was never counted, and of one that was
        self._numbers = {_NOWHERE: 1}
        self._columns: NDArray[np.int64] = np.array(self._pieces, np.int64).T
        self._at = np.zeros(0, np.int32)

    def __len__(self) -> int:
        return len(self._at)

    def reach(self, size: int) -> None:
        """Have room for so many slots."""
        grown = np.zeros(size, np.int32)
        grown[: len(self._at)] = self._at
        self._at = grown

    def hold(self, slots: Slots, instants: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each account's piece holds an instant."""
        at = self._at[slots]
        inside: NDArray[np.bool_] = (self._columns[0][at] <= instants) & (instants < self._columns[1][at])
        return inside

    def starts(self, period: str, slots: Slots) -> NDArray[np.int64]:
        """Where the periods of some accounts begin that hold their pieces."""
        found: NDArray[np.int64] = self._columns[_COLUMN[period]][self._at[slots]]
        return found

    def start(self, period: str, slot: int) -> int:
        """The same of one account."""
        piece = self._pieces[int(self._at[slot])]
        return piece.month_at if period == MONTH else piece.cycle_at

    def within(self, period: str, starts_at: int) -> Slots:
        """The accounts whose pieces lie in a period."""
        return np.flatnonzero((self._columns[_COLUMN[period]] == starts_at)[self._at])

    def counted(self) -> Slots:
        """The accounts that ever had one."""
        return np.flatnonzero(self._at)

    def put(self, slots: Slots, pieces: list[Piece]) -> None:
        """Put accounts into pieces."""
        self._at[slots] = [self._number(piece) for piece in pieces]

    def change(self, slots: Slots, to: Callable[[Piece], Piece]) -> None:
        """Put accounts into pieces that follow from those in which they are."""
        at = self._at[slots]
        for number in np.unique(at).tolist():
            self._at[slots[at == number]] = self._number(to(self._pieces[number]))

    def _number(self, piece: Piece) -> int:
        number = self._numbers.get(piece)
        if number is None:
            number = self._numbers[piece] = len(self._pieces)
            self._pieces.append(piece)
            self._columns = np.array(self._pieces, np.int64).T
        return number
