"""What has been rated lately, across all accounts: for the people who watch the system at work."""

import sqlite3
from collections.abc import Iterable
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


_Sums = tuple[list[tuple[int | None, int, int, int, int]], list[tuple[str, int, int]], int | None]
"""By tariff: calls, answered, duration, charge; then the destinations, and the oldest arrival."""


class Lately(msgspec.Struct):
    """The transactions that arrived within the window, at most the newest `MOST` of them."""

    since_at: int
    """First instant of what was looked at, µs UTC: later than the window's begin if more than `MOST` came in it."""
    calls: int = 0
    answered: int = 0
    duration_us: int = 0
    charges: dict[str, int] = msgspec.field(default_factory=dict)
    """Micro-units by currency."""
    destinations: list[tuple[str, int, int]] = msgspec.field(default_factory=list)
    """Destination, calls, charge in micro-units: those with the greatest charges."""
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
    months = partitions(cx)
    if not months:
        return answer
    after = last_id(cx) - MOST
    by_tariff, answer.destinations, oldest_at = _sums(cx, months, after, answer.since_at)
    terms = tariff_terms(cx)
    for tariff, calls, answered, duration, charge in by_tariff:
        answer.calls += calls
        answer.answered += answered
        answer.duration_us += duration
        if tariff in terms:
            currency = terms[tariff][1]
            answer.charges[currency] = answer.charges.get(currency, 0) + charge
    if answer.calls >= MOST:
        answer.since_at = oldest_at or answer.since_at
    answer.last = _newest(cx, months, after, shown)
    return answer


def _sums(cx: sqlite3.Connection, months: Iterable[int], after: int, since_at: int) -> _Sums:
    """Everything that is summed, in one row: for each row that a connection steps to, its thread asks for the
    interpreter lock again, and beside a busy ingest that is a wait of its own."""
    recent = " UNION ALL ".join(
        f"SELECT destination, tariff, duration_us, charge_micros FROM {table_of(month)}"
        " WHERE id > :after AND arrived_at >= :since AND key >= 0"
        for month in months
    )
    oldest = " UNION ALL ".join(
        f"SELECT * FROM (SELECT arrived_at FROM {table_of(month)} WHERE id > :after ORDER BY id LIMIT 1)"
        for month in months
    )
    by_tariff = (
        "SELECT tariff, count(*) AS calls, sum(duration > 0) AS answered, sum(duration) AS duration,"
        " sum(charge) AS charge FROM recent GROUP BY tariff"
    )
    top = (
        "SELECT destination, count(*) AS calls, sum(charge) AS charge FROM recent WHERE destination IS NOT NULL"
        f" GROUP BY destination ORDER BY charge DESC, calls DESC, destination LIMIT {TOP}"
    )
    (text,) = cx.execute(
        f"WITH recent(destination, tariff, duration, charge) AS MATERIALIZED ({recent}) SELECT json_array("
        f"json((SELECT json_group_array(json_array(tariff, calls, answered, duration, charge)) FROM ({by_tariff}))),"
        f" json((SELECT json_group_array(json_array(destination, calls, charge)) FROM ({top}))),"
        f" (SELECT min(arrived_at) FROM ({oldest})))",
        {"after": after, "since": since_at},
    ).fetchone()
    sums: _Sums = msgspec.json.decode(text, type=_Sums)
    return sums


def _newest(cx: sqlite3.Connection, months: Iterable[int], after: int, shown: int) -> list[dict[str, Any]]:
    newest = " UNION ALL ".join(
        f"SELECT * FROM (SELECT id, json_array({', '.join(STORED_COLUMNS)}) AS row FROM {table_of(month)}"
        " WHERE id > :after AND key >= 0 ORDER BY id DESC LIMIT :shown)"
        for month in months
    )
    (text,) = cx.execute(
        f"SELECT json_group_array(json(row)) FROM (SELECT row FROM ({newest}) ORDER BY id DESC LIMIT :shown)",
        {"after": after, "shown": shown},
    ).fetchone()
    return [*map(exporter(cx), map(tuple, msgspec.json.decode(text)))]
