"""Behind the seam: the one task that owns the store. Takes what is waiting, writes it, counts it, commits it, and only
then lets the sources be answered."""

import asyncio
import contextlib
import logging
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from mediation.pipeline.gathering import Gathering
from mediation.pipeline.metrics import PipelineMetrics
from mediation.pipeline.room import Place, Room
from mediation.pipeline.stopping import Stopping, Unknown
from rating.counters import Counters
from rating.store.batch import Batch, Outcome, Row
from rating.store.port import Count, Store
from rating.store.recycling import Readmission, Retried

T = TypeVar("T")

log: Final = logging.getLogger(__name__)

SNAPSHOT_EVERY: Final = 1_000_000
"""Transactions between two snapshots of the counters: what a start after a crash has to replay at most."""


WRITES_UNDER_WAY: Final = 2
"""One is being written, and the next one waits in the store's thread: between two the thread does not have to wait for
the event loop. What is in the next one is decided when its turn comes, so that commits stay large."""


Watch = Callable[[Any, Sequence[Row]], bool]
"""Called in the store's thread with its open connection and the new transactions, in ascending order of their ids; True
if it wrote something that is to be acted on."""


class StoreOwner:
    """The bounded queue in front of the store, and the task that empties it."""

    def __init__(
        self,
        store: Store,
        counters: Counters,
        metrics: PipelineMetrics,
        *,
        max_queued: int,
        max_commit: int,
        watch: Watch | None = None,
        acted: Callable[[], None] = lambda: None,
    ) -> None:
        """`watch` looks at new transactions before they are committed, and may write what follows from them; `acted` is
        told after the commit if it did.

        At most `max_commit` records go into one commit (but one batch always does). At most `max_queued` of one
        source wait (but one batch always does): nobody is refused, or made to wait, for what others have sent. Those of
        `put` do not count those of `put_patiently`: a stream does not have its source's requests refused."""
        self._store = store
        self.counters = counters
        self._metrics = metrics
        self._watch = watch
        self._acted = acted
        self._max_queued = max_queued
        self.room = Room(max_queued)
        """For what is refused when there is too much, and not made to wait."""
        self.patient_room = Room(max_queued)
        """For what is made to wait: before it is prepared, for it takes more memory then."""
        self.gathering = Gathering()
        self._max_commit = max_commit
        self._queue: deque[_Waiting] = deque()
        self._queued = 0
        self._queued_of: Counter[int] = Counter()  # of those, by source
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._stopping = False
        self._unanswered: set[asyncio.Future[Outcome]] = set()
        self._written: set[asyncio.Future[Outcome]] = set()  # of those: handed to the store
        self._permits = asyncio.Semaphore(WRITES_UNDER_WAY)
        self._one_standstill = asyncio.Lock()
        self._snapshot_at = counters.restored_id
        self.commits = 0
        """Since the start."""
        self._writing: set[asyncio.Task[Any]] = set()
        self._failure: Exception | None = None  # of something in between: nothing else may be written after it

    @property
    def queued(self) -> int:
        """Records that wait for their commit or are in it."""
        return self._queued

    @property
    def is_stopping(self) -> bool:
        """Whether no more work is taken."""
        return self._stopping

    async def put(self, batch: Batch, place: Place | None = None) -> Outcome:
        """The outcome of a batch, once it is durable. Raises Overloaded or Stopping: then nothing was stored. With a
        place, which its source took before, it is never Overloaded."""
        if self._stopping:
            raise Stopping
        if place is None:
            with self.room.take(batch.source, batch.received) as own:
                return await self.put(batch, own)
        done = self._enqueue(batch)
        place.hold_until(done)
        # Shielded: a source that goes away must not take the others' answers along.
        return await asyncio.shield(done)

    async def put_patiently(self, batch: Batch) -> "asyncio.Future[Outcome]":
        """Wait for room; returns when the batch is queued, its outcome being still to come. Raises Stopping."""
        while not self._stopping and 0 < self._queued_of[batch.source] > self._max_queued - batch.received:
            self._room.clear()
            await self._room.wait()
        if self._stopping:
            raise Stopping
        return self._enqueue(batch)

    def _enqueue(self, batch: Batch) -> "asyncio.Future[Outcome]":
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._queue.append((batch, done))
        self._unanswered.add(done)
        self._queued += batch.received
        self._queued_of[batch.source] += batch.received
        self._wake.set()
        return done

    async def recycle(self, retried: Sequence[Retried], actor: str, now: int) -> Readmission:
        """Take suspended records that were processed again out of suspense, in one store transaction between those of
        the queue. Raises Stopping: then nothing was changed; or StoreFailed: then it is over, as it is for `run`."""
        return await self.in_between(lambda count: self._store.recycle(retried, actor, now, count))

    async def in_between(self, write: Callable[[Count], Awaitable[T]]) -> T:
        """Have transactions written that do not come from the queue, in a store transaction between those that do:
        `write` hands the store what it is given, so that they are counted and watched. Raises Stopping: then nothing
        was written; or StoreFailed: then it is over, as it is for `run`."""
        if self._stopping:
            raise Stopping
        # Shielded: who asked may go away, and the permit must be held until the store is done.
        writing = asyncio.create_task(self._write_between(write), name="writing in between")
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        return await asyncio.shield(writing)

    async def _write_between(self, write: Callable[[Count], Awaitable[T]]) -> T:
        async with self._permits:
            try:
                counting = _Counting(self.counters, self._watch)
                written = await write(counting)
            except Exception as failure:
                self._failure = failure
                self.stop()
                raise
        if counting.acted:
            self._acted()
        return written

    async def run(self) -> None:
        """Empty the queue until `stop`; ends with the queue empty. Raises StoreFailed, and then it is over: whoever
        still waits gets Stopping, or Unknown."""
        writing = [asyncio.create_task(self._write_on(), name=f"store owner {n}") for n in range(WRITES_UNDER_WAY)]
        try:
            await asyncio.gather(*writing)
        finally:
            self.stop()
            for task in writing:
                task.cancel()
            await asyncio.gather(*writing, return_exceptions=True)
            for done in self._unanswered:
                if not done.done():
                    done.set_exception(Unknown() if done in self._written else Stopping())
                    done.exception()  # looked at, should nobody wait for it any more

    async def _write_on(self) -> None:
        while True:
            while not self._queue:
                if self._failure:
                    raise self._failure
                if self._stopping:
                    return
                self._wake.clear()
                await self._wake.wait()
            async with self._permits:
                await self._commit()
            if self.counters.covers_id - self._snapshot_at >= SNAPSHOT_EVERY:
                await self.save_snapshot()

    def stop(self) -> None:
        """Take no more; `run` ends when everything taken is committed."""
        self._stopping = True
        self._wake.set()
        self._room.set()

    @contextlib.asynccontextmanager
    async def standstill(self) -> AsyncIterator[None]:
        """While it is held no write is under way: counters and store are as of one transaction."""
        async with self._one_standstill, contextlib.AsyncExitStack() as permits:
            for _ in range(WRITES_UNDER_WAY):
                await permits.enter_async_context(self._permits)
            yield

    def snapshot_is_gone(self) -> None:
        """The counters have been projected again: the stored snapshot does not hold any more, even if it covers the
        same transactions."""
        self._snapshot_at = -1

    async def save_snapshot(self) -> None:
        """Store where the counters stand, unless that was done in the meantime."""
        async with self.standstill():
            if self.counters.covers_id == self._snapshot_at:
                return
            began = time.perf_counter()
            parts = []
            for part in self.counters.each_part():
                parts.append(part)
                await asyncio.sleep(0)  # the feeds and pages have their turn
            await self._store.save_snapshot(self.counters.covers_id, parts, self.counters.unchanged_parts)
            self.counters.saved()
            self._snapshot_at = self.counters.covers_id
            said = {"covers_id": self._snapshot_at, "counters": len(self.counters)}
        log.info("counters saved", extra=said | {"seconds": round(time.perf_counter() - began, 3)})

    async def _commit(self) -> None:
        """One store transaction of what is waiting when the store gets to it."""
        taken: list[_Waiting] = []
        began = time.perf_counter()

        def take() -> list[Batch]:
            nonlocal began
            began = time.perf_counter()
            taken.extend(self._take())
            self._written.update(done for _, done in taken)
            return [batch for batch, _ in taken]

        counting = _Counting(self.counters, self._watch)
        admission = await self._store.write(take, counting, self.gathering.worth_while(self._waiting, self._max_commit))
        if not taken:
            return
        self.commits += 1
        for (batch, done), outcome in zip(taken, admission.outcomes, strict=True):
            self._queued -= batch.received
            self._queued_of[batch.source] -= batch.received
            self._metrics.count(batch, outcome)
            self._unanswered.discard(done)
            self._written.discard(done)
            if not done.done():  # a stream that was cut off takes its answers along
                done.set_result(outcome)
        self._metrics.committed(time.perf_counter() - began, sum(batch.received for batch, _ in taken))
        if counting.acted:
            self._acted()
        self._room.set()

    def _waiting(self) -> int:
        """Records that wait for a commit; at the end as many as one may have, for it is not put off for more. Called in
        the store's thread."""
        if self._stopping:
            return self._max_commit
        return sum(batch.received for batch, _ in tuple(self._queue))

    def _take(self) -> list["_Waiting"]:
        """What goes into one commit. Called in the store's thread: a deque may be used by two at once."""
        taken: list[_Waiting] = []
        records = 0
        while self._queue and (not taken or records + self._queue[0][0].received <= self._max_commit):
            taken.append(self._queue.popleft())
            records += taken[-1][0].received
        return taken


class _Counting:
    """Counts the new transactions of one store transaction, and lets the watch look at them. Called in the store's
    thread."""

    __slots__ = ("_counters", "_watch", "acted")

    def __init__(self, counters: Counters, watch: Watch | None) -> None:
        self._counters, self._watch, self.acted = counters, watch, False

    def __call__(self, cx: Any, rows: Sequence[Row]) -> None:
        self._counters.add(rows)
        if self._watch is not None and rows:
            self.acted = self._watch(cx, rows)


_Waiting = tuple[Batch, "asyncio.Future[Outcome]"]
