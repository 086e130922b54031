"""An account's enrolment in online bills through the API: read by staff, its agent and its customer; changed by staff
and the customer."""

from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from control.enrolment import Enrolment, EnrolmentRefused, Method, enrolment_rows
from control.users import Role
from mediation.feeds.problems import json_response
from rating.store.reading import instant_text
from web.api.bodies import read_json
from web.api.idempotency import KeptAnswers
from web.api.paging import known_only
from web.api.shapes import Instant
from web.ownership import visible_account
from web.refusals import Refused
from web.request import principal_of
from web.routing import CALLS, Route
from web.site import Site

READERS: Final = CALLS | {Role.AGENT}
PATH: Final = "/api/v1/accounts/{account}/enrolment"


class EnrolmentBody(Struct, forbid_unknown_fields=True):
    """How the bills of an account come, and are paid, from now on."""

    enrolled: bool
    """True: online; false: on paper."""
    payment_method: Method | None = None
    """Left out, it stays what it is, and is `web` for an account that was not enrolled. `automatic` wants bank details,
    which the customer enters on the pages."""
    reason: Annotated[str, Meta(max_length=500, description="Why: it goes into the audit log. Staff have to say.")] = ""


class EnrolmentAnswer(Struct):
    """Whether an account takes online bills."""

    account: str
    enrolled: bool
    payment_method: Method | None
    """Null for an account that was never enrolled; the last one for one that is not any more."""
    since: Instant | None
    """When it became so; null for an account that never was."""
    by: str | None
    """Who did it, for staff."""


_STATED: Final = {
    "account": "4000012345", "enrolled": True, "payment_method": "web", "since": "2026-11-20T14:07:31Z", "by": "stella",
}  # fmt: skip


def with_examples(schema: dict[str, Any], *examples: dict[str, Any]) -> dict[str, Any]:
    """A shape that is shown by example in the description."""
    return schema | {"examples": list(examples)}


class EnrolmentAPI:
    """`/api/v1/accounts/{account}/enrolment`."""

    def __init__(self, site: Site, kept: KeptAnswers) -> None:
        self._site = site
        self._kept = kept

    def routes(self) -> tuple[Route, ...]:
        """What this part serves."""
        answer = with_examples(msgspec.json.schema(EnrolmentAnswer), _STATED)
        takes = with_examples(
            msgspec.json.schema(EnrolmentBody),
            {"enrolled": True, "payment_method": "web", "reason": "asked for on the telephone"},
            {"enrolled": False, "reason": "wants paper again"},
        )
        return (
            Route(
                "GET", PATH, self._read, READERS, "Whether an account takes online bills, and how it pays",
                owned="account", answer=answer,
            ),
            Route(
                "PUT", PATH, self._kept.guarded(self._change), CALLS,
                "Enrol an account for online bills, cancel that, or change how it pays; its agent is told",
                owned="account", answer=answer, takes=takes,
            ),
        )  # fmt: skip

    async def _read(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query)
        return await self._answer(request)

    async def _change(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query)
        account, principal = visible_account(self._site, request).account, principal_of(request)
        body = await read_json(request, EnrolmentBody)
        reason = body.reason.strip()
        if principal.role is Role.STAFF and not reason:
            raise Refused(422, "reason: say why: it goes into the audit log")
        if body.payment_method is not None and not body.enrolled:
            raise Refused(422, "payment_method: an account on paper bills has none; leave it out")
        enrolments = self._site.enrolments
        try:
            if body.enrolled:
                await enrolments.enrol(account, principal.actor, body.payment_method, reason=reason)
            else:
                await enrolments.cancel(account, principal.actor, reason=reason)
        except EnrolmentRefused as refused:
            raise Refused(409, str(refused)) from None
        return await self._answer(request)

    async def _answer(self, request: web.Request) -> web.Response:
        account = visible_account(self._site, request).account
        enrolment = await self._site.readers.read(enrolment_rows.enrolment_of, account)
        return json_response(_told(account, enrolment, is_staff=principal_of(request).role is Role.STAFF))


def _told(account: str, enrolment: Enrolment | None, *, is_staff: bool) -> EnrolmentAnswer:
    if enrolment is None:
        return EnrolmentAnswer(account, False, None, None, None)
    by = enrolment.actor if is_staff else None
    return EnrolmentAnswer(account, enrolment.enrolled, enrolment.payment_method, instant_text(enrolment.at), by)
