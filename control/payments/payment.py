"""A customer's payment: its states, and whether it is accepted."""

import hashlib
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Final

import msgspec

from control.currency import shown, unit_of
from control.payments.settling import OpenInvoice, Share, settle


class State(StrEnum):
    """Where a payment stands. Accepted is what began as requested."""

    REFUSED = "refused"
    """It was not accepted: it never was a payment."""
    REQUESTED = "requested"
    """It waits in the outbox."""
    CANCELLED = "cancelled"
    """Taken out of the outbox before anybody fetched it."""
    BATCHED = "batched"
    """It stands in a file for the bank."""
    SUBMITTED = "submitted"
    """The bank has the file."""
    UNKNOWN = "unknown"
    """Nobody knows whether the bank has it: a person must find out."""
    REJECTED = "rejected"
    """The bank did not take it."""
    SETTLED = "settled"
    """The money is here."""
    RETURNED = "returned"
    """The money was taken back, or never came."""


FOLLOWING: Final[Mapping[State, frozenset[State]]] = {
    State.REFUSED: frozenset(),
    State.REQUESTED: frozenset({State.BATCHED, State.CANCELLED}),
    State.CANCELLED: frozenset(),
    State.BATCHED: frozenset({State.SUBMITTED, State.REJECTED, State.UNKNOWN}),
    State.SUBMITTED: frozenset({State.SETTLED, State.REJECTED, State.RETURNED, State.UNKNOWN}),
    State.UNKNOWN: frozenset({State.SUBMITTED, State.SETTLED, State.REJECTED, State.RETURNED}),
    State.REJECTED: frozenset(),
    State.SETTLED: frozenset({State.RETURNED}),
    State.RETURNED: frozenset(),
}
"""Which states may follow each."""

PENDING: Final = frozenset({State.REQUESTED, State.BATCHED, State.SUBMITTED, State.UNKNOWN})
"""On its way: the money is neither here, nor is it certain that it will not come."""
LIVE: Final = PENDING | {State.SETTLED}
"""Its entries stand in the ledger."""


class Reason(StrEnum):
    """Why a payment was refused."""

    ZERO_BALANCE = "zero-balance"
    CREDIT_BALANCE = "credit-balance"
    PAYMENT_PENDING = "payment-pending"
    OVER_AMOUNT = "over-amount"


class Payment(msgspec.Struct, frozen=True):
    """A customer's attempt to pay, and what became of it."""

    id: int
    account: str
    invoice: int
    """Number of the invoice that it was asked for on; what is paid is the account's balance, the oldest invoice
    first."""
    amount_micros: int | None
    """None where a refused one named none."""
    discount_micros: int
    """What the account was let go of for paying early."""
    currency: str
    state: State
    reason: str | None
    """Why it was refused, or came to nothing (a Reason, or the bank's code)."""
    words: str
    """The same for people."""
    requested_at: int
    """µs UTC, as every instant here."""
    changed_at: int
    actor: str
    idempotency_key: str
    entry: int | None
    """The ledger's, of an accepted one; it stays when it is taken back."""
    discount_entry: int | None
    settlement_entry: int | None

    @property
    def is_accepted(self) -> bool:
        """Whether it was taken, whatever became of it later."""
        return self.state is not State.REFUSED


class Pending(msgspec.Struct, frozen=True):
    """What of an account is on its way."""

    paid_micros: int
    discount_micros: int
    """Let go of with it."""

    @property
    def micros(self) -> int:
        """What the account owes less by it."""
        return self.paid_micros + self.discount_micros


class Accepted(msgspec.Struct, frozen=True):
    """What is paid, and what is let go of with it; together never more than is due."""

    amount_micros: int
    discount_micros: int
    shares: tuple[Share, ...] = ()
    """The same by the invoices that it settles, the oldest first."""
    last_on: date | None = None
    """The last day on which all of the discounts can be had; None without any."""

    @property
    def discounts(self) -> tuple[Share, ...]:
        """Those of the shares that have one."""
        return tuple(share for share in self.shares if share.discount_micros)


