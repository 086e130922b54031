"""One step of one order: look at the switch where it may have been carried out, ask whether it is wanted, send it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from access import orders, planning
from access.barring import Answer, Barring, Outcome
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
        at_once: int,
    ) -> None:
        """The switch gets at most `at_once` commands at once, and as many looks beside them."""
        self._driver, self._journal, self._may_send = driver, journal, may_send
        self._clock, self._chance = clock, chance
        self._commanding, self._looking = asyncio.Semaphore(at_once), asyncio.Semaphore(at_once)

    async def advance(self, order: Order) -> bool:
        """Take an order one step on; False if nothing follows on it. Killed anywhere in here, the next run goes on from
        what is written."""
        if order.is_out:
            order, is_sent_again = await self._look(order)
            if not is_sent_again:
                return order.next_at is not None
        if not await self._may_send(order):
            await self._journal.write(lambda cx: planning.withdraw(cx, order, NOT_WANTED, self._clock()))
            return True
        if order.is_ahead:
            changed = [order]
        else:
            changed = await self._journal.write(lambda cx: planning.send(cx, order, self._clock()))
        if changed:
            await self._write_answer(changed[0], await self._command(changed[0]))
        return True

    async def _look(self, order: Order) -> tuple[Order, bool]:
        """The order as it is written after a look at the switch, and whether it is to be sent again; as it was, if
        somebody else has changed it."""
        async with self._looking:
            verdict = await self._driver.verify(order.target, barred=order.action is Action.BAR)
        after = orders.verified(order, verdict, self._clock(), self._chance())
        changed = await self._journal.write(lambda cx: planning.change(cx, order, after))
        return (after, orders.is_sent_again(after, verdict)) if changed else (order, False)

    async def _write_answer(self, order: Order, answer: Answer) -> None:
        after = orders.answered(order, answer, self._clock(), self._chance())
        changed = await self._journal.write(lambda cx: planning.change(cx, order, after))
        assert changed, f"order {order.id} was changed by somebody else while it was being sent"

    async def _command(self, order: Order) -> Answer:
        has_to_wait = self._commanding.locked()
        async with self._commanding:
            # A switch may be slow, and the account have paid since `sent` was written.
            if has_to_wait and not await self._may_send(order):
                return Answer(Outcome.UNKNOWN, NOT_WANTED)
            if order.action is Action.BAR:
                return await self._driver.bar(order.target, order.reason)
            return await self._driver.restore(order.target)
