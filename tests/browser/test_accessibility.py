"""Every page for people who see or move little, or have a small screen: axe-core finds nothing to complain about."""

import re

import pytest

from tests.browser.pages_site import PagesSite
from tests.browser.visitor import Visitor
from tests.small_site import account

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.peers("chromium")]

PAGES = {
    "stella": (
        "/live", "/accounts", "/accounts?q=nobody", f"/accounts/{account(0)}", f"/accounts/{account(3)}",
        "/transactions", "/transactions?column=charge&op=%3E&value=much", "/suspense", "/suspense?reason=unknown-line",
        "/feeds", "/health", "/account?done=password", "/monitor/new?json", "/monitor?after=999", "/firings?account=1",
        "/orders?account=1", "/audit?from=never", f"/accounts/{account(0)}/access", f"/accounts/{account(0)}/payments",
        "/orders?state=gone", f"/accounts/{account(0)}/entries", f"/accounts/{account(0)}/credits",
    ),
    "oscar": ("/orders?state=failed",),
    "carol": (
        "/home", "/transactions?column=place&op=contains&value=London&sort=-charge", "/account", "/payment-options",
        "/payment-options?done=enrolled", "/alerts?done=added",
    ),
    "agnes": (
        "/agent/accounts", "/agent/accounts?column=due&op=%3E&value=much", f"/agent/accounts/{account(6)}",
        "/agent/notices", "/account",
    ),
}  # fmt: skip
FOLLOWED = {"/transactions": "a[href^='/transactions/']", "/suspense?reason=unknown-line": "a[href^='/suspense/']"}
"""Pages whose first such link leads to a page to be looked at too."""

with_scripts = pytest.mark.parametrize("scripts", [True], ids=["script"])  # axe needs them


@with_scripts
@pytest.mark.parametrize("name", PAGES)
async def test_pages_are_for_everybody(visitor: Visitor, pages: PagesSite, scripts: bool, name: str) -> None:
    await visitor.sign_in(name)
    faults = []
    for path in PAGES[name]:
        await visitor.page.goto(path)
        faults += [f"{path}: {fault}" for fault in await visitor.faults()]
        if path in FOLLOWED:
            await visitor.page.locator(FOLLOWED[path]).first.click()
            await visitor.page.wait_for_url(re.compile(r"/\d+$"))
            faults += [f"{visitor.page.url}: {fault}" for fault in await visitor.faults()]
    assert not faults, "\n".join(faults)


@with_scripts
async def test_the_sign_in_is_for_everybody_also_after_a_wrong_password(visitor: Visitor, scripts: bool) -> None:
    await visitor.page.goto("/login")
    faults = await visitor.faults()
    await visitor.sign_in("nobody", "not the password")
    faults += await visitor.faults()
    assert not faults, "\n".join(faults)


@with_scripts
async def test_a_fault_would_be_found(visitor: Visitor, scripts: bool) -> None:
    await visitor.page.goto("/login")
    await visitor.page.evaluate("""() => {
      document.querySelector("main").innerHTML = "<input><p>dark on dark</p><pre>" + "x".repeat(900);
      document.querySelector("p").style.cssText = "color: #16202b; background: var(--bg)";
      document.querySelector("pre").style.cssText = "white-space: pre";
    }""")
    found = await visitor.faults()
    for scheme in ("light", "dark"):
        assert any(fault.startswith(f"{scheme}, 375 px: label: ") for fault in found)
    assert {fault.split(",")[0] for fault in found if "color-contrast" in fault} == {"dark"}
    assert any(fault.startswith("375 px: the document is ") for fault in found)
