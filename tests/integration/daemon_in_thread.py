"""The daemon inside the test's process, on the product's own event loop in a thread, with a store that can be held up.

The test's side is free: blocking sockets, or an event loop of its own.
"""

import asyncio
import gc
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop

from mediation import daemon as composition
from mediation.config import read_config
from rating.store.batch import Batch, Row
from rating.store.intake import Admission
from rating.store.sqlite import SqliteStore
from tests.pop_by_hand import Address, Answer, PopByHand, get
from tests.small_site import TOKENS

Take = Callable[[], Sequence[Batch]]
Count = Callable[[Sequence[Row]], None]

WITHIN_S = 20.0
"""A start, an end or a commit that takes longer has failed."""


class Gate:
    """Holds up what passes through it while it is shut. The daemon passes, the test opens and shuts."""

    def __init__(self) -> None:
        self._is_open = True
        self._failure: Exception | None = None
        self._reached = threading.Semaphore(0)
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def shut(self) -> None:
        self._is_open = False

    def open(self) -> None:
        self._is_open = True
        while self._waiting:
            loop, opened = self._waiting.pop()
            with suppress(RuntimeError):  # that loop is closed: nobody waits any longer
                loop.call_soon_threadsafe(opened.set)

    def fail(self, failure: Exception) -> None:
        """Whoever stands before it, or comes later, fails."""
        self._failure = failure
        self.open()

    def wait_reached(self) -> None:
        """Until somebody stands before it."""
        assert self._reached.acquire(timeout=WITHIN_S), "nobody came to the gate"

    async def passed(self) -> None:
        if not self._is_open:
            opened = asyncio.Event()
            self._waiting.append((asyncio.get_running_loop(), opened))
            self._reached.release()
            if self._is_open:  # since it was looked at
                opened.set()
            async with asyncio.timeout(2 * WITHIN_S):
                await opened.wait()
        if self._failure:
            raise self._failure

    def pass_through(self) -> None:
        """As `passed`, for a thread that has no event loop."""
        if not self._is_open:
            self._reached.release()
            deadline = time.monotonic() + 2 * WITHIN_S
            while not self._is_open and time.monotonic() < deadline:
                time.sleep(0.002)
        if self._failure:
            raise self._failure


class DaemonInThread:
    """One run of the daemon. Its store has gates: before it is opened, before each commit, and after it."""

    def __init__(self, config: Path) -> None:
        self.config = read_config(config)
        self.opening, self.committing, self.committed = Gate(), Gate(), Gate()
        self.addresses: dict[str, Address] = {}
        self.failure: BaseException | None = None
        """What ended it, if it was not asked to end."""
        self._daemon = composition.Daemon(self.config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._begun, self._ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="the daemon", daemon=True)

    def _run(self) -> None:
        try:
            uvloop.run(self._serve())
        except BaseException as failure:
            self.failure = failure
        finally:
            self._begun.set()
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._begun.set()
        await self._daemon.run(self._stop, lambda _: self._ready.set())

    def start(self) -> None:
        self._thread.start()
        assert self._begun.wait(WITHIN_S)

    def wait_ready(self) -> None:
        assert self._ready.wait(WITHIN_S), "not ready in time"
        if self.failure:
            raise self.failure
        self.addresses = self._daemon.addresses

    def ops_address(self) -> Address:
        """Also before it is ready."""
        while "ops" not in self._daemon.addresses:
            assert self._thread.is_alive(), self.failure
            time.sleep(0.01)
        return self._daemon.addresses["ops"]

    def ask_stop(self) -> None:
        """As SIGTERM does."""
        if self._loop and self._stop and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)

    def wait_end(self) -> None:
        self._thread.join(WITHIN_S)
        assert not self._thread.is_alive(), "the daemon did not end in time"

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        for gate in (self.opening, self.committing, self.committed):
            gate.open()
        self.ask_stop()
        self.wait_end()

    @property
    def feed(self) -> Address:
        return self.addresses["feeds.pops"]

    @property
    def base(self) -> str:
        """The feed's URL."""
        host, port = self.feed
        return f"http://{host}:{port}"

    def pop(self, source: str | None = "pop-a") -> PopByHand:
        """A client of the feed; without a source it has no token."""
        return PopByHand(self.feed, None if source is None else TOKENS[source])

    def metric(self, sample: str) -> float:
        """The value of a sample on /metrics, such as `tollkeeper_queued_records`; 0 while it is not there."""
        lines = self.ask_ops("/metrics").body.decode().splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{sample} ")), 0.0)

    def wait_queued(self, records: int) -> None:
        """Until so many records wait for their commit, or are in it."""
        until = time.monotonic() + WITHIN_S
        while (queued := self.metric("tollkeeper_queued_records")) != records:
            assert time.monotonic() < until, f"{queued:g} records are queued, not {records}"

    def ask_ops(self, path: str) -> Answer:
        return get(self.ops_address(), path)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query on the store's file says, by a connection of its own."""
        return rows_of(self.config.store.path, sql, *values)

    def stored(self) -> list[str]:
        """Ids of all transactions, in the order of their numbers."""
        found: list[tuple[int, str]] = []
        for (month,) in self.rows("SELECT month FROM partitions"):
            found += self.rows(f"SELECT id, record_id FROM transactions_{month}")
        return [record_id for _, record_id in sorted(found)]

    def suspended(self) -> list[tuple[str, bytes]]:
        """Reason and raw line of everything in suspense."""
        return [(reason, raw) for reason, raw in self.rows("SELECT reason, raw FROM suspense ORDER BY id")]


def rows_of(store: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """What a query on a store's file says."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=WITHIN_S)) as cx:
        return cx.execute(sql, values).fetchall()


@contextmanager
def running(config: Path, *, held_at_opening: bool = False, may_fail: bool = False) -> Iterator[DaemonInThread]:
    """A daemon that is ready (or held up while it opens its store), and is stopped at the end."""
    daemon = DaemonInThread(config)
    if held_at_opening:
        daemon.opening.shut()
    interval = sys.getswitchinterval()
    store_threads: list[threading.Thread] = []
    with pytest.MonkeyPatch.context() as patch:
        really_open = composition.open_store

        async def open_store(*arguments: Any) -> SqliteStore:
            await daemon.opening.passed()
            store = await really_open(*arguments)
            really_write = store.write

            async def write(take: Take, count: Count, when: Callable[[], bool] | None = None) -> Admission:
                taken: list[Batch] = []

                def take_them() -> Sequence[Batch]:
                    taken.extend(take())
                    return taken

                def held_up(cx: Any, rows: Sequence[Row]) -> None:
                    count(cx, rows)
                    if taken:
                        daemon.committing.pass_through()

                admission = await really_write(take_them, held_up, when)
                if taken:
                    await daemon.committed.passed()
                return admission

            store.write = write  # type: ignore[method-assign]  # the gates before and after the commit
            return store

        patch.setattr(composition, "open_store", open_store)

        def store_thread(**options: Any) -> threading.Thread:
            """A daemon that does not end fails its test; it must not keep the other tests' process from ending."""
            store_threads.append(threading.Thread(daemon=True, **options))
            return store_threads[-1]

        patch.setattr("aiosqlite.core.Thread", store_thread)
        daemon.start()
        try:
            if not held_at_opening:
                daemon.wait_ready()
            yield daemon
        finally:
            daemon.stop()
            daemon.committing.open()
            for thread in store_threads:  # one of a store that was left hanging
                thread.join(WITHIN_S)
            sys.setswitchinterval(interval)
            gc.unfreeze()
    if daemon.failure and not may_fail:
        raise daemon.failure
