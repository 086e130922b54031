"""First pages: the system at work for staff, the own use for a customer."""

import sqlite3
from datetime import datetime
from typing import Any, Final

from aiohttp import web

from rating.account import Account
from rating.search.by_day import charges_by_day
from rating.store.lately import Lately, lately
from web.live import LiveParts
from web.pages.accounts import last_calls
from web.refusals import NotFound
from web.rendering import render
from web.request import principal_of
from web.routing import CUSTOMER, STAFF, Route
from web.site import Site
from web.usage import NearLimits, usage_of

HOLDS_US: Final = 900_000
"""What was rated lately is looked up once for all who watch."""


class OverviewPages:
    """`/live`, `/home`."""

    def __init__(self, site: Site, live: LiveParts) -> None:
        self._site = site
        self._live = live
        self._near = NearLimits(site)
        self._lately: tuple[int, Lately | None] = (-HOLDS_US, None)

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        return (
            Route("GET", "/live", self._staff, STAFF, "Calls and charges as they come in"),
            Route("GET", "/live/events", self._staff_events, STAFF, "The same, live"),
            Route("GET", "/home", self._home, CUSTOMER, "What was used, and what the limit leaves"),
            Route("GET", "/home/events", self._home_events, CUSTOMER, "The same, live"),
        )

    async def _staff(self, request: web.Request) -> web.StreamResponse:
        return render(request, "live.html", await self._staff_part(request))

    async def _staff_events(self, request: web.Request) -> web.StreamResponse:
        return await self._live.stream(request, "live_part.html", self._staff_part)

    async def _staff_part(self, _request: web.Request) -> dict[str, Any]:
        now = self._site.clock()
        looked_at, found = self._lately
        if found is None or not 0 <= now - looked_at < HOLDS_US:
            found = await self._site.readers.read(lately, now)
            self._lately = (now, found)
        feeds = await self._site.feeds()
        sources = [source for feed in feeds for source in feed.sources]
        names = self._site.directory.accounts
        return {
            "lately": found,
            "per_minute": sum(source.per_minute for source in sources),
            "sources": sources,
            "queued": self._site.owner.queued,
            "near": await self._near.now(),
            "names": names,
            "suspended": sum(source.activity.suspended for source in sources),
        }

    async def _home(self, request: web.Request) -> web.StreamResponse:
        return render(request, "home.html", await self._home_part(request))

    async def _home_events(self, request: web.Request) -> web.StreamResponse:
        return await self._live.stream(request, "home_part.html", self._home_part)

    async def _home_part(self, request: web.Request) -> dict[str, Any]:
        account = self._site.directory.accounts.get(principal_of(request).account or "")
        if account is None:
            raise NotFound
        calls, days = await self._site.readers.read(_calls_and_days, account, self._site.clock())
        due_micros = self._site.exposure.balance_due(account.account)
        return {
            "account": account,
            "used": usage_of(self._site, account),
            "due_micros": due_micros,
            "is_payable": due_micros > 0 and self._site.enrolments.is_enrolled(account.account),
            "calls": calls,
            "days": days,
        }


def _calls_and_days(
    cx: sqlite3.Connection, account: Account, now: int
) -> tuple[list[dict[str, Any]], list[tuple[datetime, int]]]:
    """One read: each waits for a connection, its thread and the event loop."""
    return last_calls(cx, account.account), charges_by_day(cx, account, now)
