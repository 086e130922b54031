"""Every test of the store's contract runs on every engine, and leaves a store that is whole."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.store_site import ENGINES, Engine, Site


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine without a store yet."""
    made: Engine = request.param(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def site(engine: Engine) -> AsyncIterator[Site]:
    """A provisioned store. Afterwards it is looked at, whether or not the test has closed it."""
    site = Site(engine)
    await site.open()
    await site.provision()
    await site.follow()
    yield site
    if site.is_open:
        await site.close()
    await site.check()
