"""A customer pays an invoice: a form, what was accepted, and why nothing can be paid."""

import re
import secrets
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from control.billing import bill_rows
from control.billing.bill import Bill
from control.ledger import EntryRefused
from control.payments import payment_rows
from control.payments.payment import Payment, Refused
from control.payments.service import KeyTaken
from rating.money import parse_micros
from web.pages.invoices import INVOICE, bill_for, is_on_paper, local_day, of_discount, on_paper
from web.pages.suspense_forms import FormRefused
from web.rendering import known_to_all, money, render
from web.request import principal_of, typed_form
from web.routing import CUSTOMER, Route
from web.site import Site

PAY: Final = "/pay"
_WITH_COMMAS: Final = re.compile(r"\d{1,3}(,\d{3})+(\.\d*)?")


@dataclass(frozen=True, slots=True)
class NotAvailable:
    """Why nothing can be paid."""

    reason: str
    """One of Reason; `no-invoice` before the first."""
    words: str


class PayingPages:
    """`/pay`, `/invoices/N/pay`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        pay = f"{INVOICE}/pay"
        return (
            Route("GET", PAY, self._latest, CUSTOMER, "Pay the latest invoice"),
            Route("GET", pay, self._form, CUSTOMER, "Pay an invoice, or why it cannot be paid", owned="invoice"),
            Route("POST", pay, self._pay, CUSTOMER, "Pay an invoice", owned="invoice"),
        )

    async def _latest(self, request: web.Request) -> web.StreamResponse:
        if is_on_paper(self._site, request):
            return on_paper(request)
        bill = await self._site.readers.read(bill_rows.latest_of, principal_of(request).account or "")
        if bill is None:
            words = "there is no invoice yet: the first comes when its bill cycle has ended"
            return await self._not_available(request, None, NotAvailable("no-invoice", words))
        return await self._form_page(request, bill)

    async def _form(self, request: web.Request) -> web.StreamResponse:
        bill = await bill_for(self._site, request)
        if bill is None:
            return on_paper(request)
        if (accepted := await self._accepted(request, bill)) is not None:
            return render(request, "payment_accepted.html", {"bill": bill, "payment": accepted})
        return await self._form_page(request, bill)

    async def _accepted(self, request: web.Request, bill: Bill) -> Payment | None:
        """The accepted payment that the address names, if it is one on the invoice."""
        named = request.query.get("accepted", "")
        if not re.fullmatch(r"[0-9]{1,18}", named):
            return None
        found = await self._site.readers.read(payment_rows.by_entries, [int(named)])
        payment = found.get(int(named))
        return payment if payment is not None and payment.invoice == bill.number else None

    async def _form_page(
        self, request: web.Request, bill: Bill, typed: str | None = None, refused: FormRefused | None = None
    ) -> web.Response:
        payable = await self._site.payments.asked_to_pay(bill.number, actor=principal_of(request).actor)
        if isinstance(payable, Refused):
            return await self._not_available(request, bill, NotAvailable(payable.reason, payable.words))
        today = local_day(self._site.clock(), bill.account, self._site)
        taken = await self._site.readers.read(payment_rows.discounts_of, bill.account)
        context = {
            "bill": bill,
            "payable": payable,
            "due_micros": payable.amount_micros + payable.discount_micros,
            "of_discount": of_discount(bill, payable, taken.get(bill.number, 0), today),
            "typed": money(payable.amount_micros, bill.places).replace(",", "") if typed is None else typed,
            "key": secrets.token_urlsafe(18),
            "refused": refused,
        }
        return render(request, "pay.html", context)

    async def _pay(self, request: web.Request) -> web.StreamResponse:
        bill = await bill_for(self._site, request)
        if bill is None:
            return on_paper(request)
        form = await typed_form(request)
        typed, key = form.get("amount", "")[:100].strip(), form.get("key", "")
        try:
            micros = amount_micros(typed)
            if micros is None:
                raise FormRefused("amount", "no amount was given: all that is due is filled in, or write less")
            if not key:
                raise FormRefused("amount", "the form was not sent whole: look at the amount, and send it again")
            tried = await self._site.payments.pay(bill.number, micros, actor=principal_of(request).actor, key=key)
        except FormRefused as refused:
            return await self._form_page(request, bill, typed or None, refused)
        except EntryRefused as refused:
            return await self._form_page(request, bill, typed, FormRefused("amount", str(refused)))
        except KeyTaken:
            words = "this form was sent before with another amount: look at what is due now, and send it again"
            return await self._form_page(request, bill, typed, FormRefused("amount", words))
        payment = tried.payment
        if payment.entry is None:
            return await self._not_available(request, bill, NotAvailable(str(payment.reason), payment.words))
        raise web.HTTPSeeOther(f"/invoices/{bill.number}/pay?accepted={payment.entry}")

    async def _not_available(self, request: web.Request, bill: Bill | None, why: NotAvailable) -> web.Response:
        """The page that has no way to pay, in the menu bar neither."""
        account = principal_of(request).account or ""
        context = {
            "bill": bill,
            "why": why,
            "due_micros": self._site.exposure.balance_due(account),
            "pending": await self._site.readers.read(payment_rows.pending, account),
            "menu": [entry for entry in known_to_all(request)["menu"] if entry[0] != PAY],
        }
        return render(request, "payment_not_available.html", context)


def amount_micros(typed: str) -> int | None:
    """An amount as typed, with or without thousands' commas; None for an empty one. Raises FormRefused."""
    if not typed:
        return None
    try:
        micros = parse_micros(typed.replace(",", "") if _WITH_COMMAS.fullmatch(typed) else typed)
    except ValueError as error:
        raise FormRefused("amount", str(error)) from None
    return micros
