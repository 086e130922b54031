"""The natural keys of one month: the newest in memory, the others in a table, and what says of nearly every new one
that it is in neither."""

import sqlite3
from collections import deque
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rating.store.key_filter import KeyFilter, Keys
from rating.store.partitions import keys_table_of
from rating.store.sorted_keys import Pairs, SortedKeys
from rating.store.transactions import in_pieces

WORTH_A_FILTER: Final = 32
"""New keys of one hour in one store transaction: fewer take less time to be looked up."""
LOADED_AT_ONCE: Final = 20_000
"""Keys of the table that a store transaction reads for the filter."""

_HOUR_BITS: Final = 43
"""Of a key below its hour: 31 of a hash, and 12 of the second of the start. So it is one of 4,096 seconds."""
_HOURS: Final = 1 << 10
"""More than a month has: its hours are told apart by their lower bits."""


class MonthKeys:
    """The keys of one month; for the writer's thread alone.

    The filter knows all keys that are, or were since it was begun, in memory, and those of the table whose hour was
    loaded: of an hour with many new keys that is done, some thousand a store transaction.
    """

    def __init__(self, month: int, recent: Pairs, *, is_stored: bool) -> None:
        """`recent`: those that are in no table; `is_stored`: others are in one."""
        self._table = keys_table_of(month)
        self._recent = SortedKeys(recent)
        self._staged = SortedKeys()
        self._moving = SortedKeys()
        self._is_stored = is_stored
        self._filter = KeyFilter()
        self._filter.add(recent[0])
        self._loaded = np.full(_HOURS, not is_stored)
        self._wanted: deque[tuple[int, int]] = deque()
        """Of the hours that are to be loaded: a key before the first that was not yet, and the last there may be."""

    @property
    def recent(self) -> int:
        """How many are in memory, but for those on their way to the table."""
        return len(self._recent)

    @property
    def staged(self) -> int:
        """How many the open store transaction has added."""
        return len(self._staged)

    def add(self, pairs: Pairs) -> None:
        """The open store transaction has rows with these keys."""
        self._filter.add(pairs[0])
        self._staged.add(pairs)

    def ids(self, cx: sqlite3.Connection, keys: Keys) -> NDArray[np.int64]:
        """The transaction of each key; 0 of one that none has. `keys`: ascending, for neighbours are on one page."""
        found = np.zeros(len(keys), np.int64)
        may_be = self._filter.may_hold(keys)
        if may_be.any():
            found[may_be] = self._ids_in_memory(keys[may_be])
        if self._is_stored:
            hours = keys >> _HOUR_BITS
            unknown = ~self._loaded[hours % _HOURS]
            sought = np.flatnonzero((may_be | unknown) & (found == 0))
            if len(sought):
                found[sought] = self._ids_in_table(cx, keys[sought])
            self._want(hours[unknown & (found == 0)])
        return found

    def id_of(self, cx: sqlite3.Connection, key: int) -> int:
        """The same of one key. The filter would take longer to answer than all that it spares."""
        id_ = self._staged.id_of(key) or self._recent.id_of(key) or self._moving.id_of(key)
        if not id_ and self._is_stored:
            row = cx.execute(f"SELECT id FROM {self._table} WHERE key = ?", (key,)).fetchone()
            id_ = 0 if row is None else int(row[0])
        return id_

    def _ids_in_memory(self, keys: Keys) -> NDArray[np.int64]:
        found = np.zeros(len(keys), np.int64)
        for known in (self._staged, self._recent, self._moving):
            found |= known.ids(keys)  # it is in one of them, or twice the same
        return found

    def _ids_in_table(self, cx: sqlite3.Connection, keys: Keys) -> list[int]:
        found: dict[int, int] = {}
        ordered = keys.tolist()
        for first, end in in_pieces(len(ordered)):
            some = ", ".join("?" * (end - first))
            found.update(cx.execute(f"SELECT key, id FROM {self._table} WHERE key IN ({some})", ordered[first:end]))
        return [found.get(key, 0) for key in ordered]

    def _want(self, hours: NDArray[np.int64]) -> None:
        """Have the hours loaded in which there are many keys."""
        numbers, counts = np.unique(hours, return_counts=True)
        for hour in numbers[counts >= WORTH_A_FILTER].tolist():
            last = ((hour + 1) << _HOUR_BITS) - 1
            if all(last != wanted for _, wanted in self._wanted):
                self._wanted.append(((hour << _HOUR_BITS) - 1, last))

    @property
    def is_loading(self) -> bool:
        """Whether the filter is to know more of the table."""
        return bool(self._wanted)

    def load_some(self, cx: sqlite3.Connection) -> None:
        """Let it know more."""
        after, last = self._wanted.popleft()
        sql = f"SELECT key FROM {self._table} WHERE key > ? AND key <= ? ORDER BY key LIMIT {LOADED_AT_ONCE}"
        keys = np.fromiter(chain.from_iterable(cx.execute(sql, (after, last)).fetchall()), np.int64)
        self._filter.add(keys)
        if len(keys) < LOADED_AT_ONCE:
            self._loaded[(last >> _HOUR_BITS) % _HOURS] = True
        else:
            self._wanted.appendleft((int(keys[-1]), last))

    @property
    def filter_bytes(self) -> int:
        """What the filter takes."""
        return self._filter.bytes

    def begin_filter(self) -> bool:
        """Have a small filter again, which does not know the hours that nobody asks for any more; False if it knows no
        more than it has to. Not while a store transaction is open."""
        if len(self._filter) <= len(self._recent) + len(self._moving):
            return False
        self._filter = KeyFilter()
        for known in (self._recent, self._moving):
            self._filter.add(known.merged()[0])
        self._loaded[:] = False
        self._wanted.clear()
        return True

    def begin_move(self) -> Pairs:
        """Those in memory are on their way to the table from now on, and others may gather."""
        self._moving, self._recent = self._recent, SortedKeys()
        return self._moving.merged()

    def end_move(self) -> None:
        """They have arrived."""
        self._moving = SortedKeys()

    def committed(self) -> None:
        """What the open store transaction has added is durable."""
        if len(self._staged):
            self._recent.add(self._staged.merged())
            self._staged = SortedKeys()

    def moved(self) -> None:
        """Some are in the table."""
        self._is_stored = True

    def rolled_back(self) -> None:
        """What the open store transaction has added is not there."""
        self._staged = SortedKeys()
