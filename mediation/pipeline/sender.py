"""One source's way into the pipeline: its lines through the front, and over the seam to the store's owner."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from mediation.formats import Parse
from mediation.formats.ndjson import parse_line
from mediation.pipeline.front import Front
from mediation.pipeline.owner import StoreOwner
from rating.store.batch import Batch, Outcome, Position

LINES_AT_ONCE: Final = 32
"""Lines processed between two looks at the time."""
TURN_S: Final = 0.004
"""After so long the event loop gets its turn."""

Clock = Callable[[], int]
"""Microseconds since 1970 UTC, now."""


class Sender:
    """Takes the deliveries of one source."""

    def __init__(
        self,
        source: str,
        source_id: int,
        front: Front,
        owner: StoreOwner,
        clock: Clock,
        parse: Parse = parse_line,
        format_name: str = "ndjson",
        feed: str | None = None,
    ) -> None:
        """`format_name` says how to read a line again that was suspended; `parse` reads it. `feed` is its name where
        the source has several: they may report the same calls."""
        self._feed = feed
        self._parse = parse
        self._format_name = format_name
        self.source = source
        self.source_id = source_id
        self._front = front
        self._owner = owner
        self._clock = clock

    async def send(self, lines: list[bytes], position: Position | None) -> Outcome:
        """The outcome of a delivery, once it is durable. Raises Overloaded or Stopping: then nothing was stored."""
        return await self._owner.put(await self.prepare(lines, position))

    async def send_patiently(self, lines: list[bytes], position: Position | None = None) -> "asyncio.Future[Outcome]":
        """Wait for room instead of refusing; returns when the delivery is queued. Raises Stopping."""
        return await self._owner.put_patiently(await self.prepare(lines, position))

    async def prepare(self, lines: list[bytes], position: Position | None) -> Batch:
        """Decode, guide and rate, some milliseconds at a time."""
        maker = self._front.begin(self.source, self.source_id, self._clock(), position, self._format_name, self._feed)
        at = 0
        while at < len(lines):
            # One turn of all deliveries in a turn of the event loop: a page waits for one of them, not for twenty.
            async with self._owner.preparing:
                began = time.perf_counter()
                while at < len(lines):
                    some = [line.removesuffix(b"\r") for line in lines[at : at + LINES_AT_ONCE]]
                    at += maker.add(some, self._parse, may_stop=True)
                    if time.perf_counter() - began > TURN_S:
                        break
                await asyncio.sleep(0)
        return maker.batch
