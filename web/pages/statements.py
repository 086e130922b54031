"""A customer's statements: the own bills, which of them are paid, and what is not billed yet."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from aiohttp import web

from control.billing import bill_rows
from control.billing.bill import Bill
from control.payments import payment_rows
from web.pages.invoices import first_unbilled_day, is_on_paper, local_day, on_paper
from web.refusals import NotFound
from web.rendering import render
from web.request import principal_of
from web.routing import CUSTOMER, Route
from web.site import Site

MOST: Final = 240
"""Twenty years of monthly bills."""


class BillState(StrEnum):
    """How a bill stands now."""

    PAID = "paid"
    COMING = "payment on its way"
    OPEN = "open"
    PAST_DUE = "past due"
    NOTHING_DUE = "nothing due"
    """From the beginning: a credit covered it."""


@dataclass(frozen=True, slots=True)
class Stated:
    """A bill, and how it stands."""

    bill: Bill
    state: BillState


class StatementPages:
    """`/statements`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        return (Route("GET", "/statements", self._statements, CUSTOMER, "The own bills, and what is not billed yet"),)

    async def _statements(self, request: web.Request) -> web.StreamResponse:
        site = self._site
        if is_on_paper(site, request):
            return on_paper(request)
        account = site.directory.accounts.get(principal_of(request).account or "")
        if account is None:
            raise NotFound
        bills, pending_micros = await site.readers.read(_bills_and_pending, account.account)
        now, due_micros = site.clock(), site.exposure.balance_due(account.account)
        today = local_day(now, account.account, site)
        context = {
            "account": account,
            "stated": stated(bills, due_micros, pending_micros, today),
            "due_micros": due_micros,
            "pending_micros": pending_micros,
            "unbilled_micros": site.exposure.unbilled(account.account, now),
            "unbilled_from": first_unbilled_day(bills[0], ZoneInfo(account.timezone)) if bills else None,
        }
        return render(request, "statements.html", context)


def stated(bills: Sequence[Bill], due_micros: int, pending_micros: int, today: date) -> list[Stated]:
    """How each of an account's bills stands, the newest first, when it owes so much, and so much is on its way.

    Payments pay what is oldest: what is left of a bill's total due is what is owed now, less what came after it.
    """
    found, left_micros = [], due_micros
    for bill in bills:
        if bill.total_due_micros <= 0:
            state = BillState.NOTHING_DUE
        elif left_micros > 0:
            state = BillState.PAST_DUE if today > bill.due_on else BillState.OPEN
        else:
            state = BillState.COMING if left_micros + pending_micros > 0 else BillState.PAID
        found.append(Stated(bill, state))
        left_micros -= bill.current_charges_micros
    return found


def _bills_and_pending(cx: sqlite3.Connection, account: str) -> tuple[list[Bill], int]:
    """One read."""
    return bill_rows.bills_of(cx, account, limit=MOST), payment_rows.pending_micros(cx, account)
