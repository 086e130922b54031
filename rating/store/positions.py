"""The SQL of transport positions: which batch of which epoch of a source was taken, and what is missing between."""

import sqlite3

from rating.store.batch import Position


def taken_by(cx: sqlite3.Connection, source: int, position: Position) -> bytes | None:
    """The digest of the body that took the position, or None while it is free."""
    found = cx.execute(
        "SELECT digest FROM batches WHERE source = ? AND epoch = ? AND sequence = ?",
        (source, position.epoch, position.sequence),
    ).fetchone()
    return found[0] if found else None


def take(cx: sqlite3.Connection, source: int, position: Position) -> None:
    """Take a free position."""
    cx.execute("INSERT INTO batches VALUES (?, ?, ?, ?)", (source, position.epoch, position.sequence, position.digest))


def positions(cx: sqlite3.Connection, source: int) -> dict[str, dict[str, object]]:
    """Per epoch the last sequence, and the gaps between the first and the last: {EPOCH: {"last", "gaps"}}."""
    epochs: dict[str, dict[str, object]] = {}
    for epoch, last in cx.execute(
        "SELECT epoch, max(sequence) FROM batches WHERE source = ? GROUP BY epoch", (source,)
    ):
        gaps = cx.execute(
            "SELECT before + 1, sequence - 1 FROM (SELECT sequence, lag(sequence) OVER (ORDER BY sequence) AS before"
            " FROM batches WHERE source = ? AND epoch = ?) AS steps WHERE sequence > before + 1 ORDER BY sequence",
            (source, epoch),
        ).fetchall()
        epochs[epoch] = {"last": last, "gaps": [list(gap) for gap in gaps]}
    return epochs


def missing(cx: sqlite3.Connection) -> dict[int, int]:
    """How many sequences are missing between the first and the last of its epochs, by source."""
    return dict(
        cx.execute(
            "SELECT source, sum(missing) FROM (SELECT source, max(sequence) - min(sequence) + 1 - count(*) AS missing"
            " FROM batches GROUP BY source, epoch) AS epochs GROUP BY source"
        )
    )
