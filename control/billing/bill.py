"""A bill: its figures, and its document, which is what was charged, call by call. Both say the same in years."""

import zlib
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

import msgspec

from control.billing.letterhead import Letterhead
from control.currency import decimals_of
from control.payments.discount import Offer

VERSION: Final = 1
"""Of the document's form. Later ones add to the ends of its structures what has a default."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Bill(msgspec.Struct, frozen=True):
    """The formal record of what an account was charged in a bill cycle: the figures."""

    number: int
    """The invoice's; without gaps, from 1."""
    account: str
    name: str
    """The account's name when it was issued."""
    period: str
    """`YYYY-MM`: the month in which the cycle begins, by the account's clock."""
    cycle_start: int
    cycle_end: int
    """First instants of the cycle and of the next one, µs UTC."""
    issued_at: int
    issued_on: date
    """The account's local day."""
    due_on: date
    currency: str
    decimals: int
    """Places that its amounts are shown with. On one that was never rounded no amount has more."""
    previous_balance_micros: int
    """The total due of the bill before it, 0 without one."""
    payments_micros: int
    """Received since then; what was returned or entered by mistake is an adjustment."""
    adjustments_micros: int
    """Credits, discounts and what was taken back since then; negative is in the account's favour."""
    current_charges_micros: int
    """The sum of its sections: exact, also in parts of what can be paid."""
    total_due_micros: int
    """Previous balance - payments + adjustments + current charges + rounding."""
    discount: Offer | None
    """For paying early."""
    calls: int
    """Transactions on it."""
    covers_id: int
    """The last transaction that was there when it was reckoned: later ones are on later bills."""
    entry: int
    """The ledger's, that posts its charges."""
    rounding_micros: int | None = None
    """Brings the total due to what the currency can pay, together with what the bill before carried over. None on one
    that was issued before bills were rounded."""
    carried_micros: int = 0
    """What rounding has left over, of this bill and all before it: never more than half of what can be paid, either
    way. It counts as unbilled, and goes into the next bill's rounding."""

    @property
    def charged_micros(self) -> int:
        """What it adds to what the account owes: current charges and rounding."""
        return self.current_charges_micros + (self.rounding_micros or 0)

    @property
    def places(self) -> int:
        """Decimals of its currency: what can be paid is shown with so many."""
        return decimals_of(self.currency)


class Call(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A transaction as it is itemised."""

    answered_at: int
    offset_min: int
    """Of the account's clock from UTC at the answer, minutes."""
    called: str
    place: str | None
    destination: str | None
    type: str
    service: str
    duration_us: int
    billed_s: int
    charge_micros: int
    """Negative for what takes a charge back."""
    transaction: int
    calling: str | None = None
    """Who called, where it was not the line itself."""
    units: int | None = None
    reverses: int | None = None
    """The transaction that it takes back."""

    @property
    def local(self) -> datetime:
        """The answer by the account's clock."""
        return (_EPOCH + timedelta(microseconds=self.answered_at)).astimezone(_offset(self.offset_min))


class LineSection(msgspec.Struct, frozen=True, array_like=True):
    """A line's calls, in the order of their answers."""

    line: str
    """As people read it."""
    charges_micros: int
    calls: list[Call]


class ProviderSection(msgspec.Struct, frozen=True, array_like=True):
    """What one service provider charges, by line."""

    provider: str
    charges_micros: int
    lines: list[LineSection]


class Document(msgspec.Struct, frozen=True, array_like=True):
    """What the current charges of a bill are made of, by provider."""

    timezone: str
    """The account's, by whose clock the calls are shown."""
    sections: list[ProviderSection]
    version: int = VERSION
    letterhead: Letterhead | None = None
    """None where the provider had stated none."""

    @property
    def charges_micros(self) -> int:
        """The sum of the sections: the bill's current charges."""
        return sum(section.charges_micros for section in self.sections)

    @property
    def calls(self) -> int:
        """Transactions in it."""
        return sum(len(line.calls) for section in self.sections for line in section.lines)


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Document).decode


def pack(document: Document) -> bytes:
    """A document as it is stored."""
    return zlib.compress(_encode(document), 6)


def unpack(stored: bytes) -> Document:
    """A document from the store."""
    return _decode(zlib.decompress(stored))


def total_due(previous_balance_micros: int, payments_micros: int, adjustments_micros: int, charges_micros: int) -> int:
    """What is owed with a bill before it is rounded, micro-units; negative is in the account's favour."""
    return previous_balance_micros - payments_micros + adjustments_micros + charges_micros


def _offset(minutes: int) -> timezone:
    return timezone(timedelta(minutes=minutes))
