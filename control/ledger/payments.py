"""Making entries: payments received, credits granted, and taking them back. Each once for its idempotency key, in the
store transaction of the caller's, with a line in the audit log."""

import sqlite3
from collections.abc import Callable, Sequence

import msgspec

from control import audit
from control.ledger import postings
from control.ledger.entry import (
    COUNTERPARTS,
    Book,
    Entry,
    EntryRefused,
    Kind,
    Posting,
    Why,
    check_amount,
    check_words,
    digest,
    payable,
)
from rating.money import format_micros


class Recorded(msgspec.Struct, frozen=True):
    """An entry, and whether it was made just now or is the answer to a request that came again."""

    entry: Entry
    is_new: bool


Due = Callable[[], int]
"""Tells the total that an account owes, in micro-units, within the store transaction that asks it."""


def record_payment(
    cx: sqlite3.Connection,
    account: str,
    amount_micros: int | None,
    currency: str,
    *,
    actor: str,
    key: str,
    now: int,
    remark: str = "",
    due: Due | None = None,
) -> Recorded:
    """Money was received for an account. With `due` it is at most the total due, and all of that if no amount is given.
    Raises EntryRefused."""
    return _record(cx, Kind.PAYMENT, account, amount_micros, currency, actor, key, now, remark, due)


def record_credit(
    cx: sqlite3.Connection,
    account: str,
    amount_micros: int,
    currency: str,
    *,
    actor: str,
    key: str,
    now: int,
    remark: str = "",
) -> Recorded:
    """Something is granted to an account, without money. Raises EntryRefused."""
    return _record(cx, Kind.CREDIT, account, amount_micros, currency, actor, key, now, remark)


def reverse(
    cx: sqlite3.Connection, account: str, number: int, *, actor: str, key: str, now: int, remark: str = ""
) -> Recorded:
    """Take an account's entry back, whole. Raises EntryRefused."""
    check_words(key, remark)
    original = postings.get(cx, number)
    if original is None or original.account != account:
        raise EntryRefused(Why.UNKNOWN_ENTRY, f"account {account} has no entry {number}: mind the number")
    asked = digest(Kind.REVERSAL, -original.amount_micros, original.currency, remark, number)
    if (known := _known(cx, account, key, asked)) is not None:
        return Recorded(known, is_new=False)
    if original.kind is Kind.REVERSAL:
        raise EntryRefused(Why.REVERSED, f"entry {number} takes another one back: enter that one anew instead")
    if (by := postings.reversal_of(cx, number)) is not None:
        raise EntryRefused(Why.REVERSED, f"entry {number} has been taken back already, by entry {by}")
    entry = Entry(
        id=postings.next_id(cx),
        kind=Kind.REVERSAL,
        account=account,
        at=now,
        actor=actor,
        remark=remark,
        idempotency_key=key,
        reverses=number,
        amount_micros=-original.amount_micros,
        currency=original.currency,
    )
    undone = [
        Posting(posting.book, posting.account, -posting.amount_micros, posting.currency)
        for posting in postings.postings_of(cx, number)
    ]
    return _add(cx, entry, asked, undone)


def _record(
    cx: sqlite3.Connection,
    kind: Kind,
    account: str,
    amount_micros: int | None,
    currency: str,
    actor: str,
    key: str,
    now: int,
    remark: str,
    due: Due | None = None,
) -> Recorded:
    if amount_micros is not None:
        check_amount(amount_micros)
    check_words(key, remark)
    _check_currency(cx, account, currency)
    # 0, which nobody can ask for, stands for the total due: that is another one when the request comes again.
    asked = digest(kind, amount_micros or 0, currency, remark, None)
    if (known := _known(cx, account, key, asked)) is not None:
        return Recorded(known, is_new=False)
    if due is not None:
        amount_micros = payable(amount_micros, due())
    assert amount_micros is not None, "an amount is left out only where a total is due"
    check_amount(amount_micros)
    entry = Entry(
        id=postings.next_id(cx),
        kind=kind,
        account=account,
        at=now,
        actor=actor,
        remark=remark,
        idempotency_key=key,
        reverses=None,
        amount_micros=amount_micros,
        currency=currency,
    )
    return _add(
        cx,
        entry,
        asked,
        [
            Posting(COUNTERPARTS[kind], account, amount_micros, currency),
            Posting(Book.RECEIVABLE, account, -amount_micros, currency),
        ],
    )


def _add(cx: sqlite3.Connection, entry: Entry, asked: bytes, halves: Sequence[Posting]) -> Recorded:
    postings.add(cx, entry, asked, halves)
    amount = f"{format_micros(abs(entry.amount_micros), 6)} {entry.currency}"
    detail = f"entry {entry.id}, {amount}"
    if entry.reverses is not None:
        detail = f"entry {entry.id} takes back entry {entry.reverses}, {amount}"
    if entry.remark:
        detail = f"{detail}: {entry.remark}"
    audit.record(cx, entry.at, entry.actor, f"record {entry.kind}", f"account {entry.account}", detail)
    return Recorded(entry, is_new=True)


def _known(cx: sqlite3.Connection, account: str, key: str, asked: bytes) -> Entry | None:
    """The entry that was made under a key, if what was asked for is the same."""
    found = postings.keyed(cx, account, key)
    if found is None:
        return None
    entry, before = found
    if before != asked:
        raise EntryRefused(
            Why.KEY, f"this idempotency key made entry {entry.id}, which is another: give every entry a key of its own"
        )
    return entry


def _check_currency(cx: sqlite3.Connection, account: str, currency: str) -> None:
    row = cx.execute("SELECT currency FROM accounts WHERE shard = 0 AND account = ?", (account,)).fetchone()
    if row is None:
        raise EntryRefused(Why.UNKNOWN_ACCOUNT, f"there is no account {account}: mind the number")
    if row[0] != currency:
        raise EntryRefused(
            Why.CURRENCY, f"account {account} is kept in {row[0]}, not in {currency}: convert the amount"
        )
