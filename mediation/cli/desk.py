"""Handing parts of a large order over to whoever owns the store, while the next ones are being made."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Generic, NamedTuple, TypeVar

from mediation.config import Config
from mediation.daemon import wall_clock
from mediation.failure import Failure
from mediation.schema import all_migrations
from mediation.writer_socket import ask_daemon, is_running
from rating.store.sqlite import SqliteStore, open_store

Part = TypeVar("Part")
Posted = TypeVar("Posted")


class Way(NamedTuple, Generic[Part, Posted]):
    """How a part is written."""

    path: str
    """Where the daemon's socket takes it."""
    packed: Callable[[Part], bytes]
    unpacked: Callable[[bytes], Posted]
    alone: Callable[[SqliteStore, Part], Awaitable[Posted]]
    """Writes it into a store that this process owns."""
    stays: str
    """What is said to stay when the next part fails: `bills made`."""


class Desk(Generic[Part, Posted]):
    """Posts parts one after the other, in a thread of its own: to the running daemon, or into the store, which it then
    owns until the end."""

    def __init__(
        self,
        config: Config,
        way: Way[Part, Posted],
        took: Callable[[Posted], None],
        daemon_only: bool = False,
        ahead: int = 1,
    ) -> None:
        """`took` is told what became of each part, in the thread of the caller; `daemon_only`: never into the store;
        `ahead`: how many parts may be handed over of which it was not told yet."""
        self._config, self._way, self._took = config, way, took
        self._thread = ThreadPoolExecutor(1, "desk")
        self._ahead = ahead
        self._pending: deque[Future[Posted]] = deque()
        self._failed = False
        self._runner: asyncio.Runner | None = None
        self._store: SqliteStore | None = None
        # While a daemon runs, or is to come back in a moment, the store is its own.
        self._daemon_only = daemon_only or is_running(config.store.path)

    def __enter__(self) -> "Desk[Part, Posted]":
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._pending:  # not finished: somebody gave up, and what was not begun is not written
            one.cancel()
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def hand_over(self, part: Part) -> None:
        """Post a part, when those before are posted. Raises Failure or StoreError, for any of them; no other is posted
        after one that failed."""
        while len(self._pending) >= self._ahead:
            self._take()
        self._pending.append(self._thread.submit(self._post_unless_failed, part))

    def finish(self) -> None:
        """Wait until what was handed over is posted."""
        while self._pending:
            self._take()

    def _take(self) -> None:
        self._took(self._pending.popleft().result())

    def _post_unless_failed(self, part: Part) -> Posted:
        if self._failed:
            raise CancelledError
        try:
            return self._post(part)
        except BaseException:
            self._failed = True
            raise

    def _post(self, part: Part) -> Posted:
        way = self._way
        if self._store is None:
            told = ask_daemon(self._config.store.path, "POST", way.path, way.packed(part))
            if told is not None:
                self._daemon_only = True  # what it began it ends, or somebody else later
                if told[0] == 200:
                    return way.unpacked(told[1])
                raise Failure(
                    f"the daemon refused ({told[0]}): look at its log, and start the command again; {way.stays} stay"
                )
            if self._daemon_only:
                raise Failure(f"the daemon does not run: start the command again; {way.stays} stay")
            self._runner = asyncio.Runner()
            self._store = self._runner.run(open_store(self._config.store.path, all_migrations(), wall_clock()))
        assert self._runner is not None
        return self._runner.run(_posted(way, self._store, part))

    def _close(self) -> None:
        if self._runner is not None:
            if self._store is not None:
                self._runner.run(self._store.close())
            self._runner.close()


async def _posted(way: Way[Part, Posted], store: SqliteStore, part: Part) -> Posted:
    return await way.alone(store, part)
