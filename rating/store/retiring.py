"""The steps by which a month leaves the store, each within a store transaction of the owner's, and each repeatable.

A month is closed, so that it can be exported as it stands; when it is in the archive it is retired: in one transaction
its sums count in the place of its rows, and no query finds it any more. Its rows are deleted some thousand at a time
after that, so that nothing else waits for long.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from rating.cdr import MICROS
from rating.store import snapshots
from rating.store.errors import StoreError
from rating.store.partitions import keys_table_of, month_bounds, partitions, table_of
from rating.store.retired import CLOSED, DROPPED, RETIRED, RetiredSum, states
from rating.store.transactions import insert_into

ROWS_A_SLICE: Final = 5_000
"""Transactions that one store transaction deletes: some hundredths of a second."""
KEYS_A_SLICE: Final = 50_000
DROP_AFTER_US: Final = 5 * MICROS
"""A read that began before the month was retired may still ask for its tables: so long they stay, empty or not."""

_SUM: Final = (
    "shard", "month", "account", "bill", "answer_at", "charge_micros", "duration_us", "calls", "transactions",
)  # fmt: skip


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step for one month (YYYYMM)."""

    month: int
    do: Literal["close", "reopen", "sum", "retire", "clear"]
    sums: list[RetiredSum] = []
    """Of `sum`: what a part of the transactions came to."""
    arrivals: list[tuple[int, int, int]] = []
    """Of `sum`: source, UTC day of arrival, and how many."""
    transactions: int = 0
    """Of `retire`: how many are in the archive, in which file, with which digest."""
    file: str = ""
    sha256: str = ""


class Done(msgspec.Struct, frozen=True):
    """What became of a step."""

    month: int
    state: str | None
    """Where the month stands now; None: where all others do."""
    deleted: int = 0
    """Rows that a `clear` has taken away; none: what is left is to drop the tables, a little later."""


def carry_out(cx: sqlite3.Connection, step: Step, now: int) -> Done:
    """Do a step within the caller's transaction. Raises StoreError for one whose turn it is not; nothing is changed
    then."""
    month, state = step.month, states(cx).get(step.month)
    if step.do == "close" and state in (None, CLOSED):
        return _close(cx, month, now)
    if step.do == "reopen" and state == CLOSED:
        _forget_sums(cx, month)
        cx.execute("DELETE FROM retired_months WHERE month = ?", (month,))
        return Done(month, None)
    if step.do == "sum" and state == CLOSED:
        _add(cx, step)
        return Done(month, state)
    if step.do == "retire" and state == CLOSED:
        return _retire(cx, step, now)
    if step.do == "clear" and state in (RETIRED, DROPPED):
        return _clear(cx, month, now) if state == RETIRED else Done(month, state)
    raise StoreError(
        f"month {month} is {state or 'in use'}, {step.do!r} is not what comes next: start the command again"
    )


def _close(cx: sqlite3.Connection, month: int, now: int) -> Done:
    """From here on no row is added to the month."""
    if month not in partitions(cx):
        raise StoreError(f"there are no transactions of month {month}")
    _forget_sums(cx, month)  # of a try that was interrupted
    (last_id,) = cx.execute(f"SELECT coalesce(max(id), 0) FROM {table_of(month)}").fetchone()
    cx.execute(
        "INSERT INTO retired_months (month, state, last_id, closed_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (month, CLOSED, last_id, now),
    )
    return Done(month, CLOSED)


def _forget_sums(cx: sqlite3.Connection, month: int) -> None:
    cx.execute("DELETE FROM retired_charges WHERE shard = 0 AND month = ?", (month,))
    cx.execute("DELETE FROM retired_arrivals WHERE month = ?", (month,))


def _add(cx: sqlite3.Connection, step: Step) -> None:
    month = step.month
    rows = [
        (0, month, one.account, one.bill, one.answer_at, str(one.charge_micros), str(one.duration_us), *one[-2:])
        for one in step.sums
    ]
    insert_into(cx, "retired_charges", _SUM, rows, " ON CONFLICT DO NOTHING")
    arrivals = [(source, day, month, stored) for source, day, stored in step.arrivals]
    insert_into(cx, "retired_arrivals", ("source", "day", "month", "stored"), arrivals, " ON CONFLICT DO NOTHING")


