"""Taking records out of suspense within an open store transaction: each becomes a transaction, turns out a duplicate,
or stays where it is.

The rules of "exactly one charge" are those of `intake`. What leaves keeps its row in suspense: its digest goes on
saying that it was here, and its transaction whence it came.
"""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from rating.allowances.parts import Parts
from rating.store import suspense, transactions
from rating.store.allowances import Allowances
from rating.store.arrivals import DAY_US
from rating.store.batch import COLUMN, Row, Suspended, content_of
from rating.store.correlation import claim
from rating.store.natural_keys import NaturalKeys
from rating.store.partitions import create_partition, month_of, table_of
from rating.store.retired import REFUSAL, states
from rating.store.suspense import SuspenseRecord

_SOURCE, _RECORD_ID, _START_AT, _KEY = (COLUMN[name] for name in ("source", "record_id", "start_at", "key"))

_CONFLICT: Final = "transaction {} has the same id and start, and says something else"


class Retried(msgspec.Struct, frozen=True, gc=False):
    """A suspended record that was processed once more, on its way to the store: one of row and suspended is there."""

    record: SuspenseRecord
    row: Row | None
    """With the arrival of the record, not of this trial."""
    suspended: Suspended | None
    parts: Parts | None = None
    """As a batch has them of a row."""


class Trial(msgspec.Struct, frozen=True, gc=False):
    """What became of a record."""

    id: int
    became: Literal["recycled", "duplicate", "open", "changed"]
    """`changed`: somebody else has recycled, discarded or mended it since it was read; it was left alone."""
    reason: str = ""
    """Of what stays open."""
    detail: str = ""
    transaction: int | None = None


class Readmission(msgspec.Struct):
    """What one store transaction made of some records."""

    trials: list[Trial]
    """One a record, in no order."""
    stored: list[Row]
    """The new transactions, with their ids, ascending."""
    next_id: int


