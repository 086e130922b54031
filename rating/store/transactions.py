"""The SQL of transactions: insert many and learn which were refused, find one again, read them in order."""

import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from rating.store.batch import COLUMN, COLUMNS, STORED_COLUMNS, Row, key_of, keys_after
from rating.store.partitions import partitions, table_of

ROWS_PER_STATEMENT: Final = 1000
"""Rows of one INSERT. Many rows a statement, because the interpreter lock is given up once a statement: with
executemany it is given up, and fought for, at every row. 1000 × 25 columns stay below SQLite's 32,766 variables."""

_SOURCE, _RECORD_ID, _START_AT = COLUMN["source"], COLUMN["record_id"], COLUMN["start_at"]


@lru_cache(maxsize=64)
def _insert(table: str, rows: int) -> str:
    values = ", ".join(["(" + ", ".join("?" * len(COLUMNS)) + ")"] * rows)
    return f"INSERT INTO {table} ({', '.join(COLUMNS)}) VALUES {values} ON CONFLICT DO NOTHING"


def insert(cx: sqlite3.Connection, month: int, rows: Sequence[Row]) -> list[int]:
    """Insert rows whose ids are consecutive; returns the indexes of those refused, their natural key being there."""
    if not rows:
        return []
    table = table_of(month)
    written = 0
    for at in range(0, len(rows), ROWS_PER_STATEMENT):
        some = rows[at : at + ROWS_PER_STATEMENT]
        written += cx.execute(_insert(table, len(some)), list(chain.from_iterable(some))).rowcount
    if written == len(rows):
        return []
    first = rows[0][0]
    assert rows[-1][0] - first == len(rows) - 1, "ids of one insert must be consecutive"
    there = {id_ for (id_,) in cx.execute(f"SELECT id FROM {table} WHERE id BETWEEN ? AND ?", (first, rows[-1][0]))}
    return [index for index in range(len(rows)) if first + index not in there]


def find_by_key(cx: sqlite3.Connection, month: int, source: int, record_id: str, start_at: int) -> Row | None:
    """The transaction with this natural key, if there is one."""
    sql = f"SELECT {', '.join(COLUMNS)} FROM {table_of(month)} WHERE key = ?"
    for key in _keys(source, record_id, start_at):
        found = cx.execute(sql, (key,)).fetchone()
        if found is None:
            return None
        if (found[_SOURCE], found[_RECORD_ID], found[_START_AT]) == (source, record_id, start_at):
            return list(found)
    raise AssertionError("there are always further numbers")


def free_key(cx: sqlite3.Connection, month: int, source: int, record_id: str, start_at: int) -> int:
    """The first number of a natural key that no transaction of the month has."""
    sql = f"SELECT 1 FROM {table_of(month)} WHERE key = ?"
    return next(key for key in _keys(source, record_id, start_at) if not cx.execute(sql, (key,)).fetchone())


def _keys(source: int, record_id: str, start_at: int) -> Iterator[int]:
    """The numbers of a natural key, in the order in which they are tried; the second is made when it is needed."""
    yield key_of(source, record_id, start_at)
    yield from keys_after(source, record_id, start_at)


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
