"""What staff enter in an account's ledger beside payments, through the API: credits, and entries taken back."""

import secrets
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from control.ledger import Entry, EntryRefused, Why
from mediation.feeds.problems import json_response
from web.api import control_shapes as shapes
from web.api.accounts import account_of, amount
from web.api.bodies import micros_of, read_json
from web.api.idempotency import HEADER, KeptAnswers
from web.refusals import NotFound, Refused
from web.request import principal_of
from web.routing import STAFF, Route
from web.site import Site

Reason = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=500,
        description="Why, in one line: the audit log and the customer's statements have it.",
        examples=["Charged twice for the line that moved"],
    ),
]


class CreditBody(Struct, forbid_unknown_fields=True):
    """What is granted to an account, without money."""

    amount: Annotated[str, Meta(description="A decimal above zero.", examples=["5.00"])]
    reason: Reason
    currency: str | None = None
    """The account's; another one is refused."""


class ReversalBody(Struct, forbid_unknown_fields=True):
    """Why an entry is taken back."""

    reason: Reason


class EntriesAPI:
    """`/api/v1/accounts/{account}/credits`, `/api/v1/accounts/{account}/entries/{entry}/reversal`."""

    def __init__(self, site: Site, kept: KeptAnswers) -> None:
        self._site = site
        self._kept = kept

    def routes(self) -> tuple[Route, ...]:
        """What this part serves."""
        one, made = "/api/v1/accounts/{account}", msgspec.json.schema(shapes.EntryMade)
        return (
            Route(
                "POST", one + "/credits", self._kept.guarded(self._credit), STAFF,
                "Grant a credit; its key is kept for good", owned="account",
                answer=made, takes=msgspec.json.schema(CreditBody), done=201,
            ),
            Route(
                "POST", one + "/entries/{entry:[0-9]{1,18}}/reversal", self._kept.guarded(self._reverse), STAFF,
                "Take a payment, credit or discount back, whole; its key is kept for good", owned="account",
                answer=made, takes=msgspec.json.schema(ReversalBody), done=201,
            ),
        )  # fmt: skip

    async def _credit(self, request: web.Request) -> web.StreamResponse:
        account, body = account_of(self._site, request), await read_json(request, CreditBody)
        micros = micros_of("amount", body.amount)
        assert micros is not None
        try:
            recorded = await self._site.room.credit(
                account.account,
                micros,
                body.currency or account.currency,
                principal_of(request).actor,
                _key(request),
                body.reason,
            )
        except EntryRefused as refused:
            raise _refusal(refused) from None
        return self._made(recorded.entry)

    async def _reverse(self, request: web.Request) -> web.StreamResponse:
        account, body = account_of(self._site, request), await read_json(request, ReversalBody)
        try:
            recorded = await self._site.payments.take_back(
                account.account,
                int(request.match_info["entry"]),
                actor=principal_of(request).actor,
                key=_key(request),
                remark=body.reason,
            )
        except EntryRefused as refused:
            raise _refusal(refused) from None
        return self._made(recorded.entry)

    def _made(self, entry: Entry) -> web.Response:
        due = self._site.exposure.balance_due(entry.account)
        said = shapes.EntryMade(
            entry.id, entry.kind, amount(entry.amount_micros), entry.currency, entry.reverses, amount(due)
        )
        answer = json_response(said, status=201)
        answer.headers["Location"] = f"/api/v1/accounts/{entry.account}/payments"
        return answer


def _key(request: web.Request) -> str:
    """Without a key of the caller's every call is an entry of its own."""
    return request.headers.get(HEADER) or secrets.token_urlsafe(16)


def _refusal(refused: EntryRefused) -> Refused | NotFound:
    """409 for what may not be taken back, 422 for everything else that was sent."""
    if refused.why is Why.UNKNOWN_ACCOUNT:
        return NotFound()
    stays = refused.why in (Why.REVERSED, Why.BILL, Why.PAYMENT, Why.SETTLEMENT)
    return Refused(409 if stays else 422, f"{refused.why}: {refused}")
