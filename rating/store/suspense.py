"""The SQL of suspense: records that could not be processed, each known again by its digest or natural key."""

import hashlib
import sqlite3
from collections.abc import Iterator

import msgspec

from rating.store.batch import COLUMN, Row, Suspended, content_of, key_of

_packer = msgspec.msgpack.Encoder()


def digest_of(record_id: str, start_at: int, content: tuple[object, ...]) -> bytes:
    """How a record that was normalised is known again: over its natural key and its values."""
    return hashlib.blake2b(_packer.encode((record_id, start_at, content)), digest_size=16).digest()


def digest_of_row(row: Row) -> bytes:
    """The digest of the record that a transaction was made from."""
    return digest_of(row[COLUMN["record_id"]], row[COLUMN["start_at"]], content_of(row))


def keys(cx: sqlite3.Connection) -> Iterator[int]:
    """The keys of all that was ever suspended and has one that can be read."""
    for source, record_id, start_at in cx.execute(
        "SELECT source, record_id, start_at FROM suspense WHERE record_id IS NOT NULL AND start_at IS NOT NULL"
    ):
        yield key_of(source, record_id, start_at)


def is_known(cx: sqlite3.Connection, source: int, digest: bytes) -> bool:
    """Whether this very record is in suspense."""
    found = cx.execute("SELECT 1 FROM suspense WHERE source = ? AND digest = ?", (source, digest)).fetchone()
    return found is not None


def holds_key(cx: sqlite3.Connection, source: int, record_id: str, start_at: int) -> bool:
    """Whether a record with this natural key is in suspense, whatever it says."""
    found = cx.execute(
        "SELECT 1 FROM suspense WHERE start_at = ? AND record_id = ? AND source = ?", (start_at, record_id, source)
    ).fetchone()
    return found is not None


def insert(cx: sqlite3.Connection, source: int, record: Suspended, raw: bytes, arrived_at: int) -> bool:
    """Write a record; False if this very record was there already."""
    written = cx.execute(
        "INSERT INTO suspense (shard, source, digest, record_id, start_at, reason, detail, raw, arrived_at, state)"
        " VALUES (0, ?, ?, ?, ?, ?, ?, ?, ?, 'open') ON CONFLICT DO NOTHING",
        (source, record.digest, record.record_id, record.start_at, record.reason, record.detail, raw, arrived_at),
    )
    return written.rowcount == 1


def count_by_reason(cx: sqlite3.Connection) -> dict[str, int]:
    """Open records by reason."""
    return dict(
        cx.execute("SELECT reason, count(*) FROM suspense WHERE state = 'open' GROUP BY reason ORDER BY reason")
    )
