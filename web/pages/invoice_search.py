"""Invoices of all accounts, for staff and auditors: found by number, account, name, period, or by what was refused."""

import sqlite3
from typing import Final

from aiohttp import web
from multidict import MultiMapping
from yarl import URL

from control.billing import bill_search
from control.billing.bill_search import Listed, Page, Wanted
from control.billing.cycles import parse_period
from web.pages.orders import number_in
from web.pages.suspense_forms import FormRefused
from web.rendering import render
from web.routing import AUDITORS, Route
from web.site import Site

ROWS: Final = 50
READS: Final = 5
"""For one page: what is not found by then is looked for when the next one is asked for."""
FIELDS: Final = ("number", "account", "name", "period", "refused")


class InvoiceSearch:
    """`/invoices`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What this page serves."""
        return (Route("GET", "/invoices", self._search, AUDITORS, "Invoices by number, account, name and period"),)

    async def _search(self, request: web.Request) -> web.StreamResponse:
        typed, before = _typed(request.query), number_in(request.query, "before")
        refused, found = None, Page([], None)
        try:
            found = await self._found(_wanted(typed), before)
        except FormRefused as said:
            refused = said
        here = URL("/invoices").with_query(typed)
        context = {
            "listed": found.bills,
            "typed": typed,
            "refused": refused,
            "is_unknown": "account" in typed and typed["account"] not in self._site.directory.accounts,
            "next_page": here.update_query(before=found.before) if found.before is not None else None,
            "first_page": here if before is not None else None,
        }
        return render(request, "invoices.html", context)

    async def _found(self, wanted: Wanted, before: int | None) -> Page:
        """A page, by some short reads rather than a long one."""
        listed = list[Listed]()
        for _ in range(READS):
            page = await self._site.readers.read(_read, wanted, ROWS - len(listed), before)
            listed += page.bills
            before = page.before
            if before is None or len(listed) == ROWS:
                break
        return Page(listed, before)


def _read(cx: sqlite3.Connection, wanted: Wanted, limit: int, before: int | None) -> Page:
    return bill_search.search(cx, wanted, limit=limit, before=before)


def _typed(query: MultiMapping[str]) -> dict[str, str]:
    return {name: text for name in FIELDS if (text := query.get(name, "").strip()[:200])}


def _wanted(typed: dict[str, str]) -> Wanted:
    """Raises FormRefused."""
    number, period = typed.get("number"), typed.get("period", "")
    if number is not None and not (number.isascii() and number.isdigit() and len(number) <= 18):
        raise FormRefused("number", f"“{number[:40]}” is no invoice’s number: write its digits")
    try:
        period = parse_period(period) if period else ""
    except ValueError as wrong:
        raise FormRefused("period", str(wrong)) from None
    return Wanted(
        number=None if number is None else int(number),
        account=typed.get("account", ""),
        words=tuple(typed.get("name", "").split()),
        period=period,
        is_flagged="refused" in typed,
    )
