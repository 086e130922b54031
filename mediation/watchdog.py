"""Signs of life for the service manager: given only while the store's writer works, so that a hanging disk, thread or
task ends in a restart and not in silence."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from mediation.sd_notify import WATCHDOG, ServiceManager

log: Final = logging.getLogger(__name__)

STALLED_AFTER_S: Final = 600.0
"""When records wait for so long and nothing is committed, the pipeline hangs. It is minutes because an import that
moves an account's periods keeps commits waiting while all transactions are counted again."""


class WriterWatch:
    """Whether the store's writer works: its task lives, something is committed while something waits, and a transaction
    passes through its thread."""

    def __init__(
        self,
        *,
        lives: Callable[[], bool],
        queued: Callable[[], int],
        committed: Callable[[], int],
        pass_through: Callable[[], Awaitable[object]],
        clock: Callable[[], float],
        stalled_after_s: float = STALLED_AFTER_S,
    ) -> None:
        """`committed`: any number that changes with every commit. `pass_through` returns when the writer's thread has
        done a transaction for it. `clock`: seconds, monotonic."""
        self._lives, self._queued, self._committed, self._pass_through = lives, queued, committed, pass_through
        self._clock = clock
        self._stalled_after_s = stalled_after_s
        self._commits = committed()
        self._moved_s = clock()

    async def works(self) -> bool:
        """Does not return while the writer's thread hangs. Raises what `pass_through` raises."""
        if not (self._lives() and self._moves()):
            return False
        await self._pass_through()
        return True

    def _moves(self) -> bool:
        now, commits = self._clock(), self._committed()
        if commits != self._commits or not self._queued():
            self._commits, self._moved_s = commits, now
        return now - self._moved_s < self._stalled_after_s


class Watchdog:
    """Tells the manager that all is well, twice in each of its intervals."""

    def __init__(
        self,
        manager: ServiceManager,
        interval_us: int,
        works: Callable[[], Awaitable[bool]],
        status: Callable[[], str] = lambda: "",
    ) -> None:
        """`interval_us`: without a sign of life for so long the manager ends us. `status` is told along with it."""
        self._manager = manager
        self._interval_s = interval_us / 2_000_000
        self._works = works
        self._status = status

    async def run(self) -> None:
        """Go on for ever. Raises what `works` raises, such as StoreError: the daemon has to end then."""
        worked = True
        while True:
            works = await self._works()
            if works:
                self._manager.tell(WATCHDOG)
                if status := self._status():
                    self._manager.status(status)
            elif worked:
                log.critical("the store's writer does not work: no more signs of life to the service manager")
            worked = works
            await asyncio.sleep(self._interval_s)
