"""One source's way into the pipeline: its lines through the front, and over the seam to the store's owner."""

import asyncio
from collections.abc import Callable, Iterable

from mediation.pipeline.owner import StoreOwner
from mediation.pipeline.preparing import Delivery, Preparer
from mediation.pipeline.room import Place
from rating.store.batch import Batch, Outcome, Position

Clock = Callable[[], int]
"""Microseconds since 1970 UTC, now."""


class Sender:
    """Takes the deliveries of one source."""

    def __init__(
        self,
        source: str,
        source_id: int,
        preparer: Preparer,
        owner: StoreOwner,
        clock: Clock,
        format_name: str = "ndjson",
        feed: str | None = None,
    ) -> None:
        """`format_name` says how a line is read, now or again when it was suspended. `feed` is its name where the
        source has several: they may report the same calls."""
        self._feed = feed
        self._format_name = format_name
        self.source = source
        self.source_id = source_id
        self._preparer = preparer
        self._owner = owner
        self._clock = clock

    async def send(self, lines: list[bytes], position: Position | None, place: Place | None = None) -> Outcome:
        """The outcome of a delivery, once it is durable. Raises Overloaded, unless it has a place already, or Stopping:
        then nothing was stored."""
        return await self._owner.put(await self.prepare(lines, position), place)

    async def send_patiently(self, lines: list[bytes], position: Position | None = None) -> "asyncio.Future[Outcome]":
        """Wait for room instead of refusing; returns when the delivery is queued. Raises Stopping."""
        with await self._owner.patient_room.take_patiently(self.source_id, records_in(lines)) as place:
            queued = await self._owner.put_patiently(await self.prepare(lines, position))
            place.hold_until(queued)
            return queued

    async def prepare(self, lines: list[bytes], position: Position | None) -> Batch:
        """Decode, guide and rate the lines, which may have a CR at their end."""
        plain = [line.removesuffix(b"\r") for line in lines]
        with self._owner.gathering.preparing(len(lines)):
            return await self._preparer.prepare(
                Delivery(self.source, self.source_id, self._clock(), plain, position, self._format_name, self._feed)
            )


def records_in(lines: Iterable[bytes]) -> int:
    """How many records a delivery's lines are: blank ones do not count."""
    return sum(map(bool, map(bytes.strip, lines)))
