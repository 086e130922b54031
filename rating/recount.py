"""Recomputing every counter from the transactions, by a way of its own: to prove the running code right or wrong.

Nothing here uses `rating.counters` or `rating.calendar`. The store sums by account and quarter of an hour (every zone's
offset is a multiple of it), and the quarters are put into local periods here.
"""

import sqlite3
from calendar import monthrange
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from rating.account import Account
from rating.cdr import MICROS
from rating.store.partitions import partitions, table_of
from rating.store.retired import require_kept, retired_sums

_QUARTER_US: Final = 900 * MICROS

Key = tuple[str, str, str]
"""Account, period (`month` or `bill-cycle`), and its first day."""
Sums = tuple[int, int, int, int]
"""Charge in micro-units, duration in microseconds, answered calls (less those that were taken back), transactions."""


class Difference(NamedTuple):
    """A counter that does not say what the transactions say."""

    account: str
    period: str
    first_day: str
    counted: Sums
    recounted: Sums


class Recount(NamedTuple):
    """What the transactions say."""

    transactions: int
    charge_micros: int
    sums: dict[Key, Sums]


def recount(cx: sqlite3.Connection, accounts: Iterable[Account], upto: int) -> Recount:
    """Every counter as of transaction `upto`, from the rows, and from the sums of retired months. Raises StoreError if
    one is retired meanwhile."""
    by_number = {account.account: account for account in accounts}
    zones = {account.timezone: ZoneInfo(account.timezone) for account in by_number.values()}
    transactions = charge_micros = 0
    sums: dict[Key, list[int]] = {}
    for account, quarter, charge, charge_rest, duration, duration_rest, calls, rows in _quarters(cx, upto):
        values = (charge * MICROS + charge_rest, duration * MICROS + duration_rest, calls, rows)
        owner = by_number[account]
        today = _local_day(quarter, zones[owner.timezone])
        for period, first_day in (("month", today.replace(day=1)), ("bill-cycle", _cycle_of(today, owner.cycle_day))):
            counter = sums.setdefault((account, period, first_day.isoformat()), [0, 0, 0, 0])
            for index, value in enumerate(values):
                counter[index] += value
        charge_micros += values[0]
        transactions += values[3]
    return Recount(transactions, charge_micros, {key: _sums(counter) for key, counter in sums.items()})


def as_sums(
    cx_counters: Iterable[tuple[str, str, int, int, int, int, int]], accounts: Iterable[Account]
) -> dict[Key, Sums]:
    """Counters as the program keeps them (first instants), by the first days that a recount speaks of."""
    zones = {account.account: ZoneInfo(account.timezone) for account in accounts}
    return {
        (account, period, _local_day(starts_at, zones[account]).isoformat()): (charge, duration, calls, transactions)
        for account, period, starts_at, charge, duration, calls, transactions in cx_counters
    }


def differences(counted: dict[Key, Sums], recounted: dict[Key, Sums]) -> list[Difference]:
    """Where the two do not agree, in order."""
    nothing: Sums = (0, 0, 0, 0)
    return [
        Difference(*key, counted.get(key, nothing), recounted.get(key, nothing))
        for key in sorted(counted.keys() | recounted.keys())
        if counted.get(key, nothing) != recounted.get(key, nothing)
    ]


def _sum(column: str) -> str:
    """A sum in two parts, millions and the rest: in one it could go beyond SQLite's 64 bits."""
    return f"sum({column} / {MICROS}), sum({column} % {MICROS})"


def _quarters(cx: sqlite3.Connection, upto: int) -> Iterator[tuple[Any, ...]]:
    """Account, first instant of a quarter of an hour, and its sums; some ten thousand transactions at a time. Of
    retired months what they came to."""
    months = partitions(cx)
    for one in retired_sums(cx):
        whole, rest = divmod(one.charge_micros, MICROS)
        yield one.account, one.answer_at // _QUARTER_US * _QUARTER_US, whole, rest, 0, one.duration_us, *one[-2:]
    for month in months:
        (last,) = cx.execute(f"SELECT coalesce(max(id), 0) FROM {table_of(month)}").fetchone()
        (first,) = cx.execute(f"SELECT coalesce(min(id), 0) FROM {table_of(month)}").fetchone()
        for start in range(first, min(last, upto) + 1, 50_000):
            yield from cx.execute(
                f"SELECT account, answer_at / {_QUARTER_US} * {_QUARTER_US}, {_sum('charge_micros')},"
                f" {_sum('duration_us')}, sum(duration_us > 0) - sum(duration_us < 0), count(*)"
                f" FROM {table_of(month)} WHERE id >= ? AND id <= ? GROUP BY 1, 2",
                (start, min(start + 49_999, upto)),
            ).fetchall()
    require_kept(cx, months)


def _local_day(at: int, zone: ZoneInfo) -> date:
    moment = datetime.fromtimestamp(at // MICROS, UTC)
    # The later of two: a clock set back over midnight would show the day before once more, which is over.
    return max(moment.astimezone(zone).date(), (moment - timedelta(hours=1)).astimezone(zone).date())


def _cycle_of(today: date, cycle_day: int) -> date:
    """The first day of the bill cycle that holds `today`: days 29 to 31 mean a shorter month's last."""
    year, month = today.year, today.month
    while True:
        begins = date(year, month, min(cycle_day, monthrange(year, month)[1]))
        if begins <= today:
            return begins
        previous = date(year, month, 1) - timedelta(days=1)
        year, month = previous.year, previous.month


def _sums(counter: list[int]) -> Sums:
    charge, duration, calls, transactions = counter
    return charge, duration, calls, transactions
