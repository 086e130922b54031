"""Carrying orders out: a queue for every switch, each working on a few targets at once; and looking after the bars that
hold.

The table of orders is the truth: what is here in memory is only which targets are being worked on.
"""

import asyncio
import logging
import random
import sqlite3
from asyncio import TaskGroup
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, NoReturn

from access import order_rows, orders, planning
from access.alarm import Alarm
from access.barring import Barring
from access.journal import Journal, OrderStore
from access.orders import SECOND_US, Order
from access.sending import Sending
from access.sessions import LiveSession
from access.target import TargetKey
from access.upkeep import Upkeep

log: Final = logging.getLogger(__name__)

AT_ONCE: Final = 32
"""Targets that a switch is commanded for at once."""
LONGEST_SLEEP_S: Final = 60.0
"""The table is looked at as often, whatever it said: the clock may have been set."""
NOTED_AT_ONCE: Final = 100


def _ignore_change(order: Order) -> None:
    """Nobody wants to know."""


def _write_nothing(cx: sqlite3.Connection, order: Order) -> None:
    """Nobody has a part of their own in the transaction."""


class Dispatcher:
    """Carries out the orders of all switches while `run` runs.

    `may_send` is asked right before an order goes out: where it says no, the order is cancelled. `chance` gives numbers
    in [0, 1) for the waits. For `changed` and `in_same_transaction` see `Journal`.
    """

    def __init__(
        self,
        store: OrderStore,
        drivers: Mapping[str, Barring],
        may_send: Callable[[Order], Awaitable[bool]],
        *,
        clock: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        changed: Callable[[Order], None] = _ignore_change,
        in_same_transaction: Callable[[sqlite3.Connection, Order], None] = _write_nothing,
        at_once: int = AT_ONCE,
    ) -> None:
        self._store, self._clock = store, clock
        self._journal = Journal(store, changed, in_same_transaction)
        self._queues = {
            switch: _Queue(
                switch, store, Sending(driver, self._journal, may_send, clock, chance), clock, sleep, at_once
            )
            for switch, driver in drivers.items()
        }
        self._unserved = Alarm(sleep)
        self._upkeep = Upkeep(
            store, drivers, self._journal, clock=clock, sleep=sleep, chance=chance, taken_up=self.wake
        )

    def wake(self) -> None:
        """Look at the table now: somebody has committed orders."""
        for queue in self._queues.values():
            queue.alarm.ring()
        self._unserved.ring()

    def began(self, session: LiveSession) -> None:
        """A session has begun: if its line or user name is barred, the bar is carried out again."""
        self._upkeep.began(session.line, session.username)

    async def run(self) -> NoReturn:
        """Carry out what is due, until cancelled. Raises StoreFailed."""
        recovered = await self._journal.write(lambda cx: planning.recover(cx, self._clock()))
        if recovered:
            log.warning(
                "orders that were sent and whose answer is not known: %d; looking at the switches", len(recovered)
            )
        async with TaskGroup() as group:
            for switch, queue in self._queues.items():
                group.create_task(queue.run(), name=f"orders for {switch}")
            group.create_task(self._note_unserved(), name="orders for switches that are not configured")
            group.create_task(self._upkeep.run(), name="bars that hold")
        raise AssertionError("queues do not end")

    async def _note_unserved(self) -> NoReturn:
        """Say of orders for a switch that is not configured why they wait. They go out once it is."""
        switches = tuple(self._queues)
        while True:
            self._unserved.reset()
            while found := await self._store.read(order_rows.unserved, switches, self._clock(), NOTED_AT_ONCE):
                await self._journal.write(partial(_note, found=found))
            await self._unserved.wait(LONGEST_SLEEP_S)


def _note(cx: sqlite3.Connection, found: list[Order]) -> list[Order]:
    return [
        changed
        for order in found
        for changed in planning.change(cx, order, orders.remarked(order, _words_unserved(order)))
    ]


def _words_unserved(order: Order) -> str:
    switch = order.target.switch
    if not switch:
        return "its line names no switch: give it one in lines.csv, and order again"
    return f"there is no [switches.{switch}] in the configuration: add it, and the order goes out"


class _Queue:
    """The orders of one switch."""

    def __init__(
        self,
        switch: str,
        store: OrderStore,
        sending: Sending,
        clock: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
        at_once: int,
    ) -> None:
        self._switch, self._store, self._sending, self._clock = switch, store, sending, clock
        self._at_once = at_once
        self._busy: set[TargetKey] = set()
        self.alarm = Alarm(sleep)

    async def run(self) -> NoReturn:
        async with TaskGroup() as group:
            while True:
                self.alarm.reset()
                now = self._clock()
                if len(self._busy) < self._at_once:
                    await self._begin(group, now)
                following = await self._store.read(order_rows.next_at, self._switch, now)
                seconds = LONGEST_SLEEP_S if following is None else max(0, following - self._clock()) / SECOND_US
                await self.alarm.wait(min(seconds, LONGEST_SLEEP_S))

    async def _begin(self, group: TaskGroup, now: int) -> None:
        """Set to work on what is due, as far as there is room. What a newer order of the same target has to wait for
        rings the alarm at its end."""
        for order in await self._store.read(order_rows.due, self._switch, now, 2 * self._at_once):
            key = order.target.key
            if key in self._busy or len(self._busy) >= self._at_once:
                continue
            self._busy.add(key)
            group.create_task(self._work(order), name=f"order {order.id}")

    async def _work(self, order: Order) -> None:
        try:
            await self._sending.advance(order)
        finally:
            self._busy.discard(order.target.key)
            self.alarm.ring()
