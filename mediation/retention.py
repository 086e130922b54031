"""How far back records are kept, as an instant."""

from datetime import UTC, datetime

from mediation.pipeline.front import OLDEST_AT
from rating.cdr import MICROS
from rating.store.partitions import month_bounds


def oldest_at(retention_months: int, now: int) -> int:
    """The first instant (µs UTC) that a retention of so many months keeps; 0 months keep everything."""
    if not retention_months:
        return OLDEST_AT
    today = datetime.fromtimestamp(now // MICROS, UTC)
    index = today.year * 12 + today.month - 1 - retention_months
    return max(OLDEST_AT, month_bounds(index // 12 * 100 + index % 12 + 1)[0])
