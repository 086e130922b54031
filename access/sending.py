"""One step of one order: look at the switch where it may have been carried out, ask whether it is wanted, send it."""

from collections.abc import Awaitable, Callable
from typing import Final

from access import orders, planning
from access.barring import Answer, Barring
from access.journal import Journal
from access.orders import Action, Order

NOT_WANTED: Final = "not wanted any more when it was to be sent"


class Sending:
    """What is done for the orders of one switch, one at a time for a target."""

    def __init__(
        self,
        driver: Barring,
        journal: Journal,
        may_send: Callable[[Order], Awaitable[bool]],
        clock: Callable[[], int],
        chance: Callable[[], float],
    ) -> None:
        self._driver, self._journal, self._may_send = driver, journal, may_send
        self._clock, self._chance = clock, chance

    async def advance(self, order: Order) -> None:
        """Take an order one step on. Killed anywhere in here, the next run goes on from what is written."""
        if order.is_out:
            looked_at = await self._look(order)
            if looked_at is None:
                return
            order = looked_at
        if not await self._may_send(order):
            await self._journal.write(lambda cx: planning.withdraw(cx, order, NOT_WANTED, self._clock()))
            return
        changed = await self._journal.write(lambda cx: planning.send(cx, order, self._clock()))
        if changed:
            await self._write_answer(changed[0], await self._command(changed[0]))

    async def _look(self, order: Order) -> Order | None:
        """The order as it is written after a look at the switch, if it is to be sent again."""
        verdict = await self._driver.verify(order.target, barred=order.action is Action.BAR)
        after = orders.verified(order, verdict, self._clock(), self._chance())
        changed = await self._journal.write(lambda cx: planning.change(cx, order, after))
        return after if changed and orders.is_sent_again(after, verdict) else None

    async def _write_answer(self, order: Order, answer: Answer) -> None:
        after = orders.answered(order, answer, self._clock(), self._chance())
        changed = await self._journal.write(lambda cx: planning.change(cx, order, after))
        assert changed, f"order {order.id} was changed by somebody else while it was being sent"

    async def _command(self, order: Order) -> Answer:
        if order.action is Action.BAR:
            return await self._driver.bar(order.target, order.reason)
        return await self._driver.restore(order.target)
