"""Feeds, for operations: when each source was last heard, how much it sends, and what is wrong with it."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from access.orders import State as OrderState
from control.alerts.alert import State as AlertState
from web.live import LiveParts
from web.rendering import render
from web.routing import OPERATIONS, Route
from web.site import Site

ORDER_STATES: Final = (
    OrderState.PLANNED, OrderState.SENT, OrderState.ACKNOWLEDGED, OrderState.UNKNOWN, OrderState.HELD,
    OrderState.FAILED,
)  # fmt: skip
"""Of orders that are not done with; FAILED ones wait for somebody to try again."""
MAIL_STATES: Final = (AlertState.WAITING, AlertState.SENDING, AlertState.UNKNOWN, AlertState.FAILED)


class FeedsPages:
    """`/feeds`, `/health`."""

    def __init__(self, site: Site, live: LiveParts) -> None:
        self._site = site
        self._live = live

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        return (
            Route("GET", "/feeds", self._feeds, OPERATIONS, "Feeds with their last record, rate, lag and gaps"),
            Route("GET", "/feeds/events", self._feeds_events, OPERATIONS, "Feeds, live"),
            Route("GET", "/health", self._health, OPERATIONS, "The pipeline and the store"),
            Route("GET", "/health/events", self._health_events, OPERATIONS, "The pipeline and the store, live"),
        )

    async def _feeds(self, request: web.Request) -> web.StreamResponse:
        return render(request, "feeds.html", await self._feeds_part(request))

    async def _feeds_events(self, request: web.Request) -> web.StreamResponse:
        return await self._live.stream(request, "feeds_part.html", self._feeds_part)

    async def _feeds_part(self, _request: web.Request) -> dict[str, Any]:
        return {"feeds": await self._site.feeds()}

    async def _health(self, request: web.Request) -> web.StreamResponse:
        return render(request, "health.html", await self._health_part(request))

    async def _health_events(self, request: web.Request) -> web.StreamResponse:
        return await self._live.stream(request, "health_part.html", self._health_part)

    async def _health_part(self, _request: web.Request) -> dict[str, Any]:
        owner = self._site.owner
        return {
            "queued": owner.queued,
            "stopping": owner.is_stopping,
            "counters": len(owner.counters),
            "last_id": owner.counters.covers_id,
            "accounts": len(self._site.directory.accounts),
            "lines": self._site.directory.numbers,
            "tariffs": len(self._site.directory.tariffs),
            "commits": owner.commits,
            **await self._site.readers.read(_waiting),
        }


def _waiting(cx: sqlite3.Connection) -> dict[str, Any]:
    """What of each kind is not done with: suspended records, access orders and mails by state. One read."""
    (suspended,) = cx.execute("SELECT count(*) FROM suspense WHERE state = 'open'").fetchone()
    return {
        "suspended": suspended,
        "orders": _by_state(cx, "access_orders", ORDER_STATES),
        "mails": _by_state(cx, "alerts", MAIL_STATES),
    }


def _by_state(cx: sqlite3.Connection, table: str, states: Sequence[str]) -> dict[str, int]:
    """How many rows of a table are in each of some states: of these few, as its index has them."""
    sql = f"SELECT count(*) FROM {table} WHERE state = ?"  # noqa: S608  # a table of ours
    return {state: cx.execute(sql, (state,)).fetchone()[0] for state in states}
