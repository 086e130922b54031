"""Matches by the segmented indexes: the transactions of some lines, or to some called numbers."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rating.search.conditions import Condition
from rating.search.reach import SEGMENT, Partition, as_json, one_value
from rating.search.totals import CALLS
from rating.search.where import Where


@dataclass(frozen=True, slots=True)
class Seek:
    """Which index, and the values to look up in each segment."""

    column: str
    """line or called."""
    values: tuple[str, ...]


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
    given = {c.column: tuple(o.text for o in c.operands) for c in conditions if c.op in ("=", "in")}
    for column in ("line", "called"):
        if column in given:
            return Seek(column, given[column])
    if "account" in given:
        return Seek("line", tuple(sorted({line for account in given["account"] for line in lines_of(cx, account)})))
    return None


def matches(
    partitions: Iterable[Partition], segments: range, seek: Seek, where: Where, sort: str, account: str | None = None
) -> tuple[str, dict[str, int | str]] | None:
    """The table `matches` (month, id, sort, charge, duration, calls, tariff, hit) and what is bound in it; None if no
    partition has such segments.

    It has the seek's transactions, of one account where that is given; `hit` says whether the conditions hold too.
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
        # Without statistics SQLite would guess which index is best.
        selects.append(
            f"SELECT {partition.month}, id, {sort}, charge_micros, duration_us, {CALLS}, tariff, ({where.sql})"  # noqa: S608  # constants; values are bound
            f" FROM {partition.table} INDEXED BY {partition.table}_{seek.column}"
            f" WHERE {SEGMENT} IN (SELECT value FROM json_each(:s{partition.month}))"
            f" AND {seek.column} IN (SELECT value FROM json_each(:sought)){owner}"
        )
    if not selects:
        return None
    columns = "month, id, sort, charge, duration, calls, tariff, hit"
    return f"WITH matches({columns}) AS MATERIALIZED ({' UNION ALL '.join(selects)})", values
