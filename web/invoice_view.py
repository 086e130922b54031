"""An invoice as people read it: amounts, days and calls as text, section by section. Pure; of the bill and its document
alone, so that it reads the same in years."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from control.billing.bill import Bill, Call, Document, ProviderSection
from control.billing.parts import Part
from control.payments.payment import Accepted, Refused
from rating.cdr import MICROS
from rating.numbering import display
from web.rendering import duration, money, places_of, units_text

_MONTHS: Final = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Row(NamedTuple):
    """An itemised call."""

    date: str
    time: str
    called: str
    place: str
    type: str
    duration: str
    charge: str


class LineView(NamedTuple):
    """A line's calls."""

    line: str
    charges: str
    calls: int
    """In all; of a part of an invoice, `rows` has some of them."""
    rows: list[Row]


class ProviderView(NamedTuple):
    """What a service provider charges."""

    provider: str
    charges: str
    lines: list[LineView]


class DiscountView(NamedTuple):
    """What is let go of for paying early."""

    amount: str
    first_on: str
    last_on: str


class EarlyView(NamedTuple):
    """How all that is due is paid with the discounts for paying early."""

    said: str
    is_own: bool
    """Whether the invoice's own discount is among them."""


class InvoiceView(NamedTuple):
    """An invoice, all of it as text."""

    number: int
    account: str
    name: str
    currency: str
    first_on: str
    last_on: str
    """Days of the billing period, both included."""
    days: int
    issued_on: str
    due_on: str
    previous_balance: str
    payments: str
    """As it goes into the sum: negative."""
    adjustments: str
    outstanding: str
    """What was owed before the current charges: previous balance, payments and adjustments."""
    current_charges: str
    rounding: str | None
    """What brings the total due to what can be paid; None where there is nothing to bring."""
    total_due: str
    is_credit: bool
    """Whether the total due is in the account's favour."""
    discount: DiscountView | None
    calls: int
    timezone: str
    places: int
    """Decimal places that its sums are shown with."""
    sections: list[ProviderView]
    issuer: str | None
    """Whose invoice it is, if the provider had stated it."""
    letterhead: tuple[str, ...]
    """The lines below that name."""


def day(on: date) -> str:
    """A day as pages write it."""
    return f"{on.day} {_MONTHS[on.month]} {on.year}"


def invoice_page(bill: Bill, part: Part) -> dict[str, Any]:
    """What the invoice's template shows of a part of it: the invoice, its tables of calls section by section and line
    by line, and which calls they are. Takes some tens of milliseconds for thousands of calls: call it in a thread."""
    invoice = invoice_view(bill, part.document, part.in_all)
    tables = [[call_rows(line.rows) for line in section.lines] for section in invoice.sections]
    return {"invoice": invoice, "tables": tables, "part": part}


def invoice_view(bill: Bill, document: Document, in_all: Sequence[Sequence[int]] | None = None) -> InvoiceView:
    """An invoice as text; with `in_all`, how many calls each line of a part of it has, of that part."""
    offer = bill.discount
    first, last = (_local_day(at, document.timezone) for at in (bill.cycle_start, bill.cycle_end - 1))
    before = (bill.previous_balance_micros, bill.payments_micros, bill.adjustments_micros)
    outstanding_micros = before[0] - before[1] + before[2]
    places = _sums_places(bill, document)
    if in_all is None:
        in_all = [[len(line.calls) for line in section.lines] for section in document.sections]
    return InvoiceView(
        number=bill.number,
        account=bill.account,
        name=bill.name,
        currency=bill.currency,
        first_on=day(first),
        last_on=day(last),
        days=(last - first).days + 1,
        issued_on=day(bill.issued_on),
        due_on=day(bill.due_on),
        previous_balance=money(bill.previous_balance_micros, places),
        payments=money(-bill.payments_micros, places),
        adjustments=money(bill.adjustments_micros, places),
        outstanding=money(outstanding_micros, places),
        current_charges=money(bill.current_charges_micros, places),
        rounding=money(bill.rounding_micros, places) if bill.rounding_micros else None,
        total_due=money(bill.total_due_micros, places),
        is_credit=bill.total_due_micros < 0,
        discount=None
        if offer is None
        else DiscountView(money(offer.amount_micros, places), day(offer.first_on), day(offer.last_on)),
        calls=bill.calls,
        timezone=document.timezone,
        places=places,
        sections=[
            _provider(section, counts, places, None if bill.rounding_micros is not None else bill.decimals)
            for section, counts in zip(document.sections, in_all, strict=True)
        ],
        issuer=document.letterhead.name if document.letterhead else None,
        letterhead=document.letterhead.lines if document.letterhead else (),
    )


