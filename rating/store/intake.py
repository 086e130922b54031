"""Taking batches into an open store transaction: what is new, what was here before, what contradicts what was here.

Every rule of "exactly one charge" that needs the store is here. A record that was suspended is known by its digest; a
record that became a transaction by its natural key, with its content compared.
"""

import sqlite3
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

import msgspec

from rating.allowances.parts import Parts
from rating.store import correlation, positions, suspense, transactions
from rating.store.allowances import Allowances
from rating.store.arrivals import Tally
from rating.store.batch import COLUMN, Batch, Outcome, Row, Suspended, Verdict, content_of, key_of
from rating.store.natural_keys import NaturalKeys
from rating.store.partitions import create_partition, month_of
from rating.store.retired import REFUSAL, states

VERDICTS: Final = 100
"""Suspended records that an answer names, at most."""

_SOURCE, _RECORD_ID, _START_AT, _KEY = (COLUMN[name] for name in ("source", "record_id", "start_at", "key"))


class Admission(msgspec.Struct):
    """What one store transaction took in."""

    outcomes: list[Outcome]
    """One a batch, in the batches' order."""
    stored: list[Row]
    """The transactions, with their ids, ascending."""
    next_id: int
    suspended: list[tuple[int, str, int]] = msgspec.field(default_factory=list)
    """Natural keys (source, record id, start) that went into suspense."""


