"""Opening a store for reading alone; by itself, for the processes in front of the seam need no more of an engine."""

import sqlite3
from pathlib import Path
from typing import Final

from rating.store.errors import StoreError

_PRAGMAS: Final = ("PRAGMA query_only = ON", "PRAGMA cache_size = -4096")


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that can only read; for commands, which need no event loop. Raises StoreError."""
    if not path.exists():
        raise StoreError(f"there is no store at {path}: run tollkeeper migrate, or start the daemon")
    cx = sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)
    for pragma in _PRAGMAS:
        cx.execute(pragma)
    return cx


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
