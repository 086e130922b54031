"""What the API answers of account events, firings, access orders, alerts and payments, by its fields."""

from typing import Any

from msgspec import Struct

from web.api.shapes import Amount, Count, Instant, Key


class EventAnswer(Struct, omit_defaults=True):
    """An account event as it was prescribed, and what became of it."""

    id: int
    accounts: dict[str, Any]
    name: str
    when: dict[str, Any]
    check: dict[str, Any]
    state: str
    """active, paused, or deleted."""
    created_by: str
    created_at: Instant
    changed_at: Instant
    last_checked_at: Instant | None
    """Of one that is not checked continuously, as the next."""
    next_check_at: Instant | None
    alert: list[dict[str, Any]] = []
    respond: list[dict[str, Any]] = []
    warnings: list[str] = []
    """Where it was just written: what of it has no effect as things stand."""


class EventPage(Struct):
    """Some account events, by id."""

    items: list[EventAnswer]
    next: Key | None


class WouldFire(Struct):
    """For what an account event would have fired."""

    account: str
    at: Instant
    """When the call that makes it true was answered."""
    transaction: int | None
    """That call; null where a payment was taken back."""
    period_start: Instant
    period_end: Instant
    threshold: str
    trace: list[dict[str, Any]]
    """What each condition is compared with."""


class PreviewAnswer(Struct):
    """When an account event would have fired, had it been in force over the last months."""

    since: Instant
    until: Instant
    accounts: Count
    """On which it is prescribed."""
    looked_at: Count
    """Of them, those that were looked at to the end."""
    transactions: Count
    """That were read."""
    stopped: str | None
    """Why not all accounts were looked at: transactions or time; null if they were."""
    count: Count
    fired_for: Count
    """Accounts that it would have fired for."""
    items: list[WouldFire]
    """The earliest, 20 at most."""
    warnings: list[str] = []
    """What of it has no effect as things stand."""


class FiringAnswer(Struct):
    """An account event that fired."""

    id: int
    event: int
    account: str
    period_start: Instant
    period_end: Instant
    threshold: str
    """The one in force: an event fires once for each."""
    fired_at: Instant
    transaction: int | None
    """The one that made its condition true."""
    late: bool
    """By a record of a period that was over."""
    trace: list[dict[str, Any]] | None
    """What each condition was compared with; for the provider's own people."""


class FiringPage(Struct):
    """Some firings, the newest first."""

    items: list[FiringAnswer]
    next: Key | None


class OrderAnswer(Struct):
    """An order to a switch, and how far it has come."""

    id: int
    account: str
    action: str
    """bar or restore."""
    switch: str
    line: str
    service: str
    state: str
    """planned, held, sent, acknowledged, refused, unknown, confirmed, cancelled or failed."""
    reason: str
    """As the switch is told."""
    cause: str
    """What called for it: a firing, or a person."""
    planned_at: Instant
    due_at: Instant
    held_at: Instant | None
    sent_at: Instant | None
    acknowledged_at: Instant | None
    confirmed_at: Instant | None
    tries: Count
    words: str | None
    """The last answer of the switch, or why it stands as it does."""


class OrderPage(Struct):
    """Some orders, the newest first."""

    items: list[OrderAnswer]
    next: Key | None


class AlertAnswer(Struct):
    """A message to somebody, and what has become of it."""

    id: int
    account: str
    medium: str
    recipient: str
    about: str
    """fired, limit-raised, bar-confirmed or restored."""
    firing: int | None
    state: str
    """waiting, sending, sent, failed, dropped or unknown."""
    tries: Count
    at: Instant
    due_at: Instant
    sent_at: Instant | None
    words: str


class AlertPage(Struct):
    """Some alerts, the newest first."""

    items: list[AlertAnswer]
    next: Key | None


class PaymentAccepted(Struct):
    """A payment that stands in the ledger."""

    payment: int
    state: str
    """accepted."""


class PaymentAnswer(Struct):
    """An entry of an account's ledger."""

    payment: int
    kind: str
    """payment, credit, discount, or reversal of another one."""
    amount: Amount
    """In the account's favour; below zero where it takes another entry back."""
    currency: str
    at: Instant
    by: str | None
    """For the provider's own people."""
    remark: str
    reverses: int | None
    """The entry that it takes back."""
    invoice: int | None
    """On which a customer paid it; null for what the provider's own people recorded."""
    state: str | None
    """How a customer's payment stands: requested, batched, submitted, settled, returned …"""


class EntryMade(Struct):
    """An entry that was made in an account's ledger."""

    id: int
    kind: str
    """credit, or reversal of another one."""
    amount: Amount
    """In the account's favour; below zero where it takes another entry back."""
    currency: str
    reverses: int | None
    """The entry that it takes back."""
    balance_due: Amount
    """What the account owes now of what was billed; negative is in its favour."""


class PaymentPage(Struct):
    """Some entries of an account, the newest first."""

    items: list[PaymentAnswer]
    next: Key | None
