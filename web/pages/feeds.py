"""Feeds, for operations: when each source was last heard, how much it sends, and what is wrong with it."""

from typing import Any

from aiohttp import web

from web.live import LiveParts
from web.rendering import render
from web.routing import OPERATIONS, Route
from web.site import Site


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
            "lines": self._site.directory.lines,
            "tariffs": len(self._site.directory.tariffs),
            "suspended": await self._site.readers.read(_suspended),
        }


def _suspended(cx: Any) -> int:
    (number,) = cx.execute("SELECT count(*) FROM suspense WHERE state = 'open'").fetchone()
    return int(number)
