"""Matches by the segmented indexes: the transactions of some lines, or to some called numbers."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rating.search.conditions import Condition
from rating.search.reach import SEGMENT, Partition, as_json, one_value, rows_sql
from rating.search.totals import CALLS, SUMS
from rating.search.where import Where


@dataclass(frozen=True, slots=True)
class Seek:
    """Which index, and the values to look up in each segment."""

    column: str
    """line or called."""
    values: tuple[str, ...]
    """Different ones."""


Matches = tuple[str, dict[str, int | str]]
"""The table `matches` as SQL, and what is bound in it."""


@dataclass(frozen=True, slots=True)
class First:
    """What is first among matches."""

    seen: int
    """Transactions of the table, whether they match or not."""
    sums: list[list[Any]]
    """Of all that match, as `add_sums` takes them."""
    places: list[tuple[int, int, int | str]]
    """(month, id, what they are ordered by), in their order."""
    stored: list[list[Any]]
    """Whole rows, for `exported`."""


def lines_of(cx: sqlite3.Connection, account: str) -> list[str]:
    """Every line that the account has, had or will have."""
    sql = "SELECT json_group_array(line) FROM (SELECT line FROM line_owners WHERE shard = 0 AND account = :account)"
    lines: list[str] = one_value(cx, sql, {"account": account})
    return lines


def account_seek(lines: Iterable[str], conditions: Sequence[Condition]) -> Seek:
    """The account's lines, or those among them that the conditions leave."""
    left = set(lines)
    for condition in conditions:
        if condition.column == "line" and condition.op in ("=", "in"):
            left &= {operand.text for operand in condition.operands}
    return Seek("line", tuple(sorted(left)))


def seek_of(cx: sqlite3.Connection, conditions: Sequence[Condition]) -> Seek | None:
    """The lookup that the conditions allow, if any does: a line before a called number before an account's lines."""
    given = {c.column: tuple({o.text: None for o in c.operands}) for c in conditions if c.op in ("=", "in")}
    for column in ("line", "called"):
        if column in given:
            return Seek(column, given[column])
    if "account" in given:
        return Seek("line", tuple(sorted({line for account in given["account"] for line in lines_of(cx, account)})))
    return None


def matches(
    partitions: Iterable[Partition],
    segments: range,
    seek: Seek,
    where: Where,
    sort: str,
    account: str | None = None,
    most: int | None = None,
) -> Matches | None:
    """The table `matches` (month, id, sort, charge, duration, calls, tariff, hit) and what is bound in it; None if no
    partition has such segments.

    It has the seek's transactions, of one account where that is given, and any `most` of them where that is given;
    `hit` says whether the conditions hold too.
    """
    selects = []
    values = {**where.values, "sought": as_json(seek.values)}
    owner = ""
    if account is not None:
        owner, values["owner"] = " AND account = :owner", account
    for partition in partitions:
        own = partition.segments(segments.start, segments.stop - 1)
        if not own:
            continue
        values[f"s{partition.month}"] = as_json(own)
        # Without statistics SQLite would guess which index is best. Joins, for the list of an IN is made into a table
        # of its own: two a partition, whose memory was got and given back at each search, cost more than the search.
        selects.append(
            f"SELECT {partition.month}, id, {sort}, charge_micros, duration_us, {CALLS}, tariff, ({where.sql})"  # noqa: S608  # constants; values are bound
            f" FROM (SELECT value AS segment FROM json_each(:s{partition.month}))"
            " CROSS JOIN (SELECT value AS one FROM json_each(:sought))"
            f" CROSS JOIN {partition.table} INDEXED BY {partition.table}_{seek.column}"
            f" WHERE {SEGMENT} = segment AND {seek.column} = one{owner}"
        )
    if not selects:
        return None
    if most is not None:
        values["most"] = most
    columns = "month, id, sort, charge, duration, calls, tariff, hit"
    bound = "" if most is None else " LIMIT :most"
    return f"WITH matches({columns}) AS MATERIALIZED ({' UNION ALL '.join(selects)}{bound})", values


def first_of(
    cx: sqlite3.Connection, partitions: Iterable[Partition], made: Matches, onwards: str, order: str, rows: int
) -> First:
    """The first of the table's matches, in an order and within it onwards from some place, in one statement with all
    else that a page needs: it may be that each further one has to wait for the interpreter lock."""
    table, values = made
    whole = rows_sql((p.month, f"SELECT id AS one FROM page WHERE month = {p.month}") for p in partitions)  # noqa: S608  # names are constants
    seen, sums, places, stored = one_value(
        cx,
        f"{table}, page(month, id, sort) AS MATERIALIZED"  # noqa: S608  # constants; values are bound
        f" (SELECT month, id, sort FROM matches WHERE hit{onwards} ORDER BY {order} LIMIT :rows)"
        f" SELECT json_array((SELECT count(*) FROM matches), json({SUMS}),"
        f" json((SELECT json_group_array(json_array(month, id, sort)) FROM page)), json({whole}))",
        {**values, "rows": rows},
    )
    return First(seen, sums, [(month, id_, sort) for month, id_, sort in places], stored)
