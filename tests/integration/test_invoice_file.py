"""Invoices as files: who gets them, and that they are those of the bill."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pypdf import PdfReader

from tests.integration.invoice_site import InvoiceSite, with_invoices
from tests.integration.web_site import ADA

FILE = "/invoices/2.pdf"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[InvoiceSite]:
    async with with_invoices(tmp_path) as site:
        yield site


async def test_it_is_saved_under_its_number_and_says_what_the_bill_says(site: InvoiceSite) -> None:
    ada = await site.web.visitor("ada")
    answer = await ada.client.get(FILE)
    assert answer.status == 200
    assert answer.content_type == "application/pdf"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="invoice-2.pdf"'
    assert answer.headers["Cache-Control"] == "no-store"
    pages = PdfReader(io.BytesIO(await answer.read())).pages
    text = " ".join(" ".join(page.extract_text() for page in pages).split())
    for words in ("Invoice 2", "Ada Lovelace", "Total due, USD 150.00", "+442079460018", "Last day: 30 Nov 2026"):
        assert words in text, words


@pytest.mark.parametrize(
    ("name", "status"), [("ada", 200), ("stella", 200), ("agnes", 200), ("axel", 200), ("bob", 404), ("olga", 404)]
)
async def test_who_sees_the_invoice_gets_it(site: InvoiceSite, name: str, status: int) -> None:
    visitor = await site.web.visitor(name)
    assert (await visitor.client.get(FILE)).status == status


async def test_a_customer_without_online_bills_gets_what_the_page_says(site: InvoiceSite) -> None:
    ada, stella = await site.web.visitor("ada"), await site.web.visitor("stella")
    await site.cancel(ADA)
    refusal = await ada.client.get(FILE)
    assert refusal.content_type == "text/html"
    assert await refusal.text() == await ada.get("/invoices/2")
    assert (await stella.client.get(FILE)).content_type == "application/pdf"


async def test_what_is_no_invoice_is_not_there(site: InvoiceSite) -> None:
    stella = await site.web.visitor("stella")
    for number in ("99", "0", "9" * 18, "9" * 19, "x"):
        assert (await stella.client.get(f"/invoices/{number}.pdf")).status == 404, number
