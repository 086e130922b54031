"""Recycling at the store's owner: between the commits, never beside a standstill, and the end of all when it fails."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from mediation.pipeline.metrics import PipelineMetrics
from mediation.pipeline.owner import StoreOwner
from mediation.pipeline.stopping import Stopping
from rating.counters import Counters
from rating.store.errors import StoreFailed
from rating.store.port import Count, Store
from rating.store.recycling import Readmission, Retried
from tests.builders import ACCOUNT, NOW, a_row, an_account


class HeldStore:
    """Recycles one row when it is let go."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.failure: Exception | None = None

    async def recycle(self, retried: Sequence[Retried], actor: str, now: int, count: Count) -> Readmission:
        await self.go_on.wait()
        if self.failure:
            raise self.failure
        row = a_row(id=7)
        count(None, [row])
        return Readmission([], [row], 8)


class Desk:
    def __init__(self) -> None:
        self.store = HeldStore()
        self.counters = Counters({ACCOUNT: an_account()})
        metrics = PipelineMetrics(CollectorRegistry(), {})
        self.owner = StoreOwner(cast(Store, self.store), self.counters, metrics, max_queued=1, max_commit=1)
        self.running = asyncio.create_task(self.owner.run())


async def others_run() -> None:
    for _ in range(20):
        turn = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(turn.set_result, None)
        await turn


async def test_what_is_recycled_is_counted() -> None:
    desk = Desk()
    desk.store.go_on.set()
    assert (await desk.owner.recycle([], "ada", NOW)).next_id == 8
    assert desk.counters.covers_id == 7
    desk.owner.stop()
    await desk.running


@pytest.mark.parametrize("asker", ["waits", "goes away"])
async def test_a_standstill_waits_for_the_end_of_a_recycling(asker: str) -> None:
    desk = Desk()
    asking = asyncio.create_task(desk.owner.recycle([], "ada", NOW))
    await others_run()
    if asker == "goes away":
        asking.cancel()
    still = asyncio.create_task(desk.owner.standstill().__aenter__())
    await others_run()
    assert not still.done()
    desk.store.go_on.set()
    await still
    assert desk.counters.covers_id == 7
    await asyncio.gather(asking, return_exceptions=True)
    desk.owner.stop()
    await desk.running


async def test_who_stops_takes_no_more() -> None:
    desk = Desk()
    desk.owner.stop()
    with pytest.raises(Stopping):
        await desk.owner.recycle([], "ada", NOW)
    await desk.running


async def test_a_store_that_fails_ends_the_owner_though_nothing_else_is_written() -> None:
    desk = Desk()
    desk.store.failure = StoreFailed("the disk is full")
    desk.store.go_on.set()
    with pytest.raises(StoreFailed):
        await desk.owner.recycle([], "ada", NOW)
    with pytest.raises(StoreFailed, match="full"):
        await desk.running
    assert desk.owner.is_stopping
