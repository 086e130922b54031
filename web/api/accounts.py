"""Accounts through the API: what they have used, what their limits leave, and their lines."""

from typing import Final

import msgspec
from aiohttp import web

from control import bars
from mediation.feeds.problems import json_response
from rating.account import Account, Line
from rating.money import format_micros
from rating.numbering import display
from rating.store.account_list import find_accounts, lines_with_services
from rating.store.provisioning import has_account
from rating.store.reading import instant_text
from web.api import shapes
from web.api.paging import key_of, known_only, limit_of, no_key, number_after
from web.refusals import NotFound
from web.request import principal_of
from web.routing import CALLS, STAFF, Route
from web.site import Site
from web.usage import usage_of

CENTS: Final = 2
PLACES: Final = 6


class AccountsAPI:
    """`/api/v1/accounts`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What this part serves."""
        one = "/api/v1/accounts/{account}"
        return (
            Route(
                "GET", "/api/v1/accounts", self._list, STAFF,
                "Accounts, all or those that hold every word of q in number, name, e-mail, agent or a line",
                answer=msgspec.json.schema(shapes.AccountPage), query=("q", "limit", "after"),
            ),
            Route(
                "GET", one, self._one, CALLS, "An account: its limit, what it has used, what is due, what is barred",
                owned="account", answer=msgspec.json.schema(shapes.AccountAnswer),
            ),
            Route(
                "GET", one + "/lines", self._lines, CALLS, "The lines of an account, with their services",
                owned="account", answer=msgspec.json.schema(shapes.LinePage), query=("limit", "after"),
            ),
        )  # fmt: skip

    async def _list(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query, "q", "limit", "after")
        words, after, limit = request.query.get("q", "")[:200], key_of(request.query), limit_of(request.query)
        # Numbers of the store, usage of the counters: both are of the accounts that the directory has by now.
        known = self._site.directory.accounts
        # One that is imported just now is in the store, and in a moment in the directory.
        if after and after not in known and not await self._site.readers.read(has_account, after):
            raise no_key()
        page = await self._site.readers.read(find_accounts, words, after, limit, None, len(known))
        accounts = [account for account in page.accounts if account.account in known]
        barred = await self._site.readers.read(
            lambda cx: {one.account: bars.open_of_account(cx, one.account) for one in accounts}
        )
        items = [self._answer(account, barred[account.account]) for account in accounts]
        return json_response(shapes.AccountPage(items, page.next, page.matching, page.all))

    async def _one(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query)
        account = account_of(self._site, request)
        return json_response(self._answer(account, await self._site.room.barred(account.account)))

    async def _lines(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query, "limit", "after")
        limit, after = limit_of(request.query), number_after(request.query) or 0
        account = account_of(self._site, request)
        lines = await self._site.readers.read(lines_with_services, account.account)
        some = lines[after : after + limit]
        more = str(after + limit) if after + limit < len(lines) else None
        return json_response(shapes.LinePage([_line(line) for line in some], more))

    def _answer(self, account: Account, reasons: list[bars.Reason]) -> shapes.AccountAnswer:
        used = usage_of(self._site, account)
        unbilled = self._site.exposure.unbilled(account.account, self._site.clock())
        limit, left = account.credit_limit_micros, used.left_micros
        return shapes.AccountAnswer(
            number=account.account,
            name=account.name,
            email=account.email,
            currency=account.currency,
            timezone=account.timezone,
            tariff=account.tariff,
            agent=account.agent,
            cycle_day=account.cycle_day,
            phone=account.phone,
            language=account.language,
            segment=account.segment,
            credit_limit=None if limit is None else amount(limit),
            exposure=amount(used.exposure_micros),
            unbilled=amount(unbilled),
            balance_due=amount(self._site.exposure.balance_due(account.account)),
            left=None if left is None else amount(left),
            barred=_barred(reasons),
        )


def account_of(site: Site, request: web.Request) -> Account:
    """The account of a request's path, if who asks may see it. Raises NotFound."""
    principal, number = principal_of(request), request.match_info["account"]
    account = site.directory.accounts.get(number)
    if account is None or principal.account not in (None, number):
        raise NotFound
    return account


def amount(micros: int) -> str:
    """A decimal with two places, or as many more as it has."""
    text = format_micros(micros, PLACES)
    return text[: -(PLACES - CENTS)] + text[-(PLACES - CENTS) :].rstrip("0")


def _barred(reasons: list[bars.Reason]) -> list[shapes.BarredAnswer]:
    """What is barred, each since the oldest of its reasons."""
    oldest = {reason.target.key: reason for reason in reversed(reasons)}
    return [
        shapes.BarredAnswer(display(one.line), one.service, one.switch, instant_text(one.began_at))
        for one in sorted(oldest.values(), key=lambda one: one.id)
    ]


def _line(line: Line) -> shapes.LineAnswer:
    return shapes.LineAnswer(
        display(line.line), line.service, line.account, line.provider, line.switch, line.tariff, line.from_on or None
    )
