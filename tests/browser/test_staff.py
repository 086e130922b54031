"""Staff find an account, search across all, and bring a suspended record to its charge: in a real browser."""

from decimal import Decimal

import pytest

from tests.browser.pages_site import ACCOUNTS, LATE, PagesSite
from tests.browser.visitor import Visitor
from tests.small_site import STRANGER, account, line, london_charge

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.peers("chromium")]


async def find(visitor: Visitor, words: str) -> None:
    await visitor.menu("Accounts")
    await visitor.page.get_by_role("searchbox").fill(words)
    await visitor.page.get_by_role("button", name="Search").click()


@pytest.mark.parametrize("words", ["customer 3", line(3)])
async def test_an_account_is_found_by_name_and_by_line(visitor: Visitor, words: str) -> None:
    await visitor.sign_in("stella")
    await find(visitor, words)
    assert await visitor.page.locator("tbody tr").count() == 1
    assert f"1 of {ACCOUNTS} accounts" in await visitor.page.locator(".fresh").inner_text()
    row = visitor.row("Customer 3")
    assert await visitor.cell(row, "Account") == account(3)
    assert "over the limit" in await row.inner_text()
    assert Decimal((await visitor.cell(row, "Left")).replace(",", "").replace("−", "-")) < 0


async def test_an_account_shows_its_use_its_limit_and_what_is_left(visitor: Visitor) -> None:
    await visitor.sign_in("stella")
    await find(visitor, "Customer 2")
    await visitor.row("Customer 2").get_by_role("link").click()
    assert await visitor.heading() == "Customer 2"
    used = Decimal(london_charge(249_000))
    assert await visitor.figure("Owed, USD") == f"{used:,}"
    assert await visitor.figure("Credit limit") == "2,500.00"
    assert (await visitor.figure("Left")).split()[0] == str(2500 - used)
    assert "near the limit" in await visitor.page.locator("main").inner_text()
    assert line(2) in await visitor.page.get_by_role("region", name="Lines").inner_text()
    await visitor.page.get_by_role("link", name="All calls of this account").click()
    assert await visitor.figure("Calls") == "1"


async def test_nobody_found_is_told_from_nobody_there(visitor: Visitor) -> None:
    await visitor.sign_in("stella")
    await find(visitor, "Nobody At All")
    assert "No account matches" in await visitor.page.locator("td.empty").inner_text()
    await visitor.page.get_by_role("link", name="Clear").click()
    assert await visitor.page.locator("tbody tr").count() == ACCOUNTS


async def test_a_search_goes_across_accounts(visitor: Visitor, pages: PagesSite) -> None:
    called = await pages.call(4)
    await visitor.sign_in("stella")
    await visitor.menu("Calls")
    await visitor.page.get_by_label("Column").first.select_option(label="Called number")
    await visitor.page.get_by_label("Value").first.fill(called)
    await visitor.page.get_by_role("button", name="Search").click()
    assert await visitor.page.locator("tbody tr").count() == 1
    row = visitor.page.locator("tbody tr")
    assert await visitor.cell(row, "Account") == account(4)
    await row.get_by_role("link", name=account(4)).click()
    assert await visitor.heading() == "Customer 4"


async def test_accounts_near_their_limit_are_on_the_live_page(visitor: Visitor) -> None:
    await visitor.sign_in("stella")
    assert await visitor.heading() == "Live"
    near = visitor.page.get_by_role("region", name="Accounts near their limit")
    lines = [text.split() for text in await near.locator("tbody tr").all_inner_texts()]
    assert [(words[0], words[-1]) for words in lines] == [(account(3), "over"), (account(2), "near")]


async def test_a_suspended_record_becomes_a_transaction_once_its_line_is_known(
    visitor: Visitor, pages: PagesSite
) -> None:
    n = LATE["script" if visitor.scripts else "plain"]
    await visitor.sign_in("stella")
    await visitor.menu("Suspense")
    await visitor.page.get_by_role("link", name="unknown-line").first.click()
    assert await visitor.row(STRANGER).count() == 1
    await visitor.row(line(n)).get_by_role("link").click()
    record = visitor.page.url
    assert line(n) in await visitor.page.locator("pre").first.inner_text()
    await visitor.page.get_by_role("button", name="Recycle", exact=True).click()
    assert "still open" in await visitor.page.get_by_role("status").inner_text()
    await pages.import_lines(n)
    await visitor.page.get_by_role("button", name="Recycle", exact=True).click()
    assert "1 record is a transaction now" in await visitor.page.get_by_role("status").inner_text()
    await visitor.page.get_by_role("link", name="transaction ").click()
    assert await visitor.figure("Charge, USD") == london_charge(61)
    assert account(n) in await visitor.page.locator("main").inner_text()
    await visitor.page.goto("/suspense?reason=unknown-line")
    assert await visitor.row(STRANGER).count() == 1
    assert await visitor.row(line(n)).count() == 0
    await visitor.page.goto(record)
    assert await visitor.page.get_by_role("region", name="History").locator("tbody tr", has_text="stella").count() >= 1