class Recycling:
    """Takes the records of one store transaction; the caller begins and commits it."""

    def __init__(
        self,
        cx: sqlite3.Connection,
        next_id: int,
        months: set[int],
        keys: NaturalKeys,
        allowances: Allowances,
        actor: str,
        now: int,
    ) -> None:
        """`months` are the partitions that exist, `keys` those of their transactions (both added to here)."""
        self._cx = cx
        self._keys = keys
        self._months = months
        self._allowances = allowances
        self._parts: dict[int, Parts] = {}
        """What the charges of some rows are made of, by the `id()` of the row."""
        self._actor = actor
        self._now = now
        self._done = Readmission([], [], next_id)
        self._records: dict[int, SuspenseRecord] = {}

    def take(self, retried: Sequence[Retried]) -> Readmission:
        """Store what can be, and say what became of each; of two with one natural key the first is stored."""
        still = suspense.still_open(self._cx, {one.record.id: one.record.line for one in retried})
        self._records = {one.record.id: one.record for one in retried}
        self._parts = {id(one.row): one.parts for one in retried if one.parts is not None}
        rows: dict[int, list[tuple[int, Row]]] = {}
        for one in retried:
            if one.record.id not in still:
                self._done.trials.append(Trial(one.record.id, "changed"))
            elif one.row is not None and one.record.feed and not claim(self._cx, one.record.feed, one.row):
                self._done.trials.append(Trial(one.record.id, "duplicate", detail="another feed reported the call"))
            elif one.row is not None:
                rows.setdefault(month_of(one.row[_START_AT]), []).append((one.record.id, one.row))
        retired = states(self._cx)
        for month in sorted(rows):
            if month in retired:
                self._done.trials += [Trial(id_, "open", "too-old", REFUSAL) for id_, _ in rows[month]]
            else:
                self._store(month, rows[month])
        for one in retried:
            if one.record.id in still and one.suspended is not None:
                self._keep(one.record, one.suspended)
        self._write_down()
        return self._done

    def _store(self, month: int, pairs: list[tuple[int, Row]]) -> None:
        """Insert the rows of one month; look closer at those that were refused."""
        if month not in self._months:
            create_partition(self._cx, month)
            self._months.add(month)
        first_id = self._done.next_id
        refused = set(self._insert(month, [row for _, row in pairs]))
        for index, (id_, row) in enumerate(pairs):
            if index not in refused:
                self._stored(id_, row)
        for index in sorted(refused):
            id_, row = pairs[index]
            there = self._keys.find(self._cx, month, row[_SOURCE], row[_RECORD_ID], row[_START_AT])
            if there is None:  # another record had its key: two natural keys can have one number
                row[_KEY] = self._keys.free(self._cx, month, row[_SOURCE], row[_RECORD_ID], row[_START_AT])
                again = self._insert(month, [row])
                assert not again
                self._stored(id_, row)
            elif content_of(there) == content_of(row):
                self._done.trials.append(Trial(id_, "duplicate", transaction=there[0]))
            else:
                self._done.trials.append(Trial(id_, "open", "conflict", _CONFLICT.format(there[0])))
        # It was rated now, and arrived before: the column that a row from a feed leaves empty.
        self._cx.execute(
            f"UPDATE {table_of(month)} SET rated_at = ? WHERE id >= ? AND id < ?",
            (self._now, first_id, self._done.next_id),
        )

    def _insert(self, month: int, rows: list[Row]) -> list[int]:
        """Insert the rows whose keys are free; the indexes of the others."""
        refused, free = self._keys.divide(self._cx, month, rows)
        for id_, row in enumerate(free, self._done.next_id):
            row[0] = id_
        self._done.next_id += len(free)
        if self._parts:
            self._allowances.reduce(self._cx, free, self._parts)
        transactions.insert(self._cx, month, free)
        self._keys.add(month, free)
        return refused

    def _stored(self, id_: int, row: Row) -> None:
        self._done.stored.append(row)
        self._done.trials.append(Trial(id_, "recycled", transaction=row[0]))

    def _keep(self, record: SuspenseRecord, suspended: Suspended) -> None:
        """A record that still cannot be processed; the store may know better (a duplicate, a conflict)."""
        trial = Trial(record.id, "open", suspended.reason, suspended.detail)
        if suspended.content is not None:
            assert suspended.record_id is not None
            assert suspended.start_at is not None
            month, there = month_of(suspended.start_at), None
            if month in self._months:
                key = record.source, suspended.record_id, suspended.start_at
                there = self._keys.find(self._cx, month, *key)
            if there and content_of(there) == suspended.content:
                trial = Trial(record.id, "duplicate", transaction=there[0])
            elif there:
                trial = Trial(record.id, "open", "conflict", _CONFLICT.format(there[0]))
            elif record.reason == "conflict" and suspense.has_open_rival(self._cx, record):
                trial = Trial(record.id, "open", record.reason, record.detail)
        self._done.trials.append(trial)

    def _write_down(self) -> None:
        """What became of the records, in their rows, their histories and the tallies of their arrivals."""
        left: list[tuple[int | None, str | None, int, str, int]] = []
        kept: list[tuple[str, str, int, str, int]] = []
        notes: list[tuple[int, str, str]] = []
        moved: Counter[tuple[int, int, str]] = Counter()
        for trial in self._done.trials:
            record = self._records[trial.id]
            if trial.became in ("recycled", "duplicate"):
                remark = None
                if trial.became == "duplicate":
                    remark = trial.detail or f"duplicate of transaction {trial.transaction}"
                left.append((trial.transaction, remark, self._now, self._actor, trial.id))
                notes.append((trial.id, "recycled", remark or f"into transaction {trial.transaction}"))
                moved[record.source, record.arrived_at // DAY_US, trial.became] += 1
            elif trial.became == "open" and (trial.reason, trial.detail) != (record.reason, record.detail):
                kept.append((trial.reason, trial.detail, self._now, self._actor, trial.id))
                notes.append((trial.id, "tried", f"{trial.reason}: {trial.detail}"))
        self._cx.executemany(
            "UPDATE suspense SET state = 'recycled', transaction_id = ?, remark = ?, changed_at = ?, changed_by = ?"
            " WHERE id = ?",
            left,
        )
        self._cx.executemany(
            "UPDATE suspense SET reason = ?, detail = ?, changed_at = ?, changed_by = ? WHERE id = ?", kept
        )
        suspense.note(self._cx, notes, self._actor, self._now)
        # A duplicate leaves no row to be counted: the tally of the day on which it arrived has to say so.
        for (source, day, became), number in moved.items():
            column = "duplicate" if became == "duplicate" else "stored"
            self._cx.execute(
                f"UPDATE arrivals SET {column} = {column} + ?, suspended = suspended - ? WHERE source = ? AND day = ?",
                (number, number, source, day),
            )
