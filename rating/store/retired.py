"""The months that are retired: in the archive, no longer among the partitions, and counted by their sums alone."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from rating.store.errors import StoreError
from rating.store.partitions import month_bounds, partitions

CLOSED: Final = "closed"
RETIRED: Final = "retired"
DROPPED: Final = "dropped"
"""What becomes of a month, one after the other: nothing is added to it any more; it is in the archive and counts by its
sums; its tables are gone."""
REFUSAL: Final = "the month of its start is retired: nothing is added to it any more"


class RetiredSum(NamedTuple):
    """What some of an account's transactions of a retired month came to: those on one bill that were answered in one
    month and one bill cycle of the account."""

    account: str
    bill: int
    answer_at: int
    """The first answer of them, µs UTC."""
    charge_micros: int
    duration_us: int
    calls: int
    transactions: int


def states(cx: sqlite3.Connection) -> dict[int, str]:
    """What has become of each month on its way out of the store."""
    return dict(cx.execute("SELECT month, state FROM retired_months"))


def retired_sums(cx: sqlite3.Connection) -> Iterator[RetiredSum]:
    """What all retired months came to."""
    for account, bill, answer_at, charge, duration, calls, transactions in cx.execute(
        "SELECT account, bill, answer_at, charge_micros, duration_us, calls, c.transactions"
        " FROM retired_charges c JOIN retired_months m ON m.month = c.month WHERE c.shard = 0 AND m.state <> ?",
        (CLOSED,),
    ):
        yield RetiredSum(account, bill, answer_at, int(charge), int(duration), calls, transactions)


def stored_on(cx: sqlite3.Connection, day: int) -> Iterator[tuple[int, int]]:
    """How many transactions of retired months arrived on a UTC day (days since 1970), by source."""
    yield from cx.execute(
        "SELECT source, sum(stored) FROM retired_arrivals a JOIN retired_months m ON m.month = a.month"
        " WHERE day = ? AND m.state <> ? GROUP BY source",
        (day, CLOSED),
    )


def require_kept(cx: sqlite3.Connection, months: Iterable[int]) -> None:
    """Raise StoreError if one of the months was retired while it was being read: then not all of it was."""
    gone = set(months) - set(partitions(cx))
    if gone:
        raise StoreError(f"{in_words(sorted(gone))} was retired meanwhile: start the command again")


def retired_between(cx: sqlite3.Connection, from_at: int | None = None, to_at: int | None = None) -> list[int]:
    """The retired months that have calls answered from ≤ answer < to (µs UTC); nearly: a call may be answered in the
    month after that of its start."""
    return [
        month
        for month, state in sorted(states(cx).items())
        if state != CLOSED
        and (to_at is None or month_bounds(month)[0] < to_at)
        and (from_at is None or from_at < month_bounds(month)[1])
    ]


def in_words(months: Sequence[int]) -> str:
    """Months for people, neighbours taken together: `2025-01 to 2025-03, 2025-07`."""
    numbered = enumerate(month // 100 * 12 + month % 100 - 1 for month in months)
    runs = [[at for _, at in run] for _, run in groupby(numbered, lambda pair: pair[1] - pair[0])]
    return ", ".join(_text(run[0]) if len(run) == 1 else f"{_text(run[0])} to {_text(run[-1])}" for run in runs)


def _text(index: int) -> str:
    return f"{index // 12:04}-{index % 12 + 1:02}"
