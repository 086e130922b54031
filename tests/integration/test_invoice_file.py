"""Invoices as files: who gets them, and that they are those of the bill."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pypdf import PdfReader

from control.payments.payment import State
from rating.cdr import MICROS
from tests.bills_by_hand import issue_bill, some_charges
from tests.integration.invoice_site import InvoiceSite, with_invoices
from tests.integration.web_site import ADA, Visitor

FILE = "/invoices/2.pdf"
DAY_US = 86_400 * MICROS


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[InvoiceSite]:
    async with with_invoices(tmp_path) as site:
        yield site


def words_of(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())


async def fetched(visitor: Visitor, number: int) -> bytes:
    answer = await visitor.client.get(f"/invoices/{number}.pdf")
    assert answer.status == 200
    return await answer.read()


async def test_it_is_saved_under_its_number_and_says_what_the_bill_says(site: InvoiceSite) -> None:
    ada = await site.web.visitor("ada")
    answer = await ada.client.get(FILE)
    assert answer.status == 200
    assert answer.content_type == "application/pdf"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="invoice-2.pdf"'
    assert answer.headers["Cache-Control"] == "no-store"
    text = words_of(await answer.read())
    for words in ("Invoice 2", "Ada Lovelace", "Total due, USD 150.00", "+442079460018", "Last day: 30 Nov 2026"):
        assert words in text, words


async def test_it_offers_for_good_what_the_page_did_on_the_day_of_its_issue(site: InvoiceSite) -> None:
    ada = await site.web.visitor("ada")
    kept = await fetched(ada, 2)
    said = "Pay 147.00 USD by then, and nothing is left to pay: that takes 3.00 USD off, the discounts of 2 invoices."
    assert said in words_of(kept)
    assert said in " ".join((await ada.get("/invoices/2")).split())
    assert "Pay 98.00 USD by then, and nothing is left to pay." in words_of(await fetched(ada, 1))
    await site.payments.pay(2, None, actor="ada", key="k")
    assert await fetched(ada, 2) == kept


@pytest.mark.parametrize("came_back", ["before", "after", "never"])
async def test_it_offers_no_discount_that_was_gone_when_it_was_issued(site: InvoiceSite, came_back: str) -> None:
    tried = await site.payments.pay(2, 40 * MICROS, actor="ada", key="k")
    site.web.now += DAY_US
    if came_back == "before":
        await site.move(tried.payment.id, State.CANCELLED)
        site.web.now += DAY_US
    charges = some_charges(20 * MICROS, ADA, period="2026-11", follows=2)
    bill = await issue_bill(site.web.store, site.ledger, site.web.now, charges)
    site.web.now += DAY_US
    if came_back == "after":
        await site.move(tried.payment.id, State.CANCELLED)
    # Of invoice 1 a part was paid: its 2.00 are gone, unless that came back in time.
    pay, off, of = ("166.60", "3.40", 3) if came_back == "before" else ("128.60", "1.40", 2)
    said = f"Pay {pay} USD by 30 Nov 2026, and nothing is left to pay: that takes {off} USD off, the discounts of {of}"
    assert said in words_of(await fetched(await site.web.visitor("ada"), bill.number))


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
