"""The way of one claimed file through the pipeline: its chunks, each with its position, a few at a time."""

import asyncio
import contextlib
import logging
from collections import deque
from pathlib import Path
from typing import Final

from mediation.feeds.chunks import Chunk, chunks_of
from mediation.pipeline.sender import Sender
from rating.store.batch import Outcome, Position
from rating.store.port import Store
from rating.store.positions import taken_by

log: Final = logging.getLogger(__name__)

IN_FLIGHT: Final = 4
"""Chunks of one file that wait for their commit at most."""


class FileDelivery:
    """Sends the files of one source, one after the other."""

    def __init__(self, sender: Sender, store: Store) -> None:
        self._sender = sender
        self._store = store
        self._stopping = False

    def stop(self) -> None:
        """Read no further chunk."""
        self._stopping = True

    async def send(self, claimed: Path, *, is_new: bool) -> Outcome | None:
        """Send what is not committed yet of a file; what became of it, or None where `stop` came before its end. What
        was queued is answered when it returns or raises. Raises OSError, what `chunks` calls NOT_GZIP, Stopping, and
        StoreError."""
        reading = chunks_of(claimed)
        in_flight: deque[tuple[Chunk, asyncio.Future[Outcome]]] = deque()
        total = Outcome()
        try:
            while not self._stopping and (chunk := await asyncio.to_thread(next, reading, None)):
                position = Position(f"file:{claimed.name}", chunk.sequence, chunk.digest)
                if not is_new and await self._is_committed(position):
                    continue
                if len(in_flight) == IN_FLIGHT:
                    await self._answered(claimed, *in_flight.popleft(), total)
                in_flight.append((chunk, await self._sender.send_patiently(chunk.lines, position)))
            is_whole = not self._stopping
            while in_flight:
                await self._answered(claimed, *in_flight.popleft(), total)
            return total if is_whole else None
        finally:
            await asyncio.gather(*(future for _, future in in_flight), return_exceptions=True)
            with contextlib.suppress(ValueError):  # cancelled, and a thread is still reading
                reading.close()

    async def _is_committed(self, position: Position) -> bool:
        taken = await self._store.read(taken_by, self._sender.source_id, position)
        return taken == position.digest

    async def _answered(self, claimed: Path, chunk: Chunk, future: "asyncio.Future[Outcome]", total: Outcome) -> None:
        """Wait until a chunk is durable. Its position can be taken by another content where a file was written to
        after it had been claimed: then it goes without one, and the natural keys tell what is new."""
        outcome = await future
        if outcome.conflict:
            log.warning(
                "a file is not what it was when it was read before: sending its records again",
                extra={"source": self._sender.source, "file": claimed.name, "chunk": chunk.sequence},
            )
            outcome = await (await self._sender.send_patiently(chunk.lines))
        total.accepted += outcome.accepted
        total.duplicate += outcome.duplicate
        total.suspended += outcome.suspended
