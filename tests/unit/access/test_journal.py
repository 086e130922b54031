"""Changes that share a commit, and what becomes of them when there is none."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from access.journal import Change, Journal
from access.orders import Action, Order, State
from tests.switch_by_hand import START, TARGET, Turn


class SlowStore:
    """Its transactions begin when they are let."""

    def __init__(self) -> None:
        self.cx = sqlite3.connect(":memory:", isolation_level=None)
        self.turn = asyncio.Semaphore(0)
        self.begun = 0
        self.failure: Exception | None = None

    async def read(self, query: Callable[..., Any], *args: Any) -> Any:
        raise AssertionError("a journal only writes")

    async def transact(self, work: Callable[..., Any], *args: Any) -> Any:
        await self.turn.acquire()
        self.begun += 1
        if self.failure:
            raise self.failure
        return work(self.cx, *args)


class Desk:
    """A journal, and what it told."""

    def __init__(self) -> None:
        self.store, self.told = SlowStore(), list[int]()
        self.written: list[int] = []
        self.journal = Journal(self.store, lambda order: self.told.append(order.id), self._write)

    def _write(self, cx: sqlite3.Connection, order: Order) -> None:
        self.written.append(order.id)

    async def ask(self, *numbers: int) -> list[asyncio.Task[list[Order]]]:
        """Have orders written, each on its own."""
        asked = [asyncio.create_task(self.journal.write(change_of(number))) for number in numbers]
        await settle()
        return asked

    async def let(self) -> None:
        """One transaction more."""
        self.store.turn.release()
        await settle()


async def settle() -> None:
    for _ in range(10):
        await Turn()


def change_of(number: int) -> Change:
    order = Order(
        id=number, account="a", target=TARGET, action=Action.BAR, reason="", cause="", state=State.PLANNED,
        planned_at=START, due_at=START, next_at=START,
    )  # fmt: skip
    return lambda cx: [order]


def written_by(asked: list[asyncio.Task[list[Order]]]) -> list[int]:
    return [order.id for each in asked if each.done() for order in each.result()]


async def test_what_comes_while_the_store_is_busy_with_others_shares_the_transaction_that_waits() -> None:
    desk = Desk()
    asked = await desk.ask(1) + await desk.ask(2, 3)
    assert (desk.store.begun, written_by(asked)) == (0, [])
    await desk.let()
    assert (desk.store.begun, written_by(asked)) == (1, [1, 2, 3])
    assert desk.written == desk.told == [1, 2, 3]


async def test_what_comes_later_is_written_by_the_next_without_anybody_waiting_twice() -> None:
    desk = Desk()
    later: list[asyncio.Task[list[Order]]] = []

    def change(cx: sqlite3.Connection) -> list[Order]:
        later.extend(asyncio.create_task(desk.journal.write(change_of(number))) for number in (2, 3))
        return []

    first = asyncio.create_task(desk.journal.write(change))
    await desk.let()
    assert first.done()
    assert not any(each.done() for each in later)
    await desk.let()
    assert (desk.store.begun, written_by(later)) == (2, [2, 3])
    asked = await desk.ask(4)
    await desk.let()
    assert written_by(asked) == [4]


async def test_a_store_that_fails_fails_all_that_wait_and_tells_nobody() -> None:
    desk = Desk()
    desk.store.failure = ValueError("the disk is full")
    asked = await desk.ask(1, 2, 3)
    for _ in asked:
        await desk.let()
    assert [str(each.exception()) for each in asked] == ["the disk is full"] * 3
    assert desk.told == []


@pytest.mark.parametrize("gone", [0, 1])
async def test_one_who_goes_away_does_not_keep_the_others_waiting(gone: int) -> None:
    desk = Desk()
    asked = await desk.ask(1, 2, 3)
    asked[gone].cancel()
    await settle()
    await desk.let()
    assert [each.done() for each in asked] == [True] * 3
    assert not {1, 2, 3} - {gone + 1} - set(desk.told)
