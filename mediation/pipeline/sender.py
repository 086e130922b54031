"""One source's way into the pipeline: its lines through the front, and over the seam to the store's owner."""

import asyncio
from collections.abc import Callable
from typing import Final

from mediation.formats.ndjson import parse_line
from mediation.pipeline.front import Front
from mediation.pipeline.owner import StoreOwner
from rating.store.batch import Batch, Outcome, Position

LINES_AT_ONCE: Final = 500
"""Lines processed before the event loop gets its turn: some milliseconds."""

Clock = Callable[[], int]
"""Microseconds since 1970 UTC, now."""


class Sender:
    """Takes the deliveries of one source."""

    def __init__(self, source: str, source_id: int, front: Front, owner: StoreOwner, clock: Clock) -> None:
        self.source = source
        self.source_id = source_id
        self._front = front
        self._owner = owner
        self._clock = clock

    async def send(self, lines: list[bytes], position: Position | None) -> Outcome:
        """The outcome of a delivery, once it is durable. Raises Overloaded or Stopping: then nothing was stored."""
        return await self._owner.put(await self.prepare(lines, position))

    async def send_patiently(self, lines: list[bytes]) -> "asyncio.Future[Outcome]":
        """Wait for room instead of refusing; returns when the delivery is queued. Raises Stopping."""
        return await self._owner.put_patiently(await self.prepare(lines, None))

    async def prepare(self, lines: list[bytes], position: Position | None) -> Batch:
        """Decode, guide and rate, some hundred lines at a time."""
        maker = self._front.begin(self.source, self.source_id, self._clock(), position)
        for at in range(0, len(lines), LINES_AT_ONCE):
            if at:
                await asyncio.sleep(0)
            maker.add([line.removesuffix(b"\r") for line in lines[at : at + LINES_AT_ONCE]], parse_line)
        return maker.batch