def early_view(bill: Bill, payable: Accepted | Refused | None, places: int) -> EarlyView | None:
    """What an invoice says of paying early, of what pays all that is due; None where that takes no discount."""
    if not isinstance(payable, Accepted) or payable.last_on is None:
        return None
    amount, last_on = f"{money(payable.amount_micros, places)} {bill.currency}", day(payable.last_on)
    if all(share.invoice != bill.number for share in payable.discounts):
        return EarlyView(f"{amount} if paid by {last_on}", is_own=False)
    by = "then" if bill.discount is not None and bill.discount.last_on == payable.last_on else last_on
    said = f"Pay {amount} by {by}, and nothing is left to pay"
    if (number := len(payable.discounts)) > 1:
        let_go = f"{money(payable.discount_micros, places)} {bill.currency}"
        said += f": that takes {let_go} off, the discounts of {number} invoices"
    return EarlyView(f"{said}.", is_own=True)


def call_rows(rows: Iterable[Row]) -> Markup:
    """The rows of a table of calls: joined here, since a template takes three times as long over thousands of them."""
    return Markup(  # noqa: S704  # every text in it is escaped
        "\n".join(
            f'<tr><td>{row.date}</td><td>{row.time}</td><td class="mono">{escape(row.called)}</td>'
            f"<td>{escape(row.place)}</td><td>{escape(row.type)}</td>"
            f'<td class="amount">{row.duration}</td><td class="amount keep">{row.charge}</td></tr>'
            for row in rows
        )
    )


def _provider(section: ProviderSection, in_all: Sequence[int], places: int, decimals: int | None) -> ProviderView:
    """`decimals` are given where its calls are shown with so many, all alike, if it takes them for one of them;
    otherwise those of a line and their sum have as many as one of them takes."""
    old = None
    if decimals is not None:
        old = _places(decimals, (call.charge_micros for line in section.lines for call in line.calls))
    lines = []
    for line, calls in zip(section.lines, in_all, strict=True):
        alike = places_of([line.charges_micros, *(call.charge_micros for call in line.calls)], places)
        sum_places, charged = (alike, alike) if old is None else (places, old)
        rows = [_row(call, charged) for call in line.calls]
        lines.append(LineView(display(line.line), money(line.charges_micros, sum_places), calls, rows))
    return ProviderView(section.provider, money(section.charges_micros, places), lines)


def _sums_places(bill: Bill, document: Document) -> int:
    """Places that the sums of an invoice are shown with: the currency's; and each has more where it takes more. From
    before bills were rounded, they have all as many."""
    if bill.rounding_micros is not None:
        return bill.places
    before = (bill.previous_balance_micros, bill.payments_micros, bill.adjustments_micros)
    charges = [line.charges_micros for section in document.sections for line in section.lines]
    return _places(bill.decimals, (*before, *charges))


def _places(decimals: int, amounts: Iterable[int]) -> int:
    """Places that amounts are shown with, all alike: two, if none of them has more."""
    return min(decimals, 2) if not any(micros % 10_000 for micros in amounts) else decimals


def _row(call: Call, places: int) -> Row:
    local = call.local
    return Row(
        f"{local.day} {_MONTHS[local.month]} {local.year}",
        f"{local.hour:02d}:{local.minute:02d}:{local.second:02d}",
        display(call.called) if call.calling is None else f"{display(call.called)} from {display(call.calling)}",
        call.place or call.destination or "–",
        call.type if call.reverses is None else f"{call.type}, taken back",
        duration(call.duration_us) if call.units is None else units_text(call.units),
        money(call.charge_micros, places),
    )


def _local_day(at: int, timezone: str) -> date:
    return datetime.fromtimestamp(at // MICROS, UTC).astimezone(ZoneInfo(timezone)).date()
