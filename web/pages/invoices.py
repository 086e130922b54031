"""An invoice as a page that looks like paper: of the bill and its document, and what is due now."""

import asyncio
import sqlite3
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from aiohttp import web

from control.billing import bill_rows
from control.billing.bill import Bill
from control.billing.parts import CALLS_SHOWN, Part
from control.currency import rounded
from control.payments import payment_rows
from control.payments.payment import PENDING, Accepted, Payment, Refused
from control.users import Role
from rating.cdr import MICROS
from web.invoice_access import visible_bill
from web.invoice_view import early_view, invoice_page
from web.pages.orders import number_in
from web.refusals import NotFound
from web.rendering import render
from web.request import principal_of
from web.routing import AUDITORS, Route
from web.site import Site

INVOICE: Final = "/invoices/{invoice:[0-9]{1,18}}"
SEEN_BY: Final = frozenset({Role.STAFF, Role.CUSTOMER, Role.AGENT, Role.AUDITOR})


@dataclass(frozen=True, slots=True)
class Around:
    """What an invoice's page says beside the invoice: as of now."""

    part: Part
    latest: Bill
    """The account's."""
    attempts: list[Payment]
    """On the invoice, the newest first, refused ones too."""
    flags: list[Payment]
    """Those that were refused."""
    taken_micros: int
    """Of its discount."""

    @property
    def pending(self) -> list[Payment]:
        """What is on its way."""
        return [payment for payment in self.attempts if payment.state in PENDING]


class OfDiscount(StrEnum):
    """Whether the discount for paying early can still be had."""

    OPEN = "open"
    TAKEN = "taken"
    OVER = "over"
    """Its last day is past."""
    GONE = "gone"
    """What is due is not what it is given for any more."""


class InvoicePages:
    """`/invoices/N`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        return (Route("GET", INVOICE, self._invoice, SEEN_BY, "An invoice, call by call", owned="invoice"),)

    async def _invoice(self, request: web.Request) -> web.StreamResponse:
        site = self._site
        bill = await bill_for(site, request)
        if bill is None:
            return on_paper(request)
        first = number_in(request.query, "from") or 1
        if first > max(bill.calls, 1):
            raise NotFound
        around: Around = await site.readers.read(_around, bill, first)
        payable = await site.payments.payable(bill.number)
        now, zone = site.clock(), ZoneInfo(around.part.document.timezone)
        role = principal_of(request).role
        # In a thread: the loop has others to serve meanwhile.
        page = await asyncio.to_thread(invoice_page, bill, around.part)
        context = page | {
            "bill": bill,
            "around": around,
            "of_discount": of_discount(bill, payable, around.taken_micros, local_day(now, bill.account, site)),
            "early": early_view(bill, payable, page["invoice"].places),
            "due_micros": site.exposure.balance_due(bill.account),
            "unbilled_micros": rounded(site.exposure.unbilled(bill.account, now), bill.currency),
            "unbilled_from": first_unbilled_day(around.latest, zone),
            "before": max(first - CALLS_SHOWN, 1) if first > 1 else None,
            "after": around.part.last + 1 if around.part.last < bill.calls else None,
            "flags": around.flags if role in AUDITORS else (),
            "role": role,
            "zone": zone,
        }
        return render(request, "invoice.html", context)


async def bill_for(site: Site, request: web.Request) -> Bill | None:
    """The bill of a request's path, if who asks may see it; None for a customer whose bills come on paper. Raises
    NotFound."""
    principal, number = principal_of(request), int(request.match_info["invoice"])
    if principal.role is Role.AUDITOR or is_on_paper(site, request):
        bill = await site.readers.read(bill_rows.bill, number)
        if bill is None or principal.account not in (None, bill.account):
            raise NotFound
        return bill if principal.role is Role.AUDITOR else None
    return await visible_bill(site, principal, number)


def is_on_paper(site: Site, request: web.Request) -> bool:
    """Whether who asks is a customer without online bills."""
    principal = principal_of(request)
    return principal.role is Role.CUSTOMER and not site.enrolments.is_enrolled(principal.account or "")


def on_paper(request: web.Request) -> web.Response:
    """The page for them: it says where online bills are chosen."""
    return render(request, "invoices_on_paper.html", {})


def local_day(now: int, account: str, site: Site) -> date:
    """Which day it is where an account is."""
    known = site.directory.accounts.get(account)
    zone = ZoneInfo(known.timezone if known else "UTC")
    return datetime.fromtimestamp(now // MICROS, UTC).astimezone(zone).date()


def first_unbilled_day(latest: Bill, zone: ZoneInfo) -> date:
    """The day after the period of an account's latest bill."""
    return datetime.fromtimestamp(latest.cycle_end // MICROS, UTC).astimezone(zone).date()


def of_discount(bill: Bill, payable: Accepted | Refused, taken_micros: int, today: date) -> OfDiscount | None:
    """Whether a bill's discount can be had; None for a bill without one."""
    if bill.discount is None:
        return None
    if taken_micros:
        return OfDiscount.TAKEN
    if isinstance(payable, Accepted) and any(one.invoice == bill.number for one in payable.discounts):
        return OfDiscount.OPEN
    return OfDiscount.OVER if today > bill.discount.last_on else OfDiscount.GONE


def _around(cx: sqlite3.Connection, bill: Bill, first: int) -> Around:
    """One read."""
    return Around(
        bill_rows.part(cx, bill.number, first, CALLS_SHOWN),
        bill_rows.latest_of(cx, bill.account) or bill,
        payment_rows.of_invoice(cx, bill.number),
        payment_rows.flags_of(cx, bill.number),
        payment_rows.discounts_of(cx, bill.account).get(bill.number, 0),
    )
