"""A store of one engine with a small site in it: what the tests of the store's contract send, and see afterwards."""

import asyncio
import gc
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import aiosqlite

from mediation.directory_builder import DirectoryBuilder
from rating.directory import Directory
from rating.store.arrivals import DAY_US, account_for
from rating.store.batch import Batch, Outcome, Position
from rating.store.errors import StoreError
from rating.store.intake import Admission
from rating.store.migrations import Migration, own_migrations
from rating.store.port import Replay, Store
from rating.store.reading import export
from rating.store.sqlite import open_store
from rating.tariff import TariffText, parse_tariff
from tests.builders import NOW, a_batch, a_tariff_text, accounts_csv, lines_csv

SOURCES: Final = ("pop-lax", "pop-nyc")

Numbers = tuple[int, int, int]
"""Accepted, duplicate and suspended records."""


class Engine(Protocol):
    """What the tests need of a store beyond its interface."""

    name: str

    def __init__(self, directory: Path) -> None: ...

    async def open(self, steps: Sequence[Migration] = ()) -> Store:
        """Become the writer; with `steps` instead of the program's own."""

    async def close(self) -> None:
        """Close what a failed test has left open."""

    def check(self) -> None:
        """Fails unless the engine itself finds its files whole."""


class SqliteEngine:
    """One file."""

    name = "sqlite"

    def __init__(self, directory: Path) -> None:
        self.path = directory / "tollkeeper.db"
        self._opened: list[Store] = []

    async def open(self, steps: Sequence[Migration] = ()) -> Store:
        before = set(threading.enumerate())
        try:
            store = await open_store(self.path, steps or own_migrations(), NOW)
        except StoreError:
            _assert_ended(set(threading.enumerate()) - before)
            raise
        self._opened.append(store)
        return store

    async def close(self) -> None:
        for store in self._opened:
            await store.close()

    def check(self) -> None:
        cx = sqlite3.connect(self.path)
        try:
            assert cx.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        finally:
            cx.close()


def _assert_ended(threads: Iterable[threading.Thread]) -> None:
    """A thread that a refused opening leaves keeps the program from ending: it hangs after its own error message."""
    for thread in threads:
        thread.join(2)
    alive = [thread for thread in threads if thread.is_alive()]
    for connection in gc.get_objects() if alive else ():
        if isinstance(connection, aiosqlite.Connection) and connection._thread in alive:
            connection.stop()  # so that at least the tests end
    assert not alive, "the store was not opened, and its connection's thread is still there"


ENGINES: Final[tuple[type[Engine], ...]] = (SqliteEngine,)


class Site:
    """A store with the account, the line and the tariff of `tests.builders`."""

    store: Store
    directory: Directory

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_open = False

    async def open(self) -> None:
        self.store = await self.engine.open()
        self.is_open = True
        self.numbers_of = await self.store.register_sources(SOURCES)
        await self.follow()

    async def provision(self) -> None:
        await self.store.import_accounts(accounts_csv(), NOW)
        await self.store.import_lines(lines_csv())
        await self.import_tariff(a_tariff_text())

    async def import_tariff(self, text: TariffText) -> int:
        return await self.store.import_tariff(text, parse_tariff(text), NOW)

    async def follow(self) -> None:
        """Guide and rate by what is provisioned now."""
        self.directory = DirectoryBuilder(None).build(await self.store.provisioned())

    async def close(self) -> None:
        self.is_open = False
        await self.store.close()

    async def reopen(self) -> None:
        await self.close()
        await self.open()

    def batch(
        self, *lines: bytes, source: str = "pop-nyc", position: Position | None = None, arrived_at: int = NOW
    ) -> Batch:
        return a_batch(self.directory, *lines, source=self.numbers_of[source], position=position, arrived_at=arrived_at)

    async def commit(self, *batches: Batch) -> list[Outcome]:
        """One store transaction."""
        return (await self.write(*batches)).outcomes

    async def write(self, *batches: Batch) -> Admission:
        """One store transaction, with what it took in."""
        return await self.store.write(lambda: batches, lambda _cx, _rows: None)

    @asynccontextmanager
    async def in_flight(self, *batches: Batch) -> AsyncIterator[None]:
        """A store transaction that has written the batches, and is committed only at the end of the block."""
        written, go_on = threading.Event(), threading.Event()

        def count(_cx: object, _rows: object) -> None:
            written.set()
            assert go_on.wait(20)

        writing = asyncio.create_task(self.store.write(lambda: batches, count))
        try:
            assert await asyncio.to_thread(written.wait, 20)
            yield
        finally:
            go_on.set()
            await writing

    async def send(self, *lines: bytes, **how: Any) -> Numbers:
        """What became of one batch, in a store transaction of its own."""
        (outcome,) = await self.commit(self.batch(*lines, **how))
        return numbers(outcome)

    async def exported(self) -> list[dict[str, Any]]:
        """Every transaction, as the contract's export line."""
        lines: list[dict[str, Any]] = await self.store.read(lambda cx: list(export(cx)))
        return lines

    async def suspended(self) -> list[tuple[str, bytes]]:
        """Reason and bytes of everything in suspense, in the order of its arrival."""
        found: list[tuple[str, bytes]] = await self.store.read(
            lambda cx: cx.execute("SELECT reason, raw FROM suspense ORDER BY id").fetchall()
        )
        return found

    async def accounted(self, at: int = NOW) -> dict[str, dict[str, int]]:
        counts: dict[str, dict[str, int]] = await self.store.read(account_for, at // DAY_US)
        return counts

    async def replayed(self, after: int = 0) -> list[Replay]:
        return [transaction async for chunk in self.store.replay(after) for transaction in chunk]

    async def check(self) -> None:
        """What holds after every test, whatever it did."""
        self.engine.check()
        await self.open()
        try:
            transactions = await self.exported()
            ids = [line["transaction"] for line in transactions]
            assert len(set(ids)) == len(ids)
            charged: dict[tuple[str, str, str], int] = {}  # times that each record is charged, less those taken back
            for line in transactions:
                key = line["source"], line["id"], line["start"]
                charged[key] = charged.get(key, 0) + (1 if line["reverses"] is None else -1)
            assert set(charged.values()) <= {1}
            assert max(ids, default=0) == self.store.last_id
            for counts in (await self.accounted()).values():
                assert counts["received"] == sum(counts.values()) - counts["received"]
        finally:
            await self.close()


def numbers(outcome: Outcome) -> Numbers:
    assert not outcome.conflict
    return outcome.accepted, outcome.duplicate, outcome.suspended
