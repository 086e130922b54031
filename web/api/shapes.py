"""What the API answers, by its fields: handlers fill these, and the description is made of them."""

from typing import Annotated, Any

from msgspec import Meta, Struct

Key = Annotated[str, Meta(description="Key of the next page, for `after`.")]
Instant = Annotated[str, Meta(description="RFC 3339, UTC.", extra_json_schema={"format": "date-time"})]
Amount = Annotated[str, Meta(description="A decimal.", pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
Count = Annotated[int, Meta(ge=0)]


class Transaction(Struct):
    """A transaction, as `export transactions` writes it; it may have further fields of its CDR."""

    transaction: int
    id: str
    """The source's own."""
    source: str
    account: str
    line: str
    provider: str
    calling: str
    called: str
    start: Instant
    answer: Instant
    duration: int | float
    """Seconds, exact to the microsecond."""
    billed_s: int
    service: str
    type: str
    destination: str | None
    place_called: str | None
    charge: Amount
    currency: str | None
    tariff: str | None
    rated_at: Instant
    reverses: int | None
    units: int | None
    device: str | None


class Totals(Struct):
    """What all transactions that a search finds come to."""

    count: Count
    duration_s: Amount
    charges: dict[str, Amount]
    """By currency."""


class TransactionPage(Struct):
    """Some of the transactions that a search finds."""

    items: list[Transaction]
    next: Key | None
    totals: Totals | None
    """Null where counting all of them would take too long."""
    sentence: str
    """What is shown, in words."""
    searched_back_to: Instant | None
    """Set where the page ended for having looked long enough; the next one looks further."""


class Correction(Struct):
    """How a transaction is tied to others by charging again."""

    reverses: int | None
    """The transaction whose charge it takes back."""
    replaces: int | None
    """The transaction in whose place it stands."""
    reversed_by: int | None
    replaced_by: int | None
    run: int
    at: Instant
    by: str | None
    """Who ordered it; null for customers, as the reason."""
    reason: str | None


class Explained(Struct):
    """A transaction, and how its charge came about."""

    transaction: Transaction
    explanation: dict[str, Any] | None
    """As `tollkeeper rate` prints it; null where no tariff was needed. Where allowances, favourite numbers or discounts
    had a part in it, `gross` is the charge without them, and `reductions` what each took off."""
    agrees: bool
    """False when rating it again gives another charge."""
    correction: Correction | None
    """Null for one that nobody charged again."""


class BarredAnswer(Struct):
    """A service of a line that is barred."""

    line: str
    service: str
    switch: str
    since: Instant


class AccountAnswer(Struct, rename={"number": "account"}):
    """An account, and what it has used."""

    number: str
    name: str
    email: str | None
    currency: str
    timezone: str
    tariff: str | None
    agent: str | None
    cycle_day: int
    phone: str | None
    language: str | None
    segment: str | None
    credit_limit: Amount | None
    """Null is no limit."""
    exposure: Amount
    """Unbilled charges, and open invoices less payments and credits."""
    unbilled: Amount
    balance_due: Amount
    left: Amount | None
    """Of the credit limit; below zero when it is crossed."""
    barred: list[BarredAnswer]
    """Services that are barred, or will be as soon as their switches have it."""


class AccountPage(Struct):
    """Some accounts, by number."""

    items: list[AccountAnswer]
    next: Key | None
    matching: Count
    """On all pages."""
    all: Count


class LineAnswer(Struct, rename={"number": "line", "since": "from"}):
    """A service of a line."""

    number: str
    service: str
    account: str
    provider: str
    switch: str | None
    tariff: str | None
    since: str | None
    """The date from which the account has it; null is always."""


class LinePage(Struct):
    """Some lines of an account."""

    items: list[LineAnswer]
    next: Key | None


class SuspendedAnswer(Struct):
    """A record in suspense, as it is stored."""

    id: int
    source: str
    record_id: str | None
    start: Instant | None
    reason: str
    detail: str
    state: str
    """open, recycled or discarded."""
    arrived_at: Instant
    format: str
    raw: str
    """The line as it came."""
    mended: str | None
    mended_format: str | None
    changed_at: Instant | None
    changed_by: str | None
    remark: str | None
    transaction: int | None
    """Of a recycled one."""


class SuspendedPage(Struct):
    """Some open records, in the order of their arrival."""

    items: list[SuspendedAnswer]
    next: Key | None
    reasons: dict[str, Count]
    """All open records by reason."""


class ChangeAnswer(Struct):
    """Something that was done to a record."""

    at: Instant
    by: str
    change: str
    remark: str


class SuspendedView(SuspendedAnswer):
    """A record in suspense, and everything that is to be said of it."""

    why: str
    """Its reason in words."""
    understood: dict[str, Any]
    """Fields, as they were read."""
    wrong: list[str]
    """Those of them in which the reason lies."""
    unreadable: str | None
    history: list[ChangeAnswer]


class RecycledAnswer(Struct):
    """What became of records that were recycled."""

    tried: Count
    recycled: Count
    duplicates: Count
    still_open: Count
    by_reason_before: dict[str, Count]
    by_reason_after: dict[str, Count]


class MendedAnswer(Struct):
    """A record after it was mended."""

    mended: Count
    """0 where it said the same already."""
    recycled: RecycledAnswer | None
    record: SuspendedView


class DiscardedAnswer(Struct):
    """Records that were left out for good."""

    discarded: Count


class SourceAnswer(Struct):
    """One source of a feed; counts are since the daemon started."""

    source: str
    state: str
    """live, silent or waiting."""
    last_arrived_at: Instant | None
    per_minute: Count
    lag_s: Amount | None
    gaps: Count
    accepted: Count
    duplicate: Count
    suspended: Count
    streams: Count
    connects: Count


class FeedAnswer(Struct):
    """A feed."""

    name: str
    type: str
    where: str
    state: str
    sources: list[SourceAnswer]
    notes: list[str]
    live_sessions: Count | None


class FeedPage(Struct):
    """All feeds."""

    items: list[FeedAnswer]
    next: Key | None


class SessionAnswer(Struct):
    """Who asks."""

    name: str
    role: str
    account: str | None
    via: str
    """session or token."""
    expires_at: Instant | None
    """Of a session."""


class UserAnswer(Struct):
    """Somebody who may sign in."""

    id: int
    name: str
    role: str
    account: str | None
    email: str | None
    created_at: Instant
    disabled_at: Instant | None


class UserPage(Struct):
    """Some users, by name."""

    items: list[UserAnswer]
    next: Key | None


class AuditEntry(Struct):
    """A change that somebody made."""

    id: int
    at: Instant
    actor: str
    action: str
    subject: str
    detail: str


class AuditPage(Struct):
    """Some changes, the newest first."""

    items: list[AuditEntry]
    next: Key | None


class Problem(Struct):
    """What is wrong and what to do (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    reason: str = ""
    """In one word, where a program may want to know: of a payment that is refused."""
