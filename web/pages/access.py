"""One account's access, for staff: services barred and restored by hand."""

import sqlite3
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from multidict import MultiDict, MultiMapping
from yarl import URL

from access.orders import Order
from control import bars
from control.control_room import Refused as ChangeRefused
from rating.account import Account, Line
from rating.store.account_list import lines_with_services
from web.pages.orders import number_in, orders_part
from web.pages.suspense_forms import FormRefused
from web.refusals import NotFound
from web.rendering import render
from web.request import principal_of, typed_form
from web.routing import STAFF, Route
from web.site import Site

LONGEST_REASON: Final = 500
CONFIRMED: Final = "confirmed"
"""The button that has seen what it does."""
CHANGE: Final = "change"
"""The button that leads back to the form, with what was typed."""


@dataclass(frozen=True, slots=True)
class LineAccess:
    """A service of a line, and why it is barred."""

    line: Line
    reasons: tuple[bars.Reason, ...]


class AccessPages:
    """`/accounts/N/access`, and what is posted from there."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        one = "/accounts/{account}"
        return (
            Route("GET", f"{one}/access", self._access, STAFF, "What to bar or restore", "account"),
            Route("POST", f"{one}/bar", self._bar, STAFF, "Bar services, once that is confirmed", "account"),
            Route("POST", f"{one}/restore", self._restore, STAFF, "Restore services, once confirmed", "account"),
        )

    async def _access(self, request: web.Request) -> web.StreamResponse:
        return await self._access_page(request, MultiDict[str](), "", None)

    async def _access_page(
        self, request: web.Request, form: MultiMapping[str], action: str, refused: FormRefused | None
    ) -> web.Response:
        account = self._account(request)
        lines = await self._site.readers.read(_lines_with_reasons, account.account)
        followed = {"account": account.account, "brief": "yes"}
        part = await orders_part(self._site, principal_of(request), MultiDict(followed))
        services = dict.fromkeys(one.line.service for one in lines if one.line.switch)
        done = {
            name: number for name in ("planned", "retried") if (number := number_in(request.query, name)) is not None
        }
        context = {
            "planned": done.get("planned"),
            "retried": done.get("retried"),
            "refresh": URL(f"/accounts/{account.account}/access").with_query(done),
            "stream": URL("/orders/events").with_query(followed),
            "account": account,
            "lines": lines,
            "services": list(services),
            "barred": list(dict.fromkeys(one.line.service for one in lines if one.reasons)),
            "message": bars.REASON_FOR_THE_SWITCH,
            "action": action,
            "ticked": set(form.getall("service", ())),
            "reason": form.get("reason", ""),
            "refused": refused,
        }
        return render(request, "access.html", context | part)

    async def _bar(self, request: web.Request) -> web.StreamResponse:
        return await self._change(request, "bar")

    async def _restore(self, request: web.Request) -> web.StreamResponse:
        return await self._change(request, "restore")

    async def _change(self, request: web.Request, action: str) -> web.StreamResponse:
        account, form = self._account(request), await typed_form(request)
        if form.get("do") == CHANGE:
            return await self._access_page(request, form, action, None)
        try:
            services, reason = _services_and_reason(form)
            if form.get("do") != CONFIRMED:
                return await self._confirm_page(request, action, services, reason)
            orders = await self._order(account.account, action, services, principal_of(request).actor, reason)
        except FormRefused as refused:
            return await self._access_page(request, form, action, refused)
        raise web.HTTPSeeOther(URL(f"/accounts/{account.account}/access").with_query(planned=len(orders)))

    async def _confirm_page(
        self, request: web.Request, action: str, services: list[str], reason: str
    ) -> web.StreamResponse:
        """What would be done, with each line of it. Nothing is done yet. Raises FormRefused."""
        account = self._account(request)
        lines = await self._site.readers.read(_lines_with_reasons, account.account)
        touched = [one for one in lines if one.line.service in services and one.line.switch]
        if missing := [service for service in services if service not in {one.line.service for one in touched}]:
            raise FormRefused("service", f"account {account.account} has no service {missing[0]} at a switch")
        context = {
            "account": account,
            "action": action,
            "touched": touched,
            "numbers": len({one.line.line for one in touched}),
            "services": list(dict.fromkeys(one.line.service for one in touched)),
            "reason": reason,
            "message": bars.REASON_FOR_THE_SWITCH,
        }
        return render(request, "access_confirm.html", context)

    async def _order(self, account: str, action: str, services: list[str], actor: str, reason: str) -> list[Order]:
        do = self._site.room.bar if action == "bar" else self._site.room.restore
        try:
            return await do(account, services, actor, reason)
        except ChangeRefused as refused:
            raise FormRefused("service", str(refused)) from None

    def _account(self, request: web.Request) -> Account:
        account = self._site.directory.accounts.get(request.match_info["account"])
        if account is None:
            raise NotFound
        return account


def _services_and_reason(form: MultiMapping[str]) -> tuple[list[str], str]:
    """What is to be barred or restored, and why. Raises FormRefused."""
    services, reason = form.getall("service", []), form.get("reason", "").strip()
    if not services:
        raise FormRefused("service", "no service is chosen: tick some")
    if not reason:
        raise FormRefused("reason", "say why: it goes into the audit log")
    if len(reason) > LONGEST_REASON:
        raise FormRefused("reason", f"the reason is longer than {LONGEST_REASON} characters")
    return services, reason


def _lines_with_reasons(cx: sqlite3.Connection, account: str) -> list[LineAccess]:
    """One read."""
    reasons = bars.open_of_account(cx, account)
    return [
        LineAccess(
            line, tuple(r for r in reasons if (r.line, r.service, r.switch) == (line.line, line.service, line.switch))
        )
        for line in lines_with_services(cx, account)
    ]
