"""The SQL of the counters' snapshot."""

import sqlite3
from collections.abc import Sequence


def save(cx: sqlite3.Connection, covers_id: int, parts: Sequence[bytes], unchanged: int = 0) -> None:
    """Replace the snapshot; the first parts, so many, are those that it has. They are not written again: counters of
    years ago are most of it."""
    (kept,) = cx.execute("SELECT count(*) FROM counter_snapshot WHERE shard = 0 AND part < ?", (unchanged,)).fetchone()
    if kept < unchanged:  # it was discarded
        unchanged = 0
    cx.execute("DELETE FROM counter_snapshot WHERE shard = 0 AND part >= ?", (unchanged,))
    cx.executemany(
        "INSERT INTO counter_snapshot VALUES (0, ?, ?, ?)",
        [(number, covers_id, part) for number, part in enumerate(parts[unchanged:], unchanged)],
    )


def discard(cx: sqlite3.Connection) -> None:
    """Forget the snapshot: the counters will be projected from the first transaction on."""
    cx.execute("DELETE FROM counter_snapshot WHERE shard = 0")


def load(cx: sqlite3.Connection) -> tuple[int, list[bytes]]:
    """The last transaction that the snapshot covers, and its parts; (0, []) without one."""
    rows = cx.execute("SELECT covers_id, body FROM counter_snapshot WHERE shard = 0 ORDER BY part").fetchall()
    return max((covers_id for covers_id, _ in rows), default=0), [body for _, body in rows]
