"""Transactions by month of their start in UTC: the names of the partitions, and their tables."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from rating.cdr import MICROS

SEGMENT_BITS: Final = 15
"""2^15 consecutive ids make a segment of the line and called indexes. Ids ascend, so only the newest segment is
written to and stays in the cache, however large the month grows. A search seeks once a segment, and a commit writes
most pages of the newest: half as large ones would make the one longer and the other shorter. Who changes it adds a
migration like `0010`."""

_END_OF_TIME: Final = 253_402_300_800 * MICROS


def month_of(at: int) -> int:
    """The partition of an instant (µs UTC), as YYYYMM; 0 for one that no transaction can have, before 1970 or after
    the year 9999."""
    if not 0 <= at < _END_OF_TIME:
        return 0
    moment = datetime.fromtimestamp(at // MICROS, UTC)
    return moment.year * 100 + moment.month


def month_bounds(month: int) -> tuple[int, int]:
    """First instant of a month and of the next one, µs UTC."""
    year, number = divmod(month, 100)
    first = datetime(year, number, 1, tzinfo=UTC)
    following = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC) if year < 9999 or number < 12 else None
    last = int(following.timestamp()) if following else 253_402_300_800
    return int(first.timestamp()) * MICROS, last * MICROS


def table_of(month: int) -> str:
    """The table of a partition."""
    assert 197001 <= month <= 999912, month
    return f"transactions_{month}"


def keys_table_of(month: int) -> str:
    """The table of a partition's natural keys."""
    return f"natural_keys_{month}"


def create_partition(cx: sqlite3.Connection, month: int) -> None:
    """Make the tables of a month, within the caller's transaction."""
    table = table_of(month)
    cx.execute(
        f"""CREATE TABLE IF NOT EXISTS {table} (
            id INTEGER PRIMARY KEY,
            shard INTEGER NOT NULL DEFAULT 0,
            source INTEGER NOT NULL,
            record_id TEXT NOT NULL,
            start_at BIGINT NOT NULL,
            offset_min INTEGER NOT NULL,
            answer_at BIGINT NOT NULL,
            duration_us BIGINT NOT NULL,
            calling TEXT NOT NULL,
            called TEXT NOT NULL,
            line TEXT NOT NULL,
            account TEXT NOT NULL,
            provider TEXT NOT NULL,
            service TEXT NOT NULL,
            service_given INTEGER NOT NULL,
            type TEXT NOT NULL,
            units BIGINT,
            device TEXT,
            destination TEXT,
            place_called TEXT,
            charge_micros BIGINT NOT NULL,
            tariff INTEGER,
            billed_s BIGINT NOT NULL,
            arrived_at BIGINT NOT NULL,
            detail TEXT,
            key BIGINT NOT NULL,
            rated_at BIGINT,
            reverses BIGINT
        )"""
    )
    cx.execute(f"CREATE INDEX IF NOT EXISTS {table}_line ON {table} (id >> {SEGMENT_BITS}, line)")
    cx.execute(f"CREATE INDEX IF NOT EXISTS {table}_called ON {table} (id >> {SEGMENT_BITS}, called)")
    cx.execute(f"CREATE TABLE IF NOT EXISTS {keys_table_of(month)} (key INTEGER PRIMARY KEY, id BIGINT NOT NULL)")
    cx.execute("INSERT INTO partitions VALUES (?) ON CONFLICT DO NOTHING", (month,))


def partitions(cx: sqlite3.Connection) -> list[int]:
    """The months that exist, oldest first."""
    return [month for (month,) in cx.execute("SELECT month FROM partitions ORDER BY month")]


def id_ranges(cx: sqlite3.Connection, upto: int) -> Iterator[tuple[int, int, int]]:
    """Each partition that has transactions up to an id: its month, the first and the last of them."""
    for month in partitions(cx):
        # Each by itself: for both at once SQLite would read the whole table.
        (first,) = cx.execute(f"SELECT min(id) FROM {table_of(month)}").fetchone()
        (last,) = cx.execute(f"SELECT max(id) FROM {table_of(month)}").fetchone()
        if first is not None and first <= upto:
            yield month, first, min(last, upto)


def last_id(cx: sqlite3.Connection) -> int:
    """The greatest transaction id that there is or was, of retired months too; 0 in an empty store."""
    (last,) = cx.execute("SELECT coalesce(max(last_id), 0) FROM retired_months").fetchone()
    for month in partitions(cx):
        (of_month,) = cx.execute(f"SELECT coalesce(max(id), 0) FROM {table_of(month)}").fetchone()
        last = max(last, of_month)
    return int(last)
