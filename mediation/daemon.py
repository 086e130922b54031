"""One run of the daemon: start-up, what it waits for, and the order of the end."""

import asyncio
import contextlib
import gc
import logging
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web
from prometheus_client import CollectorRegistry

from mediation import (
    writer_bills,
    writer_enrolments,
    writer_rerating,
    writer_retiring,
    writer_rules,
    writer_socket,
    writer_suspense,
    writer_users,
)
from mediation.assembly import Parts, assemble, control_plane, fronts_of
from mediation.config import Config, Listen
from mediation.feeds import connections
from mediation.ops import Ops
from mediation.schema import all_migrations
from mediation.sd_notify import READY, STOPPING, ServiceManager
from mediation.supervision import supervise
from rating.store.errors import StoreError
from rating.store.sqlite import open_store
from web.application import ControlPlane

log: Final = logging.getLogger(__name__)

DRAIN_S: Final = 10.0
"""What was taken is committed within this after SIGTERM."""
SWITCH_INTERVAL_S: Final = 0.001
"""How long the event loop may keep the interpreter lock from the store's thread, which needs it at each statement."""

GC_THRESHOLD: Final = (50_000, 50, 1_000)
"""Batches are no cycles and go by their reference counts; Python's own thresholds would look through hundreds of
thousands of objects several times a second, and at the start at everything that is read again and again."""

Ready = Callable[[dict[str, tuple[str, int]]], None]
"""Told once, when everything listens: the addresses by configuration table (`ops`, `web`, `feeds.pops`)."""


class CannotListen(StoreError):
    """An address that could not be opened."""


