"""The SQL of suspense: records that could not be processed, each known again by its digest or natural key."""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from rating.store.batch import COLUMN, Batch, Row, Suspended, content_of, key_of

_packer = msgspec.msgpack.Encoder()

IDS_PER_STATEMENT: Final = 1000
"""Ids that one statement asks for."""


class SuspenseRecord(msgspec.Struct, frozen=True, gc=False):
    """A record in suspense, and what became of it."""

    id: int
    source: int
    record_id: str | None
    start_at: int | None
    reason: str
    """Why it cannot be processed, or could not be before it left."""
    detail: str
    raw: bytes
    """The line as it arrived, without its end."""
    format: str
    """How `raw` is read: a format's name, and after a blank the zone of its local times."""
    mended: bytes | None
    """The line that a person has put in its place."""
    mended_format: str | None
    arrived_at: int
    state: str
    """`open`, `recycled` or `discarded`."""
    changed_at: int | None
    changed_by: str | None
    remark: str | None
    transaction_id: int | None
    """Of a recycled one: the transaction that it has become, or whose duplicate it turned out to be."""
    feed: str | None = None
    """The feed that it came by, where its source has several."""

    @property
    def line(self) -> bytes:
        """The line that counts."""
        return self.raw if self.mended is None else self.mended

    @property
    def line_format(self) -> str:
        """How `line` is read."""
        return self.format if self.mended is None else self.mended_format or self.format


class Change(msgspec.Struct, frozen=True, gc=False):
    """Something that was done to a record in suspense."""

    changed_at: int
    changed_by: str
    change: str
    """`mended`, `tried` (still in suspense, for another reason), `recycled` or `discarded`."""
    remark: str


class Filter(msgspec.Struct, frozen=True, gc=False):
    """Which records; what is None does not matter."""

    reason: str | None = None
    source: int | None = None
    arrived_from: int | None = None
    """µs UTC."""
    arrived_before: int | None = None
    state: str | None = "open"

    def where(self) -> tuple[str, list[Any]]:
        """As SQL, with its values."""
        wanted = {
            "reason = ?": self.reason,
            "source = ?": self.source,
            "arrived_at >= ?": self.arrived_from,
            "arrived_at < ?": self.arrived_before,
        }
        given = {sql: value for sql, value in wanted.items() if value is not None}
        conditions: list[str] = list(given)
        values: list[Any] = list(given.values())
        if self.state == "open":
            conditions.append("state = 'open'")  # spelled out: only so does the partial index serve
        elif self.state is not None:
            conditions.append("state = ?")
            values.append(self.state)
        return " AND ".join(conditions) or "1 = 1", values


_COLUMNS: Final = ", ".join(SuspenseRecord.__struct_fields__)


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
    """Whether this very record is in suspense, or was before it was recycled or discarded."""
    found = cx.execute("SELECT 1 FROM suspense WHERE source = ? AND digest = ?", (source, digest)).fetchone()
    return found is not None


def holds_key(cx: sqlite3.Connection, source: int, record_id: str, start_at: int) -> bool:
    """Whether a record with this natural key is or was in suspense, whatever it says."""
    found = cx.execute(
        "SELECT 1 FROM suspense WHERE start_at = ? AND record_id = ? AND source = ?", (start_at, record_id, source)
    ).fetchone()
    return found is not None


def has_open_rival(cx: sqlite3.Connection, record: SuspenseRecord) -> bool:
    """Whether another open record has its natural key."""
    found = cx.execute(
        "SELECT 1 FROM suspense WHERE start_at = ? AND record_id = ? AND source = ? AND state = 'open' AND id <> ?",
        (record.start_at, record.record_id, record.source, record.id),
    ).fetchone()
    return found is not None


def insert(cx: sqlite3.Connection, batch: Batch, record: Suspended) -> bool:
    """Write a record of a batch; False if this very record was there already."""
    written = cx.execute(
        "INSERT INTO suspense"
        " (shard, source, digest, record_id, start_at, reason, detail, raw, arrived_at, state, format, feed)"
        " VALUES (0, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, ?) ON CONFLICT DO NOTHING",
        (
            batch.source, record.digest, record.record_id, record.start_at, record.reason, record.detail,
            batch.raw[record.line - 1], batch.arrived_at, batch.format, batch.feed,
        ),
    )  # fmt: skip
    return written.rowcount == 1


def count_by_reason(cx: sqlite3.Connection) -> dict[str, int]:
    """Open records by reason."""
    return dict(
        cx.execute("SELECT reason, count(*) FROM suspense WHERE state = 'open' GROUP BY reason ORDER BY reason")
    )


