"""Charging transactions again, within an open store transaction; and what was charged again, why and by whom.

A transaction is never edited. Its reversal is a row that takes away all that it counted for, and what it costs now is
another row behind it. Neither is a record: their key says so, and what a source sends again is compared with the
original.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from rating.allowances.parts import Parts
from rating.store.allowances import Allowances
from rating.store.batch import COLUMN, CORRECTION_KEY, STORED_COLUMNS, Row
from rating.store.partitions import month_of, partitions, table_of
from rating.store.retired import states
from rating.store.transactions import in_pieces, insert_into

_ID, _START_AT, _DURATION, _UNITS, _CHARGE, _BILLED, _KEY, _TARIFF, _DESTINATION, _PLACE = (
    COLUMN[name]
    for name in (
        "id", "start_at", "duration_us", "units", "charge_micros", "billed_s", "key", "tariff", "destination",
        "place_called",
    )
)  # fmt: skip
_REVERSES: Final = STORED_COLUMNS.index("reverses")
_LINKS: Final = ("original", "reversal", "replacement", "run")


class Correction(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A transaction that is to be charged again, and what it costs by now."""

    original: int
    month: int
    """Its partition."""
    charge_micros: int
    """Before what the rules of its tariff take off."""
    tariff: int | None
    billed_s: int
    destination: str | None
    place_called: str | None
    parts: Parts | None = None
    """As a batch has them of a row."""


class Run(msgspec.Struct, frozen=True, array_like=True):
    """Somebody's order to charge again, which is carried out part by part."""

    actor: str
    reason: str
    scope: str
    """What it is about, as JSON."""
    id: int = 0
    """0 before its first part."""


