"""Amounts on an invoice: with the currency's decimals, or as many more as they take, those of a table all alike; and
the line that rounds them."""

import io
from datetime import date

import msgspec
import pytest
from pypdf import PdfReader

from control.billing.bill import Bill, Call, Document, LineSection, ProviderSection, pack, total_due
from control.billing.parts import part_of
from control.currency import rounded
from rating.cdr import MICROS
from web.invoice_pdf import invoice_pdf
from web.invoice_view import invoice_page, invoice_view

START = 1_790_827_200 * MICROS
CALL = Call(START, -240, "442079460018", "London", None, "direct", "long-distance", 61 * MICROS, 61, 0, 1)


def a_document(*charges: int) -> Document:
    calls = [msgspec.structs.replace(CALL, charge_micros=micros) for micros in charges]
    line = LineSection("12125550142", sum(charges), calls)
    return Document("America/New_York", [ProviderSection("Trans", sum(charges), [line])])


def a_bill(document: Document, currency: str = "USD", previous_micros: int = 0) -> Bill:
    """As it is issued now."""
    charges = document.charges_micros
    exact = total_due(previous_micros, 0, 0, charges)
    total = rounded(exact, currency)
    return Bill(
        2, "4000012345", "Ada", "2026-10", START, START + 31 * 86_400 * MICROS, START, date(2026, 11, 1),
        date(2026, 12, 1), currency, 2, previous_micros, 0, 0, charges, total, None, document.calls, 1, 1,
        total - exact, exact - total,
    )  # fmt: skip


def an_old_bill(document: Document, decimals: int) -> Bill:
    """From before bills were rounded."""
    bill = a_bill(document)
    return msgspec.structs.replace(
        bill, decimals=decimals, total_due_micros=document.charges_micros, rounding_micros=None, carried_micros=0
    )


@pytest.mark.parametrize(
    ("currency", "charges", "calls", "line", "rounding", "total"),
    [
        ("USD", [90_000, 12_300, 22_987_800], ["0.0900", "0.0123", "22.9878"], "23.0901", "−0.0001", "23.09"),
        ("USD", [20_000_000, 3_095_000], ["20.000", "3.095"], "23.095", "0.005", "23.10"),
        ("USD", [20_000_000], ["20.00"], "20.00", None, "20.00"),
        ("USD", [-20_000_100], ["−20.0001"], "−20.0001", "0.0001", "−20.00"),
        ("JPY", [1_234_500_000, 65_000_000], ["1,234.5", "65.0"], "1,299.5", "0.5", "1,300"),
        ("KWD", [1_200_000, 34_500], ["1.2000", "0.0345"], "1.2345", "0.0005", "1.235"),
    ],
)
def test_amounts_have_the_currencys_decimals_or_as_many_as_one_of_a_table_takes(
    currency: str, charges: list[int], calls: list[str], line: str, rounding: str | None, total: str
) -> None:
    document = a_document(*charges)
    view = invoice_view(a_bill(document, currency), document)
    (only,) = view.sections[0].lines
    assert [row.charge for row in only.rows] == calls
    assert (only.charges, view.sections[0].charges, view.current_charges) == (line, line, line)
    assert (view.rounding, view.total_due) == (rounding, total)
    text = " ".join(
        " ".join(
            page.extract_text()
            for page in PdfReader(io.BytesIO(invoice_pdf(a_bill(document, currency), document))).pages
        ).split()
    )
    assert f"Total due, {currency} {total}" in text
    assert (f"Rounding {rounding}" in text) == (rounding is not None)
    assert ("Rounding" in text) == (rounding is not None)


@pytest.mark.parametrize(
    ("decimals", "charges", "calls", "total"),
    [
        (4, [90_000, 12_300, 22_987_800], ["0.0900", "0.0123", "22.9878"], "23.0901"),
        (4, [90_000, 23_000_000], ["0.09", "23.00"], "23.09"),
        (4, [5_000, 5_000], ["0.0050", "0.0050"], "0.01"),
        (2, [20_000_000], ["20.00"], "20.00"),
        (0, [20_000_000], ["20"], "20"),
    ],
)
def test_an_invoice_from_before_bills_were_rounded_reads_as_it_did(
    decimals: int, charges: list[int], calls: list[str], total: str
) -> None:
    document = a_document(*charges)
    view = invoice_view(an_old_bill(document, decimals), document)
    assert [row.charge for row in view.sections[0].lines[0].rows] == calls
    assert (view.current_charges, view.total_due, view.rounding) == (total, total, None)


def test_a_part_of_an_invoice_says_how_many_calls_its_lines_have_in_all() -> None:
    document = a_document(*[10_000] * 5)
    page = invoice_page(a_bill(document), part_of(pack(document), 3, 2))
    (line,) = page["invoice"].sections[0].lines
    assert (len(line.rows), line.calls, line.charges) == (2, 5, "0.05")
    assert str(page["tables"][0][0]).count("<tr>") == 2


def test_a_pdf_without_the_calls_says_what_they_come_to_and_where_they_are() -> None:
    document = a_document(*[10_000] * 5)
    pdf = invoice_pdf(a_bill(document), part_of(pack(document), 1, 0).document)
    text = " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())
    assert "Its 5 calls are too many to print: take them as CSV" in text
    assert "Current charges, Trans 0.05" in text
    assert "+442079460018" not in text
    assert "No calls" not in text
