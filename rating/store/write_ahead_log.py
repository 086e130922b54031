"""Copying the write-ahead log into the file, by ourselves: SQLite does it after a commit too, but keeps to itself that
the disk has failed in it."""

import os
import sqlite3
import sys
from pathlib import Path
from typing import Final

from rating.store.connection import PAGE_BYTES

WAL_BYTES: Final = 256 << 20
"""The log is copied into the file when it has grown to this. A page that is written in many commits is copied once; a
longer log would make the start after a crash slower."""

_FRAMES_AT: Final = 16
"""Where the log's index, a file beside it, has the number of the last valid frame: a native 32-bit number (SQLite's
"WAL-mode File Format", 2.1)."""


class WriteAheadLog:
    """The log of one store, for the thread that writes it."""

    def __init__(self, path: Path) -> None:
        self._index_path = f"{path.resolve()}-shm"
        self._index: int | None = None

    def take_over(self, cx: sqlite3.Connection) -> None:
        """From now on `copy_if_long` is called after each commit. Where the log's index cannot be seen, SQLite goes on
        doing it."""
        self._index = _descriptor_of(self._index_path)
        if self._index is not None:
            cx.execute("PRAGMA wal_autocheckpoint = 0")

    def copy_if_long(self, cx: sqlite3.Connection) -> None:
        """After a commit. Raises sqlite3.Error where the disk fails: what was committed is safe in the log."""
        if self._index is not None and self._frames() * PAGE_BYTES >= WAL_BYTES:
            self.copy(cx)

    def copy(self, cx: sqlite3.Connection) -> None:
        """What no reader is in the way of. Raises sqlite3.Error, likewise."""
        cx.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def _frames(self) -> int:
        assert self._index is not None
        return int.from_bytes(os.pread(self._index, 4, _FRAMES_AT), sys.byteorder)


def _descriptor_of(path: str) -> int | None:
    """SQLite's own descriptor of a file. One of ours must not be: when it is closed, the process loses its locks on the
    file (POSIX)."""
    try:
        ours = list(Path("/proc/self/fd").iterdir())
    except OSError:
        return None
    for link in ours:
        try:
            if str(link.readlink()) == path:
                return int(link.name)
        except OSError:  # it was closed meanwhile
            continue
    return None
