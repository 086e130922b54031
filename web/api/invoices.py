"""Invoices through the API: looked at by who may see them, and paid by the customer."""

import asyncio
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from control.billing import bill_rows
from control.billing.bill import Bill, Call, Document
from control.billing.parts import CALLS_SHOWN
from control.ledger import EntryRefused
from control.payments import payment_rows
from control.payments.payment import Accepted, Payment
from control.payments.payment import Refused as NotPayable
from control.payments.service import Attempt, KeyTaken, NoSuchInvoice
from control.users import Role
from mediation.feeds.problems import CONTENT_TYPE, json_response
from rating.cdr import MICROS
from rating.store.reading import instant_text
from web.api import control_shapes, shapes
from web.api import invoice_shapes as told
from web.api.accounts import amount
from web.api.bodies import micros_of, read_json
from web.api.idempotency import HEADER, LONGEST_KEY
from web.api.paging import known_only, limit_of, number_after
from web.invoice_access import visible_bill, visible_bills
from web.refusals import NotFound, Refused
from web.request import principal_of
from web.routing import CUSTOMER, Route
from web.site import Site

SEEN_BY: Final = frozenset({Role.STAFF, Role.CUSTOMER, Role.AGENT})


class PayBody(Struct, forbid_unknown_fields=True):
    """What a customer pays."""

    amount: (
        Annotated[str, Meta(description="A decimal above zero; all that is due, less discounts in time, without it.")]
        | None
    ) = None
    currency: str | None = None
    """The invoice's; another one is refused."""

    def amount_micros(self) -> int | None:
        """In micro-units. Raises Refused."""
        return micros_of("amount", self.amount)


class InvoicesAPI:
    """`/api/v1/invoices`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What this part serves."""
        one = "/api/v1/invoices/{invoice:[0-9]{1,18}}"
        return (
            Route(
                "GET", "/api/v1/invoices", self._list, SEEN_BY,
                "Invoices that one may see, the newest first; of an account where it is named",
                answer=msgspec.json.schema(told.InvoicePage), query=("account", "limit", "after"),
            ),
            Route(
                "GET", one, self._one, SEEN_BY,
                f"An invoice with its calls, {CALLS_SHOWN:,} at a time, and how it stands now",
                owned="invoice", answer=msgspec.json.schema(told.InvoiceWhole), query=("after",),
            ),
            Route(
                "POST", one + "/payments", self._pay, CUSTOMER,
                "Pay what the account owes; it has to carry an Idempotency-Key, which is kept for good",
                owned="invoice", answer=msgspec.json.schema(control_shapes.PaymentAccepted),
                takes=msgspec.json.schema(PayBody), done=202,
            ),
        )  # fmt: skip

    async def _list(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query, "account", "limit", "after")
        limit, before = limit_of(request.query), number_after(request.query)
        account = request.query.get("account") or None
        found = await visible_bills(self._site, principal_of(request), account, limit=limit + 1, before=before)
        items = [told.InvoiceAnswer(**_figures(bill)) for bill in found[:limit]]
        return json_response(told.InvoicePage(items, str(items[-1].invoice) if len(found) > limit else None))

    async def _one(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query, "after")
        seen = number_after(request.query) or 0
        principal = principal_of(request)
        bill = await visible_bill(self._site, principal, int(request.match_info["invoice"]))
        part, attempts = await self._site.readers.read(
            lambda cx: (
                bill_rows.part(cx, bill.number, seen + 1, CALLS_SHOWN),
                payment_rows.of_invoice(cx, bill.number),
            )
        )
        payable = await self._site.payments.payable(bill.number)
        return json_response(
            told.InvoiceWhole(
                **_figures(bill),
                sections=await asyncio.to_thread(_sections, part.document),
                next=str(part.last) if part.last < bill.calls else None,
                balance_due=amount(self._site.exposure.balance_due(bill.account)),
                payable=_payable(payable),
                attempts=[_attempt(payment, is_told=principal.role is Role.STAFF) for payment in attempts],
            )
        )

    async def _pay(self, request: web.Request) -> web.StreamResponse:
        principal = principal_of(request)
        bill = await visible_bill(self._site, principal, int(request.match_info["invoice"]))
        key = request.headers.get(HEADER)
        if key is None:
            raise Refused(400, f"send {HEADER}: with it a payment that is sent again is not made again")
        if not (0 < len(key) <= LONGEST_KEY and key.isprintable()):
            raise Refused(422, f"{HEADER} has 1 to {LONGEST_KEY} printable characters")
        body = await read_json(request, PayBody) if await request.read() else PayBody()
        try:
            tried = await self._site.payments.pay(
                bill.number, body.amount_micros(), actor=principal.actor, key=key, currency=body.currency
            )
        except KeyTaken as refused:
            return _conflict("key", str(refused))
        except EntryRefused as refused:
            raise Refused(422, f"{refused.why}: {refused}") from None
        except NoSuchInvoice:
            raise NotFound from None
        return _answered(tried)


