"""The SQL of transactions: insert many, find one again, read them in order."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, Final

from rating.store.batch import COLUMN, COLUMNS, STORED_COLUMNS, Row
from rating.store.partitions import partitions, table_of

PIECES: Final = (1_000, 300, 100, 30, 10, 3, 1)
"""Rows, or keys, of one statement. Many, because the interpreter lock is given up once a statement: with executemany it
is given up, and fought for, at every row. 1000 × 27 columns stay below SQLite's 32,766 variables. Of few sizes, because
a statement that SQLite has not met before takes longer to read than to carry out."""


def in_pieces(number: int) -> Iterator[tuple[int, int]]:
    """`number` things cut into pieces: first and last + 1 of each."""
    at = 0
    for size in PIECES:
        while number - at >= size:
            yield at, at + size
            at += size


_RARE: Final = (("units", "device"), ("place_called",), ("detail",))
"""Columns that few transactions have. Where a whole piece has none of them they are left out: for every None that is
bound Python looks whether there is an adapter for it, and four of them take as long as a quarter of a row."""
_RARE_INDEXES: Final = tuple(tuple(COLUMN[name] for name in names) for names in _RARE)
_WORTH_A_LOOK: Final = 100
"""Rows; fewer are written by one statement, whatever they have."""


def _way(left_out: int) -> tuple[tuple[str, ...], Callable[[Row], tuple[Any, ...]]]:
    """The columns without those of some sets of rare ones, one bit each, and what takes their values out of a row."""
    rare = {name for bit, names in enumerate(_RARE) if left_out & 1 << bit for name in names}
    columns = tuple(name for name in COLUMNS if name not in rare)
    return columns, itemgetter(*(COLUMN[name] for name in columns))


_WAYS: Final = tuple(map(_way, range(1 << len(_RARE))))


def _what_none_has(rows: Sequence[Row]) -> int:
    """Which sets of rare columns are null in all of the rows, one bit each."""
    return sum(
        1 << bit
        for bit, indexes in enumerate(_RARE_INDEXES)
        if all(row[index] is None for index in indexes for row in rows)
    )


@lru_cache(maxsize=256)
def _insert(table: str, columns: tuple[str, ...], rows: int) -> str:
    values = ", ".join(["(" + ", ".join("?" * len(columns)) + ")"] * rows)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values}"  # names of ours


def insert(cx: sqlite3.Connection, month: int, rows: Sequence[Row]) -> None:
    """Insert rows whose natural keys are known to be free."""
    for first, end in in_pieces(len(rows)):
        piece = rows[first:end]
        columns, values_of = _WAYS[_what_none_has(piece) if end - first >= _WORTH_A_LOOK else 0]
        cx.execute(_insert(table_of(month), columns, end - first), list(chain.from_iterable(map(values_of, piece))))


def insert_into(
    cx: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]], clash: str = ""
) -> None:
    """Insert rows of these columns, as many a statement as may be; `clash`: an ON CONFLICT clause."""
    for first, end in in_pieces(len(rows)):
        cx.execute(_insert(table, columns, end - first) + clash, list(chain.from_iterable(rows[first:end])))


def find_by_id(cx: sqlite3.Connection, transaction: int) -> Row | None:
    """The `STORED_COLUMNS` of the transaction with this id, if there is one."""
    for month in reversed(partitions(cx)):
        found = cx.execute(
            f"SELECT {', '.join(STORED_COLUMNS)} FROM {table_of(month)} WHERE id = ?", (transaction,)
        ).fetchone()
        if found:
            return list(found)
    return None


def read_chunks(
    cx: sqlite3.Connection,
    month: int,
    columns: str,
    *,
    after: int,
    upto: int,
    where: str = "",
    values: tuple[int | str, ...] = (),
    rows: int = 20_000,
) -> Iterator[list[tuple[Any, ...]]]:
    """A partition's transactions with after < id ≤ upto, ascending, some thousand at a time.

    `columns` begins with id. Each chunk is a read of its own, because a long one would keep the write-ahead log from
    being reset. Transactions are never altered, so the chunks are of one piece all the same.
    """
    sql = (
        f"SELECT {columns} FROM {table_of(month)} WHERE id > ? AND id <= ? {where and f'AND ({where})'}"
        " ORDER BY id LIMIT ?"
    )
    while True:
        chunk = cx.execute(sql, (after, upto, *values, rows)).fetchall()
        if chunk:
            yield chunk
        if len(chunk) < rows:
            return
        after = chunk[-1][0]
