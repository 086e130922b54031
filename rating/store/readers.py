"""Connections that can only read, for pages: several, so that one long search does not hold up the others."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from rating.store.connection import Connection
from rating.store.sqlite import open_reader

T = TypeVar("T")

READERS: Final = 3


class Readers:
    """A pool of read-only connections, each with a thread of its own. Made by `open_readers`."""

    def __init__(self, connections: list[Connection]) -> None:
        self._idle: asyncio.Queue[Connection] = asyncio.Queue()
        for connection in connections:
            self._idle.put_nowait(connection)

    async def read(self, query: Callable[..., T], *args: Any) -> T:
        """The result of `query(connection, *args)`, when a connection is idle. Raises StoreFailed."""
        connection = await self._idle.get()
        try:
            return await connection.run(query, *args)
        finally:
            self._idle.put_nowait(connection)


@contextlib.asynccontextmanager
async def open_readers(path: Path, number: int = READERS) -> AsyncIterator[Readers]:
    """Readers of the store at `path`, closed at the end. Raises StoreError."""
    async with contextlib.AsyncExitStack() as opened:
        connections = []
        for _ in range(number):
            connection = await open_reader(path)
            opened.push_async_callback(connection.close)
            connections.append(connection)
        yield Readers(connections)
