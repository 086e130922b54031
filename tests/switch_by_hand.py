"""A switch, a store and a clock in memory, for what carries orders out: every fault and every moment is the test's.

Whatever is awaited here is a point at which the program can be killed; the switch and the store live on.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from access import order_rows, planning
from access.barring import Answer, Barring, Holding, Outcome, Verdict
from access.dispatcher import Dispatcher
from access.migrations import access_migrations
from access.orders import Action, Order, State
from access.target import Target, TargetKey
from rating.store.migrations import migrate

T = TypeVar("T")

START: Final = 1_795_219_200_000_000
SECOND: Final = 1_000_000
TARGET: Final = Target("kam1", "12125550142", "long-distance")
TURNS: Final = 120
"""Steps of the event loop after which whatever can go on without time passing has gone on."""

LOST_ON_THE_WAY: Final = "lost on the way"
ANSWER_LOST: Final = "answer lost"
REFUSED: Final = "refused"


class Killed(BaseException):
    """The program ends here, without a word."""


def is_killed(error: BaseException) -> bool:
    """Whether the end of a program was nothing but its being killed."""
    return isinstance(error, Killed) or (
        isinstance(error, BaseExceptionGroup) and all(is_killed(each) for each in error.exceptions)
    )


class Turn:
    """One step of the event loop."""

    def __await__(self) -> Generator[None]:
        yield


class Time:
    """A clock that is put forward by hand."""

    def __init__(self) -> None:
        self.now = START
        self._sleepers: list[tuple[int, asyncio.Future[None]]] = []

    def __call__(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + round(seconds * SECOND), woken))
        await woken

    def advance(self, upto: int) -> None:
        """To when the next sleeper wakes, at most to an instant."""
        self._sleepers = [(at, woken) for at, woken in self._sleepers if not woken.done()]
        self.now = max(self.now, min([upto, *(at for at, _ in self._sleepers)]))
        for at, woken in self._sleepers:
            if at <= self.now:
                woken.set_result(None)


class MemoryStore:
    """As much of a store as orders need. Each call is two points to be killed at: before it, and after its commit."""

    def __init__(self, point: Callable[[], Any]) -> None:
        self._point = point
        self.cx = sqlite3.connect(":memory:", isolation_level=None)
        migrate(self.cx, access_migrations(), START)

    async def read(self, query: Callable[..., T], *args: Any) -> T:
        await Turn()
        return query(self.cx, *args)

    async def transact(self, work: Callable[..., T], *args: Any) -> T:
        await self._point()
        result = self.at_once(work, *args)
        await self._point()
        return result

    def at_once(self, work: Callable[..., T], *args: Any, **named: Any) -> T:
        """One transaction, now."""
        self.cx.execute("BEGIN")
        try:
            result = work(self.cx, *args, **named)
        except BaseException:
            self.cx.execute("ROLLBACK")
            raise
        self.cx.execute("COMMIT")
        return result


class SwitchByHand(Barring):
    """Bars, unless `faults` says what goes wrong with the next command, or it is down. Calls of a barred target end
    when `looks_until_gone` looks have seen them."""

    def __init__(self, point: Callable[[], Any]) -> None:
        self._point = point
        self.barred: set[TargetKey] = set()
        self.commands: list[str] = []
        self.faults: list[str | None] = []
        self.is_down = False
        self.looks_until_gone = 0
        self.turns_a_command = 1
        self.working_on: set[TargetKey] = set()
        self.most_at_once = 0

    async def bar(self, target: Target, reason: str) -> Answer:
        return await self._carry_out(f"bar {reason}", target, lambda: self.barred.add(target.key))

    async def restore(self, target: Target) -> Answer:
        return await self._carry_out("restore", target, lambda: self.barred.discard(target.key))

    async def verify(self, target: Target, *, barred: bool) -> Verdict:
        await self._point()
        if self.is_down:
            return Verdict(Holding.UNKNOWN, "no answer")
        if (target.key in self.barred) != barred:
            return Verdict(Holding.NOT_YET, "not barred" if barred else "still barred")
        if barred and self.looks_until_gone:
            self.looks_until_gone -= 1
            return Verdict(Holding.NOT_YET, "a call is still up")
        return Verdict(Holding.HOLDS, "so it is")

    async def close(self) -> None:
        """Nothing to let go of."""

    async def _carry_out(self, command: str, target: Target, carry_out: Callable[[], object]) -> Answer:
        assert target.key not in self.working_on, "two commands for one target at once"
        self.working_on.add(target.key)
        self.most_at_once = max(self.most_at_once, len(self.working_on))
        try:
            self.commands.append(command)
            for _ in range(self.turns_a_command):
                await self._point()
            fault = self.faults.pop(0) if self.faults else None
            if self.is_down or fault == LOST_ON_THE_WAY:
                return Answer(Outcome.UNKNOWN, "no answer")
            if fault == REFUSED:
                return Answer(Outcome.REFUSED, "cannot do that")
            carry_out()
            await self._point()
            return Answer(Outcome.UNKNOWN, "no answer") if fault else Answer(Outcome.ACKNOWLEDGED, "done")
        finally:
            self.working_on.discard(target.key)


@dataclass
class Site:
    """A switch, the table of its orders, and an account that owes, or has paid."""

    owes: bool = False
    points: int = 0
    kill_at: int | None = None
    seen: list[Order] = field(default_factory=list)
    written: list[tuple[int, State]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.time = Time()
        self.store = MemoryStore(self._point)
        self.switch = SwitchByHand(self._point)
        self.dispatcher: Dispatcher | None = None
        self.at_once = 4

    async def _point(self) -> None:
        self.points += 1
        if self.points == self.kill_at:
            raise Killed
        await Turn()

    async def _may_send(self, order: Order) -> bool:
        await self._point()
        return self.owes if order.action is Action.BAR else not self.owes

    def plan(self, action: Action, target: Target = TARGET, **how: Any) -> Order:
        """As control does in a transaction of its own."""
        values = {
            "account": "4000012345",
            "reason": "over the limit",
            "cause": "firing 12",
            "now": self.time.now,
            **how,
        }
        order = self.store.at_once(planning.plan, target=target, action=action, **values)
        self.wake()
        return order

    def charge(self, **how: Any) -> Order:
        """The account crosses its limit."""
        self.owes = True
        return self.plan(Action.BAR, **how)

    def pay(self) -> None:
        """What was not sent is cancelled, what may be barred is restored."""

        def clear(cx: sqlite3.Connection) -> None:
            orders = order_rows.listed(cx, account="4000012345")
            waiting = [order.id for order in orders if order.action is Action.BAR]
            planning.cancel(cx, waiting, "paid", self.time.now)
            for target in sorted({order.target for order in orders}, key=lambda target: target.key):
                if not (bar := order_rows.may_bar(cx, "4000012345", target, self.time.now)):
                    continue
                planning.plan(
                    cx, account=bar.account, target=bar.target, action=Action.RESTORE, reason="paid", cause="payment 1",
                    now=self.time.now,
                )  # fmt: skip

        self.owes = False
        self.store.at_once(clear)
        self.wake()

    def wake(self) -> None:
        if self.dispatcher is not None:
            self.dispatcher.wake()

    def orders(self) -> list[Order]:
        """All orders, the oldest first."""
        return order_rows.listed(self.store.cx)[::-1]

    def states(self) -> list[str]:
        return [str(order.state) for order in self.orders()]

    async def run(
        self, *, for_s: float | None = None, upto_s: float = 3600, meanwhile: Callable[[], None] | None = None
    ) -> bool:
        """Run a program until no order is open, or for so many seconds of the clock; False if it was killed."""
        end = self.time.now + round((upto_s if for_s is None else for_s) * SECOND)
        self.dispatcher = Dispatcher(
            self.store, {"kam1": self.switch}, self._may_send, clock=self.time, sleep=self.time.sleep,
            chance=lambda: 0.0, changed=self.seen.append, in_same_transaction=self._write, at_once=self.at_once,
        )  # fmt: skip
        running = asyncio.create_task(self.dispatcher.run())
        try:
            while not running.done():
                for _ in range(TURNS):
                    if meanwhile:
                        meanwhile()
                    await Turn()
                is_over = all(not order.is_open for order in self.orders())
                if (is_over and for_s is None) or self.time.now >= end:
                    break
                self.time.advance(end)
        finally:
            running.cancel()
            await asyncio.wait({running})
            self.dispatcher = None
        if running.cancelled():
            return True
        raised = running.exception()
        assert raised is not None
        if not is_killed(raised):
            raise raised
        self.switch.working_on.clear()
        return False

    def _write(self, cx: sqlite3.Connection, order: Order) -> None:
        assert cx.in_transaction
        assert order_rows.order_of(cx, order.id) == order, "told of what is not written"
        assert self.owes or (order.action, order.state) != (Action.BAR, State.SENT), "barred after having paid"
        self.written.append((order.id, order.state))
