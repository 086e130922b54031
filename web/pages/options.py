"""What people choose for themselves: account options with the own password and sessions, and payment options."""

from typing import Final

from aiohttp import web
from multidict import MultiDict, MultiMapping

from control.enrolment import BankDetailsRefused, read_bank_details, scheme_of
from control.users import PasswordRefused
from rating.account import Account
from web.pages.enrolment import CHOICES, Chosen, choose, chosen
from web.pages.suspense_forms import FormRefused
from web.refusals import NotFound
from web.rendering import render
from web.request import principal_of, session_of, typed_form
from web.routing import CUSTOMER, EVERYBODY, Route
from web.site import Site

BANK_FIELDS: Final = ("holder", "routing", "number", "iban")


class OptionsPages:
    """`/account`, `/payment-options`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        bank = "/payment-options/bank"
        return (
            Route("GET", "/account", self._account, EVERYBODY, "Account options: who one is, password, sessions"),
            Route("POST", "/account/password", self._change_password, EVERYBODY, "Change the own password"),
            Route("POST", "/account/sessions/{id:[0-9]+}", self._end_session, EVERYBODY, "End an own session"),
            Route("GET", "/payment-options", self._options, CUSTOMER, "How bills come and are paid; bank details"),
            Route("POST", "/payment-options", self._choose, CUSTOMER, "Enrol, cancel, or pay another way"),
            Route("POST", bank, self._enter_bank, CUSTOMER, "Enter bank details in the place of others"),
            Route("POST", f"{bank}/remove", self._remove_bank, CUSTOMER, "Forget the bank details"),
        )

    # Account options.

    async def _account(self, request: web.Request) -> web.StreamResponse:
        return await self._account_page(request)

    async def _account_page(self, request: web.Request, refused: str = "") -> web.Response:
        user = session_of(request).user
        account = self._site.directory.accounts.get(user.account) if user.account else None
        now = await self._site.readers.read(chosen, account.account) if account else None
        context = {
            "user": user,
            "account": account,
            "chosen": now,
            "sessions": self._site.users.sessions_of(user.id),
            "own": session_of(request).id,
            "refused": refused,
            "done": request.query.get("done", ""),
        }
        return render(request, "account.html", context)

    async def _change_password(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        old, new, again = (str(form.get(field, "")) for field in ("old", "new", "again"))
        if new != again:
            return await self._account_page(request, "The new password and its repetition differ.")
        try:
            await self._site.users.change_password(principal_of(request), old, new)
        except PasswordRefused as refused:
            return await self._account_page(request, str(refused))
        raise web.HTTPSeeOther("/account?done=password")

    async def _end_session(self, request: web.Request) -> web.StreamResponse:
        number = int(request.match_info["id"][:18])
        if all(session.id != number for session in self._site.users.sessions_of(session_of(request).user.id)):
            raise NotFound
        await self._site.users.revoke(number)
        raise web.HTTPSeeOther("/account?done=session")

    # Payment options.

    async def _options(self, request: web.Request) -> web.StreamResponse:
        return await self._options_page(request, MultiDict[str](), None)

    async def _options_page(
        self, request: web.Request, form: MultiMapping[str], refused: FormRefused | None
    ) -> web.Response:
        account = self._own(request)
        now: Chosen = await self._site.readers.read(chosen, account.account)
        context = {
            "account": account,
            "chosen": now,
            "choice": typed if (typed := form.get("choice", "")) in CHOICES else now.choice,
            "scheme": scheme_of(account.currency),
            "typed": {name: form.get(name, "") for name in BANK_FIELDS},
            "refused": refused,
            "done": request.query.get("done", ""),
        }
        return render(request, "payment_options.html", context)

    async def _choose(self, request: web.Request) -> web.StreamResponse:
        form, account, actor = await typed_form(request), self._own(request), principal_of(request).actor
        try:
            done = await choose(self._site, account.account, form.get("choice", ""), actor)
        except FormRefused as refused:
            return await self._options_page(request, form, refused)
        raise web.HTTPSeeOther(f"/payment-options?done={done}")

    async def _enter_bank(self, request: web.Request) -> web.StreamResponse:
        form, account = await typed_form(request), self._own(request)
        typed = {name: form.get(name, "")[:200] for name in BANK_FIELDS}
        try:
            details = read_bank_details(scheme_of(account.currency), **typed)
        except BankDetailsRefused as refused:
            return await self._options_page(request, form, FormRefused(refused.field, str(refused)))
        await self._site.enrolments.keep_bank_details(account.account, details, principal_of(request).actor)
        raise web.HTTPSeeOther("/payment-options?done=bank")

    async def _remove_bank(self, request: web.Request) -> web.StreamResponse:
        account = self._own(request)
        await self._site.enrolments.forget_bank_details(account.account, principal_of(request).actor)
        raise web.HTTPSeeOther("/payment-options?done=removed")

    def _own(self, request: web.Request) -> Account:
        account = self._site.directory.accounts.get(principal_of(request).account or "")
        if account is None:
            raise NotFound
        return account
