"""Finds the transactions of some accounts among others, by slot, without sorting them."""

import numpy as np
from numpy.typing import NDArray

from rating.account_slots import Slots

Which = NDArray[np.bool_]


class SlotMarks:
    """A mark for each account; none is set but while they are looked for."""

    def __init__(self) -> None:
        self._marks: Which = np.zeros(0, np.bool_)

    def among(self, slots: Slots, accounts: Slots) -> Which:
        """Which of these slots are some accounts'."""
        most = int(accounts.max(initial=-1))
        if most < 0:
            return np.zeros(len(slots), np.bool_)
        self._grow(max(most, int(slots.max(initial=0))) + 1)
        self._marks[accounts] = True
        found = self._marks[slots]
        self._marks[accounts] = False
        return found

    def _grow(self, size: int) -> None:
        if size > len(self._marks):
            self._marks = np.zeros(size * 5 // 4, np.bool_)
