"""An account's online bills, for staff: how it stands, what happened, and a way to enrol it or to cancel that."""

import sqlite3
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from multidict import MultiDict, MultiMapping
from yarl import URL

from control.enrolment import BankDetails, EnrolmentRefused, Method, enrolment_rows
from control.enrolment.enrolment import Enrolment
from control.enrolment.enrolment_rows import Told
from rating.account import Account
from web.ownership import visible_account
from web.pages.suspense_forms import FormRefused
from web.rendering import render
from web.request import principal_of, typed_form
from web.routing import STAFF, Route
from web.site import Site

PAPER: Final = "paper"
CHOICES: Final = (PAPER, *Method)
CHANGES: Final = 50


@dataclass(frozen=True, slots=True)
class Chosen:
    """What stands in the store of an account's payment options."""

    enrolment: Enrolment | None
    bank: BankDetails | None

    @property
    def choice(self) -> str:
        """One of CHOICES."""
        return self.enrolment.payment_method if self.enrolment and self.enrolment.enrolled else PAPER


def chosen(cx: sqlite3.Connection, account: str) -> Chosen:
    """One read."""
    return Chosen(enrolment_rows.enrolment_of(cx, account), enrolment_rows.bank_details_of(cx, account))


async def choose(site: Site, account: str, choice: str, actor: str, reason: str = "") -> str:
    """Let an account's bills come so, and be paid so; what that did: enrolled, cancelled or saved. Raises
    FormRefused."""
    if choice not in CHOICES:
        raise FormRefused("choice", "choose one of these")
    try:
        if choice == PAPER:
            return "cancelled" if await site.enrolments.cancel(account, actor, reason=reason) else "saved"
        return "enrolled" if await site.enrolments.enrol(account, actor, Method(choice), reason=reason) else "saved"
    except EnrolmentRefused as refused:
        raise FormRefused("choice", str(refused)) from None


class EnrolmentPages:
    """`/accounts/N/enrolment`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        path = "/accounts/{account}/enrolment"
        return (
            Route("GET", path, self._fresh, STAFF, "An account's online bills, and their history", owned="account"),
            Route("POST", path, self._choose, STAFF, "Enrol an account or cancel that, with a reason", owned="account"),
        )

    async def _fresh(self, request: web.Request) -> web.StreamResponse:
        return await self._page(request, visible_account(self._site, request), MultiDict[str](), None)

    async def _page(
        self, request: web.Request, account: Account, form: MultiMapping[str], refused: FormRefused | None
    ) -> web.Response:
        now, changes = await self._site.readers.read(_chosen_and_changes, account.account)
        context = {
            "account": account,
            "chosen": now,
            "changes": changes,
            "choice": typed if (typed := form.get("choice", "")) in CHOICES else now.choice,
            "reason": form.get("reason", ""),
            "refused": refused,
            "done": request.query.get("done", ""),
        }
        return render(request, "enrolment.html", context)

    async def _choose(self, request: web.Request) -> web.StreamResponse:
        account, form = visible_account(self._site, request), await typed_form(request)
        try:
            reason = form.get("reason", "").strip()
            if not reason:
                raise FormRefused("reason", "say why: it goes into the audit log")
            actor = principal_of(request).actor
            done = await choose(self._site, account.account, form.get("choice", ""), actor, reason)
        except FormRefused as refused:
            return await self._page(request, account, form, refused)
        raise web.HTTPSeeOther(URL(f"/accounts/{account.account}/enrolment").with_query(done=done))


def _chosen_and_changes(cx: sqlite3.Connection, account: str) -> tuple[Chosen, list[Told]]:
    """One read."""
    return chosen(cx, account), enrolment_rows.changes_of(cx, account, limit=CHANGES)
