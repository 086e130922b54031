"""One daemon and one browser for all tests of this folder; a window of its own for each that wants one.

They share one event loop: the browser's own. The site is made before the browser, and so ends after it.
"""

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.browser.pages_site import PagesSite, serving
from tests.browser.visitor import Visitor, launched

if TYPE_CHECKING:
    from playwright.async_api import Browser


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PagesSite]:
    """The site, which the tests share: each has calls or people of its own where it changes something."""
    with serving(tmp_path_factory.mktemp("pages")) as site:
        yield site


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(pages: PagesSite) -> "AsyncIterator[Browser]":
    playwright = pytest.importorskip("playwright.async_api", reason="pip install playwright: see make test-peers")
    async with playwright.async_playwright() as driver:
        browser = await launched(driver)
        yield browser
        await browser.close()


@pytest.fixture(params=[True, False], ids=["script", "plain"])
def scripts(request: pytest.FixtureRequest) -> bool:
    """Whether the browser runs scripts: every flow works both ways."""
    return bool(request.param)


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(pages: PagesSite, browser: "Browser", scripts: bool) -> AsyncIterator[Visitor]:
    """Somebody whose browser complains about nothing."""
    visitor = await Visitor.arrive(pages, browser, scripts=scripts)
    yield visitor
    await visitor.leave()
