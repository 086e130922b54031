"""What comes in is seen at once, and what stays away too: feeds and live pages, in a real browser."""

import re
from typing import TYPE_CHECKING

import pytest

from tests.browser.pages_site import ACCOUNTS, QUIET_AFTER_S, PagesSite
from tests.browser.visitor import Visitor
from tests.small_site import a_record

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.peers("chromium")]


def spaced(number: str) -> re.Pattern[str]:
    """A number as a page may group its digits."""
    return re.compile(r"\W*".join(number.removeprefix("+")))


async def test_a_feed_is_seen_to_die_and_to_come_back(visitor: Visitor, pages: PagesSite) -> None:
    async def state() -> str:
        return await visitor.cell(visitor.row("pop-b"), "State")

    async def is_silent() -> bool:
        return "silent" in await state()

    async def is_live() -> bool:
        return "live" in await state()

    async def is_live_within_quiet_after() -> bool:
        for _ in range(4 * QUIET_AFTER_S):
            if await is_live():
                return True
            await visitor.page.wait_for_timeout(250)
            if not visitor.scripts:
                await visitor.page.get_by_role("link", name="Refresh").click()
        return False

    prefix = f"feed-{visitor.scripts}"
    await pages.send(a_record(f"{prefix}-1"), source="pop-b")
    await visitor.sign_in("oscar")
    assert await visitor.heading() == "Feeds"
    await visitor.until(is_silent, "pop-b has sent nothing for longer than quiet_after")
    for n in range(5):  # on a slow machine it may be silent again before somebody has looked
        await pages.send(a_record(f"{prefix}-back-{n}"), source="pop-b")
        if await is_live_within_quiet_after():
            return
    raise AssertionError(f"pop-b sends again, and is {await state()}")


async def test_operations_see_the_pipeline(visitor: Visitor) -> None:
    await visitor.sign_in("oscar")
    await visitor.menu("Health")
    assert "takes work" in await visitor.page.locator("main").inner_text()
    assert await visitor.figure("Accounts") == str(ACCOUNTS)


async def test_a_call_shows_on_the_live_page_without_a_reload(visitor: Visitor, pages: PagesSite) -> None:
    await visitor.sign_in("stella")
    title = visitor.page.get_by_role("heading", level=1)
    if visitor.scripts:
        await visitor.page.evaluate("() => { window.notReloaded = true; }")
        await visitor.page.get_by_text("Live", exact=True).nth(1).wait_for()
    called = await pages.call(5)
    shown = visitor.page.locator("tbody tr").filter(has_text=spaced(called))

    async def is_shown() -> bool:
        return await shown.count() == 1

    await visitor.until(is_shown, f"the call to {called}")
    assert await title.inner_text() == "Live"
    if visitor.scripts:
        assert await visitor.page.evaluate("() => window.notReloaded")
    assert await visitor.page.get_by_role("link", name="Refresh").is_visible() is not visitor.scripts
    assert await visitor.page.get_by_role("button", name="Pause").count() == visitor.scripts


@pytest.mark.parametrize("scripts", [True], ids=["script"])
async def test_a_paused_page_stays_as_it_is_until_it_goes_on(
    visitor: Visitor, pages: PagesSite, browser: "Browser", scripts: bool
) -> None:
    watcher = await Visitor.arrive(pages, browser, scripts=scripts)
    await watcher.sign_in("stella")
    await visitor.sign_in("stella")
    pause = visitor.page.locator("[data-pause]")
    await pause.click()
    assert await pause.get_attribute("aria-pressed") == "true"
    called = spaced(await pages.call(6))
    await watcher.page.locator("tbody tr").filter(has_text=called).wait_for()
    await watcher.leave()
    assert await visitor.page.locator("tbody tr").filter(has_text=called).count() == 0
    await pause.click()
    await visitor.page.locator("tbody tr").filter(has_text=called).wait_for()
    assert await pause.get_attribute("aria-pressed") == "false"


HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.mark.parametrize("scripts", [True], ids=["script"])
async def test_a_tab_that_nobody_sees_leaves_its_connection_to_the_others(
    visitor: Visitor, pages: PagesSite, scripts: bool
) -> None:
    """A browser has six to a host, for all tabs together: with a seventh live page none would load any more."""
    await visitor.sign_in("stella")
    for n in range(8):
        await visitor.page.evaluate(HIDE, True)
        visitor.page = await visitor.context.new_page()
        await visitor.page.goto("/live")
        assert await visitor.heading() == "Live", n
    first = visitor.context.pages[0]
    called = spaced(await pages.call(6))
    await visitor.page.locator("tbody tr").filter(has_text=called).wait_for()
    assert await first.locator("tbody tr").filter(has_text=called).count() == 0
    await first.evaluate(HIDE, False)
    await first.locator("tbody tr").filter(has_text=called).wait_for()


@pytest.mark.parametrize("scripts", [True], ids=["script"])
async def test_a_live_page_says_when_somebody_has_signed_out(visitor: Visitor, scripts: bool) -> None:
    await visitor.sign_in("stella")
    refresh = visitor.page.locator("[data-refresh]")
    await visitor.page.get_by_role("button", name="Pause").wait_for()
    assert not await refresh.is_visible()
    other = await visitor.context.new_page()
    await other.goto("/account")
    await other.get_by_role("button", name="Sign out").click()
    await refresh.wait_for()
    assert "Not live" in await visitor.page.locator("[data-live-state]").inner_text()
    await refresh.click()
    assert await visitor.heading() == "Sign in to Tollkeeper"
    # The browser remarks that the sign-in page is no stream of events.
    visitor.said = [said for said in visitor.said if "text/event-stream" not in said]


async def test_the_customers_overview_follows_a_call(visitor: Visitor, pages: PagesSite) -> None:
    await visitor.sign_in("carol")
    before = await visitor.figure("Owed")
    called = spaced(await pages.call(0))

    async def is_shown() -> bool:
        return await visitor.page.locator("tbody tr").filter(has_text=called).count() == 1

    await visitor.until(is_shown, "the call")
    assert await visitor.figure("Owed") != before
