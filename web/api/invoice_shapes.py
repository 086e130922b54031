"""What the API answers of invoices and of what is paid on them, by its fields."""

from typing import Annotated

from msgspec import Meta, Struct

from web.api.shapes import Amount, Count, Instant, Key

Day = Annotated[str, Meta(description="A day by the account's clock.", extra_json_schema={"format": "date"})]


class DiscountAnswer(Struct):
    """What is let go of if what is left of the invoice is paid by one payment between two days, both included; that
    pays the oldest invoices first."""

    amount: Amount
    first_on: Day
    last_on: Day
    rule: int
    """The version of the rules that grants it."""


class InvoiceAnswer(Struct):
    """An invoice, as it was issued."""

    invoice: int
    account: str
    name: str
    """The account's name then."""
    period: str
    """YYYY-MM: the month in which its bill cycle begins."""
    cycle_start: Instant
    cycle_end: Instant
    issued_at: Instant
    issued_on: Day
    due_on: Day
    currency: str
    previous_balance: Amount
    payments: Amount
    adjustments: Amount
    current_charges: Amount
    rounding: Amount
    """Brings the total due to what the currency can pay; what is left over goes into the next invoice's."""
    total_due: Amount
    """previous_balance - payments + adjustments + current_charges + rounding."""
    discount: DiscountAnswer | None
    calls: Count


class InvoicePage(Struct):
    """Some invoices of an account, the newest first."""

    items: list[InvoiceAnswer]
    next: Key | None


class CallAnswer(Struct):
    """A call on an invoice."""

    transaction: int
    answer: str
    """RFC 3339, by the account's clock."""
    calling: str | None
    """Where it was not the line."""
    called: str
    place_called: str | None
    destination: str | None
    type: str
    service: str
    duration: int | float
    billed_s: Count
    units: int | None
    charge: Amount
    reverses: int | None
    """The transaction that it takes back."""


class LineSection(Struct):
    """The calls of a line."""

    line: str
    charges: Amount
    """Of all its calls on the invoice."""
    calls: list[CallAnswer]


class ProviderSection(Struct):
    """What one service provider charges."""

    provider: str
    charges: Amount
    lines: list[LineSection]


class InvoicePaymentAnswer(Struct):
    """What somebody wanted to pay on an invoice, and what became of it."""

    payment: int | None
    """The entry of the account's ledger; null where it was refused."""
    amount: Amount | None
    """Null where a refused one named none."""
    discount: Amount
    state: str
    """refused, requested, cancelled, batched, submitted, unknown, rejected, settled or returned."""
    reason: str | None
    words: str
    at: Instant
    changed_at: Instant
    by: str | None
    """For the provider's own people."""


class PayableAnswer(Struct):
    """What a payment that names no amount would pay now; the same on all invoices of an account."""

    amount: Amount
    """Zero where nothing can be paid."""
    discount: Amount
    """The discounts of all invoices that are open, as far as they are in time."""
    discount_until: Day | None
    """The last day on which it is as much; null without one."""
    reason: str | None
    """Why nothing can be paid: zero-balance, credit-balance or payment-pending."""
    words: str


class InvoiceWhole(InvoiceAnswer):
    """An invoice with its calls, and how it stands now."""

    sections: list[ProviderSection]
    """All of them; of their lines those that have some of these calls."""
    next: Key | None
    """Where there are more calls: `after` this."""
    balance_due: Amount
    """What the account owes now of all its invoices: what is paid."""
    payable: PayableAnswer
    attempts: list[InvoicePaymentAnswer]
    """The newest payments on it first, refused ones too."""
