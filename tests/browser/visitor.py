"""Somebody at a browser, with or without scripts; whatever the browser complains about is collected."""

import asyncio
import hashlib
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.browser.pages_site import PASSWORD, PagesSite

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, WebError

FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
WITHIN_MS: Final = 20_000
"""Nothing is waited for any longer."""

VENDOR: Final = Path(__file__).parent / "vendor"
RULES: Final = ("wcag2a", "wcag2aa", "wcag21aa", "wcag22aa")
_RUN_AXE: Final = """async (rules) => {
  const found = await axe.run(document, {runOnly: rules, resultTypes: ["violations"]});
  return found.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(" ")}: ${n.failureSummary}`));
}"""
_TOO_WIDE: Final = """() => {
  const most = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= most) return [];
  return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > most + 1
    && !e.closest(".scroll")).map((e) => `${e.tagName}.${e.className} reaches ${e.getBoundingClientRect().right}`)
    .concat(`the document is ${document.documentElement.scrollWidth} wide`);
}"""


async def launched(playwright: Any) -> "Browser":
    """Debian's browser, as it runs without a display."""
    browser: Browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
    return browser


def axe_source() -> str:
    """axe-core, as it was vendored."""
    return (VENDOR / "axe.min.js").read_text()


def sums() -> dict[str, tuple[str, str]]:
    """Of each vendored file: the digest that it should have, and the one that it has."""
    wanted = (line.split() for line in (VENDOR / "SHA256SUMS").read_text().splitlines())
    return {name: (digest, hashlib.sha256((VENDOR / name).read_bytes()).hexdigest()) for digest, name in wanted}


class Visitor:
    """One person's window."""

    def __init__(self, site: PagesSite, context: "BrowserContext", *, scripts: bool) -> None:
        self.site = site
        self.context = context
        self.scripts = scripts
        self.page: Page
        self.said: list[str] = []
        """What the browser had to say about the pages: none of it is expected."""

    @classmethod
    async def arrive(cls, site: PagesSite, browser: "Browser", *, scripts: bool, **options: Any) -> "Visitor":
        """A window of their own: no cookies, nothing cached."""
        context = await browser.new_context(
            base_url=site.url, java_script_enabled=scripts, viewport={"width": 1280, "height": 900}, **options
        )
        context.set_default_timeout(WITHIN_MS)
        visitor = cls(site, context, scripts=scripts)
        context.on("console", visitor._console)
        context.on("weberror", visitor._error)
        visitor.page = await context.new_page()
        return visitor

    async def leave(self) -> None:
        """Close the window; fails with what the browser complained about."""
        async with asyncio.timeout(WITHIN_MS / 1000):
            await self.context.close()
        assert not self.said, "\n".join(self.said)

    def _console(self, message: "ConsoleMessage") -> None:
        if message.type != "debug":
            self.said.append(f"{message.type}: {message.text} ({message.location})")

    def _error(self, error: "WebError") -> None:
        self.said.append(f"error: {error.error}")

    async def sign_in(self, name: str, password: str = PASSWORD, path: str = "/login") -> None:
        """By the form."""
        await self.page.goto(path)
        await self.page.get_by_label("Name").fill(name)
        await self.page.get_by_label("Password").fill(password)
        await self.page.get_by_role("button", name="Sign in").click()

    async def sign_out(self) -> None:
        await self.page.get_by_role("button", name="Sign out").click()

    async def heading(self) -> str:
        """The page's own."""
        return (await self.page.get_by_role("heading", level=1).inner_text()).strip()

    async def menu(self, name: str) -> None:
        """Follow the menu."""
        await self.page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()

    def row(self, *words: str) -> "Locator":
        """The row of a table that holds all of the words."""
        rows = self.page.locator("tbody tr")
        for word in words:
            rows = rows.filter(has_text=word)
        return rows

    async def cell(self, row: "Locator", column: str) -> str:
        """The text of a row's cell below a heading."""
        table = row.locator("xpath=ancestor::table")
        headings = [re.sub(r"\s*[↓↑]$", "", text.strip()) for text in await table.locator("thead th").all_inner_texts()]
        return (await row.locator("td").nth(headings.index(column)).inner_text()).strip()

    async def figure(self, name: str) -> str:
        """A key figure, by the words above it."""
        figure = self.page.locator(".figures > div").filter(has_text=name).locator("dd")
        return (await figure.inner_text()).strip()

    async def until(self, holds: Callable[[], Awaitable[bool]], what: str) -> None:
        """Wait for a live page to show something; without scripts by its Refresh link."""
        for _ in range(WITHIN_MS // 250):
            if await holds():
                return
            if self.scripts:
                await self.page.wait_for_timeout(250)
            else:
                await self.page.wait_for_timeout(100)
                await self.page.get_by_role("link", name="Refresh").click()
        raise AssertionError(f"not in time: {what}")

    async def faults(self) -> list[str]:
        """What is wrong with the page for people who see or move little, in light and dark, wide and narrow."""
        await self.page.evaluate(axe_source())
        found = []
        for width in (1280, 375):
            await self.page.set_viewport_size({"width": width, "height": 900})
            found += [f"{width} px: {said}" for said in await self.page.evaluate(_TOO_WIDE)]
            for scheme in ("light", "dark"):
                await self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its literals
                found += [f"{scheme}, {width} px: {s}" for s in await self.page.evaluate(_RUN_AXE, list(RULES))]
        return found
