"""What a customer's payment does to the ledger: accepted it is in transit, settled it is cash, and one that comes to
nothing is taken back."""

import sqlite3
from collections.abc import Sequence
from typing import Final

import msgspec

from control.currency import shown
from control.ledger import postings
from control.ledger.entry import Book, Kind, check_amount
from control.ledger.payments import Request, post, take_back
from control.ledger.service import Enter, Record
from control.payments.payment import Accepted, Payment, State

_NAMED: Final = 5
"""Invoices that a remark names one by one."""


def post_accepted(enter: Enter, payment: Payment, accepted: Accepted) -> Payment:
    """The payment with its entries: from now on the account owes less, and the money is on its way. Raises
    EntryRefused."""
    paid, let_go = accepted.amount_micros, accepted.discount_micros
    check_amount(paid)
    entry, remark = None, f"invoice {payment.invoice}"
    if let_go:
        said = _paid_early([share.invoice for share in accepted.discounts])
        entry = _post(enter, payment, Kind.DISCOUNT, "discount", {Book.DISCOUNTS_GRANTED: let_go}, said)
    return msgspec.structs.replace(
        payment,
        state=State.REQUESTED,
        amount_micros=paid,
        discount_micros=let_go,
        words=f"{shown(paid, payment.currency)} {payment.currency} accepted",
        discount_entry=entry,
        entry=_post(enter, payment, Kind.PAYMENT, "accepted", {Book.IN_TRANSIT: paid}, remark),
    )


def post_settled(enter: Enter, payment: Payment, actor: str) -> Payment:
    """The payment whose money is here: from in transit to cash."""
    micros = payment.amount_micros
    assert micros is not None, "only what was accepted is settled"
    request = Request(
        Kind.SETTLEMENT, payment.account, 0, payment.currency, actor, _key(payment, "settled"), payment.changed_at,
        f"invoice {payment.invoice}",
    )  # fmt: skip
    halves = {Book.CASH: micros, Book.IN_TRANSIT: -micros}
    return msgspec.structs.replace(payment, settlement_entry=enter(lambda cx: post(cx, request, halves)).entry.id)


def take_all_back(cx: sqlite3.Connection, enter: Enter, payment: Payment, actor: str) -> None:
    """The account owes again what a payment and its discount took off, but for what a person took back already."""
    account, now, remark = payment.account, payment.changed_at, f"payment {payment.id} {payment.state}"
    for number in (payment.settlement_entry, payment.discount_entry, payment.entry):
        if number is not None and postings.reversal_of(cx, number) is None:
            key = _key(payment, f"back {number}")
            enter(_taking_back(account, number, actor, key, now, remark))


def _paid_early(invoices: Sequence[int]) -> str:
    """As the ledger remarks it."""
    if len(invoices) > _NAMED:
        return f"{len(invoices)} invoices up to {invoices[-1]}, paid early"
    return f"{'invoice' if len(invoices) == 1 else 'invoices'} {', '.join(map(str, invoices))}, paid early"


def _taking_back(account: str, number: int, actor: str, key: str, now: int, remark: str) -> Record:
    return lambda cx: take_back(cx, account, number, actor=actor, key=key, now=now, remark=remark)


def _post(enter: Enter, payment: Payment, kind: Kind, what: str, debit: dict[Book, int], remark: str) -> int:
    """Make an entry that takes off what the account owes; its number."""
    micros = sum(debit.values())
    request = Request(
        kind,
        payment.account,
        micros,
        payment.currency,
        payment.actor,
        _key(payment, what),
        payment.requested_at,
        remark,
    )
    return enter(lambda cx: post(cx, request, debit | {Book.RECEIVABLE: -micros})).entry.id


def _key(payment: Payment, what: str) -> str:
    """A key in the ledger, with a tab in front: no request can have it."""
    return f"\tpayment {payment.id} {what}"
