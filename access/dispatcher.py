"""Carrying orders out: a queue for every switch, each working on a few targets at once; and looking after the bars that
hold.

The table of orders is the truth: what is here in memory is only which targets are being worked on.
"""

import asyncio
import logging
import random
import sqlite3
from asyncio import TaskGroup
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Final, NoReturn

from access import order_rows, orders, planning
from access.alarm import Alarm
from access.barring import Barring
from access.journal import Journal, OrderStore
from access.orders import SECOND_US, Order, State
from access.sending import Sending
from access.sessions import LiveSession
from access.target import TargetKey
from access.upkeep import Upkeep

log: Final = logging.getLogger(__name__)

AT_ONCE: Final = 32
"""Targets that a switch is commanded for at once."""
SLOTS_A_COMMAND: Final = 8
"""So many targets are worked on for each of them: most wait for a commit, of which a bar takes three."""
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
        self._slots = SLOTS_A_COMMAND * at_once
        self._journal = Journal(store, changed, in_same_transaction)
        self._queues = {
            switch: _Queue(
                switch,
                store,
                Sending(driver, self._journal, may_send, clock, chance, at_once),
                clock,
                sleep,
                self._slots,
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
        room = dict.fromkeys(self._queues, self._slots)
        recovered = await self._journal.write(lambda cx: planning.recover(cx, room, self._clock()))
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
        slots: int,
    ) -> None:
        self._switch, self._store, self._sending, self._clock = switch, store, sending, clock
        self._slots, self._most_looks = slots, slots // 2
        self._busy: dict[TargetKey, Order] = {}
        self._is_behind = False  # something may be due that waits for room, or for its target
        self.alarm = Alarm(sleep)

    async def run(self) -> NoReturn:
        async with TaskGroup() as group:
            while True:
                self.alarm.reset()
                following = await self._begin(group)
                seconds = LONGEST_SLEEP_S if following is None else max(0, following - self._clock()) / SECOND_US
                await self.alarm.wait(min(seconds, LONGEST_SLEEP_S))

    async def _begin(self, group: TaskGroup) -> int | None:
        """Set to work on what is due, as far as there is room; when there will be more, if nothing else happens."""
        now, following = self._clock(), None
        passed_over: set[int] = set()  # their targets are being worked on
        self._is_behind = True
        while room := self._slots - len(self._busy):
            begun = {order.id for order in self._busy.values()} | passed_over
            looks = max(0, self._most_looks - _again(self._busy.values()))
            found, following = await self._store.read(order_rows.due, self._switch, now, begun, room, looks)
            waiting = {order.id for order in found if not self._set_to_work(group, order)}
            if not waiting:
                # Less than there is room for: that was all.
                self._is_behind = bool(passed_over) or len(found) == room or _again(found) == looks
                break
            passed_over |= waiting
        return following

    def _set_to_work(self, group: TaskGroup, order: Order) -> bool:
        """False if its target is being worked on."""
        if order.target.key in self._busy:
            return False
        self._busy[order.target.key] = order
        group.create_task(self._work(order), name=f"order {order.id}")
        return True

    async def _work(self, order: Order) -> None:
        has_more = True
        try:
            has_more = await self._sending.advance(order)
        finally:
            del self._busy[order.target.key]
            if has_more or self._is_behind:
                self.alarm.ring()


def _again(some: Iterable[Order]) -> int:
    """How many of some orders went out before."""
    return sum(order.state is not State.PLANNED and not order.is_ahead for order in some)
