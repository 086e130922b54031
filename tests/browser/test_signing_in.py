"""Signing in and out, other sessions, and the keyboard alone: in a real browser, with scripts and without."""

import re
from typing import TYPE_CHECKING

import pytest

from tests.browser.pages_site import PASSWORD, PagesSite
from tests.browser.visitor import Visitor

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.peers("chromium")]

OTHER = "another good password"


async def test_a_wrong_password_is_told_and_the_name_stays(visitor: Visitor) -> None:
    await visitor.sign_in("carol", "not the password")
    assert "wrong" in (await visitor.page.get_by_role("alert").inner_text()).lower()
    assert await visitor.page.get_by_label("Name").input_value() == "carol"
    await visitor.page.get_by_label("Password").fill(PASSWORD)
    await visitor.page.get_by_role("button", name="Sign in").click()
    assert visitor.page.url.endswith("/home")
    assert await visitor.heading() == "Customer 0"


async def test_who_signed_out_cannot_go_back(visitor: Visitor) -> None:
    await visitor.sign_in("carol")
    await visitor.menu("Calls")
    await visitor.sign_out()
    assert await visitor.heading() == "Sign in to Tollkeeper"
    await visitor.page.go_back()
    assert await visitor.heading() == "Sign in to Tollkeeper"
    await visitor.page.goto("/home")
    assert await visitor.heading() == "Sign in to Tollkeeper"


async def test_a_sign_in_leads_to_the_page_that_was_asked_for(visitor: Visitor) -> None:
    await visitor.sign_in("carol", path="/transactions?column=place&op=contains&value=Boston")
    assert "column=place" in visitor.page.url
    assert "Boston" in await visitor.page.locator(".fresh").inner_text()


async def test_a_new_password_ends_the_other_session_and_not_this_one(
    visitor: Visitor, pages: PagesSite, browser: "Browser"
) -> None:
    name = "changer-script" if visitor.scripts else "changer-plain"
    other = await Visitor.arrive(pages, browser, scripts=visitor.scripts)
    await other.sign_in(name)
    assert other.page.url.endswith("/home")
    await visitor.sign_in(name)
    await visitor.page.goto("/account")
    for label, text in (("Password now", PASSWORD), ("New password", OTHER), ("New password, again", OTHER)):
        await visitor.page.get_by_label(label, exact=True).fill(text)
    await visitor.page.get_by_role("button", name="Change password").click()
    assert "is changed" in await visitor.page.get_by_role("status").inner_text()
    await other.page.goto("/account")
    assert await other.heading() == "Sign in to Tollkeeper"
    await other.leave()
    await visitor.page.goto("/home")
    assert await visitor.heading() == "Customer 1"
    await visitor.sign_out()
    await visitor.sign_in(name, OTHER)
    assert visitor.page.url.endswith("/home")


async def test_the_keyboard_alone_signs_in_and_searches(visitor: Visitor) -> None:
    keyboard = visitor.page.keyboard
    await visitor.page.goto("/login")
    name = visitor.page.get_by_label("Name")
    while not await name.evaluate("(field) => field === document.activeElement"):
        await keyboard.press("Tab")
    await keyboard.type("stella")
    await keyboard.press("Tab")
    await keyboard.type(PASSWORD)
    await keyboard.press("Enter")
    await visitor.page.wait_for_url("**/live")
    await tab_to(visitor, "Skip to the content")
    await tab_to(visitor, "Accounts")
    await keyboard.press("Enter")
    await visitor.page.wait_for_url("**/accounts")
    search = visitor.page.get_by_role("searchbox")
    while not await search.evaluate("(field) => field === document.activeElement"):
        await keyboard.press("Tab")
    await keyboard.type("Customer 3")
    await keyboard.press("Enter")
    await visitor.page.wait_for_url(re.compile(r"/accounts\?q=Customer"))
    await visitor.row("Customer 3").wait_for()
    assert await visitor.page.locator("tbody tr").count() == 1


async def tab_to(visitor: Visitor, link: str) -> None:
    """Press Tab until a link of that name has the focus; it must show that it has."""
    for _ in range(40):
        await visitor.page.keyboard.press("Tab")
        focused = visitor.page.locator(":focus-visible")
        if await focused.count() and (await focused.inner_text()).strip() == link:
            assert await focused.is_visible()
            assert await focused.evaluate("(e) => getComputedStyle(e).outlineStyle") != "none"
            return
    raise AssertionError(f"Tab does not reach {link}")


async def test_an_agent_has_an_entrance_and_nothing_of_others(visitor: Visitor) -> None:
    await visitor.sign_in("agnes")
    assert await visitor.heading() == "Your accounts"
    links = await visitor.page.get_by_role("navigation").get_by_role("link").all_inner_texts()
    assert links == ["Accounts", "Notices"]
