"""Invoices as PDFs, read back: every sum, every call, every sheet's number, whatever the names are written in."""

import io
import re
from dataclasses import dataclass
from datetime import date

import msgspec
import pytest
from pypdf import PageObject, PdfReader

from control.billing.bill import Bill, Call, Document, LineSection, ProviderSection
from control.billing.letterhead import Letterhead
from control.payments.discount import Offer
from control.payments.payment import Accepted
from control.payments.settling import Share
from rating.cdr import MICROS
from tests.bills_by_hand import ZONE
from tests.builders import ACCOUNT, CALLED, micros
from web.invoice_fonts import LOST, face, printable
from web.invoice_pdf import invoice_pdf
from web.invoice_view import invoice_view
from web.sheets import SMALL, wrapped

CYCLE = (micros("2026-10-01T00:00:00-04:00"), micros("2026-11-01T00:00:00-04:00"))
OFFER = Offer(1, 2 * MICROS, date(2026, 11, 1), date(2026, 11, 11))
AMOUNT = r"−?[\d,]+\.\d+"


def a_call(index: int = 1, **fields: object) -> Call:
    call = Call(
        CYCLE[0] + index * 61 * MICROS, -240, CALLED, "London", "United Kingdom", "direct", "local",
        (index + 1) * MICROS, 60, index * 10_000, index,
    )  # fmt: skip
    return msgspec.structs.replace(call, **fields)


def a_document(*lines: tuple[str, str, list[Call]]) -> Document:
    """Of provider, line, and calls."""
    sections = []
    for provider in dict.fromkeys(provider for provider, _, _ in lines):
        own = [
            LineSection(line, sum(call.charge_micros for call in calls), calls)
            for whose, line, calls in lines
            if whose == provider
        ]
        sections.append(ProviderSection(provider, sum(line.charges_micros for line in own), own))
    return Document(ZONE, sections)


def a_bill(document: Document, **fields: object) -> Bill:
    charges = document.charges_micros
    bill = Bill(
        12, ACCOUNT, "Ada Lovelace", "2026-10", *CYCLE, CYCLE[1], date(2026, 11, 1), date(2026, 12, 1), "USD", 2,
        1_100 * MICROS, 60 * MICROS, -5 * MICROS, charges, 1_035 * MICROS + charges, OFFER, document.calls, 9, 3,
    )  # fmt: skip
    return msgspec.structs.replace(bill, **fields)


LONG = a_document(
    ("Transcontinental", "+12125550142", [a_call(index) for index in range(1, 400)]),
    ("Transcontinental", "+12125550143", [a_call(index, called="16175550123") for index in range(400, 402)]),
    ("Atlantic Telecom", "+12125550142", [a_call(500, type="international")]),
)


@dataclass(frozen=True)
class Read:
    """A PDF's text."""

    sheets: list[str]

    @property
    def text(self) -> str:
        return "\n".join(self.sheets)

    def amounts(self, name: str) -> list[str]:
        """Those that stand in a row after a name."""
        return re.findall(rf"^{re.escape(name)}\s+({AMOUNT})", self.text, re.MULTILINE)


def read(pdf: bytes) -> Read:
    return Read([page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages])


def places_of(page: PageObject) -> list[tuple[float, float]]:
    """Where its texts begin, from the lower left corner."""
    places = []
    page.extract_text(visitor_text=lambda text, _cm, tm, *_: places.append((tm[4], tm[5])) if text.strip() else None)
    return places


def printed(document: Document, offered: Accepted | None = None, **fields: object) -> Read:
    return read(invoice_pdf(a_bill(document, **fields), document, offered))


def an_offer(amount: int, *discounts: tuple[int, int], last: int = 11) -> Accepted:
    """So much pays all, with discounts of invoices."""
    shares = tuple(Share(invoice, MICROS, micros * MICROS) for invoice, micros in discounts)
    return Accepted(amount, sum(share.discount_micros for share in shares), shares, date(2026, 11, last))


def of_text(amount: str) -> int:
    return round(float(amount.replace("−", "-").replace(",", "")) * MICROS)


