"""The counters of the periods in which something is counted now or was lately, by slot of the account."""

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import compress, islice
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from rating.account_slots import Counted, Slots
from rating.calendar import BILL_CYCLE, MONTH
from rating.counter_parts import Columns, Key, Sums
from rating.pieces import NEVER, Piece, Pieces
from rating.sum_table import SumTable

T = TypeVar("T")

SOME: Final = 2_000
"""Accounts that are read at a time: the numbers of all of them as Python's own would take many times the room that they
take here."""


class OpenPeriods:
    """A transaction is counted in one place, for month and bill cycle together; it is added to the two when somebody
    looks, or when the account's next transaction is of other periods. The counters of an account that it is not counted
    in now are aside.

    Another thread than the one that counts may read: `undisturbed`, where sums may be on their way from one table to
    another.
    """

    def __init__(self, reopen: Callable[[Key], dict[int, Sums]], reopened: Callable[[Key], None]) -> None:
        """`reopen`: the counters of a period that is not open, by slot, from where they are; `reopened`: they are here
        now."""
        self._reopen, self._reopened = reopen, reopened
        self._pieces = Pieces()
        self._fresh, self._settled = SumTable(), SumTable()
        self._current: dict[str, SumTable] = {MONTH: SumTable(), BILL_CYCLE: SumTable()}
        self._aside: dict[Key, dict[int, Sums]] = {}
        """Of every period that is open, also where all accounts are counted in it now."""
        self._changes = 0

    def reach(self, slots: int) -> None:
        """Have room for so many slots. Everything but `find` and `charges` wants it."""
        if slots > len(self._pieces):
            size = max(slots, len(self._pieces) * 9 // 8)
            for table in (self._fresh, self._settled, *self._current.values()):
                table.reach(size)
            self._pieces.reach(size)

    # Counting.

    def count(self, counted: Counted, piece_of: Callable[[int, int], Piece]) -> None:
        """Count transactions. `piece_of`: that of an account around an instant."""
        slots, answers, charges, durations = counted
        while len(slots):
            here = self._pieces.hold(slots, answers)
            if here.all():
                self._fresh.count(slots, charges, durations)
                return
            if here.any():
                self._fresh.count(slots[here], charges[here], durations[here])
            # Each account goes where the first of its others is; should there be more elsewhere, they come after these.
            away = ~here
            slots, answers, charges, durations = slots[away], answers[away], charges[away], durations[away]
            each, first = np.unique(slots, return_index=True)
            self._move(each, list(map(piece_of, each.tolist(), answers[first].tolist())))

    def add(self, slot: int, piece: Piece, sums: Sums) -> None:
        """Count what some transactions of one piece came to."""
        self._move(np.array([slot]), [piece])
        self._fresh.add(slot, sums)

    def settle(self, slots: Slots | None = None) -> None:
        """Add what is fresh, of some accounts or of all, to month and bill cycle."""
        some = self._fresh.has_some() if slots is None else slots
        with self._changing():
            for table in (*self._current.values(), self._settled):
                table.join(self._fresh, some)
            self._fresh.clear(some)

    def forget_pieces(self) -> None:
        """Where pieces of time begin may have changed."""
        self.settle()
        self._pieces.change(self._pieces.counted(), lambda piece: piece._replace(begins=0, ends=0))

    def _move(self, slots: Slots, pieces: list[Piece]) -> None:
        """Count accounts, each given once, in these pieces from now on."""
        self.settle(slots)
        were = {period: self._pieces.starts(period, slots) for period in self._current}
        with self._changing():
            self._pieces.put(slots, pieces)
            for period in self._current:
                self._exchange(period, slots, were[period], self._pieces.starts(period, slots))

    def _exchange(self, period: str, slots: Slots, were: NDArray[np.int64], starts: NDArray[np.int64]) -> None:
        """Put counters aside that are of other periods than those which begin now, and take these out."""
        table = self._current[period]
        others = were != starts
        gone = others & (were != NEVER)
        for slot, was_at in zip(slots[gone].tolist(), were[gone].tolist(), strict=True):
            self._open((period, was_at))[slot] = table.of(slot)
        table.clear(slots[gone])
        for starts_at in np.unique(starts).tolist():
            aside = self._open((period, starts_at))
            for slot in slots[others & (starts == starts_at)].tolist() if aside else ():
                if known := aside.pop(slot, None):
                    table.add(slot, known)

    def _open(self, key: Key) -> dict[int, Sums]:
        aside = self._aside.get(key)
        if aside is None:
            aside = self._aside[key] = self._reopen(key)
            self._reopened(key)
        return aside

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Sums are on their way from one table to another."""
        self._changes += 1
        try:
            yield
        finally:
            self._changes += 1

    # Asking.

    def undisturbed(self, read: Callable[[], T]) -> T:
        """What `read` finds while no sums are on their way. For another thread than the one that moves them."""
        while True:
            changes = self._changes
            found = read()
            if changes == self._changes and not changes % 2:
                return found
            time.sleep(0)

    def find(self, key: Key, slot: int) -> Sums | None:
        """An account's counter of a period; None where the account has none, or the period is not open."""
        period, starts_at = key
        if slot < len(self._pieces) and self._pieces.start(period, slot) == starts_at:
            return _sum(self._current[period].of(slot), self._fresh.of(slot))
        return self._aside.get(key, {}).get(slot)

    def charges(self, slot: int) -> int:
        """Of an account, over all its bill cycles, in micro-units."""
        if slot >= len(self._pieces):
            return 0
        return self.undisturbed(lambda: self._settled.of(slot)[0] + self._fresh.of(slot)[0])

    def all_charges(self, at_once: int = SOME) -> Iterator[tuple[list[int], list[int]]]:
        """The same of every account that was ever counted, so many at a time: their slots, and their charges."""
        for slots in _in_parts(self.counted(), at_once):
            settled, fresh = self.undisturbed(partial(self._columns_of, slots))
            yield slots.tolist(), [old + new for old, new in zip(settled[0], fresh[0], strict=True)]

    def _columns_of(self, slots: Slots) -> tuple[Columns, Columns]:
        return self._settled.columns(slots), self._fresh.columns(slots)

    def counted(self) -> Slots:
        """The accounts that were ever counted."""
        return self._pieces.counted()

    def periods(self) -> list[Key]:
        """Those that are open."""
        return list(self._aside)

    def counters_of(self, key: Key, at_once: int) -> Iterator[tuple[list[int], Columns]]:
        """The counters of an open period, all of which have settled, so many at a time: slots, and what they have."""
        period, starts_at = key
        for slots in _in_parts(self._pieces.within(period, starts_at), at_once):
            yield slots.tolist(), self._current[period].columns(slots)
        aside = iter(self._aside[key].items())
        while some := dict(islice(aside, at_once)):
            charges, durations, calls, transactions = map(list, zip(*some.values(), strict=True))
            yield list(some), (charges, durations, calls, transactions)

    def __len__(self) -> int:
        """How many counters."""
        counted = self._pieces.counted()
        current = sum(int((self._pieces.starts(period, counted) != NEVER).sum()) for period in self._current)
        return current + sum(map(len, list(self._aside.values())))

    # Opening and closing.

    def close(self, key: Key) -> None:
        """Forget an open period, whose counters are elsewhere now."""
        period, starts_at = key
        slots = self._pieces.within(period, starts_at)
        with self._changing():
            del self._aside[key]
            self._current[period].clear(slots)
            self._pieces.change(slots, _outside(period))

    def restore(self, key: Key, slots: Slots, counters: Columns) -> None:
        """Open a period with the counters of these accounts: of the latest period of each first."""
        period, _ = key
        aside = self._aside.setdefault(key, {})
        latest = self._pieces.starts(period, slots) == NEVER
        self._pieces.change(slots[latest], _inside(key))
        self._current[period].put(slots[latest], _chosen(counters, latest))
        aside.update(zip(slots[~latest].tolist(), zip(*_chosen(counters, ~latest), strict=True), strict=True))

    def restore_charges(self, slots: Slots, charges: list[int]) -> None:
        """Know what accounts were charged over all their bill cycles."""
        nothing = [0] * len(charges)
        self._settled.put(slots, (charges, nothing, nothing, nothing))
        self._pieces.change(slots, lambda piece: piece)


def _in_parts(slots: Slots, at_once: int) -> Iterator[Slots]:
    for at in range(0, len(slots), at_once):
        yield slots[at : at + at_once]


def _inside(key: Key) -> Callable[[Piece], Piece]:
    period, starts_at = key
    if period == MONTH:
        return lambda piece: piece._replace(month_at=starts_at)
    return lambda piece: piece._replace(cycle_at=starts_at)


def _outside(period: str) -> Callable[[Piece], Piece]:
    into = _inside((period, NEVER))
    return lambda piece: into(piece)._replace(begins=0, ends=0)


def _chosen(columns: Columns, are_chosen: NDArray[np.bool_]) -> Columns:
    """Some rows of columns; mostly they are all, or none."""
    if are_chosen.all():
        return columns
    chosen = are_chosen.tolist()
    charges, durations, calls, transactions = (list(compress(column, chosen)) for column in columns)
    return charges, durations, calls, transactions


def _sum(some: Sums, more: Sums) -> Sums:
    return some[0] + more[0], some[1] + more[1], some[2] + more[2], some[3] + more[3]