class Intake:
    """Takes the batches of one store transaction; the caller begins and commits it."""

    def __init__(
        self,
        cx: sqlite3.Connection,
        next_id: int,
        months: set[int],
        keys: NaturalKeys,
        suspended_keys: set[int],
        allowances: Allowances,
    ) -> None:
        """`months` are the partitions that exist (added to here); `keys` those of their transactions (added to here);
        `suspended_keys` the keys of all that is in suspense (added to here): a filter, for two records may have one
        key."""
        self._cx = cx
        self._keys = keys
        self._months = months
        self._suspended_keys = suspended_keys
        self._allowances = allowances
        self._parts: dict[int, Parts] = {}
        """What the charges of some rows are made of, by the `id()` of the row."""
        self._admission = Admission([], [], next_id)

    def admit(self, batches: Sequence[Batch]) -> Admission:
        """Write what is new of the batches, and say what became of each record."""
        admission = self._admission
        admission.outcomes = [Outcome() for _ in batches]
        live = [pair for pair in zip(batches, admission.outcomes, strict=True) if self._take_position(*pair)]
        for batch, _ in live:
            if batch.parts:
                self._look_at_parts(batch)
        retired = states(self._cx)
        for month in sorted({month for batch, _ in live for month in batch.rows}):
            if month in retired:
                self._refuse_month(month, live)
            else:
                self._admit_month(month, live)
        for batch, outcome in live:
            for record in batch.suspended:
                self._admit_suspended(batch, outcome, record)
        for outcome in admission.outcomes:
            outcome.records = sorted(outcome.records, key=lambda verdict: verdict.line)[:VERDICTS]
        tally = Tally()
        for batch, outcome in zip(batches, admission.outcomes, strict=True):
            if not outcome.conflict:
                assert outcome.accepted + outcome.duplicate + outcome.suspended == batch.received
                tally.add(batch.source, batch.arrived_at, outcome)
        tally.write(self._cx)
        return admission

    def _look_at_parts(self, batch: Batch) -> None:
        for month, lines in batch.row_lines.items():
            for row, line in zip(batch.rows[month], lines, strict=True):
                if line in batch.parts:
                    self._parts[id(row)] = batch.parts[line]

    def _take_position(self, batch: Batch, outcome: Outcome) -> bool:
        """Whether the batch is to be looked at: its position is free, or it has none."""
        if batch.position is None:
            return True
        taken = positions.taken_by(self._cx, batch.source, batch.position)
        if taken is None:
            positions.take(self._cx, batch.source, batch.position)
            return True
        if taken == batch.position.digest:
            outcome.duplicate = batch.received
        else:
            outcome.conflict = True
        return False

    def _admit_month(self, month: int, live: list[tuple[Batch, Outcome]]) -> None:
        """Insert the rows of one month, of all batches at once; look closer at those that were refused."""
        if month not in self._months:
            create_partition(self._cx, month)
            self._months.add(month)
        rows: list[Row] = []
        lines: list[int] = []  # of each row
        starts: list[int] = []  # of each batch's rows in `rows`, to find the batch of a refused one
        owners: list[tuple[Batch, Outcome]] = []
        doubtful: list[tuple[Batch, Outcome, int, Row]] = []
        for batch, outcome in live:
            own, own_lines = batch.rows.get(month), batch.row_lines.get(month)
            if not own or not own_lines:
                continue
            if batch.feed is not None:
                own, own_lines = self._not_reported(batch.feed, outcome, own, own_lines)
            starts.append(len(rows))
            owners.append((batch, outcome))
            if self._suspended_keys:
                certain, certain_lines = [], []
                for row, line in zip(own, own_lines, strict=True):
                    if row[_KEY] in self._suspended_keys:
                        doubtful.append((batch, outcome, line, row))
                    else:
                        certain.append(row)
                        certain_lines.append(line)
                own, own_lines = certain, certain_lines
            rows += own
            lines += own_lines
            outcome.accepted += len(own)
        refused = self._insert(month, rows)
        for index in refused:
            batch, outcome = owners[bisect_right(starts, index) - 1]
            outcome.accepted -= 1
            self._admit_refused(batch, outcome, lines[index], month, rows[index])
        for batch, outcome, line, row in doubtful:
            self._admit_doubtful(batch, outcome, line, month, row)

    def _refuse_month(self, month: int, live: list[tuple[Batch, Outcome]]) -> None:
        """Suspend the rows of a month that is retired, or about to be: its natural keys are no longer known, so that a
        record which came before would be charged once more."""
        for batch, outcome in live:
            for row, line in zip(batch.rows.get(month, ()), batch.row_lines.get(month, ()), strict=True):
                self._admit_suspended(batch, outcome, _suspended(row, line, "too-old", REFUSAL))

    def _not_reported(
        self, feed: str, outcome: Outcome, rows: list[Row], lines: list[int]
    ) -> tuple[list[Row], list[int]]:
        """The rows whose calls no other feed of the source has reported, with their lines."""
        left, left_lines = [], []
        for row, line in zip(rows, lines, strict=True):
            if correlation.claim(self._cx, feed, row):
                left.append(row)
                left_lines.append(line)
            else:
                outcome.duplicate += 1
        return left, left_lines

    def _insert(self, month: int, rows: list[Row]) -> list[int]:
        """Insert the rows whose keys are free; the indexes of the others."""
        admission = self._admission
        refused, free = self._keys.divide(self._cx, month, rows)
        for id_, row in enumerate(free, admission.next_id):
            row[0] = id_
        admission.next_id += len(free)
        if self._parts:
            self._allowances.reduce(self._cx, free, self._parts)
        transactions.insert(self._cx, month, free)
        self._keys.add(month, free)
        admission.stored += free
        return refused

    def _admit_refused(self, batch: Batch, outcome: Outcome, line: int, month: int, row: Row) -> None:
        """A row whose natural key is in the store: the same record again, or a conflict."""
        there = self._keys.find(self._cx, month, *_key(row))
        if there is None:  # another record had its key: two natural keys can have one number
            row[_KEY] = self._keys.free(self._cx, month, *_key(row))
            self._admit_new(outcome, month, row)
        elif content_of(there) == content_of(row):
            outcome.duplicate += 1
        else:
            detail = f"transaction {there[0]} has the same id and start, and says something else"
            self._suspend(batch, outcome, _suspended(row, line, "conflict", detail))

    def _admit_doubtful(self, batch: Batch, outcome: Outcome, line: int, month: int, row: Row) -> None:
        """A row whose natural key may be in suspense (the filter can be wrong, the store cannot)."""
        if suspense.is_known(self._cx, batch.source, suspense.digest_of_row(row)):
            outcome.duplicate += 1
        elif self._keys.find(self._cx, month, *_key(row)):
            self._admit_refused(batch, outcome, line, month, row)
        elif suspense.holds_key(self._cx, *_key(row)):
            detail = "a suspended record has the same id and start, and says something else"
            self._suspend(batch, outcome, _suspended(row, line, "conflict", detail))
        else:
            row[_KEY] = self._keys.free(self._cx, month, *_key(row))
            self._admit_new(outcome, month, row)

    def _admit_new(self, outcome: Outcome, month: int, row: Row) -> None:
        """One row whose key is known to be free."""
        refused = self._insert(month, [row])
        assert not refused
        outcome.accepted += 1

    def _admit_suspended(self, batch: Batch, outcome: Outcome, record: Suspended) -> None:
        """A record that the front could not process; the store may know better (a duplicate, a conflict)."""
        if suspense.is_known(self._cx, batch.source, record.digest):
            outcome.duplicate += 1
            return
        if record.content is not None:
            assert record.record_id is not None
            assert record.start_at is not None
            month = month_of(record.start_at)
            there = None
            if month in self._months:
                there = self._keys.find(self._cx, month, batch.source, record.record_id, record.start_at)
            if there and content_of(there) == record.content:
                outcome.duplicate += 1
                return
            if there or suspense.holds_key(self._cx, batch.source, record.record_id, record.start_at):
                where = f"transaction {there[0]}" if there else "a suspended record"
                detail = f"{where} has the same id and start, and says something else"
                record = msgspec.structs.replace(record, reason="conflict", detail=detail)
        self._suspend(batch, outcome, record)

    def _suspend(self, batch: Batch, outcome: Outcome, record: Suspended) -> None:
        if not suspense.insert(self._cx, batch, record):
            outcome.duplicate += 1
            return
        outcome.suspended += 1
        outcome.records.append(Verdict(record.line, record.record_id, record.reason))
        if record.record_id is not None and record.start_at is not None:
            key = (batch.source, record.record_id, record.start_at)
            self._suspended_keys.add(key_of(*key))
            self._admission.suspended.append(key)


def _key(row: Row) -> tuple[int, str, int]:
    return row[_SOURCE], row[_RECORD_ID], row[_START_AT]


def _suspended(row: Row, line: int, reason: str, detail: str) -> Suspended:
    return Suspended(
        line, reason, detail, suspense.digest_of_row(row), row[_RECORD_ID], row[_START_AT], content_of(row)
    )
