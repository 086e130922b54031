"""Accounts, for staff: found, and each with its use, its limit, what is left, its lines and last calls."""

import sqlite3
from typing import Any, Final

from aiohttp import web

from control import bars
from control.ledger import postings
from control.ledger.entry import Entry, Kind
from rating.account import Account, Line
from rating.search.keys import Sort
from rating.search.search import search_account
from rating.search.seeking import lines_of
from rating.store.account_list import find_accounts, lines_with_services
from web.live import LiveParts
from web.refusals import NotFound
from web.rendering import render
from web.routing import STAFF, Route
from web.site import Site
from web.usage import usage_of

ROWS: Final = 50
LAST_CALLS: Final = 10


class AccountsPages:
    """`/accounts`, `/accounts/N`."""

    def __init__(self, site: Site, live: LiveParts) -> None:
        self._site = site
        self._live = live

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        return (
            Route("GET", "/accounts", self._list, STAFF, "Accounts with usage, limit and what is left"),
            Route("GET", "/accounts/{account}", self._one, STAFF, "One account", owned="account"),
            Route("GET", "/accounts/{account}/events", self._events, STAFF, "One account, live", owned="account"),
        )

    async def _list(self, request: web.Request) -> web.StreamResponse:
        words, after = request.query.get("q", "")[:200], request.query.get("after", "")[:100]
        # The page's numbers and the counters' are of the same accounts: both follow the directory.
        known = self._site.directory.accounts
        page = await self._site.readers.read(find_accounts, words, after, ROWS, None, len(known))
        used = [usage_of(self._site, account) for account in page.accounts if account.account in known]
        return render(request, "accounts.html", {"page": page, "used": used, "q": words, "after": after})

    async def _one(self, request: web.Request) -> web.StreamResponse:
        part = await self._part(request)
        return render(request, "account_of_customer.html", part | {"paid": await self._paid(request)})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self._account(request)
        return await self._live.stream(request, "account_part.html", self._part)

    async def _part(self, request: web.Request) -> dict[str, Any]:
        account = self._account(request)
        lines, calls, barred = await self._site.readers.read(_lines_calls_and_bars, account.account)
        return {
            "account": account,
            "used": usage_of(self._site, account),
            "lines": lines,
            "calls": calls,
            "barred": barred,
            "is_enrolled": self._site.enrolments.is_enrolled(account.account),
        }

    async def _paid(self, request: web.Request) -> Entry | None:
        """The payment that was just recorded, if the address names one of this account."""
        number = request.query.get("paid", "")
        if not (number.isascii() and number.isdigit() and len(number) <= 18):
            return None
        entry = await self._site.readers.read(postings.get, int(number))
        ours = entry is not None and entry.account == request.match_info["account"] and entry.kind is Kind.PAYMENT
        return entry if ours else None

    def _account(self, request: web.Request) -> Account:
        account = self._site.directory.accounts.get(request.match_info["account"])
        if account is None:
            raise NotFound
        return account


def last_calls(cx: sqlite3.Connection, account: str) -> list[dict[str, Any]]:
    """The newest calls of an account."""
    return search_account(cx, account, lines_of(cx, account), (), Sort(), None, LAST_CALLS).rows


def _lines_calls_and_bars(
    cx: sqlite3.Connection, account: str
) -> tuple[list[Line], list[dict[str, Any]], list[bars.Reason]]:
    """One read: each waits for a connection, its thread and the event loop."""
    return lines_with_services(cx, account), last_calls(cx, account), bars.open_of_account(cx, account)
