"""The transactions that were stored since a check, as the rows that the check goes through."""

import sqlite3
from collections.abc import Collection, Iterator
from typing import Any, Final

import msgspec

from control.events.measures import EXACT
from control.events.past import ACCOUNTS_BY_LINE, months_since
from rating.cdr import MICROS
from rating.search.reach import SEGMENT, as_json
from rating.search.seeking import lines_of
from rating.store.batch import COLUMN, COLUMNS, Row
from rating.store.partitions import SEGMENT_BITS, table_of

_NEEDED: Final = {
    "id", "answer_at", "account", "charge_micros", "duration_us", "called", "place_called", "key", *EXACT,
}  # fmt: skip
_ROW: Final = ", ".join(name if name in _NEEDED else "NULL" for name in COLUMNS)
_IDS: Final = 10_000
"""Transactions of one statement."""
_SEGMENTS: Final = 64
"""Of one statement that looks up lines."""


class NewTransactions:
    """Those of some accounts, or of all, with ids above `after` and answered from `since` on."""

    def __init__(self, cx: sqlite3.Connection, after: int, since: int, accounts: Collection[str] | None) -> None:
        self._cx = cx
        self._tables: dict[str, tuple[int, int]] = {}
        """With the ids of the first and last one."""
        for table in map(table_of, months_since(cx, since)):
            # Two lookups: asked for both at once SQLite would read the whole table.
            (first,) = cx.execute(f"SELECT min(id) FROM {table} WHERE id > ?", (after,)).fetchone()  # noqa: S608  # a partition's name
            (last,) = cx.execute(f"SELECT max(id) FROM {table}").fetchone()  # noqa: S608  # a partition's name
            if first is not None:
                self._tables[table] = first, last
        self._where, self._values = "answer_at >= :since AND id BETWEEN :first AND :last", dict[str, Any](since=since)
        self._by_line = accounts is not None and len(accounts) <= ACCOUNTS_BY_LINE
        if accounts is not None:
            self._where += " AND account IN (SELECT value FROM json_each(:accounts))"
            self._values["accounts"] = as_json(sorted(accounts))
        if self._by_line:
            self._where += " AND line IN (SELECT value FROM json_each(:lines))"
            self._where += f" AND {SEGMENT} IN (SELECT value FROM json_each(:segments))"  # noqa: S608  # a constant
            self._values["lines"] = as_json(sorted({line for one in accounts or () for line in lines_of(cx, one)}))

    def chunks(self) -> Iterator[list[Row]]:
        """Rows of `COLUMNS` that hold what events look at, in ascending order of their ids. Each statement has one
        answer: every row of one would be another wait for the interpreter lock."""
        for table_values in self._statements():
            rows: list[Row] = []
            for source, values in table_values:
                sql = f"SELECT json_group_array(json_array({_ROW})) FROM {source}"  # noqa: S608  # names; values are bound
                rows += msgspec.json.decode(self._cx.execute(sql, values).fetchone()[0])
            rows.sort(key=_id_of)
            yield rows

    def charges(self) -> dict[str, int]:
        """What the charges of each account come to."""
        totals: dict[str, int] = {}
        for table_values in self._statements():
            for source, values in table_values:
                # In two parts: in one a sum could go beyond SQLite's 64 bits.
                sums = f"sum(charge_micros / {MICROS}), sum(charge_micros % {MICROS})"
                sql = f"SELECT account, {sums} FROM {source} GROUP BY account"  # noqa: S608  # as above
                for account, whole, rest in self._cx.execute(sql, values).fetchall():
                    totals[account] = totals.get(account, 0) + whole * MICROS + rest
        return totals

    def _statements(self) -> Iterator[list[tuple[str, dict[str, Any]]]]:
        """What to read from and what to bind, of the tables that hold a range of ids, range by range."""
        step = _SEGMENTS << SEGMENT_BITS if self._by_line else _IDS
        start = min((first for first, _ in self._tables.values()), default=0)
        end = max((last for _, last in self._tables.values()), default=-1)
        while start <= end:
            stop, found = start + step, []
            for table, (first, last) in self._tables.items():
                if first < stop and last >= start:
                    index = f" INDEXED BY {table}_line" if self._by_line else ""
                    segments = range(start >> SEGMENT_BITS, (stop >> SEGMENT_BITS) + 1)
                    values = {**self._values, "first": max(first, start), "last": min(last, stop - 1)}
                    if self._by_line:
                        values["segments"] = as_json(segments)
                    found.append((f"{table}{index} WHERE {self._where}", values))
            if found:
                yield found
            start = stop


def _id_of(row: Row) -> int:
    number: int = row[COLUMN["id"]]
    return number
