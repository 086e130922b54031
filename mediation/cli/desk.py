"""Handing parts of a large order over to whoever owns the store, while the next ones are being made."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
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
        self, config: Config, way: Way[Part, Posted], took: Callable[[Posted], None], daemon_only: bool = False
    ) -> None:
        """`took` is told what became of each part, in the thread of the caller; `daemon_only`: never into the store."""
        self._config, self._way, self._took = config, way, took
        self._thread = ThreadPoolExecutor(1, "desk")
        self._pending: Future[Posted] | None = None
        self._runner: asyncio.Runner | None = None
        self._store: SqliteStore | None = None
        # While a daemon runs, or is to come back in a moment, the store is its own.
        self._daemon_only = daemon_only or is_running(config.store.path)

    def __enter__(self) -> "Desk[Part, Posted]":
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def hand_over(self, part: Part) -> None:
        """Post a part, when the one before is posted. Raises Failure or StoreError, for either."""
        self.finish()
        self._pending = self._thread.submit(self._post, part)

    def finish(self) -> None:
        """Wait until what was handed over is posted."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            self._took(pending.result())

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
