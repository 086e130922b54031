"""The SQL of transactions: insert many, find one again, read them in order."""

import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from rating.store.batch import COLUMNS, STORED_COLUMNS, Row
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


@lru_cache(maxsize=64)
def _insert(table: str, columns: tuple[str, ...], rows: int) -> str:
    values = ", ".join(["(" + ", ".join("?" * len(columns)) + ")"] * rows)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values}"  # names of ours


def insert(cx: sqlite3.Connection, month: int, rows: Sequence[Row]) -> None:
    """Insert rows whose natural keys are known to be free."""
    insert_into(cx, table_of(month), COLUMNS, rows)


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
