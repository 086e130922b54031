"""Sums of events' series from the transactions table: of all accounts at once, or of one account in one window.

The store sums by account and quarter of an hour, which every window consists of; filters that SQLite cannot compare as
they are meant (countries, letters) are looked at here.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, NamedTuple

from control.events.definition import Filters
from control.events.measures import Sums, by_called, exact_filters
from control.events.windows import QUARTER_US
from rating.cdr import MICROS
from rating.search.reach import SEGMENT, as_json
from rating.search.seeking import lines_of
from rating.store.partitions import SEGMENT_BITS, month_of, partitions, table_of

ACCOUNTS_BY_LINE: Final = 100
"""So many accounts are looked up by their lines; for more everything is read."""
_IDS: Final = 50_000
"""Transactions of one statement: a long read would keep the write-ahead log from being reset."""

_STANDING_CHARGE: Final = "CASE WHEN id IN (SELECT original FROM rerated) THEN 0 ELSE charge_micros END"
"""What was charged wrongly is nobody's greatest charge."""


class Quarter(NamedTuple):
    """An account's transactions in a quarter of an hour."""

    account: str
    at: int
    """Its first instant."""
    sums: Sums
    newest: int
    """The greatest transaction id among them."""


class StoredPast:
    """What the transactions of an open connection say."""

    def __init__(self, cx: sqlite3.Connection) -> None:
        self._cx = cx

    def sums(self, account: str, filters: Filters, start: int, end: int, before: int) -> Sums:
        """Of an account's transactions in a window, those with ids below `before`."""
        total = Sums()
        for quarter in quarters(self._cx, filters, since=start, until=end, before=before, accounts=(account,)):
            total.join(quarter.sums)
        return total


def quarters(
    cx: sqlite3.Connection,
    filters: Filters,
    *,
    since: int,
    until: int | None = None,
    before: int,
    after: int = 0,
    accounts: Collection[str] | None = None,
) -> Iterator[Quarter]:
    """The transactions that pass the filters, answered from `since` on (and before `until`), with after < id < before,
    of some accounts or of all. An account and quarter can come several times."""
    months = months_since(cx, since)
    where = ["answer_at >= ?", "id > ?", "id < ?"]
    values: list[Any] = [since, after, before]
    if until is not None:
        where.append("answer_at < ?")
        values.append(until)
    for column, value in exact_filters(filters):
        where.append(f"{column} = ?")
        values.append(value)
    lines = None
    if accounts is not None:
        where.append("account IN (SELECT value FROM json_each(?))")
        values.append(as_json(sorted(accounts)))
        if len(accounts) <= ACCOUNTS_BY_LINE:
            lines = as_json(sorted({line for account in accounts for line in lines_of(cx, account)}))
    country = by_called(filters)
    place = None if filters.place is None else filters.place.casefold()
    for rows in _grouped(cx, months, filters, " AND ".join(where), values, lines):
        for account, at, called, placed, *numbers in rows:
            if (country is None or country(called)) and (place is None or (placed or "").casefold() == place):
                yield Quarter(account, at, _sums(*numbers[:-1]), numbers[-1])


def _grouped(
    cx: sqlite3.Connection, months: Iterable[int], filters: Filters, where: str, values: list[Any], lines: str | None
) -> Iterator[list[tuple[Any, ...]]]:
    countries = filters.called_country or filters.called_country_not_in
    called, place = "called" if countries else "NULL", "place_called" if filters.place else "NULL"
    columns = (
        f"account, answer_at / {QUARTER_US} * {QUARTER_US}, {called}, {place},"
        f" {_sum('charge_micros')}, {_sum('duration_us')}, sum(duration_us > 0) - sum(duration_us < 0),"
        f" max({_STANDING_CHARGE}), count(*), max(id)"
    )
    for month in months:
        table = table_of(month)
        # Two lookups: asked for both at once SQLite would read the whole table.
        first, last = (
            cx.execute(f"SELECT {edge}(id) FROM {table}").fetchone()[0]  # noqa: S608  # a partition's name
            for edge in ("min", "max")
        )
        if first is None:
            continue
        if lines is not None:
            segments = as_json(range(first >> SEGMENT_BITS, (last >> SEGMENT_BITS) + 1))
            yield cx.execute(
                f"SELECT {columns} FROM {table} INDEXED BY {table}_line"  # noqa: S608  # constants; values are bound
                f" WHERE {SEGMENT} IN (SELECT value FROM json_each(?)) AND line IN (SELECT value FROM json_each(?))"
                f" AND {where} GROUP BY 1, 2, 3, 4",
                (segments, lines, *values),
            ).fetchall()
            continue
        for start in range(first, last + 1, _IDS):
            yield cx.execute(
                f"SELECT {columns} FROM {table} WHERE id BETWEEN ? AND ? AND {where} GROUP BY 1, 2, 3, 4",  # noqa: S608  # constants; values are bound
                (start, start + _IDS - 1, *values),
            ).fetchall()


def _sum(column: str) -> str:
    """A sum in two parts, millions and the rest: in one it could go beyond SQLite's 64 bits."""
    return f"sum({column} / {MICROS}), sum({column} % {MICROS})"


def _sums(
    charge: int, charge_rest: int, duration: int, duration_rest: int, calls: int, largest: int, transactions: int
) -> Sums:
    return Sums(charge * MICROS + charge_rest, duration * MICROS + duration_rest, calls, max(largest, 0), transactions)


def months_since(cx: sqlite3.Connection, since: int) -> list[int]:
    """The partitions of transactions that were answered since an instant: they lie in the month of their start, which
    may be the one before."""
    month = month_of(max(since, 0))
    before = month - 1 if month % 100 > 1 else month - 89
    return [one for one in partitions(cx) if one >= before]
