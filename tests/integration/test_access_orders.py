"""Orders in a real store: many at once share its commits, and what is told is durable."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from access import order_rows, planning
from access.dispatcher import Dispatcher
from access.migrations import access_migrations
from access.orders import Action, Order
from access.target import Target
from rating.store.errors import StoreFailed
from rating.store.migrations import own_migrations
from rating.store.sqlite import SqliteStore, open_store
from tests.switch_by_hand import START, SwitchByHand, Turn

WITHIN_S = 20.0
ORDERS = 300


class CountingStore:
    """A store that counts its transactions."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.read = store.read
        self.transactions = 0

    async def transact(self, work: Callable[..., Any], *args: Any) -> Any:
        self.transactions += 1
        return await self._store.transact(work, *args)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await open_store(tmp_path / "tollkeeper.db", (*own_migrations(), *access_migrations()), START)
    yield store
    await store.close()


async def turn() -> None:
    await Turn()


async def wanted(order: Order) -> bool:
    return True


def plan_many(cx: sqlite3.Connection) -> None:
    for number in range(ORDERS):
        target = Target("kam1", f"1212555{number:04}", "fax")
        planning.plan(cx, account="a", target=target, action=Action.BAR, reason="r", cause="c", now=START)


async def test_many_orders_share_commits_and_each_is_durable_when_it_is_told(store: SqliteStore) -> None:
    switch, counting = SwitchByHand(turn), CountingStore(store)
    over = asyncio.Event()
    told: list[Order] = []

    def changed(order: Order) -> None:
        told.append(order)
        if sum(not each.is_open for each in told) == ORDERS:
            over.set()

    dispatcher = Dispatcher(counting, {"kam1": switch}, wanted, clock=lambda: START, changed=changed)
    running = asyncio.create_task(dispatcher.run())
    await store.transact(plan_many)
    dispatcher.wake()
    await asyncio.wait_for(over.wait(), WITHIN_S)
    assert len(switch.barred) == ORDERS
    assert len(told) == 3 * ORDERS, "sent, acknowledged and confirmed"
    assert counting.transactions < len(told) / 2
    last = {order.id: order for order in told}
    assert {order.id: order for order in await store.read(lambda cx: order_rows.listed(cx, limit=ORDERS))} == last
    running.cancel()
    await asyncio.wait({running})


async def test_a_store_that_fails_ends_the_dispatcher_with_its_words(store: SqliteStore) -> None:
    def break_(cx: sqlite3.Connection, order: Order) -> None:
        cx.execute("INSERT INTO nowhere VALUES (1)")

    switch = SwitchByHand(turn)
    dispatcher = Dispatcher(store, {"kam1": switch}, wanted, clock=lambda: START, in_same_transaction=break_)
    await store.transact(plan_many)
    with pytest.raises(BaseExceptionGroup) as raised:
        await asyncio.wait_for(dispatcher.run(), WITHIN_S)
    failed, others = raised.value.split(StoreFailed)
    assert failed is not None
    assert others is None
    assert switch.commands == [], "what is not written is not sent"
