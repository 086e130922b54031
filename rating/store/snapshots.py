"""The SQL of the counters' snapshot."""

import sqlite3
from collections.abc import Sequence


def save(cx: sqlite3.Connection, covers_id: int, parts: Sequence[bytes]) -> None:
    """Replace the snapshot."""
    discard(cx)
    cx.executemany(
        "INSERT INTO counter_snapshot VALUES (0, ?, ?, ?)", [(n, covers_id, part) for n, part in enumerate(parts)]
    )


def discard(cx: sqlite3.Connection) -> None:
    """Forget the snapshot: the counters will be projected from the first transaction on."""
    cx.execute("DELETE FROM counter_snapshot WHERE shard = 0")


def load(cx: sqlite3.Connection) -> tuple[int, list[bytes]]:
    """The last transaction that the snapshot covers, and its parts; (0, []) without one."""
    rows = cx.execute("SELECT covers_id, body FROM counter_snapshot WHERE shard = 0 ORDER BY part").fetchall()
    return (rows[0][0] if rows else 0), [body for _, body in rows]
