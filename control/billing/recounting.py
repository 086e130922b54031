"""Every bill recomputed from the transactions and the ledger, by a way of its own: to prove the bills right or wrong.

Nothing here uses what bills are made with: each transaction is put on the first bill of its account that covers it, as
the rule is written.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from decimal import ROUND_FLOOR, Decimal
from typing import NamedTuple

from control.currency import decimals_of
from control.ledger.entry import Book
from rating.cdr import MICROS
from rating.store.partitions import partitions
from rating.store.retired import require_kept, retired_sums
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
    currency: str
    rounding_micros: int | None
    carried_micros: int

    @property
    def charged_micros(self) -> int:
        return self.charges_micros + (self.rounding_micros or 0)


def recount_bills(cx: sqlite3.Connection, upto: int) -> tuple[int, list[str]]:
    """How many bills there are up to a number, and in words what is wrong with them: nothing, if all is well."""
    bills = [
        _Bill(*row)
        for row in cx.execute(
            "SELECT number, account, cycle_end, previous_balance_micros, payments_micros, adjustments_micros,"
            " current_charges_micros, total_due_micros, calls, covers_id, entry, currency,"
            " rounding_micros, carried_micros FROM bills WHERE number <= ?"
            " ORDER BY number",
            (upto,),
        )
    ]
    return len(bills), [*_gaps(bills), *_sums(bills), *_postings(cx, bills), *_transactions(cx, bills)]


def recount_billed(cx: sqlite3.Connection, billed: Mapping[str, int], upto: int) -> list[str]:
    """Where sums in memory do not say what the bills up to a number have charged, in words."""
    told: dict[str, int] = {}
    rows = cx.execute("SELECT account, current_charges_micros, rounding_micros FROM bills WHERE number <= ?", (upto,))
    for account, micros, rounding in rows:
        told[account] = told.get(account, 0) + micros + (rounding or 0)
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
    carried: dict[str, int] = {}
    for bill in bills:
        before = totals.get(bill.account, 0)
        if bill.previous_micros != before:
            yield f"bill {bill.number}: previous balance {bill.previous_micros}, the bill before says {before}"
        exact = bill.previous_micros - bill.payments_micros + bill.adjustments_micros + bill.charges_micros
        rounding = bill.rounding_micros or 0
        if bill.total_micros != exact + rounding:
            yield f"bill {bill.number}: total due {bill.total_micros}, its parts sum to {exact + rounding}"
        carries = carried.get(bill.account, 0)
        if bill.carried_micros != carries - rounding:
            yield f"bill {bill.number}: carries over {bill.carried_micros}, should be {carries - rounding}"
        if (
            bill.rounding_micros is not None
            and (should := _half_up(exact + carries, bill.currency)) != exact + rounding
        ):
            yield f"bill {bill.number}: is rounded to {exact + rounding}, should be {should}"
        if bill.rounding_micros is None and bill.account in carried:
            yield f"bill {bill.number}: is not rounded, and one before it is"
        totals[bill.account] = bill.total_micros
        if bill.rounding_micros is not None:
            carried[bill.account] = bill.carried_micros


def _half_up(micros: int, currency: str) -> int:
    unit = Decimal(1).scaleb(-decimals_of(currency))
    return int((Decimal(micros) / MICROS / unit + Decimal("0.5")).to_integral_value(ROUND_FLOOR) * unit * MICROS)


def _postings(cx: sqlite3.Connection, bills: list[_Bill]) -> Iterator[str]:
    posted: dict[int, dict[str, int]] = {}
    for entry, book, micros in cx.execute(
        "SELECT p.entry, p.book, p.amount_micros FROM ledger_entries e JOIN ledger_postings p ON p.entry = e.id"
        " WHERE e.kind = 'bill'"
    ):
        posted.setdefault(entry, {})[book] = micros
    for bill in bills:
        books = posted.get(bill.entry, {})
        is_ = tuple(books.get(book, 0) for book in (Book.RECEIVABLE, Book.REVENUE, Book.ROUNDING))
        should = (bill.charged_micros, -bill.charges_micros, -(bill.rounding_micros or 0))
        if is_ != should or not books:
            yield f"bill {bill.number}: posted to receivable, revenue and rounding {is_}, should be {should}"


def _transactions(cx: sqlite3.Connection, bills: list[_Bill]) -> Iterator[str]:
    """Where a bill has not the charges, or not the number, of the transactions that belong on it."""
    of_account: dict[str, list[_Bill]] = {}
    for bill in bills:
        of_account.setdefault(bill.account, []).append(bill)
    charges, calls = {bill.number: 0 for bill in bills}, {bill.number: 0 for bill in bills}
    last = max((bill.covers_id for bill in bills), default=0)
    months = partitions(cx)
    for one in retired_sums(cx):
        if one.bill in charges:
            charges[one.bill] += one.charge_micros
            calls[one.bill] += one.transactions
    for month in months:
        for chunk in read_chunks(cx, month, _COLUMNS, after=0, upto=last):
            for number, account, answer_at, micros in chunk:
                for bill in of_account.get(account, ()):
                    if answer_at < bill.cycle_end and number <= bill.covers_id:
                        charges[bill.number] += micros
                        calls[bill.number] += 1
                        break
    require_kept(cx, months)
    for bill in bills:
        is_, should = (bill.charges_micros, bill.calls), (charges[bill.number], calls[bill.number])
        if is_ != should:
            yield f"bill {bill.number}: charges and calls {is_}, its transactions say {should}"
