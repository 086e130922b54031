"""Long invoices: a page and an answer have so many calls, and all of them are a link away; the CSV has every one."""

import csv
import io
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from pypdf import PdfReader

from control.billing.bill import Call, Document, LineSection, ProviderSection, pack
from control.billing.parts import CALLS_SHOWN
from control.users import Role
from rating.cdr import MICROS
from tests.bills_by_hand import issue_bill, some_charges
from tests.integration.invoice_site import InvoiceSite, with_invoices
from tests.integration.web_site import ADA, Visitor
from web.pages import invoice_file

CALLED: Final = 442_079_000_000
ON_FIRST_LINE: Final = 2_600
CALLS: Final = 2 * CALLS_SHOWN + 100
CHARGE: Final = 12_300
"""Each call's: a tariff of four decimals."""
LONG: Final = "/invoices/4"


def a_long_document(start: int) -> Document:
    calls = [
        Call(
            start + number * MICROS, -240, f"+{CALLED + number}", "=London", None, "direct", "local", MICROS, 1, CHARGE,
            number,
        )
        for number in range(1, CALLS + 1)
    ]  # fmt: skip
    parts = (calls[:ON_FIRST_LINE], calls[ON_FIRST_LINE:])
    lines = [LineSection(f"+1212555014{index}", CHARGE * len(own), own) for index, own in enumerate(parts)]
    return Document("America/New_York", [ProviderSection("Transcontinental", CHARGE * CALLS, lines)])


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[InvoiceSite]:
    async with with_invoices(tmp_path) as site:
        charges = some_charges(CHARGE * CALLS, ADA, period="2026-11", follows=2)
        document = pack(a_long_document(charges.cycle_start))
        charges = msgspec.structs.replace(charges, document=document, calls=CALLS)
        bill = await issue_bill(site.web.store, site.ledger, site.web.now, charges)
        assert f"/invoices/{bill.number}" == LONG
        yield site


@pytest.fixture
async def ada(site: InvoiceSite) -> Visitor:
    return await site.web.visitor("ada")


def called(text: str) -> list[int]:
    return [int(number) - CALLED for number in re.findall(r"\+(4420790\d{5})<", text)]


async def test_page_by_page_every_call_is_there_once_in_order(ada: Visitor) -> None:
    path, pages = LONG, []
    while path:
        pages.append(await ada.get(path))
        assert len(pages) <= 3
        found = re.search(r'<a href="([^"]+)">Next calls</a>', pages[-1])
        path = found[1] if found else ""
    assert [number for page in pages for number in called(page)] == list(range(1, CALLS + 1))
    assert [len(called(page)) for page in pages] == [CALLS_SHOWN, CALLS_SHOWN, 100]
    assert f'<a href="{LONG}?from=1">Calls before</a>' in pages[1]
    assert "Calls 2,001 to 4,000 of 4,100." in pages[1]
    assert "600 of 2,600 calls" in pages[1]
    assert "1,400 of 1,500 calls" in pages[1]
    for page in pages:
        assert 'Total charges</th><td class="amount">50.43<' in page
        assert f'href="{LONG}.csv"' in page


@pytest.mark.parametrize("first", [CALLS + 1, 10**17])
async def test_beyond_the_last_call_there_is_no_page(ada: Visitor, first: int) -> None:
    await ada.get(f"{LONG}?from={first}", status=404)


async def test_a_part_that_nobody_can_read_is_the_first(ada: Visitor) -> None:
    for query in ("?from=x", "?from=-1", "?from=0", "?from="):
        assert called(await ada.get(LONG + query))[0] == 1


async def test_a_short_invoice_is_one_page_and_says_nothing_of_parts(ada: Visitor) -> None:
    page = await ada.get("/invoices/2")
    assert "Next calls" not in page
    assert "Calls before" not in page
    assert " of 1 call" not in page


async def test_the_csv_has_every_call_and_no_formula(ada: Visitor) -> None:
    answer = await ada.client.get(f"{LONG}.csv")
    assert (answer.status, answer.content_type) == (200, "text/csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="invoice-4.csv"'
    rows = list(csv.DictReader(io.StringIO(await answer.text())))
    assert [int(row["transaction"]) for row in rows] == list(range(1, CALLS + 1))
    assert {row["charge"] for row in rows} == {"0.0123"}
    assert {row["place_called"] for row in rows} == {"'=London"}
    assert {row["line"] for row in rows} == {"+12125550140", "+12125550141"}
    first = rows[0]
    assert (first["answer"], first["currency"], first["duration"]) == ("2026-11-01T00:00:01-04:00", "USD", "1")


@pytest.mark.parametrize(
    ("name", "status"), [("ada", 200), ("stella", 200), ("agnes", 200), ("axel", 200), ("bob", 404), ("olga", 404)]
)
async def test_who_sees_the_invoice_gets_its_calls(site: InvoiceSite, name: str, status: int) -> None:
    visitor = await site.web.visitor(name)
    answer = await visitor.client.get(f"{LONG}.csv")
    assert (answer.status, (await answer.read()).count(b"\r\n") > CALLS) == (status, status == 200)


async def test_a_customer_without_online_bills_gets_no_calls(site: InvoiceSite, ada: Visitor) -> None:
    await site.cancel(ADA)
    answer = await ada.client.get(f"{LONG}.csv")
    assert answer.content_type == "text/html"
    assert "Your bills come on paper" in await answer.text()


async def test_the_pdf_of_an_invoice_that_is_too_long_says_where_the_calls_are(
    ada: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def text() -> str:
        answer = await ada.client.get(f"{LONG}.pdf")
        assert answer.status == 200
        pages = PdfReader(io.BytesIO(await answer.read())).pages
        return " ".join(" ".join(page.extract_text() for page in pages).split())

    monkeypatch.setattr(invoice_file, "MOST_PRINTED", CALLS - 1)
    short = await text()
    assert "Its 4,100 calls are too many to print: take them as CSV" in short
    assert "Total charges 50.43" in short
    assert str(CALLED + 1) not in short
    monkeypatch.setattr(invoice_file, "MOST_PRINTED", CALLS)
    whole = await text()
    assert "too many to print" not in whole
    assert f"+{CALLED + CALLS}" in whole


async def test_a_program_gets_the_calls_answer_by_answer(site: InvoiceSite) -> None:
    program = await site.program(Role.CUSTOMER, ADA)
    path, answers = f"/api/v1{LONG}", list[dict[str, Any]]()
    after: str | None = ""
    while after is not None:
        answer = await program.client.get(path + (f"?after={after}" if after else ""))
        assert answer.status == 200
        answers.append(await answer.json())
        after = answers[-1]["next"]
        assert len(answers) <= 3
    transactions = [
        call["transaction"]
        for answer in answers
        for section in answer["sections"]
        for line in section["lines"]
        for call in line["calls"]
    ]
    assert transactions == list(range(1, CALLS + 1))
    for answer in answers:
        assert [section["charges"] for section in answer["sections"]] == ["50.43"]
        assert (answer["current_charges"], answer["rounding"]) == ("50.43", "0.00")
    assert (await program.client.get(f"{path}?from=1")).status == 422
