"""Customers pay: in one store transaction the total due, the rules and what is on its way are read, and a payment is
accepted, or refused, and written down either way."""

import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from control import audit
from control.billing import bill_rows
from control.billing.bill import Bill
from control.ledger.entry import EntryRefused, Why, check_amount, check_decimals, check_words
from control.ledger.payments import Recorded, reverse
from control.ledger.service import Enter, Ledger
from control.payments import payment_rows, rule_rows
from control.payments.open_invoices import open_invoices
from control.payments.payment import (
    FOLLOWING,
    Accepted,
    Payment,
    Refused,
    Standing,
    State,
    decide,
    request_digest,
)
from control.payments.payment_entries import post_accepted, post_settled, take_all_back
from rating.store.port import Store

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TAKEN_BACK: Final = frozenset({State.CANCELLED, State.REJECTED, State.RETURNED})
_TAKEN_BACK_FROM: Final[Mapping[State, State]] = {
    State.REQUESTED: State.CANCELLED,
    State.SETTLED: State.RETURNED,
}
"""What becomes of a payment whose entry a person takes back; while the bank has it, it cannot be."""
_ACTIONS: Final[Mapping[State, str]] = {
    State.CANCELLED: "cancel payment",
    State.BATCHED: "batch payment",
    State.SUBMITTED: "submit payment",
    State.UNKNOWN: "lose sight of payment",
    State.REJECTED: "reject payment",
    State.SETTLED: "settle payment",
    State.RETURNED: "return payment",
}
"""As the audit log names what leads to a state."""


class KeyTaken(Exception):
    """An idempotency key that came with another request before; the message says what to do."""


class NoSuchInvoice(Exception):
    """There is no such invoice."""


class NotPossible(Exception):
    """A payment does not come from where it is to where it should, in words."""


class Attempt(msgspec.Struct, frozen=True):
    """A payment that was tried, and whether just now, or it is the answer to a request that came again."""

    payment: Payment
    is_new: bool


