"""The daemon, put together: every part is made here and handed what it needs. Start-up, and the order of the end."""

import asyncio
import contextlib
import gc
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge

from mediation import writer_socket
from mediation.config import Config, Listen, PopFeed
from mediation.feeds import connections, pop
from mediation.ops import Ops
from mediation.pipeline.front import OLDEST_AT, Front
from mediation.pipeline.metrics import PipelineMetrics
from mediation.pipeline.owner import StoreOwner
from mediation.provisions import DirectoryBuilder, Provisions, load_counters
from rating.cdr import MICROS
from rating.store.errors import StoreError
from rating.store.migrations import own_migrations
from rating.store.partitions import month_bounds
from rating.store.sqlite import SqliteStore, open_store

log: Final = logging.getLogger(__name__)

DRAIN_S: Final = 10.0
"""What was taken is committed within this after SIGTERM."""
SWITCH_INTERVAL_S: Final = 0.001
"""How long the event loop may keep the interpreter lock from the store's thread, which needs it at each statement."""

GC_THRESHOLD: Final = (50_000, 50, 1_000)
"""Batches are no cycles and go by their reference counts; Python's own thresholds would look through hundreds of
thousands of counters several times a second."""

GAUGES: Final = {
    "tollkeeper_queued_records": "Records waiting for their commit",
    "tollkeeper_counters": "Counters in memory",
    "tollkeeper_last_transaction": "The greatest transaction id",
}

Ready = Callable[[dict[str, tuple[str, int]]], None]
"""Told once, when everything listens: the addresses by configuration table (`ops`, `feeds.pops`)."""


class CannotListen(StoreError):
    """An address that could not be opened."""


def wall_clock() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class Daemon:
    """One run of the daemon, from open store to closed store."""

    def __init__(self, config: Config, clock: Callable[[], int] = wall_clock) -> None:
        self._config = config
        self._clock = clock
        self._registry = CollectorRegistry()
        self._ops = Ops(self._registry)
        self._feeds: list[tuple[PopFeed, pop.PopFeed, connections.Runner]] = []
        self._taking_work = False
        self.addresses: dict[str, tuple[str, int]] = {}

    async def run(self, stop: asyncio.Event, ready: Ready = lambda _: None) -> None:
        """Serve until `stop` is set, then drain and end. Raises StoreError when the store or an address fails."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        for table in self._config.unserved():
            log.warning("configured, but not served by this version", extra={"table": table})
        async with contextlib.AsyncExitStack() as stack:
            if self._config.ops:
                await self._listen("ops", self._config.ops.listen, await self._runner(stack, self._ops.application))
            store = await open_store(self._config.store.path, own_migrations(), self._clock())
            stack.push_async_callback(store.close)
            owner, provisions = await self._pipeline(store)
            commands = await self._runner(stack, writer_socket.application(provisions, self._ops.counters))
            await writer_socket.listen(commands, self._config.store.path)
            path = writer_socket.socket_path(self._config.store.path)
            stack.callback(path.unlink, missing_ok=True)
            writing = asyncio.create_task(owner.run(), name="store owner")
            try:
                for section, _, runner in self._feeds:
                    await runner.setup()
                    stack.push_async_callback(runner.cleanup)
                    await self._listen(f"feeds.{section.name}", section.listen, runner)
                self._taking_work = True
                self._ops.attach(owner, lambda: self._taking_work and not writing.done())
                gc.collect()
                gc.freeze()  # the directory lives as long as the daemon: nothing to look for in it
                gc.set_threshold(*GC_THRESHOLD)
                ready(self.addresses)
                log.info("ready", extra={"listening": {name: f"{h}:{p}" for name, (h, p) in self.addresses.items()}})
                await _first_of(writing, stop)
            finally:
                await self._drain(owner, writing)

    async def _pipeline(self, store: SqliteStore) -> tuple[StoreOwner, Provisions]:
        """The parts on both sides of the seam, and the feeds in front of them."""
        config = self._config
        names = [source.name for feed in config.pop_feeds for source in feed.sources]
        sources = await store.register_sources(names)
        builder = DirectoryBuilder(config.rating.default_tariff)
        directory = builder.build(await store.provisioned())
        counters = await load_counters(store, directory.accounts)
        owner = StoreOwner(
            store,
            counters,
            PipelineMetrics(self._registry, sources),
            max_queued=max((feed.max_queue_records for feed in config.pop_feeds), default=50_000),
            max_commit=config.store.commit_records,
        )
        values: tuple[Callable[[], float], ...] = (lambda: owner.queued, lambda: len(counters), lambda: store.last_id)
        for (name, help_text), value in zip(GAUGES.items(), values, strict=True):
            Gauge(name, help_text, registry=self._registry).set_function(value)
        front = Front(directory, _oldest_at(config.store.retention_months, self._clock()))
        for section in config.pop_feeds:
            feed = pop.PopFeed(
                {source.token: (source.name, sources[source.name]) for source in section.sources},
                front,
                owner,
                store,
                self._clock,
                max_body_bytes=section.max_body_bytes,
                read_timeout_s=section.read_timeout_s,
            )
            self._feeds.append((section, feed, connections.Runner(feed.application)))
        log.info(
            "store open",
            extra={
                "path": str(config.store.path),
                "accounts": len(directory.accounts),
                "lines": directory.lines,
                "tariffs": len(directory.tariffs),
                "last_transaction": store.last_id,
            },
        )
        return owner, Provisions(store, builder, front, owner, self._clock)

    async def _drain(self, owner: StoreOwner, writing: "asyncio.Task[None]") -> None:
        """Feeds stop, the pipeline empties, the counters are saved. A store that failed is left as it is."""
        self._taking_work = False
        for _, feed, runner in self._feeds:
            for site in list(runner.sites):
                await site.stop()
            await feed.close_streams()
        owner.stop()
        try:
            async with asyncio.timeout(DRAIN_S):
                await asyncio.shield(writing)
        except TimeoutError:
            log.error("not everything that was taken could be stored in time: it was not acknowledged")
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writing
            return
        await owner.save_snapshot()

    @staticmethod
    async def _runner(stack: contextlib.AsyncExitStack, app: web.Application) -> connections.Runner:
        runner = connections.Runner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        return runner

    async def _listen(self, table: str, listen: Listen, runner: connections.Runner) -> None:
        tls = listen.tls.server_context() if listen.tls else None
        try:
            self.addresses[table] = await connections.listen(runner, listen.host, listen.port, tls)
        except OSError as error:
            raise CannotListen(
                f"[{table}] listen = {listen}: {error.strerror or error}: end what uses the address, or choose another"
            ) from error


async def _first_of(writing: "asyncio.Task[None]", stop: asyncio.Event) -> None:
    """Wait for `stop`, or for the store's owner to fail."""
    stopped = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({writing, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()


def _oldest_at(retention_months: int, now: int) -> int:
    """The first instant that the retention keeps."""
    if not retention_months:
        return OLDEST_AT
    today = datetime.fromtimestamp(now // MICROS, UTC)
    index = today.year * 12 + today.month - 1 - retention_months
    return max(OLDEST_AT, month_bounds(index // 12 * 100 + index % 12 + 1)[0])
