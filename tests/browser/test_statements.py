"""Staff and auditors find invoices, read an account's statements and enrol it: in a real browser, with and without
scripts."""

from typing import TYPE_CHECKING

import pytest

from rating.cdr import MICROS
from tests.browser.test_invoices import says, site, window
from tests.browser.visitor import Visitor
from tests.integration.invoice_site import InvoiceSite
from tests.integration.web_site import ADA, BOB

if TYPE_CHECKING:
    from playwright.async_api import Browser

__all__ = ["site"]
"""The fixture of invoices, with a site of its own for each test."""

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.peers("chromium")]


async def lively(site: InvoiceSite) -> None:
    """Ada has paid a part, wanted to pay too much, and was granted something."""
    await site.payments.pay(2, 40 * MICROS, actor="ada", key="part")
    await site.payments.pay(1, 500 * MICROS, actor="ada", key="too much")
    await site.ledger.credit(ADA, 5 * MICROS, "USD", actor="stella", key="g", remark="for the trouble")


async def test_an_auditor_finds_invoices_with_refused_payments(
    site: InvoiceSite, browser: "Browser", scripts: bool
) -> None:
    await lively(site)
    async with window(site, browser, "axel", scripts=scripts) as axel:
        await axel.menu("Invoices")
        assert await axel.page.locator("tbody tr").count() == 3
        await axel.page.get_by_label("Words in the name").fill("love")
        await axel.page.get_by_label("refused payments").check()
        await axel.page.get_by_role("button", name="Search").click()
        await axel.page.get_by_role("link", name="1", exact=True).click()
        assert await axel.heading() == "Invoice 1"
        await says(axel, "Refused payment attempts", "over-amount")
        await axel.page.get_by_role("link", name="Statements of account").click()
        assert await axel.heading() == "Statements"
        await says(axel, "Due now, USD 105.00", "Being paid, USD 40.00")
        assert await axel.page.get_by_role("link", name=f"Account {ADA}").count() == 0


async def test_staff_go_from_the_account_to_its_statements_and_each_invoice(
    site: InvoiceSite, browser: "Browser", scripts: bool
) -> None:
    await lively(site)
    async with window(site, browser, "stella", scripts=scripts) as stella:
        await stella.page.goto(f"/accounts/{ADA}")
        await stella.page.get_by_role("link", name="Statements and invoices").click()
        cycle = stella.page.get_by_role("region", name="Statements").locator("tbody tr").first
        assert await stella.cell(cycle, "Total due, USD") == "150.00"
        assert await stella.cell(cycle, "Early-payment discount") == "1.00 until 30 Nov"
        newest = stella.page.get_by_role("region", name="The balance as it went").locator("tbody tr").first
        assert await stella.cell(newest, "What") == "Credit: for the trouble"
        assert await stella.cell(newest, "Owed after it, USD") == "105.00"
        await stella.page.get_by_role("link", name="Invoice 2", exact=True).click()
        assert await stella.heading() == "Invoice 2"


async def test_staff_enrol_an_account_with_a_reason(site: InvoiceSite, browser: "Browser", scripts: bool) -> None:
    await site.cancel(BOB)
    async with window(site, browser, "stella", scripts=scripts) as stella:
        await stella.page.goto(f"/accounts/{BOB}")
        await stella.page.get_by_role("link", name="Online bills").click()
        await stella.page.get_by_label("Online, paid automatically").check()
        await stella.page.get_by_label("Reason, for the audit log").fill("on the telephone")
        await stella.page.get_by_role("button", name="Save").click()
        assert "no bank account" in await stella.page.get_by_role("alert").inner_text()
        assert await stella.page.get_by_label("Reason, for the audit log").input_value() == "on the telephone"
        await stella.page.get_by_label("Online, paid on the pages").check()
        await stella.page.get_by_role("button", name="Save").click()
        assert "The account is enrolled" in await stella.page.get_by_role("status").inner_text()
        assert await stella.row("enrolled", "stella").count() == 1
        await stella.page.get_by_role("link", name="audit log").click()
        await says(stella, "payment method web: on the telephone")


async def _faults(visitor: Visitor, *paths: str) -> list[str]:
    faults = []
    for path in paths:
        await visitor.page.goto(path)
        faults += [f"{path}: {fault}" for fault in await visitor.faults()]
    return faults


@pytest.mark.parametrize("scripts", [True], ids=["script"])  # axe needs them
async def test_they_are_for_everybody(site: InvoiceSite, browser: "Browser", scripts: bool) -> None:
    await lively(site)
    own = f"/accounts/{ADA}"
    async with window(site, browser, "stella", scripts=scripts) as stella:
        faults = await _faults(
            stella, "/invoices", "/invoices?period=never", "/invoices?name=nobody", own, f"{own}/invoices",
            f"{own}/enrolment?done=enrolled", "/invoices/1",
        )  # fmt: skip
    async with window(site, browser, "agnes", scripts=scripts) as agnes:
        faults += await _faults(agnes, f"/agent{own}", "/agent/notices")
    assert not faults, "\n".join(faults)
