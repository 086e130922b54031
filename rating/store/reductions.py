"""Reading what the rules of tariffs took off charges, and proving that what they were used is the sum of it."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from rating.cdr import MICROS
from rating.store.transactions import in_pieces


class Taken(msgspec.Struct, frozen=True):
    """What one rule did to a stored charge."""

    kind: str
    rule: str
    measure: str
    window_at: int
    """First instant of the period in which it was used, µs UTC; 0 without one."""
    used: int
    """In the measure; charges in micro-units. Negative in a reversal."""
    percent: str | None
    amount: str
    """What went off, exactly, in units of the currency: a decimal or n/d."""
    gross_micros: int
    """The charge without any rule."""


def reductions_of(cx: sqlite3.Connection, transaction: int) -> list[Taken]:
    """What was done to the charge of a transaction, in its order; none for one without rules."""
    return [
        Taken(*row)
        for row in cx.execute(
            "SELECT s.kind, s.rule, s.measure, s.window_at, r.used, r.percent, r.amount, r.gross_micros"
            " FROM charge_reductions r JOIN allowance_state s ON s.shard = r.shard AND s.id = r.state_id"
            " WHERE r.shard = 0 AND r.transaction_id = ? ORDER BY r.place",
            (transaction,),
        )
    ]


def gross_of(cx: sqlite3.Connection, ids: Sequence[int]) -> dict[int, int]:
    """The charges without rules, in micro-units, of those transactions that rules were applied to; any other's gross
    is its charge."""
    found: dict[int, int] = {}
    for first, end in in_pieces(len(ids)):
        found.update(
            cx.execute(
                "SELECT transaction_id, gross_micros FROM charge_reductions"
                f" WHERE shard = 0 AND place = 0 AND transaction_id IN ({', '.join('?' * (end - first))})",
                ids[first:end],
            )
        )
    return found


def use_differences(cx: sqlite3.Connection) -> list[str]:
    """In words, where what a rule was used is not the sum of what it did to charges, as of one transaction."""
    # In two parts: in one a sum of charges could go beyond SQLite's 64 bits. One statement: a state and its charges
    # change together, and must be seen together.
    rows: list[tuple[Any, ...]] = cx.execute(
        "SELECT s.account, s.tariff, s.rule, s.measure, s.window_at, s.used, s.retired_use, r.whole, r.rest"
        " FROM allowance_state s"
        " LEFT JOIN (SELECT state_id, sum(used / :million) AS whole, sum(used % :million) AS rest"
        " FROM charge_reductions WHERE shard = 0 GROUP BY state_id) r ON r.state_id = s.id WHERE s.shard = 0"
        " UNION ALL SELECT 'nobody', '', '', '', state_id, '0', '0', sum(used / :million), sum(used % :million)"
        " FROM charge_reductions WHERE shard = 0 AND state_id NOT IN (SELECT id FROM allowance_state WHERE shard = 0)"
        " GROUP BY state_id",
        {"million": MICROS},
    ).fetchall()
    return [
        f"account {account}, tariff {tariff}, {rule} from {window_at}: {measure} counted {used}, recounted {recounted}"
        for account, tariff, rule, measure, window_at, used, retired, whole, rest in rows
        if int(used) != (recounted := int(retired) + (whole or 0) * MICROS + (rest or 0)) or account == "nobody"
    ]
