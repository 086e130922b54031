"""The counters of the periods in which something is counted now or was lately, by slot of the account."""

from collections.abc import Callable, Iterator
from itertools import compress
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rating.account_slots import Counted, Slots
from rating.calendar import BILL_CYCLE, MONTH
from rating.counter_parts import Columns, Key, Sums
from rating.sum_table import SumTable

Bounds = tuple[int, int, int, int]
"""A piece of time in which neither a month nor a bill cycle of an account begins (its first instant, and the next one
after it), and the first instants of the month and the bill cycle that hold it."""

_NEVER: Final = -(1 << 62)
_PLACE: Final = np.dtype(
    [("begins", "i8"), ("ends", "i8"), (MONTH, "i8"), (BILL_CYCLE, "i8"), ("is_counted", "?")], align=True
)
"""The `Bounds` within which an account is counted, and whether anything ever was."""
_NOWHERE: Final = np.array((0, 0, _NEVER, _NEVER, False), _PLACE)


class OpenPeriods:
    """A transaction is counted in one place, for month and bill cycle together; it is added to the two when somebody
    looks, or when the account's next transaction is of other periods. The counters of an account that it is not counted
    in now are aside.

    Another thread than the one that counts may read; while sums are on their way from one table to another, `changes`
    is odd.
    """

    def __init__(self, reopen: Callable[[Key], dict[int, Sums]]) -> None:
        """`reopen`: takes the counters of a period from where they are when it is not open, by slot."""
        self._reopen = reopen
        self._places = np.full(0, _NOWHERE)
        self._fresh, self._settled = SumTable(), SumTable()
        self._current: dict[str, SumTable] = {MONTH: SumTable(), BILL_CYCLE: SumTable()}
        self._aside: dict[Key, dict[int, Sums]] = {}
        """Of every period that is open, also where all accounts are counted in it now."""
        self.changes = 0

    def reach(self, slots: int) -> None:
        """Have room for so many slots. Everything but `find` and `charges` wants it."""
        if slots > len(self._places):
            size = max(slots, len(self._places) * 5 // 4)
            grown = np.full(size, _NOWHERE)
            grown[: len(self._places)] = self._places
            for table in (self._fresh, self._settled, *self._current.values()):
                table.reach(size)
            self._places = grown

    # Counting.

    def count(self, counted: Counted, piece_of: Callable[[int, int], Bounds]) -> None:
        """Count transactions. `piece_of`: the piece of time of an account around an instant."""
        slots, answers, charges, durations = counted
        while len(slots):
            places = self._places[slots]
            here = (places["begins"] <= answers) & (answers < places["ends"])
            if here.all():
                self._fresh.count(slots, charges, durations)
                return
            if here.any():
                self._fresh.count(slots[here], charges[here], durations[here])
            # Each account goes where the first of its others is; should there be more elsewhere, they come after these.
            away = ~here
            slots, answers, charges, durations = slots[away], answers[away], charges[away], durations[away]
            each, first = np.unique(slots, return_index=True)
            pieces = zip(each.tolist(), answers[first].tolist(), strict=True)
            self._move(each, np.array([piece_of(slot, at) for slot, at in pieces], np.int64))

    def add(self, slot: int, piece: Bounds, sums: Sums) -> None:
        """Count what some transactions of one piece of time came to."""
        self._move(np.array([slot]), np.array([piece], np.int64))
        self._fresh.add(slot, sums)

    def settle(self, slots: Slots | None = None) -> None:
        """Add what is fresh, of some accounts or of all, to month and bill cycle."""
        some = self._fresh.has_some() if slots is None else slots
        self.changes += 1
        for table in (*self._current.values(), self._settled):
            table.join(self._fresh, some)
        self._fresh.clear(some)
        self.changes += 1

    def forget_pieces(self) -> None:
        """Where pieces of time begin may have changed."""
        self.settle()
        self._places["begins"] = self._places["ends"] = 0

    def _move(self, slots: Slots, pieces: NDArray[np.int64]) -> None:
        """Count accounts, each given once, in these pieces of time from now on."""
        self.settle(slots)
        begins, ends, months, cycles = pieces.T
        places = self._places
        self.changes += 1
        self._exchange(MONTH, slots, months)
        self._exchange(BILL_CYCLE, slots, cycles)
        places["begins"][slots], places["ends"][slots], places["is_counted"][slots] = begins, ends, True
        self.changes += 1

    def _exchange(self, period: str, slots: Slots, starts: NDArray[np.int64]) -> None:
        """Put counters aside that are of other periods than those which begin now, and take these out."""
        table, places = self._current[period], self._places[period]
        were = places[slots]
        others = were != starts
        gone = slots[others & (were != _NEVER)]
        for slot in gone.tolist():
            self._open((period, int(places[slot])))[slot] = table.of(slot)
        table.clear(gone)
        places[slots] = starts
        for starts_at in np.unique(starts).tolist():
            aside = self._open((period, starts_at))
            for slot in slots[others & (starts == starts_at)].tolist() if aside else ():
                if known := aside.pop(slot, None):
                    table.add(slot, known)

    def _open(self, key: Key) -> dict[int, Sums]:
        aside = self._aside.get(key)
        if aside is None:
            aside = self._aside[key] = self._reopen(key)
        return aside

    # Asking.

    def find(self, key: Key, slot: int) -> Sums | None:
        """An account's counter of a period; None where the account has none, or the period is not open."""
        period, starts_at = key
        if slot < len(self._places) and self._places[period][slot] == starts_at:
            return _sum(self._current[period].of(slot), self._fresh.of(slot))
        return self._aside.get(key, {}).get(slot)

    def charges(self, slot: int) -> int:
        """Of an account, over all its bill cycles, in micro-units."""
        if slot >= len(self._places):
            return 0
        return self._settled.of(slot)[0] + self._fresh.of(slot)[0]

    def all_charges(self) -> Iterator[tuple[int, int]]:
        """The same of every account that was ever counted, with its slot."""
        slots = self.counted()
        settled, fresh = self._settled.of_all(slots), self._fresh.of_all(slots)
        return ((slot, old[0] + new[0]) for slot, old, new in zip(slots.tolist(), settled, fresh, strict=True))

    def counted(self) -> Slots:
        """The accounts that were ever counted."""
        return np.flatnonzero(self._places["is_counted"])

    def periods(self) -> list[Key]:
        """Those that are open."""
        return list(self._aside)

    def counters_of(self, key: Key) -> Iterator[tuple[int, Sums]]:
        """The counters of an open period, all of which have settled."""
        period, starts_at = key
        slots = np.flatnonzero(self._places[period] == starts_at)
        yield from zip(slots.tolist(), self._current[period].of_all(slots), strict=True)
        yield from self._aside[key].items()

    def __len__(self) -> int:
        """How many counters."""
        current = sum(int((self._places[period] != _NEVER).sum()) for period in self._current)
        return current + sum(map(len, list(self._aside.values())))

    # Opening and closing.

    def close(self, key: Key) -> None:
        """Forget an open period, whose counters are elsewhere now."""
        period, starts_at = key
        slots = np.flatnonzero(self._places[period] == starts_at)
        self.changes += 1
        del self._aside[key]
        self._current[period].clear(slots)
        self._places[period][slots] = _NEVER
        self._places["begins"][slots] = self._places["ends"][slots] = 0
        self.changes += 1

    def restore(self, key: Key, slots: Slots, counters: Columns) -> None:
        """Open a period with the counters of these accounts: of the latest period of each first."""
        period, starts_at = key
        aside, places = self._aside.setdefault(key, {}), self._places[period]
        latest = places[slots] == _NEVER
        places[slots[latest]] = starts_at
        self._current[period].put(slots[latest], _chosen(counters, latest))
        aside.update(zip(slots[~latest].tolist(), zip(*_chosen(counters, ~latest), strict=True), strict=True))

    def restore_charges(self, slots: Slots, charges: list[int]) -> None:
        """Know what accounts were charged over all their bill cycles."""
        nothing = [0] * len(charges)
        self._settled.put(slots, (charges, nothing, nothing, nothing))
        self._places["is_counted"][slots] = True


def _chosen(columns: Columns, are_chosen: NDArray[np.bool_]) -> Columns:
    """Some rows of columns; mostly they are all, or none."""
    if are_chosen.all():
        return columns
    chosen = are_chosen.tolist()
    charges, durations, calls, transactions = (list(compress(column, chosen)) for column in columns)
    return charges, durations, calls, transactions


def _sum(some: Sums, more: Sums) -> Sums:
    return some[0] + more[0], some[1] + more[1], some[2] + more[2], some[3] + more[3]
