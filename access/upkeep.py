"""Looking after bars that were confirmed: a switch that starts again may have forgotten them, and a NAS takes new
sessions. What does not hold any more is taken up again, as an order whose end is unknown.
"""

import logging
import sqlite3
from asyncio import TaskGroup
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, NoReturn

from access import holding_rows, planning
from access.alarm import Alarm
from access.barring import Barring, Holding
from access.holding_rows import Held
from access.journal import Journal, OrderStore
from access.orders import Order

log: Final = logging.getLogger(__name__)

ROUND_S: Final = 60.0
"""From one look at all bars of a switch to the next; a part of it is chance, so that switches have their turns."""
JITTER: Final = 0.2
AT_ONCE: Final = 10_000
"""Bars of one question to a driver."""
LOST_AT_ONCE: Final = 500
"""Bars of one store transaction."""
MOST_BEGUN: Final = 10_000
"""Users who have just begun something and are not looked at yet; what is forgotten is found by the next round."""


class Upkeep:
    """Looks after the bars of all switches while `run` runs. `taken_up` is called when orders are to be acted on."""

    def __init__(
        self,
        store: OrderStore,
        drivers: Mapping[str, Barring],
        journal: Journal,
        *,
        clock: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
        chance: Callable[[], float],
        taken_up: Callable[[], None],
    ) -> None:
        self._store, self._drivers, self._journal = store, drivers, journal
        self._clock, self._sleep, self._chance, self._taken_up = clock, sleep, chance, taken_up
        self._begun: deque[tuple[str | None, str | None]] = deque(maxlen=MOST_BEGUN)
        self._alarm = Alarm(sleep)

    def began(self, line: str | None, username: str | None) -> None:
        """A line or a user name has begun to use something: if it is barred, that is ended."""
        self._begun.append((line, username))
        self._alarm.ring()

    async def run(self) -> NoReturn:
        """Look after bars, until cancelled. Raises StoreFailed."""
        async with TaskGroup() as group:
            for switch in self._drivers:
                group.create_task(self._go_round(switch), name=f"bars at {switch}")
            group.create_task(self._look_at_begun(), name="bars of who has begun a session")
        raise AssertionError("rounds do not end")

    async def _go_round(self, switch: str) -> NoReturn:
        while True:
            after = 0
            while held := await self._store.read(holding_rows.of_switch, switch, after, AT_ONCE):
                await self._look(switch, held)
                after = held[-1].id
            await self._sleep(ROUND_S * (1 - JITTER * self._chance()))

    async def _look_at_begun(self) -> NoReturn:
        while True:
            self._alarm.reset()
            begun = [self._begun.popleft() for _ in range(min(LOST_AT_ONCE, len(self._begun)))]
            if not begun:
                await self._alarm.wait(ROUND_S)
                continue
            lines = {line for line, _ in begun if line is not None}
            usernames = {username for _, username in begun if username is not None}
            found = await self._store.read(holding_rows.of_users, lines, usernames)
            for switch in self._drivers.keys() & {held.target.switch for held in found}:
                await self._look(switch, [held for held in found if held.target.switch == switch])

    async def _look(self, switch: str, held: Sequence[Held]) -> None:
        """Ask a switch about bars, and take up those that it does not hold. What it does not answer is asked again in
        the next round."""
        verdicts = await self._drivers[switch].check([each.target for each in held])
        lost = [
            (each.id, verdict.words)
            for each, verdict in zip(held, verdicts, strict=True)
            if verdict.state is Holding.NOT_YET
        ]
        for at in range(0, len(lost), LOST_AT_ONCE):
            some = lost[at : at + LOST_AT_ONCE]
            changed = await self._journal.write(partial(self._lose, lost=some))
            if changed:
                log.warning("confirmed bars do not hold any more", extra={"switch": switch, "orders": len(changed)})
                self._taken_up()

    def _lose(self, cx: sqlite3.Connection, lost: Sequence[tuple[int, str]]) -> list[Order]:
        now = self._clock()
        return [order for number, words in lost for order in planning.lose(cx, number, words, now, self._chance())]
