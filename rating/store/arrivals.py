"""The SQL of the tallies of arrivals: what came in, by source and UTC day, so that it can be accounted for."""

import sqlite3
from typing import Final

from rating.cdr import MICROS
from rating.store.batch import Outcome
from rating.store.partitions import partitions, table_of
from rating.store.retired import require_kept, stored_on

DAY_US: Final = 86_400 * MICROS


class Tally:
    """Sums of one store transaction, by (source, day of arrival)."""

    def __init__(self) -> None:
        self._sums: dict[tuple[int, int], list[int]] = {}

    def add(self, source: int, arrived_at: int, outcome: Outcome) -> None:
        """Count what became of a batch."""
        sums = self._sums.setdefault((source, arrived_at // DAY_US), [0, 0, 0])
        sums[0] += outcome.accepted
        sums[1] += outcome.duplicate
        sums[2] += outcome.suspended

    def write(self, cx: sqlite3.Connection) -> None:
        """Add the sums to the stored ones."""
        for (source, day), (stored, duplicate, suspended) in self._sums.items():
            cx.execute(
                "INSERT INTO arrivals VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (source, day) DO UPDATE SET"
                " received = arrivals.received + excluded.received, stored = arrivals.stored + excluded.stored,"
                " duplicate = arrivals.duplicate + excluded.duplicate,"
                " suspended = arrivals.suspended + excluded.suspended",
                (source, day, stored + duplicate + suspended, stored, duplicate, suspended),
            )


def account_for(cx: sqlite3.Connection, day: int) -> dict[str, dict[str, int]]:
    """What became of everything received on a UTC day (days since 1970), by source.

    `received` and `duplicate` were tallied as they came (a duplicate leaves no row); the others are counted now, from
    the rows themselves, so that a row which was lost or doubled shows.
    """
    day_range = (day * DAY_US, (day + 1) * DAY_US)
    names = dict(cx.execute("SELECT id, name FROM sources"))
    counts = {
        name: {"received": 0, "stored": 0, "duplicate": 0, "suspended": 0, "discarded": 0} for name in names.values()
    }
    for source, received, duplicate in cx.execute(
        "SELECT source, received, duplicate FROM arrivals WHERE day = ?", (day,)
    ):
        counts[names[source]] |= {"received": received, "duplicate": duplicate}
    months = partitions(cx)
    for source, stored in stored_on(cx, day):
        counts[names[source]]["stored"] += stored
    for month in months:
        for source, stored in cx.execute(
            f"SELECT source, count(*) FROM {table_of(month)}"
            " WHERE arrived_at >= ? AND arrived_at < ? AND key >= 0 GROUP BY source",
            day_range,
        ):
            counts[names[source]]["stored"] += stored
    require_kept(cx, months)
    for source, state, number in cx.execute(
        "SELECT source, state, count(*) FROM suspense WHERE arrived_at >= ? AND arrived_at < ?"
        " AND state IN ('open', 'discarded') GROUP BY source, state",
        day_range,
    ):
        counts[names[source]]["suspended" if state == "open" else "discarded"] += number
    return counts