def test_every_call_is_there_once_in_order_and_they_sum_up() -> None:
    text = printed(LONG).text
    rows = re.findall(
        rf"^(\d+ \w+ 2026)\s+(\d\d:\d\d:\d\d)\s+(\+\d+)\s+(\w+)\s+(\w+)\s+([\d:]+)\s+({AMOUNT})$", text, re.MULTILINE
    )
    expected = [
        row for section in invoice_view(a_bill(LONG), LONG).sections for line in section.lines for row in line.rows
    ]
    assert rows == [tuple(row) for row in expected]
    assert len(rows) == LONG.calls == 402
    assert sum(of_text(row[-1]) for row in rows) == LONG.charges_micros
    assert "402 calls. Dates and times are those of America/New_York" in text


def test_the_sums_come_to_the_total_due() -> None:
    document = printed(LONG)
    names = ("Previous balance", "Payments", "Adjustments", "Total outstanding", "Current charges, Transcontinental",
             "Current charges, Atlantic Telecom", "Total charges", "Total due, USD")  # fmt: skip
    amounts = [document.amounts(name) for name in names]
    assert amounts == [
        ["1,100.00"], ["−60.00"], ["−5.00"], ["1,035.00"], ["806.01"], ["5.00"], ["811.01"], ["1,846.01"]
    ]  # fmt: skip
    *parts, total = [of_text(amount) for (amount,) in amounts]
    assert parts[0] + parts[1] + parts[2] + parts[4] + parts[5] == total
    assert document.amounts("Total due") == ["1,846.01"]
    assert document.amounts("Total of line +12125550142") == ["798.00", "5.00"]
    assert document.amounts("Total of line +12125550143") == ["8.01"]
    assert document.amounts("Transcontinental") == ["806.01"]


def test_the_first_sheet_says_whose_it_is_of_when_and_until_when_it_is_paid() -> None:
    first = printed(LONG, an_offer(1_844_010_000, (12, 2))).sheets[0]
    for words in (
        "Ada Lovelace", f"Account {ACCOUNT}", "Invoice date 1 Nov 2026", "Invoice number 12", "Payable by 1 Dec 2026",
        "Billing period 1 Oct 2026 – 31 Oct 2026, 31 days", "Early-payment discount 2.00 USD", "Last day: 11 Nov 2026",
        "Pay 1,844.01 USD by then, and nothing is left to pay.",
    ):  # fmt: skip
        assert words in re.sub(r"\s+", " ", first), words


def test_a_letterhead_stands_above_the_rest_on_every_sheet_its_name() -> None:
    sheets = printed(msgspec.structs.replace(LONG, letterhead=Letterhead("Trans & Co", ("12 Harbour Street",)))).sheets
    first = re.sub(r"\s+", " ", sheets[0])
    assert "Trans & Co Invoice 12" in first
    assert "12 Harbour Street Ada Lovelace Account" in first
    assert all(text.startswith("Trans & Co · Invoice 12") for text in sheets)
    assert not any("Tollkeeper" in text for text in sheets)


def test_every_sheet_has_its_number_and_says_which_invoice_it_is_of() -> None:
    sheets = printed(LONG).sheets
    assert len(sheets) > 5
    for index, text in enumerate(sheets):
        assert f"Page {index + 1} of {len(sheets)}" in text
        assert text.startswith("Tollkeeper · Invoice 12")
        assert f"Account {ACCOUNT} · 1 Nov 2026" in " ".join(text.splitlines()[:2])
        assert "Charge, USD" in text
    assert all("Line +12125550142, continued" in text for text in sheets[1:-1])


def test_the_same_bill_is_the_same_bytes() -> None:
    assert invoice_pdf(a_bill(LONG), LONG) == invoice_pdf(a_bill(LONG), LONG)
    assert invoice_pdf(a_bill(LONG), LONG) != invoice_pdf(a_bill(LONG, number=13), LONG)


