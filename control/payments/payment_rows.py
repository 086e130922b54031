"""The SQL of payments: every attempt is a row, whose state alone moves on."""

import sqlite3
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from control.payments.payment import LIVE, PENDING, Payment, Pending, State
from control.payments.settling import Share
from rating.cdr import MICROS

_FIELDS: Final = Payment.__struct_fields__
_SELECT: Final = f"SELECT {', '.join(_FIELDS)} FROM payments"  # noqa: S608  # names of columns, no values


def insert(cx: sqlite3.Connection, payment: Payment, digest: bytes) -> None:
    """Write an attempt down."""
    values = (*msgspec.structs.astuple(payment), digest)
    cx.execute(
        f"INSERT INTO payments (shard, {', '.join(_FIELDS)}, request_digest)"  # noqa: S608  # names of columns, no values
        f" VALUES (0, {', '.join('?' * len(values))})",
        values,
    )


def insert_shares(cx: sqlite3.Connection, payment: int, shares: Iterable[Share]) -> None:
    """Write down what a payment does to each invoice."""
    cx.executemany(
        "INSERT INTO payment_shares (shard, payment, invoice, paid_micros, discount_micros) VALUES (0, ?, ?, ?, ?)",
        [(payment, share.invoice, share.paid_micros, share.discount_micros) for share in shares],
    )


def shares_of(cx: sqlite3.Connection, payment: int) -> list[Share]:
    """What a payment does to each invoice, the oldest first."""
    rows = cx.execute(
        "SELECT invoice, paid_micros, discount_micros FROM payment_shares WHERE shard = 0 AND payment = ?"
        " ORDER BY invoice",
        (payment,),
    )
    return [Share(*row) for row in rows]


def change(cx: sqlite3.Connection, payment: Payment) -> None:
    """Write down how a payment stands now."""
    cx.execute(
        "UPDATE payments SET state = ?, reason = ?, words = ?, changed_at = ?, settlement_entry = ? WHERE id = ?",
        (payment.state, payment.reason, payment.words, payment.changed_at, payment.settlement_entry, payment.id),
    )


def next_id(cx: sqlite3.Connection) -> int:
    """The number of the next attempt."""
    (last,) = cx.execute("SELECT coalesce(max(id), 0) FROM payments").fetchone()
    return int(last) + 1


def get(cx: sqlite3.Connection, number: int) -> Payment | None:
    """One attempt."""
    row = cx.execute(f"{_SELECT} WHERE id = ?", (number,)).fetchone()
    return _payment(row) if row else None


def keyed(cx: sqlite3.Connection, account: str, key: str) -> tuple[Payment, bytes] | None:
    """The attempt of an account that was made under a key, and the digest of what was asked for."""
    row = cx.execute(
        f"SELECT {', '.join(_FIELDS)}, request_digest FROM payments"  # noqa: S608  # names of columns, no values
        " WHERE shard = 0 AND account = ? AND idempotency_key = ?",
        (account, key),
    ).fetchone()
    return (_payment(row[:-1]), row[-1]) if row else None


def of_invoice(cx: sqlite3.Connection, invoice: int, *, limit: int = 100) -> list[Payment]:
    """The newest attempts on an invoice first, refused ones too."""
    rows = cx.execute(f"{_SELECT} WHERE invoice = ? ORDER BY id DESC LIMIT ?", (invoice, limit))
    return [_payment(row) for row in rows]


def flags_of(cx: sqlite3.Connection, invoice: int, *, limit: int = 20) -> list[Payment]:
    """What was refused on an invoice, for whoever looks at it: the newest first."""
    rows = cx.execute(
        f"{_SELECT} WHERE invoice = ? AND state = '{State.REFUSED}' ORDER BY id DESC LIMIT ?", (invoice, limit)
    )
    return [_payment(row) for row in rows]


def refused_of(cx: sqlite3.Connection, account: str, *, limit: int = 20) -> list[Payment]:
    """The same on all invoices of an account."""
    rows = cx.execute(
        f"{_SELECT} WHERE shard = 0 AND account = ? AND state = '{State.REFUSED}' ORDER BY id DESC LIMIT ?",
        (account, limit),
    )
    return [_payment(row) for row in rows]


def discounts_of(cx: sqlite3.Connection, account: str) -> dict[int, int]:
    """What an account was let go of for paying early, and still is, in micro-units by the numbers of its invoices."""
    rows = cx.execute(
        "SELECT s.invoice, sum(s.discount_micros) FROM payments p"  # noqa: S608  # states of ours
        " JOIN payment_shares s ON s.shard = p.shard AND s.payment = p.id AND s.discount_micros > 0"
        f" WHERE p.shard = 0 AND p.account = ? AND p.discount_micros > 0 AND p.state IN ({_listed(LIVE)})"
        " GROUP BY s.invoice",
        (account,),
    )
    return {int(invoice): int(micros) for invoice, micros in rows}


def by_entries(cx: sqlite3.Connection, entries: Iterable[int]) -> dict[int, Payment]:
    """Payments by the ledger entries that they made."""
    numbers = list(entries)
    rows = cx.execute(f"{_SELECT} WHERE entry IN ({', '.join('?' * len(numbers))})", numbers)
    return {payment.entry: payment for payment in map(_payment, rows) if payment.entry is not None}


def in_state(cx: sqlite3.Connection, state: State, *, after: int = 0, limit: int = 1_000) -> list[Payment]:
    """Payments on their way that stand in a state, by number."""
    assert state in PENDING, f"{state} is not looked up by state"
    rows = cx.execute(f"{_SELECT} WHERE state = ? AND id > ? ORDER BY id LIMIT ?", (state, after, limit))
    return [_payment(row) for row in rows]


def pending(cx: sqlite3.Connection, account: str) -> Pending:
    """An account's payments on their way, with the discounts that were granted with them."""
    # In two parts, millions and the rest: in one a sum could go beyond SQLite's 64 bits.
    parts = [
        f"coalesce(sum({name} {operator} {MICROS}), 0)"
        for name in ("amount_micros", "discount_micros")
        for operator in "/%"
    ]
    paid, paid_rest, let_go, let_go_rest = cx.execute(
        f"SELECT {', '.join(parts)} FROM payments"  # noqa: S608  # numbers, names and states of ours
        f" WHERE account = ? AND shard = 0 AND state IN ({_listed(PENDING)})",
        (account,),
    ).fetchone()
    return Pending(paid * MICROS + paid_rest, let_go * MICROS + let_go_rest)


def touched(cx: sqlite3.Connection, invoices: Iterable[int], at: int | None = None) -> set[int]:
    """Those of some invoices of which a payment that is on its way, or has come, pays something; or did, right before
    an instant (µs UTC)."""
    numbers = msgspec.json.encode(list(invoices)).decode()
    lives = f"p.state IN ({_listed(LIVE)})"
    rows = cx.execute(
        "SELECT DISTINCT s.invoice FROM payment_shares s JOIN payments p ON p.id = s.payment"  # noqa: S608  # states of ours
        " WHERE s.invoice IN (SELECT value FROM json_each(:numbers)) AND"
        # What came to nothing later had not yet.
        f" CASE WHEN :at IS NULL THEN {lives} ELSE p.requested_at < :at AND ({lives} OR p.changed_at >= :at) END",
        {"numbers": numbers, "at": at},
    )
    return {int(invoice) for (invoice,) in rows}


def _listed(states: Iterable[State]) -> str:
    return ", ".join(f"'{state}'" for state in sorted(states))


def _payment(row: tuple[Any, ...]) -> Payment:
    return msgspec.convert(dict(zip(_FIELDS, row, strict=True)), Payment)
