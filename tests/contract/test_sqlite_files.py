"""What the SQLite engine makes of files, directories and disks that are not as they should be: words, no loss."""

import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rating.store import write_ahead_log
from rating.store.connection import PAGE_BYTES
from rating.store.errors import SchemaTooOld, StoreError, StoreFailed, StoreLocked
from rating.store.migrations import own_migrations
from rating.store.read_only import connect_reader
from rating.store.sqlite import SqliteStore, check_schema, migrate_store
from rating.store.write_ahead_log import WriteAheadLog
from tests.builders import NOW, a_position, cdr_json
from tests.contract.store_site import Site, SqliteEngine

STEPS = own_migrations()


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[SqliteEngine]:
    engine = SqliteEngine(tmp_path)
    yield engine
    await engine.close()


@pytest.mark.parametrize("content", [b"not a database, but a text of some length\n" * 500, b"\0" * 8192])
async def test_a_file_that_is_no_store_is_refused_and_left_as_it_is(engine: SqliteEngine, content: bytes) -> None:
    engine.path.write_bytes(content)
    with pytest.raises(StoreFailed):
        await engine.open()
    with pytest.raises(StoreFailed):
        migrate_store(engine.path, STEPS, NOW)
    assert engine.path.read_bytes() == content


async def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "tollkeeper.db"
    with pytest.raises(StoreError, match=f"the directory {path.parent} .* does not exist: create it"):
        migrate_store(path, STEPS, NOW)
    with pytest.raises(StoreError, match="does not exist"):
        await SqliteEngine(path.parent).open()


def test_a_store_that_is_not_there_cannot_be_read_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no store at .*: run tollkeeper migrate"):
        connect_reader(tmp_path / "tollkeeper.db")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_a_store_to_be_migrated(tmp_path: Path) -> None:
    path = tmp_path / "tollkeeper.db"
    path.touch()
    with connect_reader(path) as cx, pytest.raises(SchemaTooOld, match="run tollkeeper migrate"):
        check_schema(cx, STEPS)
    cx.close()
    assert migrate_store(path, STEPS, NOW) == STEPS
    assert migrate_store(path, STEPS, NOW) == ()


@pytest.mark.parametrize("name", ["a b.db", "100%.db", "what?.db", "#1.db", "é.db", "x%3fy.db"])
async def test_a_store_may_have_any_name(engine: SqliteEngine, name: str) -> None:
    engine.path = engine.path.with_name(name)
    store = await engine.open()
    assert list(await store.register_sources(["pop-nyc"])) == ["pop-nyc"]
    await store.close()
    cx = connect_reader(engine.path)
    assert cx.execute("SELECT name FROM sources").fetchall() == [("pop-nyc",)]
    cx.close()


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o640), (0o077, 0o600), (0o000, 0o640)])
async def test_nobody_but_the_owner_and_the_group_may_read_a_store(engine: SqliteEngine, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        store = await engine.open()
        await store.register_sources(["pop-nyc"])
        modes = {path.name: path.stat().st_mode & 0o777 for path in engine.path.parent.iterdir()}
        await store.close()
    finally:
        os.umask(before)
    assert modes == {engine.path.name + suffix: mode for suffix in ("", "-wal", "-shm", ".lock")}


async def test_a_running_store_is_not_migrated_by_another(site: Site, engine: SqliteEngine) -> None:
    with pytest.raises(StoreLocked, match="stop it, or let the running daemon do the work"):
        migrate_store(engine.path, STEPS, NOW)


async def test_a_command_reads_a_running_store_and_cannot_write(site: Site, engine: SqliteEngine) -> None:
    await site.send(cdr_json())
    cx = connect_reader(engine.path)
    assert cx.execute("SELECT count(*) FROM transactions_202611").fetchone() == (1,)
    with pytest.raises(sqlite3.OperationalError):
        cx.execute("DELETE FROM transactions_202611")
    cx.close()


async def test_what_was_committed_is_synced_by_a_write_ahead_log(site: Site) -> None:
    assert isinstance(site.store, SqliteStore)
    pragmas = [
        await site.store._writer.run(lambda cx, name=name: cx.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("journal_mode", "synchronous")
    ]
    assert pragmas == ["wal", 2]  # FULL


async def test_a_long_log_is_copied_into_the_file(
    site: Site, engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = engine.path.stat().st_size
    monkeypatch.setattr(write_ahead_log, "WAL_BYTES", 100 * PAGE_BYTES)
    for number in range(40):
        await site.send(*(cdr_json(id=f"{number}-{n}", place="x" * 500) for n in range(20)))
    assert engine.path.stat().st_size > before
    assert engine.path.with_name(engine.path.name + "-wal").stat().st_size < 2 * 100 * PAGE_BYTES


async def test_a_disk_that_fails_while_the_log_is_copied_ends_the_store(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_log: WriteAheadLog, _cx: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(WriteAheadLog, "copy_if_long", fails)
        with pytest.raises(StoreFailed, match="disk I/O error"):
            await site.send(cdr_json(id="one"))
    await site.reopen()
    assert [line["id"] for line in await site.exported()] == ["one"]  # it was committed before


async def test_a_full_disk_ends_the_store_and_loses_nothing_that_was_committed(site: Site) -> None:
    assert isinstance(site.store, SqliteStore)
    assert await site.send(cdr_json(id="before"), position=a_position(1)) == (1, 0, 0)
    await site.store._writer.run(lambda cx: cx.execute("PRAGMA max_page_count = 1"))
    batch = site.batch(*(cdr_json(id=str(number), place="x" * 500) for number in range(2_000)), position=a_position(2))
    with pytest.raises(StoreFailed, match="is full: free some space and start the daemon again"):
        await site.commit(batch)
    await site.reopen()
    assert [line["id"] for line in await site.exported()] == ["before"]
    assert await site.store.positions(site.numbers_of["pop-nyc"]) == {"e1": {"last": 1, "gaps": []}}
