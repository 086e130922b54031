"""Bills on schedule: when cycles have ended for long enough, the daemon has a bill run made by another process."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec

from mediation.own_command import CommandFailed, run_command
from rating.account import Account
from rating.calendar import AccountCalendar
from rating.cdr import MICROS

log: Final = logging.getLogger(__name__)

LOOK_AGAIN_S: Final = 3600
"""Accounts may have been imported whose cycles end earlier; what failed is tried again."""


class BillSchedule:
    """Makes a bill run at the start, for what ended while the daemon did not run, and whenever cycles have ended."""

    def __init__(
        self, config: Path, accounts: Callable[[], Iterable[Account]], after_s: int, clock: Callable[[], int]
    ) -> None:
        """`config` is the daemon's file; a cycle is billed `after_s` after its end."""
        self._config, self._accounts, self._after_s, self._clock = config, accounts, after_s, clock

    async def run(self) -> None:
        """Until it is cancelled."""
        run_at = self._clock()
        while True:
            now = self._clock()
            if now >= run_at:
                is_done = await self._bill()
                # What ended while the run was under way is billed by the next one.
                run_at = next_end(self._accounts(), now, self._after_s) if is_done else now + LOOK_AGAIN_S * MICROS
            else:
                run_at = min(run_at, next_end(self._accounts(), now, self._after_s))
            wait_us = min(max(run_at - self._clock(), 0), LOOK_AGAIN_S * MICROS)
            await asyncio.sleep(wait_us / MICROS)

    async def _bill(self) -> bool:
        """Whether a run did what there was to do."""
        try:
            answer = await run_command("bill-run", self._config, "--ended-for", str(self._after_s))
        except CommandFailed as failure:
            log.error("the bill run %s, and will be tried again: %s", failure.how, failure)
            return False
        log.info("bill run", extra=msgspec.json.decode(answer, type=dict[str, int | float | str]))
        return True


def next_end(accounts: Iterable[Account], now: int, after_s: int) -> int:
    """When the next bill cycle of any account will have ended for so long, µs UTC; in an hour without accounts."""
    after_us = after_s * MICROS
    clocks = {account.clock for account in accounts}
    ends = (AccountCalendar(*clock).cycle(now - after_us)[1] + after_us for clock in clocks)
    return min(ends, default=now + LOOK_AGAIN_S * MICROS)