def wall_clock() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class Daemon:
    """One run of the daemon, from open store to closed store."""

    def __init__(
        self, config: Config, clock: Callable[[], int] = wall_clock, manager: ServiceManager | None = None
    ) -> None:
        self._config = config
        self._manager = manager or ServiceManager()
        self._certificates: dict[str, ssl.SSLContext] = {}
        self.reload = asyncio.Event()
        """Set, it has the configuration read again."""
        self._clock = clock
        self._registry = CollectorRegistry()
        self._ops = Ops(self._registry)
        self._taking_work = False
        self._pages: ControlPlane | None = None
        self.addresses: dict[str, tuple[str, int]] = {}

    async def run(self, stop: asyncio.Event, ready: Ready = lambda _: None) -> None:
        """Serve until `stop` is set, then drain and end. Raises StoreError when the store or an address fails."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        gc.set_threshold(*GC_THRESHOLD)
        for table in self._config.unserved():
            log.warning("configured, but not served by this version", extra={"table": table})
        async with contextlib.AsyncExitStack() as stack:
            if self._config.ops:
                await self._listen("ops", self._config.ops.listen, await self._runner(stack, self._ops.application))
            store = await open_store(self._config.store.path, all_migrations(), self._clock())
            stack.push_async_callback(store.close)
            fronts = fronts_of(self._config, self._clock)
            section = self._config.rating
            # They read what is provisioned while the counters are read here.
            starting = asyncio.create_task(fronts.start(section.processes, section.default_tariff, stack))
            stack.push_async_callback(_over, starting)
            parts = await assemble(self._config, store, fronts, self._clock, self._registry)
            stack.callback(parts.users.close)
            rating = await starting
            await self._take_commands(stack, parts)
            writing = asyncio.create_task(parts.owner.run(), name="store owner")
            try:
                running = await parts.feeds.start(stack, self._listen, self._listen_on)
                acting = parts.acting.start()
                await self._show_pages(stack, parts)
                self._taking_work = True
                self._ops.attach(parts.owner, lambda: self._taking_work and not writing.done())
                gc.collect()
                gc.freeze()  # the directory lives as long as the daemon: nothing to look for in it
                ready(self.addresses)
                log.info("ready", extra={"listening": {name: f"{h}:{p}" for name, (h, p) in self.addresses.items()}})
                self._manager.tell(READY)
                supervising = supervise(
                    self._config,
                    parts,
                    self._manager,
                    self._certificates,
                    self.reload,
                    lambda: not writing.done(),
                    self._clock,
                )
                for task in supervising:
                    stack.callback(task.cancel)
                failing = asyncio.create_task(store.until_failed(), name="the store's failure")
                stack.callback(failing.cancel)
                await _first_of([failing, writing, *rating, *running, *acting, *supervising], stop)
            finally:
                self._manager.tell(STOPPING)
                await self._drain(parts, writing)

    async def _take_commands(self, stack: contextlib.AsyncExitStack, parts: Parts) -> None:
        """Listen to the commands that hand over what they have to write."""
        commands = writer_socket.application(parts.provisions, self._clock, self._ops.counters)
        writer_users.add_routes(commands, parts.users)
        writer_suspense.add_routes(commands, parts.recycler)
        writer_enrolments.add_routes(commands, parts.enrolments, self._clock)
        writer_rules.add_routes(commands, parts.store, self._clock)
        writer_bills.add_routes(commands, parts.acting.biller)
        writer_rerating.add_routes(commands, parts.store, parts.owner, self._clock)
        retiring = writer_retiring.retiring_beside(parts.store, parts.owner, self._clock)
        writer_retiring.add_routes(commands, retiring)
        await writer_socket.listen(await self._runner(stack, commands), self._config.store.path)
        path = writer_socket.socket_path(self._config.store.path)
        stack.callback(path.unlink, missing_ok=True)

    async def _show_pages(self, stack: contextlib.AsyncExitStack, parts: Parts) -> None:
        self._pages = await control_plane(self._config, parts, self._clock, stack)
        if self._config.web is not None:
            await self._listen("web", self._config.web.listen, await self._runner(stack, self._pages.application))

    async def _drain(self, parts: Parts, writing: "asyncio.Task[None]") -> None:
        """Feeds stop, the pipeline empties, the counters are saved. A store that failed is left as it is."""
        self._taking_work = False
        await parts.feeds.stop()
        if self._pages:
            self._pages.close_streams()
        parts.owner.stop()
        try:
            async with asyncio.timeout(DRAIN_S):
                await asyncio.shield(writing)
        except TimeoutError:
            log.error("not everything that was taken could be stored in time: it was not acknowledged")
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writing
            return
        finally:
            await parts.feeds.ended()
        await parts.acting.stop()
        await parts.owner.save_snapshot()

    @staticmethod
    async def _runner(stack: contextlib.AsyncExitStack, app: web.Application) -> connections.Runner:
        runner = connections.Runner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        return runner

    async def _listen_on(
        self, table: str, listen: Listen, opening: Callable[[str, int], Awaitable[tuple[str, int]]]
    ) -> tuple[str, int]:
        try:
            self.addresses[table] = await opening(listen.host, listen.port)
            return self.addresses[table]
        except OSError as error:
            raise _cannot_listen(table, listen, error) from error

    async def _listen(self, table: str, listen: Listen, runner: connections.Runner) -> tuple[str, int]:
        tls = listen.tls.server_context() if listen.tls else None
        if tls is not None:
            self._certificates[table] = tls
        try:
            self.addresses[table] = await connections.listen(runner, listen.host, listen.port, tls)
            return self.addresses[table]
        except OSError as error:
            raise _cannot_listen(table, listen, error) from error


def _cannot_listen(table: str, listen: Listen, error: OSError) -> CannotListen:
    return CannotListen(
        f"[{table}] listen = {listen}: {error.strerror or error}: end what uses the address, or choose another"
    )


async def _over(task: "asyncio.Task[Any]") -> None:
    """What was begun has ended; if something else failed meanwhile, that is what is told."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _first_of(running: "list[asyncio.Task[None]]", stop: asyncio.Event) -> None:
    """Wait for `stop`, or for a task that should run on to fail; what the first of those raised is raised."""
    stopped = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({*running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            if task.done() and (error := task.exception()):
                raise error
    finally:
        stopped.cancel()
