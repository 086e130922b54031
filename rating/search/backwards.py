"""Looking through all accounts' transactions from the newest back, without ever looking for long."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rating.search.reach import Partition, as_json, exported, one_value
from rating.search.seeking import Seek, first_of, matches
from rating.search.totals import CALLS, SUMS, Totals, add_sums
from rating.search.where import Where
from rating.store.partitions import SEGMENT_BITS

_FIRST_ROWS: Final = 2_000
_FIRST_SEGMENTS: Final = 4
_WIDER: Final = 4
"""Each look goes so many times further than the one before: most pages are full after the first."""
_FEW: Final = 2_000
"""Transactions of a line or called number that are looked at at once; reading them one by one takes 20 ms, about."""
_COUNTED: Final = 20_000
"""Transactions of a line or called number that are counted for the totals, about."""

Found = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen."""

    found: Found
    """(month, id), descending by id."""
    next_below: int | None = None
    """Go on with smaller ids than this one; None if there is nothing more."""
    searched_back_to_at: int | None = None
    totals: Totals | None = None
    rows: list[dict[str, Any]] | None = None
    """Export rows of what was found, if they were read with it."""


def segments_of(partitions: Sequence[Partition]) -> range:
    """All segments that any of the partitions has a part in."""
    first = min((partition.first_id for partition in partitions), default=0)
    last = max((partition.last_id for partition in partitions), default=-1)
    return range(first >> SEGMENT_BITS, (last >> SEGMENT_BITS) + 1)


def scan(
    cx: sqlite3.Connection, partitions: Sequence[Partition], where: Where, below: int, limit: int, budget: int
) -> Look:
    """The first matches below an id, by looking at every row, at most `budget` of them."""
    found: Found = []
    examined, rows = 0, _FIRST_ROWS
    while True:
        rows = min(rows, budget - examined)
        seen, lowest, hits = _look_at(cx, partitions, where, below, rows)
        found += sorted(hits, key=lambda hit: hit[1], reverse=True)
        if len(found) > limit:
            return Look(found[:limit], found[limit - 1][1])
        examined += seen
        if seen < rows:
            return Look(found)
        below = lowest
        if examined >= budget:
            return Look(found, below, _rated_at(cx, partitions, below))
        rows *= _WIDER


def _look_at(
    cx: sqlite3.Connection, partitions: Sequence[Partition], where: Where, below: int, rows: int
) -> tuple[int, int, Found]:
    """How many rows were looked at below an id, the lowest id among them, and those that match."""
    # The newest last: SQLite merges from the left, and most rows then pass through one step alone.
    every = " UNION ALL ".join(
        f"SELECT {p.month} AS month, id, ({where.sql}) AS hit FROM {p.table} WHERE id < :below"  # noqa: S608  # constants; values are bound
        for p in partitions
        if p.first_id < below
    )
    if not every:
        return 0, below, []
    seen, lowest, hits = one_value(
        cx,
        "SELECT json_array(count(*), min(id), json(json_group_array(json_array(month, id)) FILTER (WHERE hit)))"  # noqa: S608  # as above
        f" FROM (SELECT * FROM ({every}) ORDER BY id DESC LIMIT :rows)",
        {**where.values, "below": below, "rows": rows},
    )
    return seen, lowest, [(month, id_) for month, id_ in hits]


