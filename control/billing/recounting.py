"""Every bill recomputed from the transactions and the ledger, by a way of its own: to prove the bills right or wrong.

Nothing here uses what bills are made with: each transaction is put on the first bill of its account that covers it, as
the rule is written.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from control.ledger.entry import Book
from rating.store.partitions import partitions
from rating.store.transactions import read_chunks

_COLUMNS = "id, account, answer_at, charge_micros"


class _Bill(NamedTuple):
    number: int
    account: str
    cycle_end: int
    previous_micros: int
    payments_micros: int
    adjustments_micros: int
    charges_micros: int
    total_micros: int
    calls: int
    covers_id: int
    entry: int


def recount_bills(cx: sqlite3.Connection, upto: int) -> tuple[int, list[str]]:
    """How many bills there are up to a number, and in words what is wrong with them: nothing, if all is well."""
    bills = [
        _Bill(*row)
        for row in cx.execute(
            "SELECT number, account, cycle_end, previous_balance_micros, payments_micros, adjustments_micros,"
            " current_charges_micros, total_due_micros, calls, covers_id, entry FROM bills WHERE number <= ?"
            " ORDER BY number",
            (upto,),
        )
    ]
    return len(bills), [*_gaps(bills), *_sums(bills), *_postings(cx, bills), *_transactions(cx, bills)]


def recount_billed(cx: sqlite3.Connection, billed: Mapping[str, int], upto: int) -> list[str]:
    """Where sums in memory do not say what the bills up to a number have charged, in words."""
    told: dict[str, int] = {}
    for account, micros in cx.execute("SELECT account, current_charges_micros FROM bills WHERE number <= ?", (upto,)):
        told[account] = told.get(account, 0) + micros
    return [
        f"account {account}: billed_micros counted {billed.get(account, 0)}, recounted {told.get(account, 0)}"
        for account in sorted(told.keys() | billed.keys())
        if told.get(account, 0) != billed.get(account, 0)
    ]


def _gaps(bills: list[_Bill]) -> Iterator[str]:
    for should, bill in enumerate(bills, 1):
        if bill.number != should:
            yield f"bill {bill.number}: its number should be {should}"
            return


def _sums(bills: list[_Bill]) -> Iterator[str]:
    """What is wrong with the figures of bills, one after the other."""
    totals: dict[str, int] = {}
    for bill in bills:
        before = totals.get(bill.account, 0)
        if bill.previous_micros != before:
            yield f"bill {bill.number}: previous balance {bill.previous_micros}, the bill before says {before}"
        total = bill.previous_micros - bill.payments_micros + bill.adjustments_micros + bill.charges_micros
        if bill.total_micros != total:
            yield f"bill {bill.number}: total due {bill.total_micros}, its parts sum to {total}"
        totals[bill.account] = bill.total_micros


def _postings(cx: sqlite3.Connection, bills: list[_Bill]) -> Iterator[str]:
    posted: dict[Any, int] = dict(
        cx.execute(
            "SELECT p.entry, p.amount_micros FROM ledger_entries e JOIN ledger_postings p ON p.entry = e.id"
            " WHERE e.kind = 'bill' AND p.book = ?",
            (Book.RECEIVABLE,),
        )
    )
    for bill in bills:
        if posted.get(bill.entry) != bill.charges_micros:
            yield f"bill {bill.number}: charges {bill.charges_micros}, posted {posted.get(bill.entry)}"


def _transactions(cx: sqlite3.Connection, bills: list[_Bill]) -> Iterator[str]:
    """Where a bill has not the charges, or not the number, of the transactions that belong on it."""
    of_account: dict[str, list[_Bill]] = {}
    for bill in bills:
        of_account.setdefault(bill.account, []).append(bill)
    charges, calls = {bill.number: 0 for bill in bills}, {bill.number: 0 for bill in bills}
    last = max((bill.covers_id for bill in bills), default=0)
    for month in partitions(cx):
        for chunk in read_chunks(cx, month, _COLUMNS, after=0, upto=last):
            for number, account, answer_at, micros in chunk:
                for bill in of_account.get(account, ()):
                    if answer_at < bill.cycle_end and number <= bill.covers_id:
                        charges[bill.number] += micros
                        calls[bill.number] += 1
                        break
    for bill in bills:
        is_, should = (bill.charges_micros, bill.calls), (charges[bill.number], calls[bill.number])
        if is_ != should:
            yield f"bill {bill.number}: charges and calls {is_}, its transactions say {should}"