def test_without_calls_and_without_discount() -> None:
    text = printed(a_document(), discount=None, total_due_micros=-3 * MICROS).text
    assert "No calls were charged in this period." in text
    assert "Early-payment discount" not in text
    assert "Total due (to your credit)" in text
    assert "−3.00 USD" in text


@pytest.mark.parametrize(
    ("offered", "own", "said"),
    [
        (an_offer(90 * MICROS, (12, 2)), True, "Pay 90.00 USD by then, and nothing is left to pay."),
        (an_offer(90 * MICROS, (11, 3), (12, 2)), True,
         "Pay 90.00 USD by then, and nothing is left to pay: that takes 5.00 USD off, the discounts of 2 invoices."),
        (an_offer(90 * MICROS, (11, 3), (12, 2), last=4), True, "Pay 90.00 USD by 4 Nov 2026, and nothing is left to"),
        (an_offer(90 * MICROS, (11, 3)), False, "90.00 USD if paid by 11 Nov 2026"),
    ],
)  # fmt: skip
def test_paying_early_takes_the_discounts_of_all_open_invoices(offered: Accepted, own: bool, said: str) -> None:
    text = " ".join(printed(a_document(), offered, **({} if own else {"discount": None})).text.split())
    assert said in text
    assert ("Early-payment discount 2.00 USD Last day: 11 Nov 2026 Pay" in text) == own


@pytest.mark.parametrize("offered", [None, Accepted(MICROS, 0), an_offer(MICROS, (11, 3))])
def test_a_discount_that_could_not_be_had_names_no_amount_to_pay(offered: Accepted | None) -> None:
    text = printed(a_document(), offered).text
    assert "Last day: 11 Nov 2026" in text
    assert "nothing is left" not in text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Zoë Müller & <b>Söhne</b>", "Zoë Müller & <b>Söhne</b>"),
        ("Łukasz Šimůnek", "Łukasz Šimunek"),
        ("Nguye\u0302\u0303n", "Nguyen"),
        ("Ferenc Erdős", "Ferenc Erdos"),
        ("Ｆull width", "Full width"),
        ("Ада 東京", f"{LOST * 3} {LOST * 2}"),
        ("a\u202eb\u200bc\x00\ud800d", "abcd"),
        ("two\nlines\tand\xa0blanks", "two lines and blanks"),
        ("☎ 👩‍💻", f"{LOST} {LOST * 2}"),
    ],
)
def test_names_in_any_letters_are_printed(name: str, shown: str) -> None:
    assert printable(name) == shown
    document = a_document((name, "+12125550142", [a_call(place=name, type=name, called=f"sip:{name}")]))
    text = printed(document, name=name).text
    assert re.search(rf"^{re.escape(shown)}$", text, re.MULTILINE)
    assert (f"{LOST} stands for a letter" in text) == (LOST in shown)


@pytest.mark.parametrize("letter", ["W", "i", "W W", "東"])
def test_what_is_too_wide_goes_on_below_and_stays_on_the_sheet(letter: str) -> None:
    document = a_document(("P", "sip:" + letter * 80, [a_call(called=letter * 100, place=letter * 100)] * 30))
    for name in ("W" * 200, "W" * 100_000):
        pdf = PdfReader(io.BytesIO(invoice_pdf(a_bill(document, name=name), document)))
        placed = [place for page in pdf.pages for place in places_of(page)]
        assert min(y for _, y in placed) >= 30
        assert min(x for x, _ in placed) >= 40
        text = "".join(page.extract_text() for page in pdf.pages)
        assert ("…" in text) == (len(name) > 300)
        assert text.count("W") >= 200


@pytest.mark.parametrize("text", ["W" * 100, "one two three", "i" * 299, "a " + "W" * 30 + " b", ""])
def test_no_line_is_wider_than_its_column(text: str) -> None:
    lines = wrapped(text, SMALL, 44)
    assert all(face(SMALL.font).width(line, SMALL.size) <= 44 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_name_that_is_wrapped_is_whole() -> None:
    name = " ".join(f"word{index}" for index in range(30))
    assert name in " ".join(printed(a_document(), name=name).sheets[0].split())
