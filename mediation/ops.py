"""The ops listener: health, readiness, metrics, and the counters for `recount`."""

from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

from mediation.feeds.problems import as_problems, json_response, problem
from mediation.pipeline.owner import StoreOwner

COUNTERS_TYPE: Final = "application/x-msgpack"


class CountersAnswer(msgspec.Struct):
    """All counters of the running daemon, as of one transaction."""

    covers_id: int
    parts: list[bytes]


class Ops:
    """What operations ask the daemon. Before `attach` it is alive and not ready."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._owner: StoreOwner | None = None
        self._takes_work: Callable[[], bool] = lambda: False
        self.application = web.Application(middlewares=[as_problems])
        self.application.router.add_get("/healthz", self._healthz)
        self.application.router.add_get("/readyz", self._readyz)
        self.application.router.add_get("/metrics", self._metrics)
        self.application.router.add_get("/counters", self.counters)

    def attach(self, owner: StoreOwner, takes_work: Callable[[], bool]) -> None:
        """The store is open; `takes_work` says whether every listener takes work."""
        self._owner = owner
        self._takes_work = takes_work

    async def counters(self, _request: web.Request) -> web.Response:
        """Every counter, as of one transaction."""
        if self._owner is None:
            return problem(503, "the store is not open yet")
        async with self._owner.standstill():
            answer = CountersAnswer(self._owner.counters.covers_id, self._owner.counters.parts())
        return web.Response(body=msgspec.msgpack.encode(answer), content_type=COUNTERS_TYPE)

    async def _healthz(self, _request: web.Request) -> web.Response:
        return json_response({"status": "alive"})

    async def _readyz(self, _request: web.Request) -> web.Response:
        if self._takes_work():
            return json_response({"status": "ready"})
        return problem(503, "not ready: the store is not open, or a listener takes no work", {"Retry-After": "1"})

    async def _metrics(self, _request: web.Request) -> web.Response:
        body = generate_latest(self._registry)
        return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
