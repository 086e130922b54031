"""Charging transactions again, within an open store transaction; and what was charged again, why and by whom.

A transaction is never edited. Its reversal is a row that takes away all that it counted for, and what it costs now is
another row behind it. Neither is a record: their key says so, and what a source sends again is compared with the
original.
"""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

import msgspec

from rating.allowances.parts import Parts
from rating.store.allowances import Allowances
from rating.store.batch import COLUMN, CORRECTION_KEY, STORED_COLUMNS, Row
from rating.store.partitions import partitions, table_of
from rating.store.retired import states
from rating.store.transactions import in_pieces

_ID, _DURATION, _CHARGE, _BILLED, _TARIFF, _DESTINATION, _PLACE = (
    COLUMN[name] for name in ("id", "duration_us", "charge_micros", "billed_s", "tariff", "destination", "place_called")
)
_REVERSES: Final = STORED_COLUMNS.index("reverses")

_TAKES_BACK: Final = {
    "duration_us": "-duration_us",
    "units": "-units",
    "charge_micros": "-charge_micros",
    "billed_s": "-billed_s",
    "key": str(CORRECTION_KEY),
    "reverses": "id",
}
"""The columns that a reversal has otherwise than its original, of which they are made. Its id and when it was rated are
not of the original."""
_ANEW: Final = {
    "charge_micros": "new_charge",
    "tariff": "new_tariff",
    "billed_s": "new_billed",
    "destination": "new_destination",
    "place_called": "new_place",
    "key": str(CORRECTION_KEY),
    "reverses": "NULL",
}
"""The columns that a replacement has otherwise; those that begin with `new_` are bound, in this order."""
_UNSEEN: Final = {
    "id", "start_at", "offset_min", "calling", "provider", "service_given", "units", "arrived_at", "detail", "rated_at",
}  # fmt: skip
"""Columns that nobody looks at when a row is counted and watched: they are copied by SQLite, and never read."""
_SEEN: Final = ", ".join("NULL" if name in _UNSEEN else _TAKES_BACK.get(name, name) for name in STORED_COLUMNS)


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
    """The new rows, of `STORED_COLUMNS`, in ascending order of their ids: each reversal with its replacement. They hold
    what is looked at when transactions are counted and watched."""
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
        reversals = self._reversals(by_id.values())
        left = [by_id[taken_back[_REVERSES]] for taken_back in reversals]
        stored: list[Row] = []
        parts: dict[int, Parts] = {}
        for taken_back, correction in zip(reversals, left, strict=True):
            taken_back[_ID] = self._next_id
            instead = recharged(taken_back, correction)
            instead[_ID] += 1
            instead[_DURATION] = -instead[_DURATION]
            instead[_REVERSES] = None
            if correction.parts is not None:
                parts[id(instead)] = correction.parts
            stored += taken_back, instead
            self._next_id += 2
        # First everything is given back: what one call no longer uses, another may.
        self._allowances.give_back(self._cx, {row[_REVERSES]: row[_ID] for row in reversals})
        replacements = stored[1::2]
        if parts:
            self._allowances.reduce(self._cx, replacements, parts)
        replaced = [
            Replaced(row[_REVERSES], row[_ID], instead[_ID], instead[_CHARGE])
            for row, instead in zip(reversals, replacements, strict=True)
        ]
        is_new = bool(stored) and not self._run.id
        run = self._begin() if is_new else self._run.id
        if stored:
            for month in {correction.month for correction in left}:
                self._insert(run, month, [pair for pair in zip(replaced, left, strict=True) if pair[1].month == month])
            self._count(run, reversals, replacements)
        return Rerated(run, is_new, replaced, len(by_id) - len(replaced), stored, self._next_id)

    def _reversals(self, corrections: Collection[Correction]) -> list[Row]:
        """Of the transactions, without reversals and without what is reversed, what takes each back: rows that hold
        what is looked at, in the order of the transactions, which have no id yet."""
        found: list[Row] = []
        months = {correction.month for correction in corrections} & set(partitions(self._cx))
        for month in months - states(self._cx).keys():
            ids = [correction.original for correction in corrections if correction.month == month]
            # One answer a statement: every row of one would be another wait for the interpreter lock.
            (rows,) = self._cx.execute(
                f"SELECT json_group_array(json_array({_SEEN})) FROM {table_of(month)}"  # names of ours
                f" WHERE id IN (SELECT value FROM json_each(?)) AND {NOT_REVERSED}",
                (msgspec.json.encode(ids).decode(),),
            ).fetchone()
            found += msgspec.json.decode(rows, type=list[Row])
        found.sort(key=itemgetter(_REVERSES))
        return found

    def _insert(self, run: int, month: int, pairs: Sequence[tuple[Replaced, Correction]]) -> None:
        """Write the rows of a month, and what ties them together. SQLite makes them: all but their charges are copies
        of columns, which do not have to come here and go back."""
        table = table_of(month)
        for first, end in in_pieces(len(pairs)):
            piece = pairs[first:end]
            with_places = any(to.place_called is not None for _, to in piece)
            values: list[int | str | None] = []
            for one, to in piece:
                values += one.original, one.reversal, one.charge_micros, to.tariff, to.billed_s, to.destination
                if with_places:
                    values.append(to.place_called)
            self._cx.execute(_insert_pairs(table, len(piece), with_places=with_places), [*values, self._now])
        self._cx.execute(
            "INSERT INTO rerated (original, reversal, replacement, run) SELECT reverses, id, id + 1, ?"
            f" FROM {table} WHERE id BETWEEN ? AND ? AND reverses IS NOT NULL",  # a partition's name
            (run, pairs[0][0].reversal, pairs[-1][0].replacement),
        )

    def _begin(self) -> int:
        (number,) = self._cx.execute("SELECT coalesce(max(id), 0) + 1 FROM rerate_runs WHERE shard = 0").fetchone()
        run = self._run
        self._cx.execute(
            "INSERT INTO rerate_runs VALUES (0, ?, ?, ?, ?, ?, 0, '{}')",
            (number, self._now, run.actor, run.reason, run.scope),
        )
        return int(number)

    def _count(self, run: int, reversals: Sequence[Row], replacements: Sequence[Row]) -> None:
        """What the run has come to so far: of each tariff's version what was charged by it, before and after."""
        (text,) = self._cx.execute("SELECT totals FROM rerate_runs WHERE shard = 0 AND id = ?", (run,)).fetchone()
        # Written out: a sum can go beyond the 64 bits that programs expect of a number in JSON.
        known = {
            tariff: [int(micros) for micros in both]
            for tariff, both in msgspec.json.decode(text, type=dict[str, tuple[str, str]]).items()
        }
        for place, (rows, sign) in enumerate(((reversals, -1), (replacements, 1))):
            for tariff, micros in _charges(rows).items():
                known.setdefault(str(tariff or 0), [0, 0])[place] += sign * micros
        written = msgspec.json.encode({tariff: [*map(str, both)] for tariff, both in known.items()}).decode()
        self._cx.execute(
            "UPDATE rerate_runs SET changed = changed + ?, totals = ? WHERE shard = 0 AND id = ?",
            (len(replacements), written, run),
        )


