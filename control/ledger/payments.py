"""Making entries: payments received, credits granted, what the program posts itself, and taking all these back. Each
once for its idempotency key, in the store transaction of the caller's, with a line in the audit log."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence

import msgspec

from control import audit
from control.currency import shown
from control.ledger import postings
from control.ledger.entry import (
    COUNTERPARTS,
    Book,
    Entry,
    EntryRefused,
    Kind,
    Owed,
    Posting,
    Why,
    check_amount,
    check_decimals,
    check_words,
    digest,
    payable,
)


class Recorded(msgspec.Struct, frozen=True):
    """An entry, and whether it was made just now or is the answer to a request that came again."""

    entry: Entry
    is_new: bool


class Request(msgspec.Struct, frozen=True):
    """What an entry is made for: who asks for what, and under which key it may be asked for again."""

    kind: Kind
    account: str
    amount_micros: int | None
    """In the account's favour; None: what is due."""
    currency: str
    actor: str
    key: str
    now: int
    remark: str = ""
    reverses: int | None = None

    def digest(self) -> bytes:
        """What is asked for."""
        # 0, which nobody can ask for, stands for what is due: that is another one when the request comes again.
        return digest(self.kind, self.amount_micros or 0, self.currency, self.remark, self.reverses)


Due = Callable[[], Owed]
"""Tells what an account owes, within the store transaction that asks it."""


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
    """Money was received for an account. With `due` it is at most what the account owes; without an amount it is all
    that is due, or all that is owed where nothing is due. Raises EntryRefused."""
    return _record(cx, Request(Kind.PAYMENT, account, amount_micros, currency, actor, key, now, remark), due)


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
    return _record(cx, Request(Kind.CREDIT, account, amount_micros, currency, actor, key, now, remark))


def post(cx: sqlite3.Connection, request: Request, halves: Mapping[Book, int]) -> Recorded:
    """Make an entry that the program itself has to make: what it adds to each book, in all zero. Its key need not be
    printable: with a tab in front it is none that anybody sends. Raises EntryRefused."""
    if (known := _known(cx, request)) is not None:
        return known
    _check_currency(cx, request.account, request.currency)
    postings_made = [Posting(book, request.account, micros, request.currency) for book, micros in halves.items()]
    return _add(cx, request, -halves.get(Book.RECEIVABLE, 0), postings_made)


def reverse(
    cx: sqlite3.Connection, account: str, number: int, *, actor: str, key: str, now: int, remark: str = ""
) -> Recorded:
    """A person takes an account's entry back, whole. Raises EntryRefused."""
    check_words(key, remark)
    original = postings.get(cx, number)
    if original is not None and original.account == account and original.kind is Kind.SETTLEMENT:
        said = f"entry {number} says that a payment has come: take back the entry of the payment instead"
        raise EntryRefused(Why.SETTLEMENT, said)
    return take_back(cx, account, number, actor=actor, key=key, now=now, remark=remark)


def take_back(
    cx: sqlite3.Connection, account: str, number: int, *, actor: str, key: str, now: int, remark: str = ""
) -> Recorded:
    """The same under a key of the program's own, as with `post`."""
    original = postings.get(cx, number)
    if original is None or original.account != account:
        raise EntryRefused(Why.UNKNOWN_ENTRY, f"account {account} has no entry {number}: mind the number")
    micros, currency = -original.amount_micros, original.currency
    request = Request(Kind.REVERSAL, account, micros, currency, actor, key, now, remark, number)
    if (known := _known(cx, request)) is not None:
        return known
    if original.kind is Kind.REVERSAL:
        raise EntryRefused(Why.REVERSED, f"entry {number} takes another one back: enter that one anew instead")
    if original.kind is Kind.BILL:
        raise EntryRefused(Why.BILL, f"entry {number} is a bill, which stays as it is: grant a credit instead")
    if (by := postings.reversal_of(cx, number)) is not None:
        raise EntryRefused(Why.REVERSED, f"entry {number} has been taken back already, by entry {by}")
    undone = [
        Posting(posting.book, posting.account, -posting.amount_micros, posting.currency)
        for posting in postings.postings_of(cx, number)
    ]
    return _add(cx, request, micros, undone)


def _record(cx: sqlite3.Connection, request: Request, due: Due | None = None) -> Recorded:
    if request.amount_micros is not None:
        check_amount(request.amount_micros)
    check_words(request.key, request.remark)
    _check_currency(cx, request.account, request.currency)
    if (known := _known(cx, request)) is not None:
        return known
    if request.amount_micros is not None:
        check_decimals(request.amount_micros, request.currency)
    micros = request.amount_micros
    if due is not None:
        micros = payable(micros, due(), request.currency)
    assert micros is not None, "an amount is left out only where a total is due"
    check_amount(micros)
    halves = [
        Posting(COUNTERPARTS[request.kind], request.account, micros, request.currency),
        Posting(Book.RECEIVABLE, request.account, -micros, request.currency),
    ]
    return _add(cx, request, micros, halves)


def _add(cx: sqlite3.Connection, request: Request, micros: int, halves: Sequence[Posting]) -> Recorded:
    entry = Entry(
        id=postings.next_id(cx),
        kind=request.kind,
        account=request.account,
        at=request.now,
        actor=request.actor,
        remark=request.remark,
        idempotency_key=request.key,
        reverses=request.reverses,
        amount_micros=micros,
        currency=request.currency,
    )
    postings.add(cx, entry, request.digest(), halves)
    # What changes nothing of what the account owes moves money all the same.
    moved = abs(micros) or sum(posting.amount_micros for posting in halves if posting.amount_micros > 0)
    amount = f"{shown(moved, entry.currency)} {entry.currency}"
    detail = f"entry {entry.id}, {amount}"
    if entry.reverses is not None:
        detail = f"entry {entry.id} takes back entry {entry.reverses}, {amount}"
    if entry.remark:
        detail = f"{detail}: {entry.remark}"
    audit.record(cx, entry.at, entry.actor, f"record {entry.kind}", f"account {entry.account}", detail)
    return Recorded(entry, is_new=True)


def _known(cx: sqlite3.Connection, request: Request) -> Recorded | None:
    """The entry that was made under a key, if what was asked for is the same."""
    found = postings.keyed(cx, request.account, request.key)
    if found is None:
        return None
    entry, before = found
    if before != request.digest():
        raise EntryRefused(
            Why.KEY, f"this idempotency key made entry {entry.id}, which is another: give every entry a key of its own"
        )
    return Recorded(entry, is_new=False)


def _check_currency(cx: sqlite3.Connection, account: str, currency: str) -> None:
    """Raise EntryRefused unless an account is there and kept in a currency."""
    row = cx.execute("SELECT currency FROM accounts WHERE shard = 0 AND account = ?", (account,)).fetchone()
    if row is None:
        raise EntryRefused(Why.UNKNOWN_ACCOUNT, f"there is no account {account}: mind the number")
    if row[0] != currency:
        raise EntryRefused(
            Why.CURRENCY, f"account {account} is kept in {row[0]}, not in {currency}: convert the amount"
        )