class Replaced(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A transaction that was charged again."""

    original: int
    reversal: int
    replacement: int
    charge_micros: int
    """Of the replacement."""


class Rerated(msgspec.Struct):
    """What one store transaction charged again."""

    run: int
    """Its number, 0 if there was nothing to do."""
    is_new: bool
    """The run begins with it."""
    replaced: list[Replaced]
    passed_over: int
    """Transactions that somebody else has reversed in the meantime, or whose month is being retired."""
    stored: list[Row]
    """The new rows, of `STORED_COLUMNS`, in ascending order of their ids: each reversal with its replacement."""
    next_id: int


class Rerating:
    """Charges some transactions again; the caller begins and commits it."""

    def __init__(self, cx: sqlite3.Connection, next_id: int, allowances: Allowances, run: Run, now: int) -> None:
        self._cx = cx
        self._allowances = allowances
        self._run = run
        self._now = now
        self._next_id = next_id

    def take(self, corrections: Sequence[Correction]) -> Rerated:
        """Reverse the transactions and charge them anew, but for those that are reversed already."""
        by_id = {correction.original: correction for correction in corrections}
        originals = self._originals(by_id.values())
        pairs: list[tuple[Row, Row]] = []
        parts: dict[int, Parts] = {}
        for number in sorted(originals):
            original, correction = originals[number], by_id[number]
            taken_back = reversal_of(original, self._next_id, self._now)
            instead = replacement_of(original, correction, self._next_id + 1, self._now)
            if correction.parts is not None:
                parts[id(instead)] = correction.parts
            pairs.append((taken_back, instead))
            self._next_id += 2
        # First everything is given back: what one call no longer uses, another may.
        self._allowances.give_back(self._cx, {taken_back[_REVERSES]: taken_back[_ID] for taken_back, _ in pairs})
        if parts:
            self._allowances.reduce(self._cx, [instead for _, instead in pairs], parts)
        is_new = bool(pairs) and not self._run.id
        run = self._begin() if is_new else self._run.id
        self._insert(run, pairs)
        replaced = [
            Replaced(taken_back[_REVERSES], taken_back[_ID], instead[_ID], instead[_CHARGE])
            for taken_back, instead in pairs
        ]
        stored = [row for pair in pairs for row in pair]
        return Rerated(run, is_new, replaced, len(by_id) - len(pairs), stored, self._next_id)

    def _insert(self, run: int, pairs: Sequence[tuple[Row, Row]]) -> None:
        """Write the rows, what ties them together, and what the run has come to."""
        of_month: dict[int, list[Row]] = {}
        totals: dict[int | None, list[int]] = {}
        for taken_back, instead in pairs:
            of_month.setdefault(month_of(taken_back[_START_AT]), []).extend((taken_back, instead))
            totals.setdefault(taken_back[_TARIFF], [0, 0])[0] -= taken_back[_CHARGE]
            totals.setdefault(instead[_TARIFF], [0, 0])[1] += instead[_CHARGE]
        for month, rows in of_month.items():
            insert_into(self._cx, table_of(month), STORED_COLUMNS, rows)
        links = [(taken_back[_REVERSES], taken_back[_ID], instead[_ID], run) for taken_back, instead in pairs]
        insert_into(self._cx, "rerated", _LINKS, links)
        if pairs:
            self._count(run, len(pairs), totals)

    def _originals(self, corrections: Iterable[Correction]) -> dict[int, Row]:
        """The transactions as they are stored, without reversals and without what is reversed."""
        of_month: dict[int, list[int]] = {}
        for correction in corrections:
            of_month.setdefault(correction.month, []).append(correction.original)
        found: dict[int, Row] = {}
        for month in (of_month.keys() & set(partitions(self._cx))) - states(self._cx).keys():
            ids = of_month[month]
            for first, end in in_pieces(len(ids)):
                sql = (
                    f"SELECT {', '.join(STORED_COLUMNS)} FROM {table_of(month)}"
                    f" WHERE id IN ({', '.join('?' * (end - first))}) AND {NOT_REVERSED}"  # names of ours
                )
                found.update((row[_ID], list(row)) for row in self._cx.execute(sql, ids[first:end]))
        return found

    def _begin(self) -> int:
        (number,) = self._cx.execute("SELECT coalesce(max(id), 0) + 1 FROM rerate_runs WHERE shard = 0").fetchone()
        run = self._run
        self._cx.execute(
            "INSERT INTO rerate_runs VALUES (0, ?, ?, ?, ?, ?, 0, '{}')",
            (number, self._now, run.actor, run.reason, run.scope),
        )
        return int(number)

    def _count(self, run: int, changed: int, totals: dict[int | None, list[int]]) -> None:
        """What the run has come to so far: of each tariff's version what was charged by it, before and after."""
        (text,) = self._cx.execute("SELECT totals FROM rerate_runs WHERE shard = 0 AND id = ?", (run,)).fetchone()
        # Written out: a sum can go beyond the 64 bits that programs expect of a number in JSON.
        known = {
            tariff: [int(micros) for micros in both]
            for tariff, both in msgspec.json.decode(text, type=dict[str, tuple[str, str]]).items()
        }
        for number, (before, after) in totals.items():
            both = known.setdefault(str(number or 0), [0, 0])
            both[0] += before
            both[1] += after
        written = msgspec.json.encode({tariff: [*map(str, both)] for tariff, both in known.items()}).decode()
        self._cx.execute(
            "UPDATE rerate_runs SET changed = changed + ?, totals = ? WHERE shard = 0 AND id = ?",
            (changed, written, run),
        )


NOT_REVERSED: Final = "reverses IS NULL AND id NOT IN (SELECT original FROM rerated)"
"""Holds for the transactions that count: together they are the latest charge of every record."""


def reversal_of(original: Row, number: int, now: int) -> Row:
    """The row that takes away all that a transaction counted for; `STORED_COLUMNS`, as the original."""
    row = list(original)
    row[_ID], row[_KEY] = number, CORRECTION_KEY
    for column in (_DURATION, _CHARGE, _BILLED):
        row[column] = -row[column]
    if row[_UNITS] is not None:
        row[_UNITS] = -row[_UNITS]
    row[-2:] = now, original[_ID]
    return row


def replacement_of(original: Row, correction: Correction, number: int, now: int) -> Row:
    """The row that stands in the place of a transaction, with what it costs by now."""
    row = recharged(original, correction)
    row[_ID], row[_KEY] = number, CORRECTION_KEY
    row[-2:] = now, None
    return row


def recharged(original: Row, correction: Correction) -> Row:
    """A transaction as it would be with a correction's charge."""
    row = list(original)
    row[_CHARGE], row[_TARIFF], row[_BILLED] = correction.charge_micros, correction.tariff, correction.billed_s
    row[_DESTINATION], row[_PLACE] = correction.destination, correction.place_called
    return row


assert STORED_COLUMNS[-2:] == ("rated_at", "reverses"), "a row ends with them"
