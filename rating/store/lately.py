"""What has been rated lately, across all accounts: for the people who watch the system at work."""

import sqlite3
from typing import Any, Final

import msgspec

from rating.cdr import MICROS
from rating.store.batch import STORED_COLUMNS
from rating.store.partitions import last_id, partitions, table_of
from rating.store.provisioning import tariff_terms
from rating.store.reading import exporter

WINDOW_US: Final = 60 * MICROS
MOST: Final = 20_000
"""Transactions looked at, however many came in the window: what keeps it quick at any rate."""
TOP: Final = 5


class Lately(msgspec.Struct):
    """The transactions that arrived within the window, at most the newest `MOST` of them."""

    since_at: int
    """First instant of what was looked at, µs UTC: later than the window's begin if more than `MOST` came in it."""
    calls: int = 0
    answered: int = 0
    duration_us: int = 0
    charges: dict[str, int] = msgspec.field(default_factory=dict)
    """Micro-units by currency."""
    accounts: list[tuple[str, int, int]] = msgspec.field(default_factory=list)
    """Account, calls, charge in micro-units: those with the greatest charges."""
    destinations: list[tuple[str, int, int]] = msgspec.field(default_factory=list)
    last: list[dict[str, Any]] = msgspec.field(default_factory=list)
    """The newest, as export lines, newest first."""

    @property
    def answer_seizure_ratio(self) -> float | None:
        """Answered calls among all (ITU-T E.411), 0 to 1; None without calls."""
        return self.answered / self.calls if self.calls else None

    @property
    def average_duration_us(self) -> int | None:
        """Of the answered calls."""
        return self.duration_us // self.answered if self.answered else None


def lately(cx: sqlite3.Connection, now: int, shown: int = 12) -> Lately:
    """Look at the transactions of the last minute; `shown` of them in full."""
    answer = Lately(now - WINDOW_US)
    newest = last_id(cx)
    terms = tariff_terms(cx)
    accounts: dict[str, list[int]] = {}
    destinations: dict[str, list[int]] = {}
    for month in reversed(partitions(cx)):
        table = table_of(month)
        for account, destination, tariff, calls, answered, duration, charge in cx.execute(
            "SELECT account, destination, tariff, count(*), sum(duration_us > 0), sum(duration_us), sum(charge_micros)"
            f" FROM {table} WHERE id > ? AND arrived_at >= ? AND reverses IS NULL GROUP BY 1, 2, 3",
            (newest - MOST, answer.since_at),
        ):
            answer.calls += calls
            answer.answered += answered
            answer.duration_us += duration
            currency = terms.get(tariff, (None, None, 2))[1]
            if currency is not None:
                answer.charges[currency] = answer.charges.get(currency, 0) + charge
            for sums, name in ((accounts, account), (destinations, destination)):
                if name is not None:
                    both = sums.setdefault(name, [0, 0])
                    both[0] += calls
                    both[1] += charge
    answer.accounts, answer.destinations = _top(accounts), _top(destinations)
    if answer.calls >= MOST:
        answer.since_at = _oldest_arrival(cx, newest - MOST) or answer.since_at
    answer.last = _newest(cx, newest, shown)
    return answer


def _top(sums: dict[str, list[int]]) -> list[tuple[str, int, int]]:
    ordered = sorted(sums.items(), key=lambda item: (-item[1][1], -item[1][0], item[0]))
    return [(name, calls, charge) for name, (calls, charge) in ordered[:TOP]]


def _oldest_arrival(cx: sqlite3.Connection, after: int) -> int | None:
    found = [
        cx.execute(f"SELECT arrived_at FROM {table_of(month)} WHERE id > ? ORDER BY id LIMIT 1", (after,)).fetchone()
        for month in partitions(cx)
    ]
    return min((row[0] for row in found if row), default=None)


def _newest(cx: sqlite3.Connection, newest: int, shown: int) -> list[dict[str, Any]]:
    rows: list[tuple[Any, ...]] = []
    for month in partitions(cx):
        rows += cx.execute(
            f"SELECT {', '.join(STORED_COLUMNS)} FROM {table_of(month)} WHERE id > ? ORDER BY id DESC LIMIT ?",
            (newest - MOST, shown),
        ).fetchall()
    rows.sort(reverse=True)
    return list(map(exporter(cx), rows[:shown]))
