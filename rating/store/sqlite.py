"""The SQLite engine: one writing connection under a lock, readers beside it, each aiosqlite's thread away."""

import asyncio
import contextlib
import fcntl
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, TypeVar

from rating.account import Account
from rating.provisioning import read_accounts, read_favourites, read_lines
from rating.store import partitions, positions, provisioning, snapshots, sources, suspense, transactions
from rating.store.allowances import Allowances
from rating.store.batch import Batch
from rating.store.connection import PAGE_BYTES, Connection, explained
from rating.store.errors import StoreError, StoreFailed, StoreLocked
from rating.store.intake import Admission, Intake
from rating.store.migrations import Migration, migrate, require_current
from rating.store.natural_keys import NaturalKeys
from rating.store.port import Count, Noted, Replay, unnoted
from rating.store.provisioned import Provisioned
from rating.store.read_only import connect_reader
from rating.store.recycling import Readmission, Recycling, Retried
from rating.store.rerating import Correction, Rerated, Rerating, Run
from rating.store.retired import RETIRED
from rating.store.retiring import Done, Step, carry_out
from rating.store.write_ahead_log import WAL_BYTES, WriteAheadLog
from rating.tariff import Tariff, TariffText

T = TypeVar("T")

log: Final = logging.getLogger(__name__)

