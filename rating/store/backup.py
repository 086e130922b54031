"""A consistent copy of a store that may be written all the while.

SQLite's backup copies pages as they lie, as fast as the disk gives them; VACUUM INTO would rebuild every index, take
many times as long, and tell nothing on the way. The copy is read in steps within one read transaction: without it each
commit of the daemon would start the copy anew, and on a busy store it would never end. For as long as it is held the
write-ahead log cannot be emptied and grows by what is written, so the copy gives up before that fills the store's disk.
"""

import contextlib
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from rating.store.connection import explained
from rating.store.errors import StoreError
from rating.store.migrations import schema_numbers
from rating.store.partitions import last_id, partitions, table_of
from rating.store.read_only import connect_reader
from rating.store.syncing import sync_directory

STEP_BYTES: Final = 16 << 20
"""Copied between two looks at the disk, and written out before the next, so that the daemon's syncs never wait for
gigabytes of ours."""
WORST: Final = 5
"""Findings of the check that a message tells."""

Progress = Callable[[int, int], None]
"""Told after each step: bytes copied, and bytes in all."""


class TargetRefused(StoreError):
    """The copy cannot be made under that name."""


class BackupFailed(StoreError):
    """The copy was begun, and could not be finished; nothing is left of it."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a finished copy holds."""

    transactions: int
    last_id: int
    """The greatest transaction id; 0 without any."""
    size_bytes: int


def back_up(store: Path, target: Path, *, replace: bool, progress: Progress = lambda _done, _all: None) -> Copied:
    """Copy `store` to `target`, checked and synced; it appears there whole, or not at all. Whatever was committed
    before the call is in it. Raises StoreError."""
    check_target(store, target, replace=replace)
    part = target.with_name(target.name + ".part")
    with explained(store), contextlib.closing(connect_reader(store)) as cx:
        if not schema_numbers(cx):
            raise StoreError(f"{store} is no Tollkeeper store: mind the path in [store] url")
        with _part(part, target) as file:
            try:
                with _words(target):
                    _copy(cx, store, part, file, progress)
                    cx.rollback()  # the log may be emptied again: the check needs the copy alone
                    copied = _checked(part)
                    os.fsync(file.fileno())
                    check_target(store, target, replace=replace)
                    part.rename(target)
                    sync_directory(target.parent)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
    return copied


def check_target(store: Path, target: Path, *, replace: bool) -> None:
    """Refuse a name that a copy may not have. Raises TargetRefused."""
    if not target.name or target.is_dir():
        raise TargetRefused(f"{target} is a directory: name a file in it")
    if not target.parent.is_dir():
        raise TargetRefused(f"the directory {target.parent} does not exist: create it, or name another")
    own = {store.name + suffix for suffix in ("", "-wal", "-shm", "-journal", ".lock", ".sock")}
    if target.name in own and target.parent.resolve() == store.parent.resolve():
        raise TargetRefused(f"{target} belongs to the store itself: name another file")
    if os.path.lexists(target) and not replace:
        raise TargetRefused(f"{target} is there already: name another file, or replace it with --force")


@contextlib.contextmanager
def _part(part: Path, target: Path) -> Iterator[IO[bytes]]:
    """The unfinished copy, empty, and this process's alone. Only its owner may read it: it holds customers' calls."""
    try:
        file = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
    except OSError as error:
        raise TargetRefused(f"{part} cannot be written ({error.strerror}): choose another place") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TargetRefused(f"another backup to {target} is under way: wait for its end") from None
        file.truncate()
        yield file


def _copy(cx: sqlite3.Connection, store: Path, part: Path, file: IO[bytes], progress: Progress) -> None:
    """Copy what is committed now."""
    cx.execute("BEGIN")
    cx.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # from here on it reads what is committed now
    (pages,) = cx.execute("PRAGMA page_count").fetchone()
    (page_bytes,) = cx.execute("PRAGMA page_size").fetchone()
    size = pages * page_bytes
    room = _room(store, part, size)
    wal = store.with_name(store.name + "-wal")
    wal_bytes = _size(wal)

    def stepped(_status: int, remaining: int, total: int) -> None:
        os.fdatasync(file.fileno())
        # Nobody reads the copy soon, and the store's own pages are wanted in memory.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if _size(wal) - wal_bytes > room // 2:
            raise BackupFailed(
                f"given up: half of the space left beside {store} went to its log while it was copied, and the daemon"
                " needs the rest: make space, or take the backup when less arrives"
            )
        progress((total - remaining) * page_bytes, size)

    with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA synchronous = OFF")  # it is synced here, and worth nothing before its end
        cx.backup(copy, pages=max(1, STEP_BYTES // page_bytes), progress=stepped)


def _room(store: Path, part: Path, size: int) -> int:
    """Bytes that are left for the store's log beside the copy. Raises BackupFailed where there is no space for it."""
    free = shutil.disk_usage(part.parent).free
    if free <= size:
        raise BackupFailed(
            f"the disk of {part.parent} has {free:,} bytes left, and the copy needs {size:,}: make space,"
            " or choose another disk"
        )
    if part.parent.stat().st_dev == store.parent.stat().st_dev:
        return free - size
    return shutil.disk_usage(store.parent).free


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@contextlib.contextmanager
def _words(target: Path) -> Iterator[None]:
    """Turns what went wrong with the copy into BackupFailed."""
    try:
        yield
    except sqlite3.Error as error:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code == sqlite3.SQLITE_CORRUPT:
            raise BackupFailed(_unsound(str(error))) from error
        if code == sqlite3.SQLITE_FULL:
            raise BackupFailed(f"the disk of {target.parent} is full: make space, or choose another disk") from error
        raise BackupFailed(f"the copy to {target} failed ({error}): look at the kernel's log") from error
    except OSError as error:
        raise BackupFailed(
            f"the copy to {target} failed ({error.strerror or error}): make space, or choose another disk"
        ) from error


def _checked(copy: Path) -> Copied:
    """Count what is in a copy, and look whether it is sound. Raises BackupFailed."""
    # immutable: nobody else writes it, and no -wal and -shm files are made beside it.
    with contextlib.closing(sqlite3.connect(f"{copy.absolute().as_uri()}?immutable=1", uri=True)) as cx:
        found = [line for (line,) in cx.execute(f"PRAGMA quick_check({WORST})")]
        if found != ["ok"]:
            raise BackupFailed(_unsound("; ".join(found)))
        tables = [table_of(month) for month in partitions(cx)]
        transactions = sum(cx.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)
        return Copied(transactions, last_id(cx), copy.stat().st_size)


def _unsound(found: str) -> str:
    return (
        f"the copy is not sound ({' '.join(found.split())}), so the store is not either: keep the backups that you"
        " have, and look at the kernel's log"
    )
