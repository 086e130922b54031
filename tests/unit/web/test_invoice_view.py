"""An invoice as text: every amount that stands on it, escaped and in the account's own days."""

from datetime import date
from typing import Final

import msgspec
import pytest

from control.billing.bill import Bill, Call, Document, LineSection, ProviderSection, total_due
from control.payments.discount import Offer
from rating.cdr import MICROS
from web.invoice_view import call_rows, invoice_view

START: Final = 1_790_827_200 * MICROS
"""2026-10-01 in New York."""
END: Final = 1_793_505_600 * MICROS
CALL: Final = Call(
    START, -240, "442079460018", "London", None, "direct", "long-distance", 61 * MICROS, 61, 5 * MICROS, 1
)


def a_bill(
    previous: int = 100, charges: int = 50, *, number: int = 2, payments: int = 30, adjustments: int = -10
) -> Bill:
    sums = [units * MICROS for units in (previous, payments, adjustments, charges)]
    return Bill(
        number, "4000012345", "Ada & Co", "2026-10", START, END, END, date(2026, 11, 20), date(2026, 12, 20), "USD", 4,
        *sums, total_due(*sums), Offer(1, MICROS, date(2026, 11, 20), date(2026, 11, 30)), 1, 1, 1,
    )  # fmt: skip


def a_document(*calls: Call) -> Document:
    micros = sum(call.charge_micros for call in calls)
    line = LineSection("12125550142", micros, list(calls))
    return Document("America/New_York", [ProviderSection("Trans & Co", micros, [line])])


def test_every_figure_is_there_and_they_add_up() -> None:
    view = invoice_view(a_bill(), a_document(CALL))
    assert (view.previous_balance, view.payments, view.adjustments) == ("100.00", "−30.00", "−10.00")
    assert (view.outstanding, view.current_charges, view.total_due) == ("60.00", "50.00", "110.00")
    assert (view.first_on, view.last_on, view.days) == ("1 Oct 2026", "31 Oct 2026", 31)
    assert (view.issued_on, view.due_on) == ("20 Nov 2026", "20 Dec 2026")
    assert view.discount == ("1.00", "20 Nov 2026", "30 Nov 2026")
    assert not view.is_credit
    assert invoice_view(a_bill(payments=170), a_document(CALL)).is_credit


@pytest.mark.parametrize(
    ("changed", "row"),
    [
        ({}, ("1 Oct 2026", "00:00:00", "+442079460018", "London", "direct", "1:01", "5.00")),
        ({"place": None}, ("1 Oct 2026", "00:00:00", "+442079460018", "–", "direct", "1:01", "5.00")),
        ({"calling": "12125550199"}, ("1 Oct 2026", "00:00:00", "+442079460018 from +12125550199", "London", "direct",
                                      "1:01", "5.00")),
        ({"units": 1200}, ("1 Oct 2026", "00:00:00", "+442079460018", "London", "direct", "1,200 units", "5.00")),
        ({"reverses": 7, "charge_micros": -5 * MICROS}, ("1 Oct 2026", "00:00:00", "+442079460018", "London",
                                                         "direct, taken back", "1:01", "−5.00")),
        ({"charge_micros": 123_400}, ("1 Oct 2026", "00:00:00", "+442079460018", "London", "direct", "1:01",
                                      "0.1234")),
    ],
)  # fmt: skip
def test_a_call_is_itemised(changed: dict[str, object], row: tuple[str, ...]) -> None:
    call = msgspec.structs.replace(CALL, **changed)
    view = invoice_view(a_bill(), a_document(call))
    assert tuple(view.sections[0].lines[0].rows[0]) == row


def test_what_records_say_is_escaped() -> None:
    call = msgspec.structs.replace(CALL, place="<script>", type='"&"', called="sip:<b>@x")
    html = call_rows(invoice_view(a_bill(), a_document(call)).sections[0].lines[0].rows)
    assert "<script>" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;" in html