NOT_REVERSED: Final = "reverses IS NULL AND id NOT IN (SELECT original FROM rerated)"
"""Holds for the transactions that count: together they are the latest charge of every record."""


@lru_cache(maxsize=64)
def _insert_pairs(table: str, pairs: int, *, with_places: bool) -> str:
    """Inserts the reversals and the replacements of so many transactions: for each is bound what it and its reversal
    are called, and what it costs by now; then when all were rated. A place is bound if any has one, because None takes
    Python longer than the others."""
    anew = _ANEW if with_places else _ANEW | {"place_called": "NULL"}
    bound = ["original", "reversal", *(value for value in anew.values() if value.startswith("new_"))]
    row = "(" + ", ".join("?" * len(bound)) + ")"
    return (
        f"WITH pair ({', '.join(bound)}) AS (VALUES {', '.join([row] * pairs)})"  # names of ours
        f" INSERT INTO {table} ({', '.join(STORED_COLUMNS)})"
        f" SELECT {', '.join(_column(name, anew) for name in STORED_COLUMNS)}"
        f" FROM pair CROSS JOIN {table} ON id = original CROSS JOIN (SELECT 0 AS is_new UNION ALL SELECT 1)"
    )


def _column(name: str, anew: Mapping[str, str]) -> str:
    """What a column of both rows is made of."""
    if name == "id":
        return "reversal + is_new"
    if name == "rated_at":
        return "?"
    back, new = _TAKES_BACK.get(name, name), anew.get(name, name)
    return back if back == new else f"iif(is_new, {new}, {back})"


def recharged(original: Sequence[Any], correction: Correction) -> Row:
    """A transaction as it would be with a correction's charge."""
    row = list(original)
    row[_CHARGE], row[_TARIFF], row[_BILLED] = correction.charge_micros, correction.tariff, correction.billed_s
    row[_DESTINATION], row[_PLACE] = correction.destination, correction.place_called
    return row


def _charges(rows: Iterable[Row]) -> dict[int | None, int]:
    """What rows were charged, by the number of the tariff's version."""
    sums: dict[int | None, int] = {}
    for row in rows:
        sums[row[_TARIFF]] = sums.get(row[_TARIFF], 0) + row[_CHARGE]
    return sums
