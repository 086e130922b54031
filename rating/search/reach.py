"""What a search reads of the store: partitions and their segments, and whole rows of the transactions it found.

Every answer here is one row, however much is in it: for each row that a connection steps to, its thread asks for the
interpreter lock again, and beside a busy ingest that is a wait of its own.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from rating.store.batch import STORED_COLUMNS
from rating.store.partitions import SEGMENT_BITS, month_bounds, table_of
from rating.store.reading import exporter

SEGMENT: Final = f"(id >> {SEGMENT_BITS})"
"""As the indexes of a partition spell it: another spelling would not use them."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition that holds transactions."""

    month: int
    first_id: int
    last_id: int

    @property
    def table(self) -> str:
        return table_of(self.month)

    @property
    def all_segments(self) -> range:
        """Those that it has a part in."""
        return range(self.first_id >> SEGMENT_BITS, (self.last_id >> SEGMENT_BITS) + 1)

    def segments(self, first: int, last: int) -> range:
        """Its own among the segments from `first` to `last`."""
        own = self.all_segments
        return range(max(first, own.start), min(last + 1, own.stop))


def partitions_between(cx: sqlite3.Connection, starts: tuple[int, int]) -> list[Partition]:
    """Those that can hold calls with from ≤ start < to (µs UTC), oldest first, empty ones left out."""
    months = [
        month for month in one_value(cx, "SELECT json_group_array(month) FROM partitions") if _meet(month, starts)
    ]
    if not months:
        return []
    # Two lookups for each: asked for both at once SQLite would read the whole table.
    rows = " UNION ALL ".join(
        f"SELECT json_array({month}, (SELECT min(id) FROM {table}), (SELECT max(id) FROM {table})) AS row"  # noqa: S608  # names are constants
        for month, table in ((month, table_of(month)) for month in sorted(months))
    )
    found = one_value(cx, f"SELECT json_group_array(json(row)) FROM ({rows})")  # noqa: S608  # names are constants
    return [Partition(month, first, last) for month, first, last in found if first is not None]


def fetch(cx: sqlite3.Connection, found: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """The export rows of transactions by (month, id), in their order; of those that exist."""
    if not found:
        return []
    months = sorted({month for month, _ in found})
    rows = rows_sql((month, "SELECT value AS one FROM json_each(:ids)") for month in months)
    stored = one_value(cx, f"SELECT {rows}", {"ids": as_json(id_ for _, id_ in found)})
    return exported(cx, [id_ for _, id_ in found], stored)


def rows_sql(wanted: Iterable[tuple[int, str]]) -> str:
    """The whole rows of months, each with the query of the ids that are wanted of it, as JSON in no order."""
    columns = ", ".join(STORED_COLUMNS)
    rows = " UNION ALL ".join(
        f"SELECT json_array({columns}) AS row FROM ({ids}) CROSS JOIN {table_of(month)} ON id = one"  # noqa: S608  # names are constants
        for month, ids in wanted
    )
    return f"(SELECT json_group_array(json(row)) FROM ({rows}))"  # noqa: S608  # as above


def exported(cx: sqlite3.Connection, ids: Iterable[int], stored: Iterable[list[Any]]) -> list[dict[str, Any]]:
    """The export rows of what `rows_sql` answered, in the order of the ids; of those that exist."""
    by_id = {row[0]: row for row in stored}
    line = exporter(cx)
    return [line(tuple(by_id[id_])) for id_ in ids if id_ in by_id]


def one_value(cx: sqlite3.Connection, sql: str, values: dict[str, int | str] | None = None) -> Any:
    """What a statement answers that makes one JSON text."""
    (text,) = cx.execute(sql, values or {}).fetchone()
    return msgspec.json.decode(text)


def as_json(values: Iterable[int | str]) -> str:
    """A list to be bound, for json_each to take apart."""
    return msgspec.json.encode(list(values)).decode()


def _meet(month: int, starts: tuple[int, int]) -> bool:
    first, following = month_bounds(month)
    return first < starts[1] and starts[0] < following
