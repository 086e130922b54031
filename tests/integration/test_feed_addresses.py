"""Where feeds are reached, as operations see it: the address that was got, not the one that was asked for."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry

from mediation.assembly import assemble, fronts_of
from mediation.config import Listen, read_config
from mediation.daemon import wall_clock
from mediation.feeds import connections
from mediation.schema import all_migrations
from rating.store.sqlite import open_store
from tests.small_site import write_config

RADIUS = """
[feeds.nas]
type = "radius-accounting"
listen = "127.0.0.1:0"
[feeds.nas.clients.nas1]
address = "127.0.0.1"
secret = "a secret of theirs"
"""


async def test_a_feed_says_the_port_that_it_got(site: Path) -> None:
    config = read_config(write_config(site, site / "tollkeeper.db", in_store=RADIUS))
    got: dict[str, tuple[str, int]] = {}

    async def listen(table: str, where: Listen, runner: web.AppRunner) -> tuple[str, int]:
        got[table] = await connections.listen(runner, where.host, where.port, None)
        return got[table]

    async def listen_on(
        table: str, where: Listen, opening: Callable[[str, int], Awaitable[tuple[str, int]]]
    ) -> tuple[str, int]:
        got[table] = await opening(where.host, where.port)
        return got[table]

    async with AsyncExitStack() as stack:
        store = await open_store(config.store.path, all_migrations(), wall_clock())
        stack.push_async_callback(store.close)
        parts = await assemble(config, store, fronts_of(config, wall_clock), wall_clock, CollectorRegistry())
        stack.callback(parts.users.close)
        writing = asyncio.create_task(parts.owner.run())
        stack.push_async_callback(asyncio.wait, {writing})
        stack.callback(parts.owner.stop)
        await parts.feeds.start(stack, listen, listen_on)
        where = {feed.name: feed.where for feed in await parts.feeds.status()}
        await parts.feeds.stop()
        await parts.feeds.ended()
    assert min(port for _, port in got.values()) > 0
    assert where == {
        "pops": "http://{}:{}".format(*got["feeds.pops"]), "nas": "{}:{}".format(*got["feeds.nas"])
    }  # fmt: skip
