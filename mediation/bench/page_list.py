"""Every page that `bench pages` asks for: who asks, and under which address, drawn anew for each request."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final
from urllib.parse import urlencode

from mediation.bench.site import account_number
from rating.search.keys import Sort
from rating.search.search import find_transaction, search_account, search_all
from rating.search.seeking import lines_of
from rating.store.partitions import last_id
from simulators.load_records import line_number

CUSTOMER: Final = "customer"
STAFF: Final = "staff"
OPERATOR: Final = "operator"
API: Final = "api"

_ROWS: Final = 50
_CALLS: Final = 300
"""Transactions that staff draw from."""


@dataclass(frozen=True, slots=True)
class Customer:
    """One of those who sign in."""

    account: str
    transactions: tuple[int, ...]
    """Some of the own ones."""
    next_page: str | None
    """Key of the second page of all calls."""


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to ask for."""

    accounts: int
    customers: tuple[Customer, ...]
    calls: tuple[dict[str, Any], ...]
    """Export rows of all accounts, from all over the store."""
    next_page: str | None


@dataclass(frozen=True, slots=True)
class Draw:
    """What one request is about."""

    rng: Random
    known: Known
    customer: Customer

    @property
    def call(self) -> dict[str, Any]:
        return self.rng.choice(self.known.calls)

    @property
    def index(self) -> int:
        """Of an account."""
        return self.rng.randrange(self.known.accounts)


@dataclass(frozen=True, slots=True)
class Page:
    """A page."""

    name: str
    who: str
    address: Callable[[Draw], str]


def look_around(cx: sqlite3.Connection, accounts: int, customers: int, rng: Random) -> Known:
    """What a store holds, for pages to be asked for. The customers are the first accounts."""
    everybody = []
    for number in map(account_number, range(customers)):
        page = search_account(cx, number, lines_of(cx, number), (), Sort(), None, _ROWS)
        everybody.append(Customer(number, tuple(row["transaction"] for row in page.rows), page.next))
    ids = [rng.randrange(last_id(cx)) + 1 for _ in range(_CALLS)]
    calls = tuple(row for row in (find_transaction(cx, id_) for id_ in ids) if row is not None)
    return Known(accounts, tuple(everybody), calls, search_all(cx, (), None, _ROWS).next)


def _fixed(path: str) -> Callable[[Draw], str]:
    return lambda _: path


def _search(*rows: Sequence[str], path: str = "/transactions", **more: str) -> str:
    given = [pair for row in rows for pair in zip(("column", "op", "value"), row, strict=True)]
    return f"{path}?{urlencode([*given, *more.items()])}"


_TWO: Final = (("duration", ">=", "60"), ("charge", ">", "0.50"))

PAGES: Final = (
    Page("home", CUSTOMER, _fixed("/home")),
    Page("calls", CUSTOMER, _fixed("/transactions")),
    Page("calls, two conditions", CUSTOMER, lambda _: _search(*_TWO)),
    Page("calls by charge", CUSTOMER, lambda _: _search(sort="-charge")),
    Page("calls, second page", CUSTOMER, lambda draw: _search(after=draw.customer.next_page or "")),
    Page("charge explained", CUSTOMER, lambda draw: f"/transactions/{draw.rng.choice(draw.customer.transactions)}"),
    Page("calls as CSV", CUSTOMER, lambda _: _search(*_TWO, path="/transactions.csv")),
    Page("live", STAFF, _fixed("/live")),
    Page("accounts", STAFF, _fixed("/accounts")),
    Page("accounts by name", STAFF, lambda draw: f"/accounts?q=Customer+{draw.index}"),
    Page("accounts by line", STAFF, lambda draw: f"/accounts?q={line_number(draw.index)[1:]}"),
    Page("account", STAFF, lambda draw: f"/accounts/{account_number(draw.index)}"),
    Page("account, consolidated", STAFF, lambda draw: f"/accounts/{draw.customer.account}"),
    Page("all calls", STAFF, _fixed("/transactions")),
    Page("all calls, second page", STAFF, lambda draw: _search(after=draw.known.next_page or "")),
    Page("calls of a line", STAFF, lambda draw: _search(("line", "=", draw.call["line"]))),
    Page("calls to a number", STAFF, lambda draw: _search(("called", "=", draw.call["called"]))),
    Page("calls over an amount", STAFF, lambda _: _search(("charge", ">", "2"))),
    Page("calls over a rare amount", STAFF, lambda _: _search(("charge", ">", "100000"))),
    Page("any charge explained", STAFF, lambda draw: f"/transactions/{draw.call['transaction']}"),
    Page("suspense", STAFF, _fixed("/suspense")),
    Page("suspense of a reason", STAFF, _fixed("/suspense?reason=unknown-line")),
    Page("feeds", OPERATOR, _fixed("/feeds")),
    Page("health", OPERATOR, _fixed("/health")),
    Page("API calls", API, _fixed("/api/v1/transactions")),
    Page("API account", API, lambda draw: f"/api/v1/accounts/{account_number(draw.index)}"),
)
"""All of them, in the order in which they are asked for."""