class Payments:
    """The payments of customers. Every call that is repeated with its key is answered as the first time.

    `wake` is told when something was accepted or taken back: somebody may have to act on it.
    """

    def __init__(
        self, store: Store, ledger: Ledger, clock: Callable[[], int], wake: Callable[[], object] = lambda: None
    ) -> None:
        self._store, self._ledger, self._clock, self._wake = store, ledger, clock, wake

    async def pay(
        self, invoice: int, amount_micros: int | None, *, actor: str, key: str, currency: str | None = None
    ) -> Attempt:
        """Pay an account's balance on an invoice: all that is due, less a discount in time, if no amount is given.

        Whichever invoice is named, what is paid is the consolidated account's balance. Raises NoSuchInvoice, KeyTaken,
        and EntryRefused for what is no payment at all: that is not written down.
        """
        check_words(key, "")
        if amount_micros is not None:
            check_amount(amount_micros)
        now = self._clock()
        tried = await self._ledger.together(
            lambda cx, enter: self._pay(cx, enter, invoice, amount_micros, currency, actor, key, now)
        )
        if tried.is_new and tried.payment.is_accepted:
            self._wake()
        return tried

    async def move(
        self, number: int, state: State, *, actor: str, reason: str | None = None, words: str = ""
    ) -> Payment:
        """Bring a payment to a state that may follow its own, with what that means for the ledger; one that stands
        there already stays as it is. Raises NotPossible."""
        now = self._clock()
        payment = await self._ledger.together(
            lambda cx, enter: self._move(cx, enter, number, state, actor, reason, words, now)
        )
        if state in _TAKEN_BACK:
            self._wake()
        return payment

    async def waiting(self, state: State = State.REQUESTED, *, after: int = 0, limit: int = 1_000) -> list[Payment]:
        """The payments in the outbox that stand in a state, by number."""
        return await self._store.read(lambda cx: payment_rows.in_state(cx, state, after=after, limit=limit))

    async def take_back(self, account: str, number: int, *, actor: str, key: str, remark: str) -> Recorded:
        """A person takes an entry of an account's ledger back, and says why. If it is what a customer paid, the payment
        is cancelled with it, or returned if it was settled, and its discount is taken back too. Raises EntryRefused."""
        now = self._clock()
        recorded = await self._ledger.together(
            lambda cx, enter: self._take_back(cx, enter, account, number, actor, key, remark, now)
        )
        if recorded.is_new:
            self._wake()
        return recorded

    async def payable(self, invoice: int) -> Accepted | Refused:
        """What would be paid on an invoice now, and what let go of, or why nothing can be: the same on all invoices of
        an account. For people to look at, the payment asks again. Raises NoSuchInvoice."""
        now = self._clock()

        def ask(cx: sqlite3.Connection) -> Accepted | Refused:
            bill = _bill(cx, invoice)
            return decide(None, self._standing(cx, bill.account), local_day(cx, bill.account, now))

        return await self._store.read(ask)

    async def asked_to_pay(self, invoice: int, *, actor: str) -> Accepted | Refused:
        """Somebody wants to pay an invoice and has said nothing yet of an amount: what `payable` says. That it is
        refused is written down and flagged on the invoice, once for a reason and a balance. Raises NoSuchInvoice."""
        if isinstance(said := await self.payable(invoice), Accepted):
            return said
        now = self._clock()
        return await self._ledger.together(lambda cx, _: self._flag(cx, invoice, actor, now))

    # In the store's thread.

    def _flag(self, cx: sqlite3.Connection, invoice: int, actor: str, now: int) -> Accepted | Refused:
        bill = _bill(cx, invoice)
        standing = self._standing(cx, bill.account)
        said = decide(None, standing, local_day(cx, bill.account, now))
        if isinstance(said, Refused):
            # The tab keeps it apart from the keys that people can send.
            key = f"\tasked {invoice} {said.reason} {standing.due_micros} {standing.pending_micros}"
            if payment_rows.keyed(cx, bill.account, key) is None:
                payment = msgspec.structs.replace(
                    _attempt(cx, bill, None, actor, key, now), reason=said.reason, words=said.words
                )
                payment_rows.insert(cx, payment, request_digest(invoice, None, bill.currency))
        return said

    def _pay(
        self,
        cx: sqlite3.Connection,
        enter: Enter,
        invoice: int,
        amount_micros: int | None,
        currency: str | None,
        actor: str,
        key: str,
        now: int,
    ) -> Attempt:
        bill = _bill(cx, invoice)
        if currency not in (None, bill.currency):
            raise EntryRefused(
                Why.CURRENCY, f"the invoice is in {bill.currency}, not in {currency}: convert the amount"
            )
        digest = request_digest(invoice, amount_micros, bill.currency)
        if (known := payment_rows.keyed(cx, bill.account, key)) is not None:
            payment, before = known
            if before != digest:
                raise KeyTaken("this idempotency key came with another payment: give every payment a key of its own")
            return Attempt(payment, is_new=False)
        if amount_micros is not None:
            check_decimals(amount_micros, bill.currency)
        said = decide(amount_micros, self._standing(cx, bill.account), local_day(cx, bill.account, now))
        payment = _attempt(cx, bill, amount_micros, actor, key, now)
        if isinstance(said, Refused):
            payment = msgspec.structs.replace(payment, reason=said.reason, words=said.words)
        else:
            payment = post_accepted(enter, payment, said)
            payment_rows.insert_shares(cx, payment.id, said.shares)
        payment_rows.insert(cx, payment, digest)
        return Attempt(payment, is_new=True)

    def _standing(self, cx: sqlite3.Connection, account: str) -> Standing:
        """How an account that has a bill stands."""
        latest = bill_rows.latest_of(cx, account)
        assert latest is not None
        due_micros = self._ledger.balances.owed(account)
        return Standing(
            due_micros=due_micros,
            pending_micros=payment_rows.pending(cx, account).micros,
            invoices=open_invoices(cx, due_micros, bill_rows.from_newest(cx, account)),
            below_micros=rule_rows.rules_on(cx, latest.issued_on).below_micros,
            currency=latest.currency,
        )

    def _take_back(
        self,
        cx: sqlite3.Connection,
        enter: Enter,
        account: str,
        number: int,
        actor: str,
        key: str,
        remark: str,
        now: int,
    ) -> Recorded:
        recorded = enter(lambda cx: reverse(cx, account, number, actor=actor, key=key, now=now, remark=remark))
        payment = payment_rows.by_entries(cx, [number]).get(number)
        if recorded.is_new and payment is not None:
            state = _TAKEN_BACK_FROM.get(payment.state)
            if state is None:
                said = f"entry {number} is payment {payment.id}, which is {payment.state}"
                raise EntryRefused(Why.PAYMENT, f"{said}: it comes back when the bank says so")
            self._move(cx, enter, payment.id, state, actor, None, remark, now)
        return recorded

    def _move(
        self,
        cx: sqlite3.Connection,
        enter: Enter,
        number: int,
        state: State,
        actor: str,
        reason: str | None,
        words: str,
        now: int,
    ) -> Payment:
        payment = payment_rows.get(cx, number)
        if payment is None:
            raise NotPossible(f"there is no payment {number}")
        if payment.state is state:
            return payment
        if state not in FOLLOWING[payment.state]:
            raise NotPossible(f"payment {number} is {payment.state}: it cannot be {state} now")
        moved = msgspec.structs.replace(payment, state=state, reason=reason, words=words, changed_at=now)
        if state is State.SETTLED:
            moved = post_settled(enter, moved, actor)
        elif state in _TAKEN_BACK:
            take_all_back(cx, enter, moved, actor)
        payment_rows.change(cx, moved)
        why = f": {reason}" if reason else ""
        detail = f"payment {number}, invoice {payment.invoice}{why}"
        audit.record(cx, now, actor, _ACTIONS[state], f"account {payment.account}", detail)
        return moved


def _attempt(cx: sqlite3.Connection, bill: Bill, amount_micros: int | None, actor: str, key: str, now: int) -> Payment:
    """An attempt that has come to nothing yet."""
    return Payment(
        id=payment_rows.next_id(cx),
        account=bill.account,
        invoice=bill.number,
        amount_micros=amount_micros,
        discount_micros=0,
        currency=bill.currency,
        state=State.REFUSED,
        reason=None,
        words="",
        requested_at=now,
        changed_at=now,
        actor=actor,
        idempotency_key=key,
        entry=None,
        discount_entry=None,
        settlement_entry=None,
    )


def local_day(cx: sqlite3.Connection, account: str, now: int) -> date:
    """Which day it is where an account is."""
    (zone,) = cx.execute("SELECT timezone FROM accounts WHERE shard = 0 AND account = ?", (account,)).fetchone()
    return (_EPOCH + timedelta(microseconds=now)).astimezone(ZoneInfo(zone)).date()


def _bill(cx: sqlite3.Connection, invoice: int) -> Bill:
    bill = bill_rows.bill(cx, invoice)
    if bill is None:
        raise NoSuchInvoice
    return bill