class Refused(msgspec.Struct, frozen=True):
    """Why nothing is paid."""

    reason: Reason
    words: str


class Standing(msgspec.Struct, frozen=True):
    """How an account stands when it wants to pay, whichever invoice that is on; all amounts in micro-units."""

    due_micros: int
    """What it owes of all that was billed: its payments on their way are taken off."""
    pending_micros: int
    """These payments, with the discounts that were granted with them."""
    invoices: tuple[OpenInvoice, ...] = ()
    """Of which invoices that is, the oldest first."""
    below_micros: int = 0
    """A total due at or below it is not collected."""
    currency: str = "USD"

    @property
    def payable_micros(self) -> int:
        """The most of what is due that the currency can pay: all of it, but for parts on bills from before these were
        rounded."""
        return self.due_micros - self.due_micros % unit_of(self.currency)

    def payable(self, today: date) -> Accepted | Refused:
        """What pays everything that is due, by default."""
        if self.payable_micros > max(self.below_micros, 0):
            return self._accepted(self.payable_micros - self.discount(today), today)
        if self.pending_micros > 0 and self.due_micros + self.pending_micros > self.below_micros:
            return self._pending()
        if self.due_micros < 0:
            credit = shown(-self.due_micros, self.currency)
            return Refused(Reason.CREDIT_BALANCE, f"nothing is due: the account has {credit} to its credit")
        if self.due_micros == 0:
            return Refused(Reason.ZERO_BALANCE, "nothing is due: the balance is zero")
        due = shown(self.due_micros, self.currency)
        said = f"the total due, {due}, is too small to be collected: it goes on the next invoice"
        return Refused(Reason.ZERO_BALANCE, said)

    def discount(self, today: date) -> int:
        """What is let go of if all that is due is paid today: the discounts of all open invoices that are in time."""
        unit = unit_of(self.currency)
        return sum(one.discount(today, unit) for one in self.invoices)

    def _accepted(self, paid_micros: int, today: date) -> Accepted:
        unit = unit_of(self.currency)
        shares = settle(paid_micros, self.invoices, today, unit)
        taken = {share.invoice: share.discount_micros for share in shares if share.discount_micros}
        last_days = [one.offer.last_on for one in self.invoices if one.offer and one.invoice in taken]
        return Accepted(paid_micros, sum(taken.values()), shares, min(last_days, default=None))

    def _pending(self) -> Refused:
        said = "what is due is being paid already: wait until the payment that is on its way is settled"
        return Refused(Reason.PAYMENT_PENDING, said)

    def of(self, asked_micros: int, today: date) -> Accepted | Refused:
        """What comes of a payment of some amount above zero."""
        most = self.payable(today)
        if isinstance(most, Refused):
            return most
        if asked_micros > self.due_micros and asked_micros <= self.due_micros + self.pending_micros:
            return self._pending()
        if asked_micros > most.amount_micros:
            return Refused(Reason.OVER_AMOUNT, _over(most, self.currency))
        return self._accepted(asked_micros, today)


def decide(asked_micros: int | None, standing: Standing, today: date) -> Accepted | Refused:
    """Whether a payment is accepted; without an amount everything that is due is meant. `today` is the account's.

    The discount for paying early is granted to the payment that clears what is left of its invoice in time, never to a
    part, and never makes the account's balance a credit. All that is due takes the discounts of all open invoices.
    """
    return standing.payable(today) if asked_micros is None else standing.of(asked_micros, today)


def request_digest(invoice: int, asked_micros: int | None, currency: str) -> bytes:
    """What is asked for, so that a key that comes with another request is noticed."""
    asked = msgspec.json.encode((invoice, asked_micros, currency))
    return hashlib.blake2b(asked, digest_size=16).digest()


def _over(most: Accepted, currency: str) -> str:
    less = f" ({shown(most.discount_micros, currency)} less for paying early)" if most.discount_micros else ""
    return f"the amount is above what is due, {shown(most.amount_micros, currency)}{less}: pay that, or less"
