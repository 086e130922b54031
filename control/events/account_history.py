"""What an account did since an instant: its transactions as they were answered, and what it paid; read in pieces."""

import sqlite3
from typing import Final, NamedTuple

import msgspec

from control.events.measures import EXACT
from rating.cdr import MICROS
from rating.search.reach import SEGMENT, Partition, as_json, partitions_between
from rating.search.seeking import lines_of
from rating.store.batch import COLUMN, COLUMNS, Row

_LONGEST_RINGING_US: Final = 31 * 86_400 * MICROS
"""Transactions lie in the month of their start, and may be answered in the next."""
_ID, _ANSWER_AT = COLUMN["id"], COLUMN["answer_at"]
_NEEDED: Final = {"id", "answer_at", "charge_micros", "duration_us", "called", "place_called", *EXACT}
_ROW: Final = ", ".join(name if name in _NEEDED else "NULL" for name in COLUMNS)
_ROW_COLUMNS: Final = ", ".join(name for name in COLUMNS if name in _NEEDED)


class Payment(NamedTuple):
    """What changed an account's debt besides its charges."""

    at: int
    amount_micros: int
    """In the account's favour."""


class AccountHistory:
    """An account's transactions since an instant, in chunks, as they were answered; and what it paid."""

    def __init__(self, cx: sqlite3.Connection, account: str, since: int) -> None:
        self._account, self._since = account, since
        self._lines = as_json(lines_of(cx, account))
        starts = max(since - _LONGEST_RINGING_US, 0), 1 << 62
        self._partitions: list[Partition] = partitions_between(cx, starts)
        self._after = since, 0

    def rows(self, cx: sqlite3.Connection, most: int) -> list[Row]:
        """The next ones; none if there are no more. In one answer, however many: every row of one would be another
        wait for the interpreter lock."""
        while self._partitions:
            (text,) = cx.execute(
                f"SELECT json_group_array(json_array({_ROW})) FROM (SELECT {_ROW_COLUMNS} FROM {self._where()}"  # noqa: S608  # names of columns and tables
                " AND (answer_at, id) > (?, ?) ORDER BY answer_at, id LIMIT ?)",
                (*self._values(), *self._after, most),
            ).fetchone()
            rows: list[Row] = msgspec.json.decode(text)
            if rows:
                self._after = rows[-1][_ANSWER_AT], rows[-1][_ID]
            if len(rows) < most:
                del self._partitions[0]
                self._after = self._since, 0
            if rows:
                return rows
        return []

    def charges(self, cx: sqlite3.Connection) -> int:
        """What all of them come to."""
        total, partitions = 0, list(self._partitions)
        while self._partitions:
            # In two parts: in one a sum could go beyond SQLite's 64 bits.
            whole, rest = cx.execute(
                f"SELECT coalesce(sum(charge_micros / {MICROS}), 0), coalesce(sum(charge_micros % {MICROS}), 0)"  # noqa: S608  # names of tables
                f" FROM {self._where()}",
                self._values(),
            ).fetchone()
            total += whole * MICROS + rest
            del self._partitions[0]
        self._partitions = partitions
        return total

    def payments(self, cx: sqlite3.Connection) -> list[Payment]:
        """Payments and credits, and what took them back. A bill makes nothing more or less: it was charged before."""
        (text,) = cx.execute(
            "SELECT json_group_array(json_array(at, amount)) FROM (SELECT e.at AS at, -p.amount_micros AS amount"
            " FROM ledger_entries e JOIN ledger_postings p ON p.entry = e.id AND p.book = 'receivable'"
            " WHERE e.shard = 0 AND e.account = ? AND e.at >= ? AND e.kind <> 'bill' ORDER BY e.at, e.id)",
            (self._account, self._since),
        ).fetchone()
        return [Payment(at, amount) for at, amount in msgspec.json.decode(text)]

    def _where(self) -> str:
        table = self._partitions[0].table
        return (
            f"{table} INDEXED BY {table}_line WHERE {SEGMENT} IN (SELECT value FROM json_each(?))"  # noqa: S608  # a partition's name
            " AND line IN (SELECT value FROM json_each(?)) AND account = ? AND answer_at >= ?"
        )

    def _values(self) -> tuple[str, str, str, int]:
        one = self._partitions[0]
        segments = one.segments(0, 1 << 62)
        return as_json(list(segments)), self._lines, self._account, self._since


def opened_at(cx: sqlite3.Connection, account: str) -> int:
    """When an account was opened, µs UTC."""
    found = cx.execute("SELECT opened_at FROM accounts WHERE shard = 0 AND account = ?", (account,)).fetchone()
    return int(found[0]) if found else 0
