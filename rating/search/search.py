"""Searching transactions: an account's own calls, sorted by anything, or those of all accounts from the newest back.

A customer's search seeks the account's lines in every segment, so it reads that account's calls and hardly more. What
it returns are pages: the next begins after a key, so calls that arrive meanwhile neither repeat a row nor hide one.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rating.search import backwards
from rating.search.conditions import Condition
from rating.search.keys import Sort, id_key, read_id_key, read_sort_key, sort_key
from rating.search.reach import exported, fetch, partitions_between
from rating.search.seeking import account_seek, first_of, matches, seek_of
from rating.search.totals import Totals, add_sums
from rating.search.where import ALWAYS, compile_conditions

BUDGET: Final = 50_000
"""Rows that a page of a search over all accounts looks at, at most, if it cannot seek."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of what a search finds."""

    rows: list[dict[str, Any]]
    """As `export transactions` writes them."""
    next: str | None
    """Key of the next page; None on the last."""
    totals: Totals | None
    """Over all matches; None where counting them would take too long."""
    searched_back_to_at: int | None = None
    """Set where the page ended for having looked long enough: when the oldest transaction it looked at was rated, µs
    UTC. The next page looks further."""


def search_account(
    cx: sqlite3.Connection,
    account: str,
    lines: Sequence[str],
    conditions: Sequence[Condition],
    sort: Sort,
    after: str | None,
    limit: int,
) -> Page:
    """A page of an account's own transactions, with the totals of all that match.

    `lines` are all that the account ever had (`lines_of`); a transaction counts if its account is this one, too.
    Raises SearchError for a key that is not of this search.
    """
    key = read_sort_key(sort, after) if after else None
    where = compile_conditions(conditions)
    partitions = partitions_between(cx, where.starts)
    made = matches(
        partitions, backwards.segments_of(partitions), account_seek(lines, conditions), where, sort.sql, account
    )
    if made is None:
        return Page([], None, Totals())
    onwards = ""
    if key is not None:
        onwards = f" AND (sort, id) {'<' if sort.descending else '>'} (:key_value, :key_id)"
        made[1].update(key_value=key[0], key_id=key[1])
    way = "DESC" if sort.descending else "ASC"
    first = first_of(cx, partitions, made, onwards, f"sort {way}, id {way}", limit + 1)
    places = first.places[:limit]
    rows = exported(cx, [id_ for _, id_, _ in places], first.stored)
    _, last_id, last_value = places[-1] if places else (0, 0, 0)
    more = len(first.places) > limit
    return Page(rows, sort_key(sort, last_value, last_id) if more else None, add_sums(Totals(), first.sums))


def search_all(
    cx: sqlite3.Connection,
    conditions: Sequence[Condition],
    after: str | None,
    limit: int,
    budget: int = BUDGET,
) -> Page:
    """A page of all accounts' transactions, the newest first, after looking at some more rows than `budget` at most.

    Totals are given where a line, called number or account is looked up, and it has not too many calls; and where one
    page holds everything. Raises SearchError for a key that is not of this search.
    """
    below = read_id_key(after) if after else ALWAYS[1]
    where = compile_conditions(conditions)
    partitions = partitions_between(cx, where.starts)
    seek = seek_of(cx, conditions)
    if seek is None:
        look = backwards.scan(cx, partitions, where, below, limit, budget)
    else:
        look = backwards.seek(cx, partitions, seek, where, below, limit, budget)
    totals = look.totals
    if totals is None and after is None and look.next_below is None:
        totals = backwards.sum_of(cx, look.found)
    next_key = None if look.next_below is None else id_key(look.next_below)
    rows = look.rows if look.rows is not None else fetch(cx, look.found)
    return Page(rows, next_key, totals, look.searched_back_to_at)


def find_transaction(cx: sqlite3.Connection, transaction: int, account: str | None = None) -> dict[str, Any] | None:
    """The export row of a transaction; None if there is none, or it is not this account's."""
    places = [
        (partition.month, transaction)
        for partition in partitions_between(cx, ALWAYS)
        if partition.first_id <= transaction <= partition.last_id
    ]
    row = next(iter(fetch(cx, places)), None)
    return row if row is not None and account in (None, row["account"]) else None
