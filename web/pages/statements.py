"""An account's statements, for its customer, staff and auditors: its bills cycle by cycle, how its balance went, and
what is not billed yet."""

import sqlite3
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

from aiohttp import web
from yarl import URL

from control.billing import bill_rows
from control.billing.bill import Bill
from control.billing.bill_zones import zones_of
from control.currency import rounded
from control.ledger import history
from control.ledger.history import Change
from control.payments import payment_rows
from control.payments.payment import Payment, Pending
from control.users import Role
from rating.account import Account
from web.pages.invoices import first_unbilled_day, is_on_paper, local_day, on_paper
from web.pages.orders import number_in
from web.refusals import NotFound
from web.rendering import render
from web.request import principal_of
from web.routing import AUDITORS, CUSTOMER, Route
from web.site import Site
from web.statement_view import stated

MOST: Final = 240
"""Twenty years of monthly bills."""
CHANGES: Final = 50
"""Of the balance, on one page."""


class StatementPages:
    """`/statements`, `/accounts/N/invoices`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        return (
            Route("GET", "/statements", self._own, CUSTOMER, "The own bills, and what is not billed yet"),
            Route(
                "GET", "/accounts/{account}/invoices", self._of_account, AUDITORS,
                "An account's bills, payments and balance", owned="account",
            ),
        )  # fmt: skip

    async def _own(self, request: web.Request) -> web.StreamResponse:
        if is_on_paper(self._site, request):
            return on_paper(request)
        return await self._statements(request, principal_of(request).account or "", "/statements")

    async def _of_account(self, request: web.Request) -> web.StreamResponse:
        number = request.match_info["account"]
        return await self._statements(request, number, f"/accounts/{number}/invoices")

    async def _statements(self, request: web.Request, number: str, path: str) -> web.StreamResponse:
        site, role, before = self._site, principal_of(request).role, number_in(request.query, "before")
        account = site.directory.accounts.get(number)
        if account is None:
            raise NotFound
        kept: Kept = await site.readers.read(_kept, number, before)
        more = len(kept.changes) > CHANGES
        context = {
            "account": account,
            "role": role,
            "zone": ZoneInfo(account.timezone),
            "changes": kept.changes[:CHANGES],
            "payment_of": kept.payments,
            "invoice_of": {bill.entry: bill.number for bill in kept.bills},
            "taken": kept.discounts,
            "zones": kept.zones,
            "flags": kept.refused if role in AUDITORS else (),
            "next_page": URL(path).with_query(before=kept.changes[CHANGES - 1].entry.id) if more else None,
            "first_page": path if before is not None else None,
        }
        return render(request, "statements.html", context | self._as_of_now(account, kept, role))

    def _as_of_now(self, account: Account, kept: "Kept", role: Role) -> dict[str, Any]:
        site = self._site
        now, due_micros = site.clock(), site.exposure.balance_due(account.account)
        today: date = local_day(now, account.account, site)
        unbilled_from = first_unbilled_day(kept.bills[0], kept.zones[kept.bills[0].number]) if kept.bills else None
        return {
            "stated": stated(kept.bills, due_micros, kept.pending.micros, today, kept.discounts, kept.touched),
            "due_micros": due_micros,
            "pending": kept.pending,
            "unbilled_micros": rounded(site.exposure.unbilled(account.account, now), account.currency),
            "unbilled_from": unbilled_from,
            "unbilled_calls": _calls_since(unbilled_from, account.account, role),
        }


@dataclass(frozen=True, slots=True)
class Kept:
    """What is stored of an account's bills and payments."""

    bills: list[Bill]
    zones: dict[int, ZoneInfo]
    """In which each bill tells its period, by number: the account's of then, not that of today."""
    changes: list[Change]
    """Of its balance: a page of them, and one more where there are more."""
    payments: dict[int, Payment]
    """Those that the customer made, by the entries among the changes."""
    discounts: dict[int, int]
    touched: set[int]
    """The bills of which the customer has paid some."""
    refused: list[Payment]
    pending: Pending


def _kept(cx: sqlite3.Connection, account: str, before: int | None) -> Kept:
    """One read."""
    changes = history.changes(cx, account, limit=CHANGES + 1, before=before)
    bills = bill_rows.bills_of(cx, account, limit=MOST)
    return Kept(
        bills,
        zones_of(cx, [bill.number for bill in bills]),
        changes,
        payment_rows.by_entries(cx, [change.entry.id for change in changes]),
        payment_rows.discounts_of(cx, account),
        payment_rows.touched(cx, [bill.number for bill in bills]),
        payment_rows.refused_of(cx, account),
        payment_rows.pending(cx, account),
    )


def _calls_since(first_on: date | None, account: str, role: Role) -> URL | None:
    """Where the calls are that are not billed yet; None for those who see no calls."""
    conditions = [("account", "=", account)] if role is Role.STAFF else []
    if first_on is not None:
        conditions.append(("start", ">=", first_on.isoformat()))
    query = [pair for row in conditions for pair in zip(("column", "op", "value"), row, strict=True)]
    return None if role is Role.AUDITOR else URL("/transactions").with_query(query)
