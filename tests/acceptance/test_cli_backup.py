"""A backup under ingest, and what becomes of it: a site that starts, holds all that was acknowledged, and adds up."""

import contextlib
import fcntl
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rating.store.backup import BackupFailed, back_up
from tests.acceptance.daemon_process import DaemonProcess, Site, one_line, tollkeeper
from tests.acceptance.test_full_disk import SmallDisk, disk  # noqa: F401  # a fixture is found by its name here
from tests.small_site import ndjson, some_records

BATCH = 200


def batch(n: int) -> bytes:
    return ndjson(*some_records(BATCH, f"b{n}"))


class Pouring:
    """A POP that sends one batch after another until it is told to stop."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self.acknowledged = 0
        """Batches; batch n has position e/n."""
        self._daemon = daemon
        self._over = threading.Event()
        self._some = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._pour)

    def _pour(self) -> None:
        with self._daemon.pop() as pop:
            while not self._over.is_set():
                assert pop.send(batch(self.acknowledged), f"e/{self.acknowledged}").counts == (BATCH, 0, 0)
                self.acknowledged += 1
                self._some.release()

    def wait_for(self, batches: int) -> None:
        for _ in range(batches):
            assert self._some.acquire(timeout=20)

    def __enter__(self) -> "Pouring":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(30)


def restore(site: Site, copy: Path) -> None:
    """As systemd/README.md tells it; the daemon is stopped."""
    shutil.copy(copy, site.store)
    for suffix in ("-wal", "-shm"):
        site.store.with_name(site.store.name + suffix).unlink(missing_ok=True)


def test_a_backup_under_ingest_is_a_whole_site(provisioned: Site, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with provisioned.serving() as daemon:
        with Pouring(daemon) as pouring:
            pouring.wait_for(5)
            before = pouring.acknowledged
            code, told = provisioned.answer("backup", copy)
            assert code == 0
            after = pouring.acknowledged + 1  # one may be stored and not yet answered
            pouring.wait_for(3)
        sent = pouring.acknowledged
        daemon.kill()
    assert told.keys() >= {"transactions", "bytes", "last_transaction", "seconds"}
    assert before * BATCH <= told["transactions"] <= after * BATCH
    assert told["bytes"] == copy.stat().st_size
    assert told["last_transaction"] >= told["transactions"]
    assert not copy.with_name("copy.db.part").exists()

    restore(provisioned, copy)
    with provisioned.serving() as daemon, daemon.pop() as pop:
        stored = {row["id"] for row in provisioned.export()}
        assert len(stored) == told["transactions"]
        assert {record["id"] for n in range(before) for record in some_records(BATCH, f"b{n}")} <= stored
        assert provisioned.answer("recount")[1]["differences"] == 0
        kept = told["transactions"] // BATCH
        assert pop.get("/v1/positions").json == {"e": {"last": kept - 1, "gaps": []}}
        for n in range(sent):  # the POP sends all of it again: what the copy has is there once
            assert pop.send(batch(n), f"e/{n}").counts == ((0, BATCH, 0) if n < kept else (BATCH, 0, 0))
        code, answer = provisioned.answer("recount")
        assert (code, answer["transactions"], answer["differences"]) == (0, sent * BATCH, 0)
        assert daemon.terminate() == 0


def test_a_copy_can_be_read_by_its_owner_alone(provisioned: Site, tmp_path: Path) -> None:
    provisioned.done("backup", tmp_path / "copy.db")
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"copy.db", "site"}


def test_a_backup_of_a_stopped_store_leaves_it_as_it_is(provisioned: Site, tmp_path: Path) -> None:
    ended = tollkeeper("backup", tmp_path / "copy.db", "--config", provisioned.config)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"0 transactions" in ended.stdout
    with closing(sqlite3.connect(tmp_path / "copy.db")) as cx:
        assert cx.execute("SELECT count(*) FROM accounts").fetchone() == (8,)


def test_a_file_that_is_there_is_replaced_only_by_force(provisioned: Site, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_bytes(b"last night's")
    ended = provisioned.command("backup", copy)
    assert ended.returncode == 2
    assert "--force" in one_line(ended.stderr)
    assert copy.read_bytes() == b"last night's"
    provisioned.done("backup", copy, "--force")
    assert copy.read_bytes().startswith(b"SQLite format 3\0")


def test_what_an_earlier_backup_left_unfinished_is_in_nobodys_way(provisioned: Site, tmp_path: Path) -> None:
    (tmp_path / "copy.db.part").write_bytes(b"half of it" * 100_000)
    provisioned.done("backup", tmp_path / "copy.db")
    assert not (tmp_path / "copy.db.part").exists()


@pytest.mark.parametrize(
    ("target", "word"),
    [
        pytest.param("missing/copy.db", "missing", id="a directory that is not there"),
        pytest.param("site", "directory", id="a directory"),
        pytest.param("site/tollkeeper.db", "belongs to the store", id="the store"),
        pytest.param("site/../site/tollkeeper.db-wal", "belongs to the store", id="the store's log"),
    ],
)
def test_a_target_that_cannot_be_is_refused_in_a_line(
    provisioned: Site, tmp_path: Path, target: str, word: str
) -> None:
    before = provisioned.store.read_bytes()
    ended = provisioned.command("backup", tmp_path / target, "--force")
    assert ended.returncode == 2
    assert word in one_line(ended.stderr)
    assert provisioned.store.read_bytes() == before


def test_without_a_store_there_is_nothing_to_copy(site: Site, tmp_path: Path) -> None:
    ended = site.command("backup", tmp_path / "copy.db")
    assert ended.returncode == 1
    assert "no store" in one_line(ended.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


@pytest.mark.parametrize("kind", ["garbage", "another program's"])
def test_what_is_no_store_is_not_copied(site: Site, tmp_path: Path, kind: str) -> None:
    if kind == "garbage":
        site.store.write_bytes(b"this is no store\n" * 1000)
    else:
        with closing(sqlite3.connect(site.store)) as cx:
            cx.execute("CREATE TABLE bookmarks (url)")
    ended = site.command("backup", tmp_path / "copy.db")
    assert ended.returncode == 1
    assert "no Tollkeeper store" in one_line(ended.stderr) or "not a Tollkeeper store" in one_line(ended.stderr)
    assert not (tmp_path / "copy.db").exists()


def test_a_store_that_is_to_be_migrated_can_be_copied_before(provisioned: Site, tmp_path: Path) -> None:
    with closing(sqlite3.connect(provisioned.store)) as cx:
        cx.execute("UPDATE schema_migrations SET number = number - 1")
        cx.commit()
    provisioned.done("backup", tmp_path / "copy.db")


def test_two_backups_to_one_file_do_not_meet(provisioned: Site, tmp_path: Path) -> None:
    with (tmp_path / "copy.db.part").open("wb") as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        ended = provisioned.command("backup", tmp_path / "copy.db")
        assert ended.returncode == 2
        assert "under way" in one_line(ended.stderr)
        assert (tmp_path / "copy.db.part").exists()


def test_a_damaged_store_makes_no_backup(provisioned: Site, tmp_path: Path) -> None:
    with closing(sqlite3.connect(provisioned.store)) as cx:
        cx.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = cx.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'lines'").fetchone()
        (page,) = cx.execute("PRAGMA page_size").fetchone()
    with provisioned.store.open("r+b") as file:
        file.seek((root - 1) * page)
        file.write(b"\xff" * page)
    ended = provisioned.command("backup", tmp_path / "copy.db")
    assert ended.returncode == 1
    assert "not sound" in one_line(ended.stderr)
    assert not list(tmp_path.glob("copy.db*"))


@pytest.fixture
def big(provisioned: Site) -> Site:
    """A site with some megabytes."""
    with provisioned.serving() as daemon, daemon.pop() as pop:
        for n in range(5):
            assert pop.send(ndjson(*some_records(5000, f"m{n}"))).counts == (5000, 0, 0)
        assert daemon.terminate() == 0
    return provisioned


def test_a_full_target_disk_is_a_line_and_leaves_nothing(big: Site, disk: SmallDisk) -> None:  # noqa: F811  # the fixture
    assert big.store.stat().st_size > 4 << 20
    ended = big.command("backup", disk.where / "copy.db")
    assert ended.returncode == 1
    assert "make space" in one_line(ended.stderr)
    assert not list(disk.where.iterdir())


def test_a_target_disk_that_fills_up_meanwhile_is_a_line_and_leaves_nothing(
    big: Site, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch  # noqa: F811  # the fixture
) -> None:  # fmt: skip
    monkeypatch.setattr("rating.store.backup._room", lambda *_: 1 << 40)
    ended = big.command("backup", disk.where / "copy.db")
    assert ended.returncode == 1
    assert "make space" in one_line(ended.stderr)
    assert not list(disk.where.iterdir())


def test_a_copy_gives_up_before_the_log_takes_the_daemons_space(
    big: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is read the log can only grow; here somebody writes between its steps, and little is left."""
    monkeypatch.setattr("rating.store.backup._room", lambda *_: 1 << 20)
    monkeypatch.setattr("rating.store.backup.STEP_BYTES", 1 << 20)
    with busy(big.store) as write, pytest.raises(BackupFailed, match="given up"):
        back_up(big.store, tmp_path / "copy.db", replace=False, progress=lambda _done, _all: write())
    assert not list(tmp_path.glob("copy.db*"))


def test_a_copy_is_of_its_first_instant_whatever_is_written_meanwhile(
    big: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rating.store.backup.STEP_BYTES", 1 << 20)
    steps: list[int] = []
    with busy(big.store) as write:

        def between(done: int, _all: int) -> None:
            assert len(steps) < 100, "it begins again at each commit"
            steps.append(done)
            write()

        write()
        back_up(big.store, tmp_path / "copy.db", replace=False, progress=between)
    assert steps == sorted(steps)
    assert len(steps) > 4
    with closing(sqlite3.connect(tmp_path / "copy.db")) as cx:
        assert cx.execute("SELECT count(*) FROM busy").fetchone() == (1,)


@contextlib.contextmanager
def busy(store: Path) -> Iterator[Callable[[], None]]:
    """Commits a row of 400 kB at each call."""
    with closing(sqlite3.connect(store)) as cx:
        cx.execute("CREATE TABLE busy (bytes)")

        def write() -> None:
            cx.execute("INSERT INTO busy VALUES (zeroblob(400000))")
            cx.commit()

        yield write
