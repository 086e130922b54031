"""A customer opens an invoice, pays it, and cannot pay it again: in a real browser, with scripts and without."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
import pytest_asyncio

from rating.cdr import MICROS
from tests.browser.pages_site import PagesSite
from tests.browser.visitor import Visitor
from tests.integration.invoice_site import InvoiceSite, with_invoices
from tests.integration.web_site import ADA

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.peers("chromium")]

NOT_AVAILABLE = "Payment Not Available"


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path: Path) -> AsyncIterator[InvoiceSite]:
    """Of its own for each test: every one changes what is due."""
    async with with_invoices(tmp_path) as site:
        yield site


@asynccontextmanager
async def window(site: InvoiceSite, browser: "Browser", name: str, *, scripts: bool) -> AsyncIterator[Visitor]:
    """Somebody, signed in, whose browser complains about nothing."""
    here = SimpleNamespace(url=f"http://{site.web.server.host}:{site.web.server.port}")
    visitor = await Visitor.arrive(cast(PagesSite, here), browser, scripts=scripts)
    await visitor.sign_in(name)
    yield visitor
    await visitor.leave()


@pytest_asyncio.fixture(loop_scope="session")
async def ada(site: InvoiceSite, browser: "Browser", scripts: bool) -> AsyncIterator[Visitor]:
    async with window(site, browser, "ada", scripts=scripts) as visitor:
        yield visitor


async def says(visitor: Visitor, *words: str) -> None:
    """What stands on the page, whatever its lines are."""
    text = " ".join((await visitor.page.locator("main").inner_text()).split())
    for one in words:
        assert one in text, text


async def press(visitor: Visitor, name: str = "Pay invoice") -> None:
    await visitor.page.get_by_role("button", name=name).click()


async def cannot_pay(visitor: Visitor, *words: str) -> None:
    """The page says why, and has no way to pay."""
    assert await visitor.heading() == NOT_AVAILABLE
    await says(visitor, *words)
    assert await visitor.page.locator("main form, main button").count() == 0
    assert await visitor.page.get_by_role("link", name="Pay").filter(has_not_text="options").count() == 0


async def test_a_customer_opens_the_invoice_pays_it_and_is_refused_the_second_time(
    ada: Visitor, site: InvoiceSite
) -> None:
    await ada.menu("Statements")
    assert "open" in await ada.cell(ada.row("150.00", "open"), "State")
    await ada.page.get_by_role("link", name="2", exact=True).click()
    assert await ada.heading() == "Invoice 2"
    await says(ada, "Amount due now 150.00 USD", "Billing period 1 Oct 2026 – 31 Oct 2026", "London")
    await ada.page.get_by_role("link", name="Pay now").click()
    assert await ada.page.get_by_label("Amount, USD").input_value() == "147.00"
    await press(ada)
    assert await ada.heading() == "Payment accepted"
    await says(ada, "147.00 USD", "Payment number")
    await ada.page.get_by_role("link", name="Invoice 2").click()
    await says(ada, "Amount due now 0.00 USD", "is on its way")
    await ada.page.get_by_role("link", name="Pay now").click()
    await cannot_pay(ada, "What is due is being paid already")
    assert site.rows("SELECT state FROM payments ORDER BY id") == [("requested",), ("refused",)]  # flagged


async def test_a_button_that_is_pressed_twice_pays_once(ada: Visitor, site: InvoiceSite) -> None:
    await ada.menu("Pay invoice")
    await ada.page.get_by_label("Amount, USD").fill("40.00")
    await ada.page.get_by_role("button", name="Pay invoice").dblclick()
    await ada.page.wait_for_url("**/pay?accepted=*")
    assert await ada.heading() == "Payment accepted"
    assert site.rows("SELECT amount_micros FROM payments") == [(40 * MICROS,)]
    assert site.due == 110 * MICROS


async def test_nothing_can_be_paid_on_a_balance_of_zero_or_on_a_credit(ada: Visitor, site: InvoiceSite) -> None:
    await ada.menu("Pay invoice")
    await site.ledger.credit(ADA, 150 * MICROS, "USD", actor="stella", key="goodwill")
    await press(ada)
    await cannot_pay(ada, "Nothing is due: the balance is zero")
    await ada.menu("Calls")
    await site.ledger.credit(ADA, 12 * MICROS, "USD", actor="stella", key="more goodwill")
    await ada.menu("Pay invoice")
    await cannot_pay(ada, "To your credit 12.00 USD")


async def test_more_than_is_due_is_refused_and_no_amount_is_said_in_place(ada: Visitor) -> None:
    await ada.menu("Pay invoice")
    await ada.page.get_by_label("Amount, USD").fill("much")
    await press(ada)
    assert "is not an amount" in await ada.page.get_by_role("alert").inner_text()
    assert await ada.page.get_by_label("Amount, USD").input_value() == "much"
    await ada.page.get_by_label("Amount, USD").fill("1,500.00")
    await press(ada)
    await cannot_pay(ada, "The amount is above what is due, 147.00")
    await ada.page.get_by_role("list").get_by_role("link", name="invoice 2").click()
    assert await ada.heading() == "Invoice 2"


async def test_an_agent_opens_an_invoice_of_an_account_and_cannot_pay(
    site: InvoiceSite, browser: "Browser", scripts: bool
) -> None:
    async with window(site, browser, "agnes", scripts=scripts) as agnes:
        await agnes.page.get_by_role("link", name=ADA).click()
        await agnes.page.get_by_role("region", name="Invoices").get_by_role("link", name="2", exact=True).click()
        assert await agnes.heading() == "Invoice 2"
        await says(agnes, "Amount due now 150.00 USD", "Ada Lovelace")
        assert await agnes.page.get_by_role("link", name="Pay now").count() == 0


async def test_the_amount_due_is_the_largest_thing_also_in_print(ada: Visitor) -> None:
    await ada.page.goto("/invoices/2")
    size = "(e) => parseFloat(getComputedStyle(e).fontSize)"
    due = ada.page.locator(".due-amount")
    for media in ("screen", "print"):
        await ada.page.emulate_media(media=media)  # type: ignore[arg-type]  # one of its literals
        largest = await due.evaluate(size)
        others = await ada.page.locator("h1, h2, td, strong").all()
        assert largest > max([await element.evaluate(size) for element in others])
    assert not await ada.page.locator(".bar").is_visible()
    assert not await ada.page.get_by_role("link", name="Pay now").is_visible()


@pytest.mark.parametrize("scripts", [True], ids=["script"])  # axe needs them
async def test_invoices_and_payments_are_for_everybody(ada: Visitor, site: InvoiceSite, scripts: bool) -> None:
    faults = []

    async def look(path: str) -> None:
        await ada.page.goto(path)
        faults.extend(f"{path}: {fault}" for fault in await ada.faults())

    for path in ("/statements", "/invoices/2", "/pay"):
        await look(path)
    tried = await site.payments.pay(2, None, actor="ada", key="k")
    for path in ("/invoices/2", f"/invoices/2/pay?accepted={tried.payment.entry}", "/invoices/2/pay", "/statements"):
        await look(path)
    await site.cancel(ADA)
    await look("/invoices/2")
    assert not faults, "\n".join(faults)
