"""An entry of the ledger, and its postings: amounts that sum to zero over the books they stand in."""

import hashlib
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from control.currency import decimals_of, rounded, shown, unit_of
from rating.cdr import MICROS

MOST_MICROS: Final = 1_000_000_000 * MICROS
"""The greatest amount of one entry. Sums of them stay far within 64 bits."""
LONGEST_KEY: Final = 255
LONGEST_REMARK: Final = 500


class Kind(StrEnum):
    """What an entry is."""

    PAYMENT = "payment"
    """Money received."""
    CREDIT = "credit"
    """Granted to the account without money received: goodwill, a mistake of ours."""
    DISCOUNT = "discount"
    """Let go of because the account paid early."""
    SETTLEMENT = "settlement"
    """The money of a customer's payment has come; what the account owes stays as it is."""
    REVERSAL = "reversal"
    """Takes back another entry, whole."""
    BILL = "bill"
    """The current charges of a bill, and its rounding."""


class Book(StrEnum):
    """Where postings stand. A debit is positive, a credit negative."""

    RECEIVABLE = "receivable"
    """What the account owes; its bills make it more, its payments and credits less."""
    CASH = "cash"
    """Money received."""
    IN_TRANSIT = "in-transit"
    """Money that customers have paid and that is on its way."""
    CREDITS_GRANTED = "credits-granted"
    """What was let go of."""
    REVENUE = "revenue"
    """What was charged for."""
    DISCOUNTS_GRANTED = "discounts-granted"
    """What was let go of for early payment."""
    ROUNDING = "rounding"
    """What bills left over, or took before its time, to come to what can be paid: an account's sum is what its latest
    bill carries over."""


COUNTERPARTS: Final = {Kind.PAYMENT: Book.CASH, Kind.CREDIT: Book.CREDITS_GRANTED}
"""The book in which the other half of an entry stands."""


class Posting(msgspec.Struct, frozen=True):
    """An amount in a book."""

    book: Book
    account: str
    """Whose doing it is; also in books that are the provider's own."""
    amount_micros: int
    currency: str


class Entry(msgspec.Struct, frozen=True):
    """One entry: what was billed, paid, credited or taken back."""

    id: int
    kind: Kind
    account: str
    at: int
    """When it was written down, µs UTC."""
    actor: str
    """Who did it, as the audit log names them."""
    remark: str
    idempotency_key: str
    reverses: int | None
    """The entry that it takes back."""
    amount_micros: int
    """In the account's favour; a reversal's has the other sign than the entry that it takes back."""
    currency: str


class Why(StrEnum):
    """Why an entry was refused."""

    AMOUNT = "amount"
    CURRENCY = "currency"
    KEY = "key"
    REMARK = "remark"
    UNKNOWN_ACCOUNT = "unknown-account"
    UNKNOWN_ENTRY = "unknown-entry"
    REVERSED = "reversed"
    BILL = "bill"
    PAYMENT = "payment"
    SETTLEMENT = "settlement"
    ZERO_BALANCE = "zero-balance"
    CREDIT_BALANCE = "credit-balance"
    OVER_AMOUNT = "over-amount"


class EntryRefused(Exception):
    """An entry that cannot be made; its message says what to do."""

    def __init__(self, why: Why, words: str) -> None:
        super().__init__(words)
        self.why = why


def digest(kind: Kind, amount_micros: int, currency: str, remark: str, reverses: int | None) -> bytes:
    """What is asked for, so that a key that comes with another request is noticed."""
    asked = msgspec.json.encode((kind, amount_micros, currency, remark, reverses))
    return hashlib.blake2b(asked, digest_size=16).digest()


def check_amount(amount_micros: int) -> None:
    """Raise EntryRefused unless an amount can be paid or credited."""
    if amount_micros <= 0:
        raise EntryRefused(Why.AMOUNT, "the amount must be above zero")
    if amount_micros > MOST_MICROS:
        raise EntryRefused(Why.AMOUNT, f"the amount is above {MOST_MICROS // MICROS}: enter it in parts")


def check_decimals(amount_micros: int, currency: str) -> None:
    """Raise EntryRefused where an amount has more decimals than its currency: nobody can pay it."""
    if amount_micros % unit_of(currency):
        most = decimals_of(currency)
        remedy = f"write at most {most}" if most else "write a whole amount"
        raise EntryRefused(Why.AMOUNT, f"the amount has more decimals than {currency} has: {remedy}")


class Owed(NamedTuple):
    """What an account owes, in micro-units."""

    in_all_micros: int
    """Also calls that are not billed yet: the most that it can pay."""
    billed_micros: int = 0
    """What of it is due."""


def payable(asked_micros: int | None, owed: Owed, currency: str) -> int:
    """What is paid: unless less or more is asked for all that is due, or where nothing is, all that is owed, rounded as
    a bill of today would be. Raises EntryRefused."""
    in_all_micros = rounded(owed.in_all_micros, currency)
    if in_all_micros == 0:
        raise EntryRefused(Why.ZERO_BALANCE, f"nothing is due: {_nothing(owed.in_all_micros, currency)}")
    if in_all_micros < 0:
        credit = shown(-in_all_micros, currency)
        raise EntryRefused(Why.CREDIT_BALANCE, f"nothing is due: the account has {credit} to its credit")
    if asked_micros is not None and asked_micros > in_all_micros:
        most = shown(in_all_micros, currency)
        raise EntryRefused(Why.OVER_AMOUNT, f"the amount is above what is owed, {most}: pay that, or less")
    if asked_micros is not None:
        return asked_micros
    due_micros = owed.billed_micros - owed.billed_micros % unit_of(currency)
    return min(due_micros, in_all_micros) if due_micros > 0 else in_all_micros


def _nothing(owed_micros: int, currency: str) -> str:
    if owed_micros == 0:
        return "the balance is zero"
    owed = f"{shown(abs(owed_micros), currency)} {'owed' if owed_micros > 0 else 'to its credit'}"
    return f"the account has {owed}, which is less than {currency} can pay and goes on the next invoice"


def check_words(key: str, remark: str) -> None:
    """Raise EntryRefused unless key and remark can be written down."""
    if not (0 < len(key) <= LONGEST_KEY and key.isprintable()):
        raise EntryRefused(Why.KEY, f"an idempotency key has 1 to {LONGEST_KEY} printable characters")
    if len(remark) > LONGEST_REMARK or not (remark.isprintable() or not remark):
        raise EntryRefused(Why.REMARK, f"a remark has at most {LONGEST_REMARK} printable characters, in one line")