def _answered(tried: Attempt) -> web.Response:
    """The same for a payment whatever became of it since."""
    payment = tried.payment
    if payment.entry is None:
        return _conflict(str(payment.reason), payment.words)
    return json_response(control_shapes.PaymentAccepted(payment.entry, "accepted"), status=202)


def _conflict(reason: str, words: str) -> web.Response:
    said = shapes.Problem("about:blank", "Conflict", 409, words, reason)
    return web.Response(body=msgspec.json.encode(said), status=409, content_type=CONTENT_TYPE)


def _figures(bill: Bill) -> dict[str, Any]:
    offer = bill.discount
    return {
        "invoice": bill.number,
        "account": bill.account,
        "name": bill.name,
        "period": bill.period,
        "cycle_start": instant_text(bill.cycle_start),
        "cycle_end": instant_text(bill.cycle_end),
        "issued_at": instant_text(bill.issued_at),
        "issued_on": bill.issued_on.isoformat(),
        "due_on": bill.due_on.isoformat(),
        "currency": bill.currency,
        "previous_balance": amount(bill.previous_balance_micros),
        "payments": amount(bill.payments_micros),
        "adjustments": amount(bill.adjustments_micros),
        "current_charges": amount(bill.current_charges_micros),
        "rounding": amount(bill.rounding_micros or 0),
        "total_due": amount(bill.total_due_micros),
        "discount": offer
        and told.DiscountAnswer(
            amount(offer.amount_micros), offer.first_on.isoformat(), offer.last_on.isoformat(), offer.rule
        ),
        "calls": bill.calls,
    }


def _sections(document: Document) -> list[told.ProviderSection]:
    return [
        told.ProviderSection(
            provider.provider,
            amount(provider.charges_micros),
            [
                told.LineSection(line.line, amount(line.charges_micros), [_call(call) for call in line.calls])
                for line in provider.lines
            ],
        )
        for provider in document.sections
    ]


def _call(call: Call) -> told.CallAnswer:
    us = call.duration_us
    return told.CallAnswer(
        call.transaction, call.local.isoformat(), call.calling, call.called, call.place, call.destination, call.type,
        call.service, us / MICROS if us % MICROS else us // MICROS, call.billed_s, call.units,
        amount(call.charge_micros), call.reverses,
    )  # fmt: skip


def _payable(payable: Accepted | NotPayable) -> told.PayableAnswer:
    if isinstance(payable, NotPayable):
        return told.PayableAnswer("0.00", "0.00", None, payable.reason, payable.words)
    until = payable.last_on.isoformat() if payable.last_on else None
    return told.PayableAnswer(amount(payable.amount_micros), amount(payable.discount_micros), until, None, "")


def _attempt(payment: Payment, *, is_told: bool) -> told.InvoicePaymentAnswer:
    micros = payment.amount_micros
    return told.InvoicePaymentAnswer(
        payment.entry, None if micros is None else amount(micros), amount(payment.discount_micros), payment.state,
        payment.reason, payment.words, instant_text(payment.requested_at), instant_text(payment.changed_at),
        payment.actor if is_told else None,
    )  # fmt: skip
