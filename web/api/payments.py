"""Payments through the API: received by staff, and seen by whose account it is; customers pay on their invoices."""

import secrets
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from control.ledger import Entry, EntryRefused, Kind, Why
from control.payments.payment import Payment
from control.payments.payment_rows import by_entries
from mediation.feeds.problems import CONTENT_TYPE, json_response
from rating.store.reading import instant_text
from web.api import control_shapes as shapes
from web.api.accounts import account_of, amount
from web.api.bodies import micros_of, read_json
from web.api.idempotency import HEADER, KeptAnswers
from web.api.paging import known_only, limit_of, number_after
from web.api.shapes import Problem
from web.refusals import NotFound, Refused
from web.request import principal_of
from web.routing import CALLS, STAFF, Route
from web.site import Site

ALL_THAT_IS_DUE: Final = (
    "A decimal above zero; without it all that is billed and due, or all that is owed where nothing is."
)
NOT_DUE: Final = frozenset({Why.ZERO_BALANCE, Why.CREDIT_BALANCE, Why.OVER_AMOUNT})
"""The balance is against it; everything else is wrong with what was sent."""


class PaymentBody(Struct, forbid_unknown_fields=True):
    """A payment that was received."""

    amount: Annotated[str, Meta(description=ALL_THAT_IS_DUE)] | None = None
    currency: str | None = None
    """The account's; another one is refused."""
    remark: Annotated[str, Meta(max_length=500)] = ""

    def amount_micros(self) -> int | None:
        """In micro-units. Raises Refused."""
        return micros_of("amount", self.amount)


class PaymentsAPI:
    """`/api/v1/accounts/{account}/payments`."""

    def __init__(self, site: Site, kept: KeptAnswers) -> None:
        self._site = site
        self._kept = kept

    def routes(self) -> tuple[Route, ...]:
        """What this part serves."""
        path = "/api/v1/accounts/{account}/payments"
        return (
            Route(
                "GET", path, self._list, CALLS, "Payments, discounts and credits of an account, the newest first",
                owned="account", answer=msgspec.json.schema(shapes.PaymentPage), query=("limit", "after"),
            ),
            Route(
                "POST", path, self._kept.guarded(self._receive), STAFF,
                "Record a payment that was received; its key is kept for good", owned="account",
                answer=msgspec.json.schema(shapes.PaymentAccepted), takes=msgspec.json.schema(PaymentBody), done=202,
            ),
        )  # fmt: skip

    async def _list(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query, "limit", "after")
        limit, before = limit_of(request.query), number_after(request.query)
        account = account_of(self._site, request)
        found = await self._site.room.ledger.entries(account.account, limit=limit + 1, before=before, besides=Kind.BILL)
        by_customer = await self._site.readers.read(by_entries, [entry.id for entry in found])
        told = principal_of(request).account is None
        items = [_payment(entry, by_customer.get(entry.id), told=told) for entry in found[:limit]]
        return json_response(shapes.PaymentPage(items, str(items[-1].payment) if len(found) > limit else None))

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        account = account_of(self._site, request)
        body = await read_json(request, PaymentBody)
        try:
            recorded = await self._site.room.pay(
                account.account,
                body.amount_micros(),
                body.currency or account.currency,
                principal_of(request).actor,
                # Without a key of the caller's every call is a payment of its own.
                request.headers.get(HEADER) or secrets.token_urlsafe(16),
                body.remark,
            )
        except EntryRefused as refused:
            return _refusal(refused)
        return json_response(shapes.PaymentAccepted(recorded.entry.id, "accepted"), status=202)


def _refusal(refused: EntryRefused) -> web.Response:
    """A problem that names its reason where the balance is against it. Raises Refused for others."""
    if refused.why is Why.UNKNOWN_ACCOUNT:
        raise NotFound
    if refused.why not in NOT_DUE:
        raise Refused(422, f"{refused.why}: {refused}")
    said = Problem("about:blank", "Conflict", 409, str(refused), refused.why)
    return web.Response(body=msgspec.json.encode(said), status=409, content_type=CONTENT_TYPE)


def _payment(entry: Entry, paid: Payment | None, *, told: bool) -> shapes.PaymentAnswer:
    """An entry, with the customer's payment that made it."""
    return shapes.PaymentAnswer(
        entry.id, entry.kind, amount(entry.amount_micros), entry.currency, instant_text(entry.at),
        entry.actor if told else None, entry.remark, entry.reverses, paid.invoice if paid else None,
        paid.state if paid else None,
    )  # fmt: skip
