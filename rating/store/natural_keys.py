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
from numpy.typing import NDArray

from rating.store.batch import COLUMN, COLUMNS, Row, key_of, keys_after
from rating.store.partitions import keys_table_of, table_of
from rating.store.transactions import in_pieces

IN_MEMORY: Final = 65_536
"""Keys that gather in memory before they are moved; while they are, as many again may gather."""
AT_ONCE: Final = 2_000
"""Keys that a store transaction moves at least, while there are some to be moved."""

_OF_RECORDS: Final = "key >= 0"
"""Rows that correct a charge have no natural key: a record that comes again is compared with what was reported."""

_SOURCE, _RECORD_ID, _START_AT, _KEY = (COLUMN[name] for name in ("source", "record_id", "start_at", "key"))


class NaturalKeys:
    """The keys of one store; for its writer's thread alone.

    What a store transaction adds or moves holds when `committed` is called, and never was when `rolled_back` is.
    """

    def __init__(self) -> None:
        self._recent: dict[int, dict[int, int]] = {}
        """By month: the transaction of each key that is in memory alone."""
        self._staged: dict[int, dict[int, int]] = {}
        """The same, of the store transaction that is open."""
        self._moving: _Moving | None = None
        self._moved = 0
        """Keys of `_moving` that the open store transaction has written."""
        self._stored: set[int] = set()
        """Months with keys in their table."""

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
            self._recent[month] = dict(
                cx.execute(f"SELECT key, id FROM {table} WHERE id > ? AND {_OF_RECORDS}", (upto,))
            )
            if cx.execute(f"SELECT 1 FROM {keys} LIMIT 1").fetchone():  # names of ours
                self._stored.add(month)

    def taken(self, cx: sqlite3.Connection, month: int, keys: list[int]) -> set[int]:
        """Those of the keys that a transaction of the month has."""
        found: set[int] = set()
        for known in self._known(month):
            if not known.keys().isdisjoint(keys):
                found |= known.keys() & keys
        if month in self._stored:
            ordered = sorted(keys)  # neighbours are on one page
            for first, end in in_pieces(len(ordered)):
                found.update(key for (key,) in cx.execute(_look_up(month, end - first), ordered[first:end]))
        return found

    def divide(self, cx: sqlite3.Connection, month: int, rows: list[Row]) -> tuple[list[int], list[Row]]:
        """Of rows of a month: the indexes of those whose keys are taken, in the store or by one before it, and the
        others."""
        keys = [row[_KEY] for row in rows]
        taken = self.taken(cx, month, keys)
        if not taken and len(set(keys)) == len(keys):
            return [], rows
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
        staged = self._staged.setdefault(month, {})
        for row in rows:
            staged[row[_KEY]] = row[0]

    def find(self, cx: sqlite3.Connection, month: int, source: int, record_id: str, start_at: int) -> Row | None:
        """The transaction with this natural key, if there is one: its `COLUMNS`."""
        for key in _keys(source, record_id, start_at):
            id_ = self._id(cx, month, key)
            if id_ is None:
                return None
            found = cx.execute(f"SELECT {', '.join(COLUMNS)} FROM {table_of(month)} WHERE id = ?", (id_,)).fetchone()
            if (found[_SOURCE], found[_RECORD_ID], found[_START_AT]) == (source, record_id, start_at):
                return list(found)
        raise AssertionError("there are always further numbers")

    def free(self, cx: sqlite3.Connection, month: int, source: int, record_id: str, start_at: int) -> int:
        """The first number of a natural key that no transaction of the month has."""
        return next(key for key in _keys(source, record_id, start_at) if self._id(cx, month, key) is None)

    def move_some(self, cx: sqlite3.Connection) -> None:
        """If many keys are in memory, write some of them into their table; once in a store transaction, at its end."""
        if self._moving is None:
            if sum(map(len, self._recent.values())) < IN_MEMORY:
                return
            month = max(self._recent, key=lambda month: len(self._recent[month]))
            self._moving = _Moving(month, self._recent[month])
            self._recent[month] = {}
        moving = self._moving
        number = max(AT_ONCE, 2 * sum(map(len, self._staged.values())))
        some = moving.ordered[moving.done : moving.done + number]
        table = keys_table_of(moving.month)
        for first, end in in_pieces(len(some)):
            values = ", ".join(["(?, ?)"] * (end - first))
            cx.execute(
                f"INSERT INTO {table} (key, id) VALUES {values} ON CONFLICT DO NOTHING",  # names of ours
                some[first:end].ravel().tolist(),
            )
        self._moved = len(some)
        if moving.done + self._moved == len(moving.ordered):
            _note(cx, moving.month, moving.upto_id)

    def committed(self) -> None:
        """The open store transaction is durable."""
        for month, staged in self._staged.items():
            self._recent.setdefault(month, {}).update(staged)
        self._staged = {}
        if self._moving is not None and self._moved:
            self._stored.add(self._moving.month)
            self._moving.done += self._moved
            if self._moving.done == len(self._moving.ordered):
                self._moving = None
        self._moved = 0

    def rolled_back(self) -> None:
        """The open store transaction came to nothing."""
        self._staged = {}
        self._moved = 0

    def forget(self, month: int) -> None:
        """The month is retired: nothing is added to it, or looked for in it, any more."""
        self._recent.pop(month, None)
        self._stored.discard(month)
        if self._moving is not None and self._moving.month == month:
            self._moving = None

    def _known(self, month: int) -> Iterator[dict[int, int]]:
        """The keys of a month that are in memory."""
        for known in (self._recent.get(month), self._staged.get(month)):
            if known:
                yield known
        if self._moving is not None and self._moving.month == month:
            yield self._moving.keys

    def _id(self, cx: sqlite3.Connection, month: int, key: int) -> int | None:
        for known in self._known(month):
            if (id_ := known.get(key)) is not None:
                return id_
        row = cx.execute(f"SELECT id FROM {keys_table_of(month)} WHERE key = ?", (key,)).fetchone()
        return None if row is None else int(row[0])


class _Moving:
    """Keys on their way from memory to the table of their month."""

    __slots__ = ("done", "keys", "month", "ordered", "upto_id")

    def __init__(self, month: int, keys: dict[int, int]) -> None:
        self.month, self.keys = month, keys
        # By their number at once: to look one after the other up in that order would wait for memory each time.
        found = np.array((list(keys), list(keys.values())), np.int64)
        self.ordered: NDArray[np.int64] = found.T[np.argsort(found[0])]
        """Each with its transaction."""
        self.done = 0
        self.upto_id = int(found[1].max())


def _note(cx: sqlite3.Connection, month: int, upto_id: int) -> None:
    cx.execute(
        "INSERT INTO natural_keys_moved (month, upto_id) VALUES (?, ?)"
        " ON CONFLICT (month) DO UPDATE SET upto_id = excluded.upto_id",
        (month, upto_id),
    )


def _look_up(month: int, number: int) -> str:
    return f"SELECT key FROM {keys_table_of(month)} WHERE key IN ({', '.join('?' * number)})"


def _keys(source: int, record_id: str, start_at: int) -> Iterator[int]:
    """The numbers of a natural key, in the order in which they are tried; the second is made when it is needed."""
    yield key_of(source, record_id, start_at)
    yield from keys_after(source, record_id, start_at)
