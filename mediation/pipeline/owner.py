"""Behind the seam: the one task that owns the store. Takes what is waiting, writes it, counts it, commits it, and only
then lets the sources be answered."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from mediation.pipeline.metrics import PipelineMetrics
from rating.counters import Counters
from rating.store.batch import Batch, Outcome
from rating.store.port import Store

log: Final = logging.getLogger(__name__)

SNAPSHOT_EVERY: Final = 1_000_000
"""Transactions between two snapshots of the counters: what a start after a crash has to replay at most."""


class Overloaded(Exception):
    """The queue is full; the source has to come again later."""

    retry_after_s: Final = 1


class Stopping(Exception):
    """The daemon takes no more work."""


class StoreOwner:
    """The bounded queue in front of the store, and the task that empties it."""

    def __init__(
        self, store: Store, counters: Counters, metrics: PipelineMetrics, *, max_queued: int, max_commit: int
    ) -> None:
        """At most `max_queued` records wait; at most `max_commit` go into one commit (but one batch always does)."""
        self._store = store
        self.counters = counters
        self._metrics = metrics
        self._max_queued = max_queued
        self._max_commit = max_commit
        self._queue: deque[tuple[Batch, asyncio.Future[Outcome]]] = deque()
        self._queued = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._stopping = False
        self._between = asyncio.Lock()  # held while counters and store do not agree
        self._snapshot_at = counters.covers_id

    @property
    def queued(self) -> int:
        """Records that wait for their commit or are in it."""
        return self._queued

    @property
    def is_stopping(self) -> bool:
        """Whether no more work is taken."""
        return self._stopping

    @property
    def is_full(self) -> bool:
        """Whether a further batch would be refused."""
        return self._stopping or self._queued >= self._max_queued

    async def put(self, batch: Batch) -> Outcome:
        """The outcome of a batch, once it is durable. Raises Overloaded or Stopping: then nothing was stored."""
        if self._stopping:
            raise Stopping
        if not self._has_room(batch):
            raise Overloaded
        # Shielded: a source that goes away must not take the others' answers along.
        return await asyncio.shield(self._enqueue(batch))

    async def put_patiently(self, batch: Batch) -> "asyncio.Future[Outcome]":
        """Wait for room; returns when the batch is queued, its outcome being still to come. Raises Stopping."""
        while not self._stopping and not self._has_room(batch):
            self._room.clear()
            await self._room.wait()
        if self._stopping:
            raise Stopping
        return self._enqueue(batch)

    def _has_room(self, batch: Batch) -> bool:
        return not self._queued or self._queued + batch.received <= self._max_queued

    def _enqueue(self, batch: Batch) -> "asyncio.Future[Outcome]":
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._queue.append((batch, done))
        self._queued += batch.received
        self._wake.set()
        return done

    async def run(self) -> None:
        """Empty the queue until `stop`; ends with the queue empty. Raises StoreFailed, and then it is over: whoever
        still waits is told that nothing of theirs was stored (it may have been; then it will be a duplicate)."""
        taken: list[tuple[Batch, asyncio.Future[Outcome]]] = []
        try:
            while True:
                while not self._queue:
                    if self._stopping:
                        return
                    self._wake.clear()
                    await self._wake.wait()
                taken = self._take()
                await self._commit(taken)
                if self.counters.covers_id - self._snapshot_at >= SNAPSHOT_EVERY:
                    await self.save_snapshot()
        finally:
            self.stop()
            for _, done in [*taken, *self._queue]:
                if not done.done():
                    done.set_exception(Stopping())
                    done.exception()  # looked at, should nobody wait for it any more

    def stop(self) -> None:
        """Take no more; `run` ends when everything taken is committed."""
        self._stopping = True
        self._wake.set()
        self._room.set()

    @contextlib.asynccontextmanager
    async def standstill(self) -> AsyncIterator[None]:
        """While it is held no commit happens: counters and store are as of one transaction."""
        async with self._between:
            yield

    async def save_snapshot(self) -> None:
        """Store where the counters stand."""
        async with self._between:
            began = time.perf_counter()
            await self._store.save_snapshot(self.counters.covers_id, self.counters.parts())
            self._snapshot_at = self.counters.covers_id
        log.info(
            "counters saved",
            extra={
                "covers_id": self._snapshot_at,
                "counters": len(self.counters),
                "seconds": round(time.perf_counter() - began, 3),
            },
        )

    def _take(self) -> list[tuple[Batch, asyncio.Future[Outcome]]]:
        taken = [self._queue.popleft()]
        records = taken[0][0].received
        while self._queue and records + self._queue[0][0].received <= self._max_commit:
            taken.append(self._queue.popleft())
            records += taken[-1][0].received
        return taken

    async def _commit(self, taken: list[tuple[Batch, asyncio.Future[Outcome]]]) -> None:
        async with self._between:
            began = time.perf_counter()
            admission = await self._store.write([batch for batch, _ in taken], self.counters.add)
            took = time.perf_counter() - began
        for (batch, done), outcome in zip(taken, admission.outcomes, strict=True):
            self._queued -= batch.received
            self._metrics.count(batch.source, outcome)
            if not done.done():
                done.set_result(outcome)
        self._metrics.committed(took, sum(batch.received for batch, _ in taken))
        self._room.set()
