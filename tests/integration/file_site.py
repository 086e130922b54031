"""A file feed on a real directory and a real store, with a clock that goes only when the test says so."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from mediation.directory_builder import DirectoryBuilder
from mediation.feeds.files import FilesFeed
from mediation.formats import is_whole_in
from mediation.pipeline.front import Front
from mediation.pipeline.metrics import PipelineMetrics
from mediation.pipeline.owner import StoreOwner
from mediation.pipeline.preparing import FrontHere
from mediation.pipeline.sender import Sender
from mediation.provisions import load_counters
from mediation.schema import all_migrations
from rating.cdr import MICROS
from rating.store.arrivals import DAY_US, account_for
from rating.store.batch import Batch, Position
from rating.store.port import Store
from rating.store.sqlite import open_store
from tests.builders import NOW
from tests.integration.daemon_in_thread import rows_of

SETTLE_S = 2
TORN_AFTER_S = 600
SOURCE = "pbx1"


class FileSite:
    """The feed `drop` of the source `pbx1`, and everything behind it."""

    feed: FilesFeed
    store: Store
    owner: StoreOwner
    sender: Sender

    def __init__(self, directory: Path) -> None:
        self.database = directory / "tollkeeper.db"
        self.drop = directory / "drop"
        self.drop.mkdir()
        self.now = NOW
        self.sent: list[tuple[int, Position | None]] = []
        """Records and position of every batch that went to the store, since it was opened."""
        self._writing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """As the daemon does."""
        self.store = await open_store(self.database, all_migrations(), self.now)
        sources = await self.store.register_sources([SOURCE])
        directory = DirectoryBuilder(None).build(await self.store.provisioned())
        metrics = PipelineMetrics(CollectorRegistry(), sources)
        counters = await load_counters(self.store, directory.accounts)
        self.owner = StoreOwner(self.store, counters, metrics, max_queued=50_000, max_commit=10_000)
        self.sent = []
        put = self.owner.put_patiently

        async def put_and_note(batch: Batch) -> "asyncio.Future[object]":
            self.sent.append((batch.received, batch.position))
            return await put(batch)

        self.owner.put_patiently = put_and_note  # type: ignore[assignment, method-assign]  # the test looks on
        self._writing = asyncio.create_task(self.owner.run())
        self.sender = Sender(SOURCE, sources[SOURCE], FrontHere(Front(directory)), self.owner, lambda: self.now)
        self.feed = self.a_feed()

    def a_feed(
        self,
        *,
        settle_s: int = SETTLE_S,
        is_whole: Callable[[bytes], bool] | None = None,
    ) -> FilesFeed:
        return FilesFeed(
            "drop",
            self.drop,
            self.sender,
            self.store,
            lambda: self.now,
            settle_s=settle_s,
            torn_after_s=TORN_AFTER_S,
            is_whole=is_whole or is_whole_in("ndjson"),
        )

    async def close(self) -> None:
        self.owner.stop()
        if self._writing:
            await self._writing
        await self.store.close()

    async def restart(self) -> None:
        """The daemon is started again; what was claimed is where it was."""
        await self.close()
        await self.open()

    def write(self, name: str, content: bytes, *, mode: str = "wb") -> Path:
        """A switch writes to a file, now, and closes it."""
        path = self.drop / name
        with path.open(mode) as file:
            file.write(content)
        return self.touch(path)

    def touch(self, path: Path) -> Path:
        """The file was written to just now."""
        os.utime(path, ns=(self.now * 1000, self.now * 1000))
        return path

    def later(self, seconds: int) -> None:
        self.now += seconds * MICROS

    async def settled(self) -> None:
        """What is there is seen, does not change for long enough, and is looked at."""
        await self.feed.look()
        self.later(SETTLE_S)
        await self.feed.look()

    def names(self, where: str) -> list[str]:
        """Own names of the files in `claimed`, `done` or `failed`, oldest first; of the directory itself for `.`."""
        found = sorted(path.name for path in (self.drop / where).glob("*") if not path.is_dir())
        return found if where == "." else [name.split("-", 2)[2] for name in found]

    def stored(self) -> list[str]:
        """Ids of all transactions, in the order of their numbers."""
        found: list[tuple[int, str]] = []
        for (month,) in rows_of(self.database, "SELECT month FROM partitions"):
            found += rows_of(self.database, f"SELECT id, record_id FROM transactions_{month}")
        return [record_id for _, record_id in sorted(found)]

    def suspended(self) -> list[tuple[str, bytes]]:
        return [tuple(row) for row in rows_of(self.database, "SELECT reason, raw FROM suspense ORDER BY id")]  # type: ignore[misc]  # two columns

    async def accounted(self) -> tuple[int, int, int]:
        """Stored, duplicate and suspended records of the source today, as `account-for` says."""
        counts = (await self.store.read(account_for, self.now // DAY_US)).get(SOURCE)
        return (0, 0, 0) if counts is None else (counts["stored"], counts["duplicate"], counts["suspended"])


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[FileSite]:
    site = FileSite(directory)
    await site.open()
    try:
        yield site
    finally:
        await site.close()
