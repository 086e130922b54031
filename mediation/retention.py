"""How far back records are kept, and the daily look at what is older."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from mediation.own_command import CommandFailed, run_command
from mediation.pipeline.front import OLDEST_AT
from rating.cdr import MICROS
from rating.store.partitions import month_bounds, partitions
from rating.store.port import Store
from rating.store.retired import DROPPED, states

log: Final = logging.getLogger(__name__)

DAY_S: Final = 86_400
LOOK_AGAIN_S: Final = 3_600
"""What failed is tried again."""


def oldest_at(retention_months: int, now: int) -> int:
    """The first instant (µs UTC) that a retention of so many months keeps; 0 months keep everything."""
    if not retention_months:
        return OLDEST_AT
    today = datetime.fromtimestamp(now // MICROS, UTC)
    index = today.year * 12 + today.month - 1 - retention_months
    return max(OLDEST_AT, month_bounds(index // 12 * 100 + index % 12 + 1)[0])


def due_months(cx: sqlite3.Connection, oldest: int) -> list[int]:
    """The months that are to leave the store, or have begun to; oldest first."""
    standing = states(cx)
    before = {month for month in partitions(cx) if month_bounds(month)[1] <= oldest}
    return sorted(before | {month for month, state in standing.items() if state != DROPPED})


class RetentionSchedule:
    """Has months retired by another process, at the start and once a day, when there are any."""

    def __init__(
        self,
        config: Path,
        store: Store,
        retention_months: int,
        keep_from: Callable[[int], Awaitable[None]],
        clock: Callable[[], int],
    ) -> None:
        """`config` is the daemon's file; `keep_from` has records refused from now on whose start is before an
        instant."""
        self._config, self._store, self._months = config, store, retention_months
        self._keep_from, self._clock = keep_from, clock

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            is_done = await self._look()
            await asyncio.sleep(DAY_S if is_done else LOOK_AGAIN_S)

    async def _look(self) -> bool:
        """Whether what there was to do is done."""
        oldest = oldest_at(self._months, self._clock())
        await self._keep_from(oldest)
        if not await self._store.read(due_months, oldest):
            return True
        try:
            answer = await run_command("retire", self._config)
        except CommandFailed as failure:
            log.error("retiring months %s, and will be tried again: %s", failure.how, failure)
            return False
        told = msgspec.json.decode(answer)
        log.info("months retired", extra={"retired": len(told["retired"]), "kept_back": len(told["kept_back"])})
        for kept in told["kept_back"]:
            log.warning("a month before the retention stays in the store", extra=kept)
        return True