WRITER_PRAGMAS: Final = (
    f"PRAGMA page_size = {PAGE_BYTES}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    f"PRAGMA wal_autocheckpoint = {WAL_BYTES // PAGE_BYTES}",
    f"PRAGMA journal_size_limit = {WAL_BYTES}",
    "PRAGMA cache_size = -32768",
    "PRAGMA temp_store = MEMORY",
)
FILE_MODE: Final = 0o640
"""Of the store's files, less what the umask takes away: they hold who called whom."""
CLOSE_S: Final = 5.0
"""A disk that hangs does not keep the daemon from ending."""


def writer_lock(path: Path) -> IO[bytes]:
    """Hold the lock that makes one process the store's writer. Raises StoreLocked."""
    lock = open(path.with_name(path.name + ".lock"), "ab", opener=_made_private)  # noqa: SIM115  # closed by its holder
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise StoreLocked(
            f"{path} is being written by another process: stop it, or let the running daemon do the work"
        ) from None
    return lock


def migrate_store(path: Path, steps: Sequence[Migration], now: int) -> tuple[Migration, ...]:
    """Create or upgrade a store that nobody else writes; the steps that were applied. Raises StoreError."""
    with _directory_checked(path), writer_lock(path), explained(path), contextlib.closing(_connect_writer(path)) as cx:
        return migrate(cx, steps, now)


class SqliteStore:
    """The store in one SQLite file. Made by `open_store`."""

    def __init__(self, path: Path, lock: IO[bytes], writer: Connection, reader: Connection) -> None:
        self._path, self._lock, self._writer, self._reader = path, lock, writer, reader
        self._last_id = 0
        self._next_id = 1
        self._months: set[int] = set()
        self._keys = NaturalKeys()
        self._log = WriteAheadLog(path)
        self._allowances = Allowances()
        self._suspended_keys: set[int] = set()
        self._failed = self._closed = False
        self._failure: asyncio.Future[StoreFailed] = asyncio.get_running_loop().create_future()

    async def load(self) -> None:
        """Learn what is there; once, after the connections are open."""

        def look(cx: sqlite3.Connection) -> tuple[int, list[int], set[int]]:
            return partitions.last_id(cx), partitions.partitions(cx), set(suspense.keys(cx))

        last, months, self._suspended_keys = await self._writer.run(look)
        self._last_id, self._next_id = last, last + 1
        self._months = set(months)
        await self._writer.run(self._log.take_over)
        await self._transaction(lambda cx: self._keys.load(cx, months))

    @property
    def last_id(self) -> int:
        return self._last_id

    async def write(
        self, take: Callable[[], Sequence[Batch]], count: Count, when: Callable[[], bool] | None = None
    ) -> Admission:
        def write(cx: sqlite3.Connection) -> Admission:
            admission = Intake(
                cx, self._next_id, self._months, self._keys, self._suspended_keys, self._allowances
            ).admit(take())
            count(cx, admission.stored)
            self._keys.move_some(cx)
            return admission

        return await self._transaction(write, self._advance, is_short=False, when=when)

    async def recycle(self, retried: Sequence[Retried], actor: str, now: int, count: Count) -> Readmission:
        def recycle(cx: sqlite3.Connection) -> Readmission:
            readmission = Recycling(cx, self._next_id, self._months, self._keys, self._allowances, actor, now).take(
                retried
            )
            count(cx, readmission.stored)
            self._keys.move_some(cx)
            return readmission

        return await self._transaction(recycle, self._advance, is_short=False)

    async def rerate(
        self, corrections: Sequence[Correction], run: Run, now: int, count: Count, begun: Callable[[Any, int], None]
    ) -> Rerated:
        def rerate(cx: sqlite3.Connection) -> Rerated:
            rerated = Rerating(cx, self._next_id, self._allowances, run, now).take(corrections)
            if rerated.is_new:
                begun(cx, rerated.run)
            count(cx, rerated.stored)
            self._keys.move_some(cx)
            return rerated

        return await self._transaction(rerate, self._advance, is_short=False)

    def _advance(self, written: Admission | Readmission | Rerated) -> None:
        """Transactions are committed: the next ids come after theirs."""
        self._next_id = written.next_id
        if written.stored:
            self._last_id = written.stored[-1][0]

    async def retire(self, step: Step, now: int) -> Done:
        return await self._transaction(lambda cx: carry_out(cx, step, now), self._forget, is_short=False)

    def _forget(self, done: Done) -> None:
        """A step is committed: a month that it has retired is no partition any more."""
        if done.state == RETIRED:
            self._months.discard(done.month)
            self._keys.forget(done.month)

    async def register_sources(self, names: Iterable[str]) -> Mapping[str, int]:
        return await self._transaction(lambda cx: sources.register(cx, list(names)))

    async def positions(self, source: int) -> dict[str, dict[str, object]]:
        return await self._reader.run(positions.positions, source)

    async def provisioned(self, *, with_lines: bool = True, known: Mapping[str, Account] | None = None) -> Provisioned:
        return await self._reader.run(lambda cx: provisioning.provisioned(cx, with_lines=with_lines, known=known))

    async def import_accounts(self, text: str, now: int, noted: Noted = unnoted) -> int:
        accounts = await asyncio.to_thread(read_accounts, text)
        charged = await self._reader.run(provisioning.charged_otherwise, accounts)
        if charged:  # refused, with the rows
            accounts = await asyncio.to_thread(read_accounts, text, charged.get)

        def put(cx: sqlite3.Connection) -> None:
            provisioning.put_accounts(cx, accounts, now)
            noted(cx, len(accounts))

        await self._transaction(put)
        return len(accounts)

    async def import_lines(self, text: str, noted: Noted = unnoted) -> int:
        known = await self._reader.run(provisioning.account_numbers)
        lines = await asyncio.to_thread(read_lines, text, known.__contains__)

        def put(cx: sqlite3.Connection) -> None:
            provisioning.put_lines(cx, lines)
            provisioning.put_owners(cx, lines)
            noted(cx, len(lines))

        await self._transaction(put)
        return len(lines)

    async def import_favourites(self, text: str, noted: Noted = unnoted) -> int:
        known = await self._reader.run(provisioning.account_numbers)
        favourites = await asyncio.to_thread(read_favourites, text, known.__contains__)
        number = sum(map(len, favourites.values()))

        def put(cx: sqlite3.Connection) -> None:
            provisioning.put_favourites(cx, favourites)
            noted(cx, number)

        await self._transaction(put)
        return number

    async def import_tariff(self, text: TariffText, tariff: Tariff, now: int, noted: Noted = unnoted) -> int:
        def put(cx: sqlite3.Connection) -> int:
            number = provisioning.add_tariff(cx, text, tariff, now)
            noted(cx, number)
            return number

        return await self._transaction(put)

    async def snapshot(self) -> tuple[int, list[bytes]]:
        return await self._reader.run(snapshots.load)

    async def save_snapshot(self, covers_id: int, parts: Sequence[bytes], unchanged: int = 0) -> None:
        await self._transaction(lambda cx: snapshots.save(cx, covers_id, parts, unchanged), is_short=False)

    async def replay(self, after: int) -> AsyncIterator[list[Replay]]:
        for month in await self._reader.run(partitions.partitions):
            start = after
            while rows := await self._reader.run(_replayed, month, start, self.last_id):
                yield rows
                start = rows[-1][0]

    async def read(self, query: Callable[..., T], *args: Any) -> T:
        return await self._reader.run(query, *args)

    async def until_failed(self) -> None:
        """Wait until a write fails, whoever asked for it; raises what it was."""
        raise await asyncio.shield(self._failure)

    async def transact(self, work: Callable[..., T], *args: Any) -> T:
        return await self._transaction(lambda cx: work(cx, *args))

    async def close(self) -> None:
        closing = asyncio.create_task(self._close(), name="closing the store")
        await asyncio.wait({closing}, timeout=CLOSE_S)
        if not closing.done():
            log.error("the store does not answer: leaving it as it is")
        while not closing.done():  # aiosqlite waits for its thread once more when it is cancelled
            closing.cancel()
            await asyncio.wait({closing}, timeout=0.05)
        self._lock.close()
        if not closing.cancelled():
            closing.result()

    async def _close(self) -> None:
        whole, self._closed = not (self._failed or self._closed), True
        try:
            if whole:
                await self._writer.run(self._log.copy)  # SQLite does it too, and would not say that the disk failed
        finally:
            await self._reader.close()
            await self._writer.close()

    async def _transaction(
        self,
        work: Callable[[sqlite3.Connection], T],
        committed: Callable[[T], None] = lambda _: None,
        *,
        is_short: bool = True,
        when: Callable[[], bool] | None = None,
    ) -> T:
        """A whole store transaction in one hop to the writer's thread, which takes them one by one, short ones first: a
        command to a switch or a person's click does not wait for thousands of records that came before it.

        After SQLite has failed in one there is no other: nobody knows what is on the disk.
        """

        def transact(cx: sqlite3.Connection) -> T:
            if self._failed:
                raise sqlite3.OperationalError("an earlier write failed")
            try:
                cx.execute("BEGIN IMMEDIATE")
                result = work(cx)
                cx.execute("COMMIT")
                self._log.copy_if_long(cx)
            except sqlite3.Error:
                self._failed = True
                raise
            except BaseException:
                cx.execute("ROLLBACK")
                self._keys.rolled_back()
                self._allowances.rolled_back()
                self._months = set(partitions.partitions(cx))  # one that was made in it is gone
                raise
            self._keys.committed()
            committed(result)
            return result

        try:
            return await (self._writer.run_first(transact) if is_short else self._writer.run(transact, when=when))
        except StoreFailed as failed:
            if not self._failure.done():
                self._failure.set_result(failed)
            raise


async def open_store(path: Path, steps: Sequence[Migration], now: int) -> SqliteStore:
    """Become the store's writer, upgrading it first where that is needed. Raises StoreError."""
    with _directory_checked(path):
        lock = writer_lock(path)
    # What was opened is closed again if a later step fails: a connection's thread would keep the process alive.
    async with contextlib.AsyncExitStack() as opened:
        opened.callback(lock.close)
        writer = await _open(path, _connect_writer)
        opened.push_async_callback(writer.close)
        await writer.run(lambda cx: migrate(cx, steps, now))
        reader = await open_reader(path)
        opened.push_async_callback(reader.close)
        store = SqliteStore(path, lock, writer, reader)
        await store.load()
        opened.pop_all()
    return store


async def open_reader(path: Path) -> Connection:
    """A connection that can only read, with a thread of its own. Raises StoreError."""
    return await _open(path, connect_reader)


def check_schema(cx: sqlite3.Connection, steps: Sequence[Migration]) -> None:
    """Raise StoreError unless this program can read the store."""
    require_current(cx, steps)


def _replayed(cx: sqlite3.Connection, month: int, after: int, upto: int) -> list[Replay]:
    columns = "id, account, answer_at, charge_micros, duration_us"
    return next(transactions.read_chunks(cx, month, columns, after=after, upto=upto), [])


async def _open(path: Path, connect: Callable[[Path], sqlite3.Connection]) -> Connection:
    connection = Connection(lambda: connect(path), iter_chunk_size=64)
    connection.path = path
    try:
        with explained(path):
            await connection
    except BaseException:
        # Its thread has the last word, to this event loop, which may be closed right after.
        while connection._thread.is_alive():  # noqa: ASYNC110  # a thread's end sets no event
            await asyncio.sleep(0.001)
        raise
    return connection


def _made_private(path: str, flags: int) -> int:
    return os.open(path, flags, FILE_MODE)


def _connect_writer(path: Path) -> sqlite3.Connection:
    # SQLite would make it readable for everybody; its -wal and -shm files get the mode of the file itself. What it must
    # not open it says itself, in its own words.
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
    cx = sqlite3.connect(path, isolation_level=None, cached_statements=256, check_same_thread=False)
    try:
        for pragma in WRITER_PRAGMAS:
            cx.execute(pragma)
    except BaseException:
        cx.close()
        raise
    return cx


class _directory_checked:  # noqa: N801  # used as a with-statement's word
    """Turns the operating system's refusals around a store's directory into words."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        if not self._path.parent.is_dir():
            raise StoreError(f"the directory {self._path.parent} of [store] url does not exist: create it")

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, PermissionError):
            raise StoreError(f"{self._path.parent} cannot be written ({error.strerror}): change its owner") from error