def seek(
    cx: sqlite3.Connection,
    partitions: Sequence[Partition],
    sought: Seek,
    where: Where,
    below: int,
    limit: int,
    budget: int,
) -> Look:
    """The first matches below an id, by looking lines or called numbers up: in all segments at once, or, where that
    would be much, in some at a time.

    It goes on to the oldest segment for the totals, unless there are too many transactions to count.
    """
    at_once = _seek_at_once(cx, partitions, sought, where, below, limit)
    if at_once is not None:
        return at_once
    found: Found = []
    totals: Totals | None = Totals()
    examined, width = 0, _FIRST_SEGMENTS
    every = segments_of(partitions)
    end = every.stop
    while end > every.start:
        if totals is None:
            end = min(end, ((below - 1) >> SEGMENT_BITS) + 1)
        some = range(max(every.start, end - width), end)
        made = matches(partitions, some, sought, where, "0")
        if made is not None:
            seen, sums, hits = _look_up(cx, *made, below, limit + 1 - len(found))
            found += hits
            examined += seen
            totals = None if totals is None or examined > _COUNTED else add_sums(totals, sums)
        end, width = some.start, width * _WIDER
        if len(found) > limit and totals is None:
            break
        if examined > budget and end > every.start and len(found) <= limit and totals is None:
            border = end << SEGMENT_BITS
            if border < below:
                return Look(found, border, _rated_at(cx, partitions, border))
    if len(found) > limit:
        return Look(found[:limit], found[limit - 1][1], totals=totals)
    return Look(found, totals=totals)


def _seek_at_once(
    cx: sqlite3.Connection, partitions: Sequence[Partition], sought: Seek, where: Where, below: int, limit: int
) -> Look | None:
    """Nearly all lines and numbers have so few transactions; None if there are more."""
    made = matches(partitions, segments_of(partitions), sought, where, "id", most=_FEW)
    if made is None:
        return Look([], totals=Totals())
    made[1]["below"] = below
    first = first_of(cx, partitions, made, " AND id < :below", "id DESC", limit + 1)
    if first.seen == _FEW:
        return None
    found = [(month, id_) for month, id_, _ in first.places[:limit]]
    next_below = found[-1][1] if len(first.places) > limit else None
    rows = exported(cx, [id_ for _, id_ in found], first.stored)
    return Look(found, next_below, totals=add_sums(Totals(), first.sums), rows=rows)


def _look_up(
    cx: sqlite3.Connection, table: str, values: dict[str, int | str], below: int, rows: int
) -> tuple[int, list[list[object]], Found]:
    """How many transactions of the table were looked at, the sums of its matches, and the first of them below an id."""
    seen, sums, hits = one_value(
        cx,
        f"{table} SELECT json_array((SELECT count(*) FROM matches), json({SUMS}),"  # noqa: S608  # constants; values are bound
        " json((SELECT json_group_array(json_array(month, id)) FROM"
        " (SELECT month, id FROM matches WHERE hit AND id < :below ORDER BY id DESC LIMIT :rows))))",
        {**values, "below": below, "rows": rows},
    )
    return seen, sums, [(month, id_) for month, id_ in hits]


def sum_of(cx: sqlite3.Connection, found: Found) -> Totals:
    """The totals of some transactions."""
    if not found:
        return Totals()
    rows = " UNION ALL ".join(
        f"SELECT charge_micros, duration_us, {CALLS}, tariff, 1 FROM transactions_{month}"  # noqa: S608  # constants; values are bound
        " WHERE id IN (SELECT value FROM json_each(:ids))"
        for month in sorted({month for month, _ in found})
    )
    table = f"WITH matches(charge, duration, calls, tariff, hit) AS MATERIALIZED ({rows})"
    return add_sums(Totals(), one_value(cx, f"{table} SELECT {SUMS}", {"ids": as_json(id_ for _, id_ in found)}))


def _rated_at(cx: sqlite3.Connection, partitions: Sequence[Partition], border: int) -> int | None:
    """When the oldest transaction from an id on was rated."""
    firsts = " UNION ALL ".join(
        f"SELECT * FROM (SELECT id, coalesce(rated_at, arrived_at) AS at FROM {p.table} WHERE id >= :border"  # noqa: S608  # constants; values are bound
        " ORDER BY id LIMIT 1)"
        for p in partitions
        if p.last_id >= border
    )
    at: int | None = one_value(cx, f"SELECT json_array((SELECT at FROM ({firsts}) ORDER BY id LIMIT 1))",  # noqa: S608  # as above
                               {"border": border})[0]  # fmt: skip
    return at
