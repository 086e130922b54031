"""aiosqlite's connection, with whole functions run in its thread, and with some of them going before others."""

import asyncio
import contextlib
import shutil
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import aiosqlite

from rating.store.errors import StoreFailed

T = TypeVar("T")

PAGE_BYTES: Final = 8192
_LOOK_EVERY_S: Final = 0.002
"""Whether it is time for what is put off."""

_Waiting = tuple["asyncio.Future[Any]", Callable[[], Any]]


class Connection(aiosqlite.Connection):
    """An aiosqlite connection that can run a whole function in its thread: one hop for a unit of work, where
    aiosqlite's own calls take one a statement and leave the thread idle while the event loop is busy."""

    path: Path

    def __init__(self, connector: Callable[[], sqlite3.Connection], iter_chunk_size: int) -> None:
        super().__init__(connector, iter_chunk_size)
        self._first: deque[_Waiting] = deque()
        self._hop: asyncio.Future[None] | None = None
        """One that waits its turn in the thread, and will do the first."""
        self._hops: set[asyncio.Future[None]] = set()

    async def run(self, work: Callable[..., T], *args: Any, when: Callable[[], bool] | None = None) -> T:
        """The result of `work(connection, *args)`, when what was asked for before is done, and `when` it is so: that is
        asked again and again, in the thread. Raises StoreFailed for whatever SQLite could not do."""
        with explained(self.path):
            result: T = await self._execute(self._behind_the_first, partial(work, self._conn, *args), when)  # type: ignore[no-untyped-call]  # aiosqlite's own calls go through it
        return result

    async def run_first(self, work: Callable[..., T], *args: Any) -> T:
        """The same for something short: it goes before what `run` has waiting."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._first.append((done, partial(work, self._conn, *args)))
        hop = self._hop
        if hop is None:  # should nothing be waiting that does it on its way, this does
            hop = self._hop = asyncio.ensure_future(self._execute(self._hopped))  # type: ignore[no-untyped-call]  # as above
            self._hops.add(hop)
            hop.add_done_callback(self._forget)
        both: set[asyncio.Future[Any]] = {done, hop}
        with explained(self.path):
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                done.cancel()  # it is done all the same, and nobody hears of it
                raise
            if not done.done():
                hop.result()  # the connection is closed: it says so
            return await done

    def _forget(self, hop: "asyncio.Future[None]") -> None:
        self._hops.discard(hop)
        if not hop.cancelled():
            hop.exception()  # looked at: where it matters it was raised

    def _hopped(self) -> None:
        self._hop = None  # before it looks: who comes from now on sends another
        self._do_first()

    def _behind_the_first(self, work: Callable[[], T], when: Callable[[], bool] | None) -> T:
        self._do_first()
        while when is not None and not when():
            time.sleep(_LOOK_EVERY_S)
            self._do_first()
        return work()

    def _do_first(self) -> None:
        """In the connection's thread. Only those that wait now: the others must have their turn, too."""
        for _ in range(len(self._first)):
            done, work = self._first.popleft()
            result, error = None, None
            try:
                result = work()
            except BaseException as raised:  # whoever waits for it gets it
                error = raised
            with contextlib.suppress(RuntimeError):  # its event loop is closed: nobody waits any more
                done.get_loop().call_soon_threadsafe(_settle, done, result, error)


def _settle(done: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
    if done.done():  # who waited has gone
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns what SQLite could not do with the store at `path` into StoreFailed, with words."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreFailed(_explain(error, path)) from error


def _explain(error: sqlite3.Error, path: Path) -> str:
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or (
        code == sqlite3.SQLITE_IOERR and shutil.disk_usage(path.parent).free < PAGE_BYTES
    ):
        return (
            f"the disk of {path} is full: free some space and start the daemon again, or repeat the command;"
            " nothing acknowledged is lost"
        )
    if code == sqlite3.SQLITE_IOERR:
        return (
            f"the disk of {path} failed ({error}): look at the kernel's log before trying again;"
            " nothing acknowledged is lost"
        )
    if code == sqlite3.SQLITE_NOTADB:
        return f"{path} is not a Tollkeeper store ({error}): mind the path in [store] url"
    return f"{path}: {error}"
