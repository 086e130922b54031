"""Accounts as places in arrays, so that what is kept of each takes some numbers and no objects, and what thousands of
transactions add to it is added at once."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rating.store.batch import ACCOUNT_NUMBER, COLUMN, Row

Slots = NDArray[np.int64]
"""Places in arrays."""

_ACCOUNT: Final = COLUMN["account"]
_COLUMNS: Final = tuple(itemgetter(COLUMN[name]) for name in ("answer_at", "charge_micros", "duration_us"))
_number: Final = itemgetter(ACCOUNT_NUMBER)
_NOWHERE: Final = -1


class Counted(NamedTuple):
    """Transactions column by column: what is counted of each, and where."""

    slots: Slots
    answer_at: NDArray[np.int64]
    charge_micros: NDArray[np.int64]
    duration_us: NDArray[np.int64]


class AccountSlots:
    """Gives each account a slot when it is first met, from 0 on. They hold as long as this process: whatever is kept by
    slot must not be stored."""

    def __init__(self, own: Callable[[str], str] = str) -> None:
        """`own`: the same account number as a text that lives on anyway; else the one of the first transaction would
        be kept for each."""
        self._own = own
        self._slots: dict[str, int] = {}
        self._names: list[str] = []
        self._by_number = np.full(0, _NOWHERE, np.int32)
        self._last: tuple[Sequence[Row], Counted] | None = None

    def __len__(self) -> int:
        return len(self._names)

    def slot(self, account: str) -> int:
        """The slot of an account, which gets one if it has none."""
        known = self._slots.get(account)
        if known is None:
            own = self._own(account)
            known = self._slots[own] = len(self._names)
            self._names.append(own)
        return known

    def slots_of(self, accounts: Sequence[str]) -> Slots:
        """The slots of some accounts."""
        known = list(map(self._slots.get, accounts))
        if None in known:
            return np.array(list(map(self.slot, accounts)), np.int64)
        return np.array(known, np.int64)

    def find(self, account: str) -> int | None:
        """The slot of an account, if it has one."""
        return self._slots.get(account)

    def account(self, slot: int) -> str:
        """The account of a slot."""
        return self._names[slot]

    def counted(self, rows: Sequence[Row]) -> Counted:
        """Transactions by column. Who asks for the same list again right after gets the same answer: counters and
        events look at the same transactions one after the other."""
        if self._last is not None and self._last[0] is rows:
            return self._last[1]
        answers, charges, durations = (np.fromiter(map(column, rows), np.int64, len(rows)) for column in _COLUMNS)
        counted = Counted(self._slots_of(rows), answers, charges, durations)
        self._last = rows, counted
        return counted

    def _slots_of(self, rows: Sequence[Row]) -> Slots:
        if sum(map(len, rows)) != (ACCOUNT_NUMBER + 1) * len(rows):  # they do not come from a front
            return self.slots_of([row[_ACCOUNT] for row in rows])
        numbers = np.fromiter(map(_number, rows), np.int64, len(rows))
        most = int(numbers.max(initial=0))
        if most >= len(self._by_number):
            grown = np.full(2 * most + 1, _NOWHERE, np.int32)
            grown[: len(self._by_number)] = self._by_number
            self._by_number = grown
        slots = self._by_number[numbers].astype(np.int64)
        for index in np.flatnonzero(slots < 0).tolist():
            slots[index] = self._by_number[numbers[index]] = self.slot(rows[index][_ACCOUNT])
        return slots
