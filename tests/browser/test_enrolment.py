"""An agent finds accounts and switches a mail off; a customer enrols: in a real browser, with scripts and without."""

import asyncio

import pytest

from tests.browser.pages_site import PagesSite
from tests.browser.visitor import WITHIN_MS, Visitor
from tests.small_site import account

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.peers("chromium")]

NEWCOMER = {True: account(4), False: account(5)}


def mode(scripts: bool) -> str:
    return "script" if scripts else "plain"


async def choose(visitor: Visitor, name: str) -> None:
    """A customer's way to get and pay bills."""
    await visitor.menu("Payment options")
    await visitor.page.get_by_role("radio", name=name).check()
    await visitor.page.get_by_role("button", name="Save", exact=True).click()


def mails_to(pages: PagesSite, address: str) -> list[str]:
    """Subjects of the mails that went to an address, the oldest first."""
    return [subject for recipient, subject in pages.beside.subjects if recipient == address]


async def search(visitor: Visitor, field: str, operator: str, value: str) -> list[str]:
    """The accounts that an agent's search finds."""
    await visitor.menu("Accounts")
    await visitor.page.get_by_label("Field").first.select_option(label=field)
    await visitor.page.get_by_label("Operator").first.select_option(label=operator)
    await visitor.page.get_by_label("Value").first.fill(value)
    await visitor.page.get_by_role("button", name="Search").click()
    rows = visitor.page.get_by_role("region", name="Accounts").locator("tbody tr a")
    return await rows.all_inner_texts()


async def test_an_agent_lists_searches_and_drills_down(visitor: Visitor) -> None:
    await visitor.sign_in("agnes")
    assert await visitor.heading() == "Your accounts"
    assert "2 of 2 accounts" in await visitor.page.locator(".fresh").inner_text()
    assert await search(visitor, "Name", "contains", "customer 7") == [account(7)]
    assert "1 of 2 accounts: name contains customer 7" in await visitor.page.locator(".fresh").inner_text()
    assert await search(visitor, "Account", "is", account(0)) == []
    assert "None of your accounts matches" in await visitor.page.locator("td.empty").inner_text()
    assert await search(visitor, "Status", "is", "in order") == [account(6), account(7)]
    row = visitor.row(account(6))
    assert await visitor.cell(row, "Balance due") == "0.00"
    assert "not enrolled" in await visitor.cell(row, "Online bills")
    await row.get_by_role("link").click()
    assert await visitor.heading() == "Customer 6"
    assert await visitor.figure("Balance due, USD") == "0.00"
    invoices = visitor.page.get_by_role("region", name="Invoices")
    assert "No invoices yet" in await invoices.inner_text()


async def test_what_an_agent_typed_wrongly_is_told_in_place_and_kept(visitor: Visitor) -> None:
    await visitor.sign_in("agnes")
    assert await search(visitor, "Balance due", "over", "much") == []
    value = visitor.page.get_by_label("Value").first
    assert await value.input_value() == "much"
    assert await value.get_attribute("aria-invalid") == "true"
    assert "much" in await visitor.page.get_by_role("alert").inner_text()


async def test_an_agent_without_an_address_is_told_so(visitor: Visitor) -> None:
    await visitor.sign_in("agnes")
    await visitor.menu("Notices")
    assert "no e-mail address" in await visitor.page.locator(".message.warn").inner_text()


async def test_a_customer_enrols_and_the_agent_gets_only_the_mail_that_is_on(
    visitor: Visitor, pages: PagesSite, scripts: bool
) -> None:
    agent, address = f"anton-{mode(scripts)}", f"anton-{mode(scripts)}@sales.example"
    await visitor.sign_in(agent)
    await visitor.menu("Notices")
    assert "None of your accounts has enrolled" in await visitor.page.locator("td.empty").inner_text()
    await visitor.page.get_by_label("when an account cancels").uncheck()
    await visitor.page.get_by_role("button", name="Save").click()
    assert "mail is sent on enrolment only" in await visitor.page.get_by_role("status").inner_text()
    assert not await visitor.page.get_by_label("when an account cancels").is_checked()
    await visitor.sign_out()

    await visitor.sign_in(f"newcomer-{mode(scripts)}")
    await choose(visitor, "Online, paid on these pages")
    assert "You are enrolled" in await visitor.page.get_by_role("status").inner_text()
    assert "are online since" in await visitor.page.locator(".fresh").inner_text()
    assert await visitor.page.get_by_role("radio", name="Online, paid on these pages").is_checked()
    await choose(visitor, "Bills on paper")
    assert "Your enrolment is cancelled" in await visitor.page.get_by_role("status").inner_text()
    await visitor.sign_out()

    for _ in range(WITHIN_MS // 250):
        if mails_to(pages, address):
            break
        await asyncio.sleep(0.25)
    name = f"Customer {NEWCOMER[scripts][-1]}"
    assert mails_to(pages, address) == [f"Enrolled for online bills: {name}"]
    await visitor.sign_in(agent)
    await visitor.menu("Notices")
    rows = visitor.page.get_by_role("region", name="Enrolments and cancellations").locator("tbody tr")
    assert await rows.count() == 2
    assert "cancelled" in await visitor.cell(rows.nth(0), "What")
    assert "switched off" in await visitor.cell(rows.nth(0), "Mail to you")
    assert "enrolled" in await visitor.cell(rows.nth(1), "What")
    assert "sent" in await visitor.cell(rows.nth(1), "Mail to you")
    await rows.nth(0).get_by_role("link").click()
    assert await visitor.heading() == name
    assert mails_to(pages, address) == [f"Enrolled for online bills: {name}"]


async def test_a_bank_account_is_checked_masked_and_removed(visitor: Visitor, scripts: bool) -> None:
    await visitor.sign_in(f"changer-{mode(scripts)}")
    await choose(visitor, "Online, paid automatically")
    assert "enter the bank details first" in await visitor.page.get_by_role("alert").inner_text()
    for routing in ("021000022", "021000021"):
        await visitor.page.get_by_label("Holder of the bank account").fill("Customer One")
        await visitor.page.get_by_label("Routing number, nine digits").fill(routing)
        await visitor.page.get_by_label("Account number", exact=True).fill("123456789")
        await visitor.page.get_by_role("button", name="Save the bank account").click()
        if routing == "021000022":
            assert "check digit" in await visitor.page.get_by_role("alert").inner_text()
            assert await visitor.page.get_by_label("Account number", exact=True).input_value() == "123456789"
    text = await visitor.page.locator("main").inner_text()
    assert "•••• 6789" in text
    assert "123456789" not in text
    await choose(visitor, "Online, paid automatically")
    assert "You are enrolled" in await visitor.page.get_by_role("status").inner_text()
    await visitor.page.get_by_role("button", name="Remove").click()
    assert await visitor.page.get_by_role("radio", name="Online, paid on these pages").is_checked()
    await choose(visitor, "Bills on paper")  # as it was, for the next one
