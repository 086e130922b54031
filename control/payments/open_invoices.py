"""Which invoices of an account are open, read from the store: now, and on the day on which one was issued."""

import sqlite3
from collections.abc import Iterable

import msgspec

from control.billing import bill_rows
from control.billing.bill import Bill
from control.payments import payment_rows
from control.payments.payment import Accepted, Standing
from control.payments.settling import OpenInvoice, spread


def open_invoices(
    cx: sqlite3.Connection, owed_micros: int, bills: Iterable[Bill], at: int | None = None
) -> tuple[OpenInvoice, ...]:
    """Of which bills an account owes so much, the oldest first, each with its discount unless a customer has paid some
    of it, by now or before an instant (µs UTC). `bills` are the account's, the newest first."""
    found = spread(owed_micros, ((bill.number, bill.charged_micros, bill.discount) for bill in bills))
    touched = payment_rows.touched(cx, [one.invoice for one in found], at)
    return tuple(msgspec.structs.replace(one, offer=None) if one.invoice in touched else one for one in found)


def offered(cx: sqlite3.Connection, bill: Bill) -> Accepted | None:
    """What pays all of a bill on the day of its issue, with the discounts of all invoices that were open then; None
    where there was nothing to pay. It says the same in years, whatever was paid since."""
    bills = (one for one in bill_rows.from_newest(cx, bill.account) if one.number <= bill.number)
    standing = Standing(
        due_micros=bill.total_due_micros,
        pending_micros=0,
        invoices=open_invoices(cx, bill.total_due_micros, bills, bill.issued_at),
        currency=bill.currency,
    )
    said = standing.payable(bill.issued_on)
    return said if isinstance(said, Accepted) else None