def last_id(cx: sqlite3.Connection) -> int:
    """The greatest id of a record in suspense; 0 where there is none."""
    (last,) = cx.execute("SELECT coalesce(max(id), 0) FROM suspense").fetchone()
    return int(last)


def select(cx: sqlite3.Connection, which: Filter, after: int, upto: int, limit: int) -> list[SuspenseRecord]:
    """The first records with after < id ≤ upto, ascending."""
    where, values = which.where()
    rows = cx.execute(
        f"SELECT {_COLUMNS} FROM suspense WHERE {where} AND id > ? AND id <= ? ORDER BY id LIMIT ?",
        (*values, after, upto, limit),
    )
    return [SuspenseRecord(*row) for row in rows]


def get_many(cx: sqlite3.Connection, ids: Sequence[int]) -> list[SuspenseRecord]:
    """The records with these ids that exist, whatever their state, ascending."""
    found: list[SuspenseRecord] = []
    for some in _some(ids):
        marks = ", ".join("?" * len(some))
        rows = cx.execute(f"SELECT {_COLUMNS} FROM suspense WHERE id IN ({marks})", some)
        found += [SuspenseRecord(*row) for row in rows]
    return sorted(found, key=lambda record: record.id)


def of_transaction(cx: sqlite3.Connection, transaction: int) -> list[SuspenseRecord]:
    """The records that were recycled into a transaction: the one that it was made of, and its duplicates."""
    rows = cx.execute(f"SELECT {_COLUMNS} FROM suspense WHERE transaction_id = ? ORDER BY id", (transaction,))
    return [SuspenseRecord(*row) for row in rows]


def changes_of(cx: sqlite3.Connection, id_: int) -> list[Change]:
    """What was done to a record, oldest first."""
    rows = cx.execute(
        "SELECT changed_at, changed_by, change, remark FROM suspense_changes WHERE suspense = ? ORDER BY number", (id_,)
    )
    return [Change(*row) for row in rows]


def still_open(cx: sqlite3.Connection, lines: Mapping[int, bytes]) -> set[int]:
    """Those of some records (their lines by id) that are open, and that nobody has mended since."""
    still: set[int] = set()
    for some in _some(list(lines)):
        marks = ", ".join("?" * len(some))
        rows = cx.execute(
            f"SELECT id, coalesce(mended, raw) FROM suspense WHERE state = 'open' AND id IN ({marks})", some
        )
        still.update(id_ for id_, line in rows if line == lines[id_])
    return still


def mend(
    cx: sqlite3.Connection, mended: Sequence[tuple[SuspenseRecord, bytes, str, str]], actor: str, now: int
) -> set[int]:
    """Put lines in the place of records': (record, line, format, remark). The ids of those that were open, and as they
    were read; the others have been changed by somebody else since."""
    still = still_open(cx, {record.id: record.line for record, *_ in mended})
    live = [(record.id, line, format_, remark) for record, line, format_, remark in mended if record.id in still]
    cx.executemany(
        "UPDATE suspense SET mended = ?, mended_format = ?, changed_at = ?, changed_by = ? WHERE id = ?",
        [(line, format_, now, actor, id_) for id_, line, format_, _ in live],
    )
    note(cx, [(id_, "mended", remark) for id_, _, _, remark in live], actor, now)
    return still


def discard(cx: sqlite3.Connection, ids: Sequence[int], actor: str, now: int, remark: str) -> int:
    """Leave open records out for good; how many. Their lines and digests stay."""
    still = {record.id for record in get_many(cx, ids) if record.state == "open"}
    cx.executemany(
        "UPDATE suspense SET state = 'discarded', remark = ?, changed_at = ?, changed_by = ? WHERE id = ?",
        [(remark, now, actor, id_) for id_ in sorted(still)],
    )
    note(cx, [(id_, "discarded", remark) for id_ in sorted(still)], actor, now)
    return len(still)


def note(cx: sqlite3.Connection, changes: Iterable[tuple[int, str, str]], actor: str, now: int) -> None:
    """Write down what was done to records: (id, change, remark)."""
    cx.executemany(
        "INSERT INTO suspense_changes (suspense, number, changed_at, changed_by, change, remark)"
        " SELECT ?, coalesce(max(number), 0) + 1, ?, ?, ?, ? FROM suspense_changes WHERE suspense = ?",
        [(id_, now, actor, change, remark, id_) for id_, change, remark in changes],
    )


def _some(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for at in range(0, len(ids), IDS_PER_STATEMENT):
        yield ids[at : at + IDS_PER_STATEMENT]
