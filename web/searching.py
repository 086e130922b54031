"""Searching transactions for whoever asks: the query of a page, the API and a download, read and answered one way."""

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

from multidict import MultiMapping

from control.users import Principal
from rating.search import sentence
from rating.search.conditions import Condition, SearchError, parse_conditions
from rating.search.keys import Sort, parse_sort
from rating.search.search import Page, search_account, search_all
from rating.search.seeking import lines_of
from rating.search.where import compile_conditions
from rating.store.retired import in_words, retired_between
from web.rendering import zone_of
from web.site import Site

ROWS: Final = 50
MOST_ROWS: Final = 500
DOWNLOAD_ROWS: Final = 1_000
"""Rows of one read of a download."""
_STAFF_SORT: Final = Sort()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query asks for."""

    rows: tuple[tuple[str, str, str], ...]
    """Column, operator and value of each condition, as typed."""
    sort: str
    after: str | None
    limit: int


@dataclass(frozen=True, slots=True)
class Found:
    """What there is."""

    page: Page
    conditions: tuple[Condition, ...]
    sort: Sort
    words: str
    """A sentence that says what is shown."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What of the store somebody may search."""

    account: str | None
    """None: all accounts."""
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    currency: str | None = None


def read_query(query: MultiMapping[str]) -> Asked:
    """Raises SearchError for conditions that are not three parameters each, and for a limit that is none."""
    columns, ops, values = (query.getall(name, []) for name in ("column", "op", "value"))
    if not len(columns) == len(ops) == len(values):
        raise SearchError(
            None,
            "conditions",
            f"there are {len(columns)} columns, {len(ops)} operators and {len(values)} values",
            "give column, op and value for each condition",
        )
    limit = query.get("limit", "")
    if limit and not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= MOST_ROWS):
        raise SearchError(None, "limit", f"“{limit[:20]}” is no number of rows", f"write 1 to {MOST_ROWS}")
    rows = tuple(zip(columns, ops, values, strict=True))
    return Asked(rows, query.get("sort", ""), query.get("after") or None, int(limit or ROWS))


def reach_of(site: Site, principal: Principal) -> Reach:
    """A customer searches the own account, in its zone and money; staff search all."""
    account = site.directory.accounts.get(principal.account) if principal.account else None
    if principal.account is None:
        return Reach(None)
    return Reach(principal.account, zone_of(site.directory.accounts, principal), account.currency if account else None)


async def search(site: Site, reach: Reach, asked: Asked) -> Found:
    """Search. Raises SearchError."""
    conditions = parse_conditions(asked.rows, reach.zone, reach.currency)
    sort = parse_sort(asked.sort)
    if reach.account is None and sort != _STAFF_SORT:
        raise SearchError(None, "sort", "calls of all accounts are shown newest first", "leave sort out")
    page, retired = await site.readers.read(_search, reach.account, conditions, sort, asked.after, asked.limit)
    return Found(page, conditions, sort, sentence.sentence(conditions, page.totals) + retired)


def _search(
    cx: sqlite3.Connection,
    account: str | None,
    conditions: tuple[Condition, ...],
    sort: Sort,
    after: str | None,
    limit: int,
) -> tuple[Page, str]:
    """The page, and what its sentence says of months that are asked for and gone."""
    retired = ""
    if any(condition.column == "start" for condition in conditions):
        months = retired_between(cx, *compile_conditions(conditions).starts)
        retired = f"; those of {in_words(months)} are in the archive, and not searched" if months else ""
    if account is None:
        return search_all(cx, conditions, after, limit), retired
    return search_account(cx, account, lines_of(cx, account), conditions, sort, after, limit), retired


async def everything(site: Site, reach: Reach, asked: Asked) -> AsyncIterator[list[dict[str, Any]]]:
    """All rows that a search finds, some at a time, so that a download of any length takes little memory. Raises
    SearchError before the first."""
    after: str | None = None
    while True:
        found = await search(site, reach, Asked(asked.rows, asked.sort, after, DOWNLOAD_ROWS))
        yield found.page.rows
        after = found.page.next
        if after is None:
            return
