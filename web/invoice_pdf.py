"""An invoice as a PDF, to be kept and printed: of the bill alone, as it was issued, and the same bytes in years."""

from typing import Final

from control.billing.bill import Bill, Document
from control.payments.payment import Accepted
from web.invoice_fonts import BOLD, LOST, PLAIN
from web.invoice_view import DiscountView, InvoiceView, LineView, ProviderView, early_view, invoice_view
from web.sheets import INNER, MUTED, SMALL, Column, Row, Sheets, Style

ISSUER: Final = "Tollkeeper"
"""Where the provider has not stated who issues its invoices."""
_TITLE: Final = Style(BOLD, 20, 26)
_LARGE: Final = Style(BOLD, 16, 22)
_HEADING: Final = Style(BOLD, 10, 15)
_TEXT: Final = Style(PLAIN, 9, 13)
_STRONG: Final = Style(BOLD, 9, 13)
_SMALL_STRONG: Final = Style(BOLD, 8, 11.5)

_WHOLE: Final = (Column(0, INNER),)
_TWO: Final = (Column(0, INNER / 2 - 10), Column(INNER / 2, INNER / 2, is_right=True))
_NAMED: Final = (Column(0, 92), Column(92, INNER - 92))
_SUM: Final = (Column(0, INNER - 130), Column(INNER - 130, 130, is_right=True))
_CALL: Final = (
    Column(0, 60), Column(60, 44), Column(104, 92), Column(200, 118), Column(322, 74),
    Column(396, 47, is_right=True), Column(443, INNER - 443, is_right=True),
)  # fmt: skip
_KEEP_SUMS: Final = 30.0
_KEEP_LINE: Final = 60.0
"""Room for a line's headings and the first of its calls."""


def invoice_pdf(bill: Bill, document: Document, offered: Accepted | None = None) -> bytes:
    """An invoice as a PDF; from a document without the calls of the bill it says what they come to, and where they are.
    `offered` is what paid all of it on the day of its issue: with which discounts, other invoices' among them. Takes
    some tenths of a second for thousands of calls: call it in a thread."""
    invoice = invoice_view(bill, document)
    issuer = invoice.issuer or ISSUER
    sheets = Sheets((f"{issuer} · Invoice {invoice.number}", f"Account {invoice.account} · {invoice.issued_on}"))
    early = early_view(bill, offered, invoice.places)
    _letterhead(sheets, invoice, issuer)
    if early is not None and not early.is_own:
        sheets.add(Row((early.said,), _WHOLE, _TEXT))
    _sums(sheets, invoice)
    if invoice.discount is not None:
        _discount(sheets, invoice.discount, invoice.currency, early.said if early is not None and early.is_own else "")
    for section in invoice.sections:
        _provider(sheets, section, invoice.currency)
    if document.calls < bill.calls:
        words = f"Its {bill.calls:,} calls are too many to print: take them as CSV, where this invoice is online."
        sheets.add(Row((words,), _WHOLE, _TEXT, above=16))
    _end(sheets, invoice)
    return sheets.pdf(f"Invoice {invoice.number}", issuer)


def _letterhead(sheets: Sheets, invoice: InvoiceView, issuer: str) -> None:
    sheets.add(Row((issuer, f"Invoice {invoice.number}"), _TWO, _TITLE))
    for line in invoice.letterhead:
        sheets.add(Row((line,), _WHOLE, MUTED))
    sheets.add(Row((invoice.name,), _WHOLE, _HEADING, above=14))
    for name, value in (
        ("Account", invoice.account),
        ("Invoice date", invoice.issued_on),
        ("Invoice number", str(invoice.number)),
        ("Payable by", invoice.due_on),
        ("Billing period", f"{invoice.first_on} – {invoice.last_on}, {invoice.days} days"),
    ):
        sheets.add(Row((name, value), _NAMED, _TEXT))
    words = "Total due (to your credit)" if invoice.is_credit else "Total due"
    sheets.add(Row((words, f"{invoice.total_due} {invoice.currency}"), _SUM, _LARGE, above=12))


def _sums(sheets: Sheets, invoice: InvoiceView) -> None:
    heading = Row(("Summary", invoice.currency), _SUM, _SMALL_STRONG, above=14)
    sheets.add(heading)
    sheets.repeated = (heading,)
    charges = [(f"Current charges, {section.provider}", section.charges, False) for section in invoice.sections]
    for name, amount, is_sum in (
        ("Previous balance", invoice.previous_balance, False),
        ("Payments", invoice.payments, False),
        ("Adjustments", invoice.adjustments, False),
        ("Total outstanding", invoice.outstanding, True),
        *charges,
        ("Total charges", invoice.current_charges, True),
        *([("Rounding", invoice.rounding, False)] if invoice.rounding else []),
        (f"Total due, {invoice.currency}", invoice.total_due, True),
    ):
        style = _STRONG if is_sum else _TEXT
        sheets.add(Row((name, amount), _SUM, style, above=2, is_ruled=is_sum), 0 if is_sum else _KEEP_SUMS)
    sheets.repeated = ()


def _discount(sheets: Sheets, offer: DiscountView, currency: str, early: str) -> None:
    """`early` says how it is had; empty where it cannot be."""
    sheets.add(Row(("Early-payment discount", f"{offer.amount} {currency}"), _SUM, _HEADING, above=14), _KEEP_SUMS)
    sheets.add(Row((f"Last day: {offer.last_on}",), _WHOLE, _TEXT))
    if early:
        sheets.add(Row((early,), _WHOLE, _TEXT))


def _provider(sheets: Sheets, section: ProviderView, currency: str) -> None:
    heading = Row((section.provider, f"{section.charges} {currency}"), _SUM, _HEADING, above=16, is_ruled=True)
    sheets.add(heading, _KEEP_LINE)
    for line in section.lines:
        _line(sheets, line, currency)


def _line(sheets: Sheets, line: LineView, currency: str) -> None:
    calls = f"{line.calls:,} {'call' if line.calls == 1 else 'calls'}"
    names = Row(
        ("Date", "Time", "Called number", "Place", "Type", "Duration", f"Charge, {currency}"), _CALL, MUTED, above=2
    )
    sheets.add(Row((f"Line {line.line}", calls), _SUM, _STRONG, above=8), _KEEP_LINE / 2)
    sheets.add(names)
    sheets.repeated = (Row((f"Line {line.line}, continued",), _WHOLE, _STRONG), names)
    for row in line.rows:
        sheets.add(Row(row, _CALL, SMALL))
    sheets.add(Row((f"Total of line {line.line}", line.charges), _SUM, _SMALL_STRONG, above=1, is_ruled=True))
    sheets.repeated = ()


def _end(sheets: Sheets, invoice: InvoiceView) -> None:
    if not invoice.sections:
        sheets.add(Row(("No calls were charged in this period.",), _WHOLE, _TEXT, above=16))
    calls = f"{invoice.calls:,} {'call' if invoice.calls == 1 else 'calls'}"
    words = f"{calls}. Dates and times are those of {invoice.timezone}; every amount is in {invoice.currency}."
    sheets.add(Row((words,), _WHOLE, MUTED, above=16))
    if sheets.has_lost:
        sheets.add(Row((f"{LOST} stands for a letter that cannot be printed here.",), _WHOLE, MUTED))
