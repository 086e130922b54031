"""An invoice as people read it: amounts, days and calls as text, section by section. Pure; of the bill and its document
alone, so that it reads the same in years."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from control.billing.bill import Bill, Call, Document, ProviderSection
from rating.cdr import MICROS
from rating.numbering import display
from web.rendering import duration, money

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
    total_due: str
    is_credit: bool
    """Whether the total due is in the account's favour."""
    discount: DiscountView | None
    calls: int
    timezone: str
    places: int
    """Decimal places that its sums are shown with."""
    sections: list[ProviderView]


def day(on: date) -> str:
    """A day as pages write it."""
    return f"{on.day} {_MONTHS[on.month]} {on.year}"


def invoice_page(bill: Bill, document: Document) -> dict[str, Any]:
    """What the invoice's template shows of it."""
    return {"invoice": invoice_view(bill, document), "call_rows": call_rows}


def invoice_view(bill: Bill, document: Document) -> InvoiceView:
    """An invoice as text."""
    offer = bill.discount
    first, last = (_local_day(at, document.timezone) for at in (bill.cycle_start, bill.cycle_end - 1))
    before = (bill.previous_balance_micros, bill.payments_micros, bill.adjustments_micros)
    outstanding_micros = before[0] - before[1] + before[2]
    charges = [line.charges_micros for section in document.sections for line in section.lines]
    places = _places(bill.decimals, (*before, *charges))
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
        total_due=money(bill.total_due_micros, places),
        is_credit=bill.total_due_micros < 0,
        discount=None
        if offer is None
        else DiscountView(money(offer.amount_micros, places), day(offer.first_on), day(offer.last_on)),
        calls=bill.calls,
        timezone=document.timezone,
        places=places,
        sections=[_provider(section, bill.decimals, places) for section in document.sections],
    )


def call_rows(rows: Iterable[Row]) -> Markup:
    """The rows of a table of calls: joined here, since a template takes three times as long over thousands of them."""
    return Markup(  # noqa: S704  # every text in it is escaped
        "\n".join(
            f'<tr><td>{row.date}</td><td>{row.time}</td><td class="mono">{escape(row.called)}</td>'
            f"<td>{escape(row.place)}</td><td>{escape(row.type)}</td>"
            f'<td class="amount">{row.duration}</td><td class="amount">{row.charge}</td></tr>'
            for row in rows
        )
    )


def _provider(section: ProviderSection, decimals: int, places: int) -> ProviderView:
    charged = _places(decimals, (call.charge_micros for line in section.lines for call in line.calls))
    lines = [
        LineView(
            display(line.line),
            money(line.charges_micros, places),
            len(line.calls),
            [_row(call, charged) for call in line.calls],
        )
        for line in section.lines
    ]
    return ProviderView(section.provider, money(section.charges_micros, places), lines)


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
        duration(call.duration_us) if call.units is None else f"{call.units:,} units",
        money(call.charge_micros, places),
    )


def _local_day(at: int, timezone: str) -> date:
    return datetime.fromtimestamp(at // MICROS, UTC).astimezone(ZoneInfo(timezone)).date()
