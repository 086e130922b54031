"""The natural keys of all transactions: which are there, and whose they are.

A unique index that is kept up at every commit has nearly all of its pages written at nearly every commit, because the
calls of one hour arrive in no order: at a million rows that is 4 kB a record. So the newest keys are in memory alone;
when there are many they are moved, in their order and some thousand a commit, into the table of their month, each page
of which is written once then. After a crash the newest ones are read from the transactions again.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from rating.store.batch import COLUMN, COLUMNS, Row, key_of, keys_after
from rating.store.month_keys import MonthKeys
from rating.store.partitions import keys_table_of, table_of
from rating.store.sorted_keys import NONE, Pairs, pairs_of, pairs_read
from rating.store.transactions import in_pieces

IN_MEMORY: Final = 262_144
"""Keys that gather in memory before they are moved; while they are, as many again may gather. The more, the more of
them are on each page of the table that is written again for them."""
AT_ONCE: Final = 2_000
"""Keys that a store transaction moves at least, while there are some to be moved."""
FILTER_BYTES: Final = 64 << 20
"""Of the filters of all months; when they take more, that of the month asked for longest ago is begun anew. One knows
20 million keys, and takes 43 MB then."""

_OF_RECORDS: Final = "key >= 0"
"""Rows that correct a charge have no natural key: a record that comes again is compared with what was reported."""

_SOURCE, _RECORD_ID, _START_AT, _KEY = (COLUMN[name] for name in ("source", "record_id", "start_at", "key"))


class NaturalKeys:
    """The keys of one store; for its writer's thread alone.

    What a store transaction adds or moves holds when `committed` is called, and never was when `rolled_back` is.
    """

    def __init__(self) -> None:
        self._months: dict[int, MonthKeys] = {}
        """In the order in which they were asked for."""
        self._moving: _Moving | None = None
        self._moved = 0
        """Keys of `_moving` that the open store transaction has written."""
        self._met: dict[tuple[int, int], int] = {}
        """Month and key of rows that the open store transaction has refused, with whose it is: each is asked for
        next."""

    def load(self, cx: sqlite3.Connection, months: Sequence[int]) -> None:
        """Know what is there; within a store transaction. Many keys that are in no table yet are moved at once."""
        moved = dict(cx.execute("SELECT month, upto_id FROM natural_keys_moved"))
        for month in months:
            table, keys = table_of(month), keys_table_of(month)
            cx.execute(f"CREATE TABLE IF NOT EXISTS {keys} (key INTEGER PRIMARY KEY, id BIGINT NOT NULL)")
            upto = moved.get(month, 0)
            (last,) = cx.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()  # names of ours
            (some,) = cx.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE id > ? LIMIT ?)",  # names of ours
                (upto, 2 * IN_MEMORY),
            ).fetchone()
            if some == 2 * IN_MEMORY:
                cx.execute(
                    f"INSERT INTO {keys} SELECT key, id FROM {table} WHERE id > ? AND {_OF_RECORDS} ORDER BY key"
                    " ON CONFLICT DO NOTHING",
                    (upto,),
                )
                _note(cx, month, last)
                upto = last
            recent = pairs_read(cx.execute(f"SELECT key, id FROM {table} WHERE id > ? AND {_OF_RECORDS}", (upto,)))
            is_stored = cx.execute(f"SELECT 1 FROM {keys} LIMIT 1").fetchone() is not None  # names of ours
            self._months[month] = MonthKeys(month, recent, is_stored=is_stored)

    def divide(self, cx: sqlite3.Connection, month: int, rows: list[Row]) -> tuple[list[int], list[Row]]:
        """Of rows of a month: the indexes of those whose keys are taken, in the store or by one before it, and the
        others."""
        keys = np.array([row[_KEY] for row in rows], np.int64)
        ordered = np.sort(keys)
        ids = self._of(month).ids(cx, ordered)
        there = np.flatnonzero(ids)
        if not len(there) and (ordered[1:] != ordered[:-1]).all():
            return [], rows
        met = dict(zip(ordered[there].tolist(), ids[there].tolist(), strict=True))
        self._met = {(month, key): id_ for key, id_ in met.items()}
        taken = set(met)
        refused, free = [], []
        for index, row in enumerate(rows):
            if row[_KEY] in taken:
                refused.append(index)
            else:
                taken.add(row[_KEY])
                free.append(row)
        return refused, free

    def add(self, month: int, rows: Sequence[Row]) -> None:
        """The open store transaction has inserted these rows."""
        keys, ids = np.array([row[_KEY] for row in rows], np.int64), np.array([row[0] for row in rows], np.int64)
        self._of(month).add(pairs_of(keys, ids))

    def find(self, cx: sqlite3.Connection, month: int, source: int, record_id: str, start_at: int) -> Row | None:
        """The transaction with this natural key, if there is one: its `COLUMNS`."""
        for key in _keys(source, record_id, start_at):
            id_ = self._id(cx, month, key)
            if not id_:
                return None
            found = cx.execute(f"SELECT {', '.join(COLUMNS)} FROM {table_of(month)} WHERE id = ?", (id_,)).fetchone()
            if (found[_SOURCE], found[_RECORD_ID], found[_START_AT]) == (source, record_id, start_at):
                return list(found)
        raise AssertionError("there are always further numbers")

    def free(self, cx: sqlite3.Connection, month: int, source: int, record_id: str, start_at: int) -> int:
        """The first number of a natural key that no transaction of the month has."""
        return next(key for key in _keys(source, record_id, start_at) if not self._id(cx, month, key))

    def move_some(self, cx: sqlite3.Connection) -> None:
        """If many keys are in memory, write some of them into their table; once in a store transaction, at its end."""
        loading = next((known for known in self._months.values() if known.is_loading), None)
        if loading is not None:
            loading.load_some(cx)
        if self._moving is None:
            if sum(known.recent for known in self._months.values()) < IN_MEMORY:
                return
            month = max(self._months, key=lambda month: self._months[month].recent)
            self._moving = _Moving(month, self._months[month].begin_move())
        moving = self._moving
        number = max(AT_ONCE, 2 * sum(known.staged for known in self._months.values()))
        some = moving.pairs[:, moving.done : moving.done + number].T
        table = keys_table_of(moving.month)
        for first, end in in_pieces(len(some)):
            values = ", ".join(["(?, ?)"] * (end - first))
            cx.execute(
                f"INSERT INTO {table} (key, id) VALUES {values} ON CONFLICT DO NOTHING",  # names of ours
                some[first:end].ravel().tolist(),
            )
        self._moved = len(some)
        if moving.done + self._moved == moving.pairs.shape[1]:
            _note(cx, moving.month, int(moving.pairs[1].max()))

    def committed(self) -> None:
        """The open store transaction is durable."""
        for known in self._months.values():
            known.committed()
        if sum(known.filter_bytes for known in self._months.values()) > FILTER_BYTES:
            any(known.begin_filter() for known in self._months.values())  # of the first that it makes smaller
        if self._moving is not None and self._moved:
            known = self._months[self._moving.month]
            known.moved()
            self._moving.done += self._moved
            if self._moving.done == self._moving.pairs.shape[1]:
                known.end_move()
                self._moving = None
        self._moved = 0
        self._met = {}

    def rolled_back(self) -> None:
        """The open store transaction came to nothing."""
        for known in self._months.values():
            known.rolled_back()
        self._moved = 0
        self._met = {}

    def forget(self, month: int) -> None:
        """The month is retired: nothing is added to it, or looked for in it, any more."""
        self._months.pop(month, None)
        if self._moving is not None and self._moving.month == month:
            self._moving = None

    def _of(self, month: int) -> MonthKeys:
        """A month without any has just been made, and its table is empty."""
        known = self._months.pop(month, None) or MonthKeys(month, NONE, is_stored=False)
        self._months[month] = known
        return known

    def _id(self, cx: sqlite3.Connection, month: int, key: int) -> int:
        """0: nobody's."""
        return self._met.get((month, key)) or self._of(month).id_of(cx, key)


class _Moving:
    """Keys on their way from memory to the table of their month."""

    __slots__ = ("done", "month", "pairs")

    def __init__(self, month: int, pairs: Pairs) -> None:
        self.month, self.pairs, self.done = month, pairs, 0


def _note(cx: sqlite3.Connection, month: int, upto_id: int) -> None:
    cx.execute(
        "INSERT INTO natural_keys_moved (month, upto_id) VALUES (?, ?)"
        " ON CONFLICT (month) DO UPDATE SET upto_id = excluded.upto_id",
        (month, upto_id),
    )


def _keys(source: int, record_id: str, start_at: int) -> Iterator[int]:
    """The numbers of a natural key, in the order in which they are tried; the second is made when it is needed."""
    yield key_of(source, record_id, start_at)
    yield from keys_after(source, record_id, start_at)