def _retire(cx: sqlite3.Connection, step: Step, now: int) -> Done:
    """The sums take the place of the rows."""
    month = step.month
    (summed,) = cx.execute(
        "SELECT coalesce(sum(transactions), 0) FROM retired_charges WHERE shard = 0 AND month = ?", (month,)
    ).fetchone()
    if summed != step.transactions:
        raise StoreError(f"month {month}: {step.transactions} transactions archived, {summed} summed: start again")
    (last_id,) = cx.execute("SELECT last_id FROM retired_months WHERE month = ?", (month,)).fetchone()
    covers_id, _ = snapshots.load(cx)
    if covers_id < last_id:  # a start replays the rows after the snapshot, one by one
        raise StoreError(f"month {month} has transactions that the stored counters do not cover: start again")
    cx.execute(
        "UPDATE retired_months SET state = ?, retired_at = ?, transactions = ?, file = ?, sha256 = ? WHERE month = ?",
        (RETIRED, now, step.transactions, step.file, step.sha256, month),
    )
    cx.execute("DELETE FROM partitions WHERE month = ?", (month,))
    cx.execute("DELETE FROM natural_keys_moved WHERE month = ?", (month,))
    return Done(month, RETIRED)


def _clear(cx: sqlite3.Connection, month: int, now: int) -> Done:
    """Delete some rows of a retired month with all that belongs to them; at last, and not at once, drop its tables,
    which are empty."""
    table, keys = table_of(month), keys_table_of(month)
    upto = _nth(cx, table, "id", ROWS_A_SLICE)
    if upto is not None:
        _forget_uses(cx, table, upto)
        some = f"SELECT id FROM {table} WHERE id <= ?"  # a name of ours, as are the others
        cx.execute(f"DELETE FROM charge_reductions WHERE shard = 0 AND transaction_id IN ({some})", (upto,))
        cx.execute(f"DELETE FROM rerated WHERE original IN ({some})", (upto,))
        _forget_calls(cx, month, upto)
        return Done(month, RETIRED, cx.execute(f"DELETE FROM {table} WHERE id <= ?", (upto,)).rowcount)
    upto = _nth(cx, keys, "key", KEYS_A_SLICE)
    if upto is not None:
        return Done(month, RETIRED, cx.execute(f"DELETE FROM {keys} WHERE key <= ?", (upto,)).rowcount)
    (retired_at,) = cx.execute("SELECT retired_at FROM retired_months WHERE month = ?", (month,)).fetchone()
    if now < retired_at + DROP_AFTER_US:
        return Done(month, RETIRED)
    cx.execute(f"DROP TABLE {table}")
    cx.execute(f"DROP TABLE {keys}")
    cx.execute("UPDATE retired_months SET state = ? WHERE month = ?", (DROPPED, month))
    return Done(month, DROPPED)


def _nth(cx: sqlite3.Connection, table: str, column: str, number: int) -> int | None:
    """The last of the first so many rows; None of an empty table."""
    (last,) = cx.execute(
        f"SELECT max({column}) FROM (SELECT {column} FROM {table} ORDER BY {column} LIMIT ?)", (number,)
    ).fetchone()
    return None if last is None else int(last)


def _forget_uses(cx: sqlite3.Connection, table: str, upto: int) -> None:
    """What the rows used of rules stays used, though nothing says any more by what."""
    used: Sequence[tuple[int, int, int]] = cx.execute(
        f"SELECT state_id, sum(used / {MICROS}), sum(used % {MICROS}) FROM charge_reductions"
        f" WHERE shard = 0 AND transaction_id IN (SELECT id FROM {table} WHERE id <= ?) GROUP BY state_id",
        (upto,),
    ).fetchall()
    for state, whole, rest in used:
        (before,) = cx.execute(
            "SELECT retired_use FROM allowance_state WHERE shard = 0 AND id = ?", (state,)
        ).fetchone()
        cx.execute(
            "UPDATE allowance_state SET retired_use = ? WHERE shard = 0 AND id = ?",
            (str(int(before) + whole * MICROS + rest), state),
        )


def _forget_calls(cx: sqlite3.Connection, month: int, upto: int) -> None:
    """The sessions of the rows' calls: no other feed can report them any more."""
    cx.execute(
        "DELETE FROM call_sessions WHERE start_at >= ? AND start_at < ? AND (source, session, leg) IN"
        " (SELECT source, json_extract(detail, '$.session'), coalesce(json_extract(detail, '$.leg'), '')"
        f" FROM {table_of(month)} WHERE id <= ? AND detail IS NOT NULL)",
        (*month_bounds(month), upto),
    )
