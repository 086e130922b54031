"""What is done with a delivery in front of the seam, and where: in this process, in turns with everything else that its
event loop does; or elsewhere (`seam`)."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from mediation.formats import Parse
from mediation.formats.source_formats import SourceFormats
from mediation.pipeline.front import Front
from rating.store.batch import Batch, Position

LINES_AT_ONCE: Final = 32
"""Lines processed between two looks at the time."""
TURN_S: Final = 0.004
"""After so long the event loop gets its turn."""


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """What one source has delivered at once."""

    source: str
    source_id: int
    arrived_at: int
    """µs UTC."""
    lines: list[bytes]
    """Without their ends."""
    position: Position | None = None
    format: str = "ndjson"
    """A format's name, and after a blank the zone of its local times."""
    feed: str | None = None
    """The feed's name, where the source has several: they may report the same calls."""


class Preparer(Protocol):
    """Who makes batches of deliveries."""

    async def prepare(self, delivery: Delivery) -> Batch:
        """Decode, guide and rate."""


class FrontHere:
    """Prepares in this process, some milliseconds at a time."""

    def __init__(self, front: Front, parser: Callable[[str, str], Parse] | None = None) -> None:
        """`parser`: the format of a name and a source; by default that of sources without a dial plan."""
        self._front = front
        self._parser = parser or SourceFormats().parser
        self._turn = asyncio.Lock()

    async def prepare(self, delivery: Delivery) -> Batch:
        """Decode, guide and rate."""
        parse = self._parser(delivery.format, delivery.source)
        maker = self._front.begin(
            delivery.source, delivery.source_id, delivery.arrived_at, delivery.position, delivery.format, delivery.feed
        )
        lines, at = delivery.lines, 0
        while at < len(lines):
            # One turn of all deliveries in a turn of the event loop: a page waits for one of them, not for twenty.
            async with self._turn:
                began = time.perf_counter()
                while at < len(lines):
                    at += maker.add(lines[at : at + LINES_AT_ONCE], parse, may_stop=True)
                    if time.perf_counter() - began > TURN_S:
                        break
                await asyncio.sleep(0)
        return maker.batch
