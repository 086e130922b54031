"""A bar at a NAS that takes new sessions all the same: each is ended as soon as accounting tells of it; and sessions
whose Stops never come are not live for ever."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from access import holding_rows, order_rows, planning, session_rows
from access.dispatcher import Dispatcher
from access.drivers.radius import RadiusDriver
from access.orders import Action, Order
from access.radius.dictionary import Dictionary
from access.radius.exchange import Exchange
from access.sessions import LiveSession
from access.target import Target
from simulators.nas import Nas
from simulators.nas_settings import NasSettings
from tests.integration.radius_site import SECRET, WITHIN_S, FeedAtWork, feed_at_work
from tests.integration.test_radius_driver import QUICK, wall_clock
from tests.small_site import LONDON, line

TARGET = Target("nas1", line(0).removeprefix("+"), "long-distance")


@dataclass
class Orders:
    """A NAS that reports to a feed, and a dispatcher that hears of what begins."""

    feed: FeedAtWork
    nas: Nas
    dispatcher: Dispatcher
    changed: list[Order] = field(default_factory=list)

    async def plan(self, action: Action) -> None:
        def write(cx: sqlite3.Connection) -> None:
            planning.plan(
                cx, account="4000000000", target=TARGET, action=action, reason="over the limit", cause="by ann",
                now=wall_clock(),
            )  # fmt: skip

        await self.feed.store.transact(write)
        self.dispatcher.wake()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not holds():
                await asyncio.sleep(0.005)

    def steps(self, order: int = 1) -> list[str]:
        return [str(each.state) for each in self.changed if each.id == order]


@asynccontextmanager
async def orders_at(site: Path) -> AsyncIterator[Orders]:
    hear: list[Callable[[LiveSession], None]] = []

    async def wanted(_: Order) -> bool:
        return True

    async with (
        feed_at_work(site, wall_clock, began=lambda session: [tell(session) for tell in hear]) as feed,
        Nas(NasSettings(feed.address, SECRET, retry_s=0.3)) as nas,
    ):
        exchange = Exchange(*nas.address, SECRET, Dictionary(), patience=QUICK)
        driver = RadiusDriver("nas1", nas.address[0], exchange, feed.sessions)
        changed: list[Order] = []
        dispatcher = Dispatcher(feed.store, {"nas1": driver}, wanted, clock=wall_clock, changed=changed.append)
        hear.append(dispatcher.began)
        running = asyncio.create_task(dispatcher.run())
        try:
            yield Orders(feed, nas, dispatcher, changed)
        finally:
            running.cancel()
            await asyncio.wait({running})
            await driver.close()


async def test_a_session_that_begins_while_its_line_is_barred_is_ended_at_once(site: Path) -> None:
    async with orders_at(site) as at:
        await at.nas.begin(line(0), LONDON)
        await at.plan(Action.BAR)
        await at.until(lambda: at.steps()[-1:] == ["confirmed"])
        assert at.nas.totals.cut == 1
        await at.nas.begin(line(1), LONDON)
        await at.nas.begin(line(0), LONDON)
        await at.until(lambda: at.nas.totals.cut == 2)
        await at.until(lambda: at.steps()[-1] == "confirmed")
        assert "unknown" in at.steps()
        assert [call.calling for call in at.nas.calls.values()] == [line(1)]
        (remark,) = await at.feed.store.read(holding_rows.history, 1)
        assert remark.words.startswith("did not hold any more: 1 sessions are live")

        await at.plan(Action.RESTORE)
        await at.until(lambda: at.steps(2)[-1:] == ["confirmed"])
        await at.nas.begin(line(0), LONDON)
        await at.nas.begin(line(1), LONDON)
        assert at.nas.totals.cut == 2
        assert len(await at.feed.store.read(order_rows.listed)) == 2


async def test_sessions_that_the_nas_does_not_know_are_over_in_the_table_too(site: Path) -> None:
    async with orders_at(site) as at:
        call = await at.nas.begin(line(0), LONDON)
        del at.nas.calls[call.session]  # it ended, and its Stop was lost
        await at.plan(Action.BAR)
        await at.until(lambda: at.steps()[-1:] == ["confirmed"])
        await at.feed.feed.tidy()
        assert len(at.feed.sessions) == 0
        assert await at.feed.store.read(session_rows.all_live) == []
