"""A telephony POP: batches its call records, and keeps each batch until the daemon has acknowledged it.

`Pop` works in any event loop, for tests and the demo; `main` is the command `tollkeeper simulate pop`.
"""

import asyncio
import json
import math
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from simulators import pacing
from simulators.call_records import Record
from simulators.command_line import UsageError, run_command
from simulators.courier import Courier, PopError, Totals
from simulators.faults import Mishap, mishap_of
from simulators.journal import Batch, DirectoryJournal, Journal, JournalError
from simulators.pop_link import HttpLink, Link
from simulators.pop_settings import PROGRAM, PopOptions, PopSettings, parse_options
from simulators.pop_stream import StreamLink
from simulators.status_page import status_page
from simulators.traffic import Traffic

_UNPACED_CALLS_PER_S: Final = 100_000.0
"""Simulated calls a second at `--rate 0`: more than a POP can send, so that its clock never overtakes the real one."""


class Pop:
    """One POP. `run` it once."""

    def __init__(self, name: str, link: Link, journal: Journal, settings: PopSettings | None = None) -> None:
        """`link` is open while it runs."""
        self.name = name
        self._settings = settings or PopSettings()
        self._journal = journal
        self._courier = Courier(link, journal, self._settings.retry, remember_ids=self._settings.remember_ids)
        self._slots = asyncio.Semaphore(self._settings.in_flight)
        self._stopping = asyncio.Event()
        self._limit: asyncio.Timeout | None = None
        self._held_back: list[tuple[int, Batch]] = []
        """Batches that later ones overtake, with the number of those that still may."""
        self._again: list[bytes] = []
        """Records that the next batch repeats."""

    @property
    def totals(self) -> Totals:
        return self._courier.totals

    @property
    def acknowledged_ids(self) -> set[str]:
        """Ids of the records acknowledged so far; only with `PopSettings.remember_ids`."""
        assert self._courier.acknowledged_ids is not None, "remember_ids is off"
        return self._courier.acknowledged_ids

    def status(self) -> dict[str, Any]:
        """Name, totals, and how many records wait for an acknowledgement: what the status page shows."""
        return {"pop": self.name, **self.totals.as_json(), "unacknowledged": self._journal.records}

    def stop(self) -> None:
        """Take no more records; `run` returns when all is acknowledged, or after `drain_s`. May be called twice."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._bound_run()

    async def run(self, timed: Iterable[tuple[float, Record]]) -> Totals:
        """Send what the journal holds, then these records, each when it is due (seconds from now) and never earlier.

        Returns when the records have ended and all are acknowledged, or after `stop`; what is then still open stays
        in the journal.

        Raises:
            PopError: see `Courier.deliver`.
        """
        return await self._run(partial(self._feed, timed))

    async def run_live(self, records: "asyncio.Queue[Record]") -> Totals:
        """The same with records that somebody else puts into a queue, until `stop`; what is in it by then is sent.

        Raises:
            PopError: see `Courier.deliver`.
        """
        return await self._run(partial(self._feed_live, records))

    async def _run(self, feed: Callable[[asyncio.TaskGroup], Awaitable[None]]) -> Totals:
        try:
            async with asyncio.timeout(None) as self._limit, asyncio.TaskGroup() as deliveries:
                if self._stopping.is_set():
                    self._bound_run()
                await self._send_all(feed, deliveries)
        except TimeoutError:
            assert self._stopping.is_set()
        except ExceptionGroup as group:
            refusals, others = group.split(PopError)
            if others or not refusals:
                raise
            # what the deliveries in flight were refused for is the same thing: one of them says it
            raise refusals.exceptions[0] from None
        finally:
            self._limit = None
        return self.totals

    def _bound_run(self) -> None:
        if self._limit:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._settings.drain_s)

    async def _send_all(
        self, feed: Callable[[asyncio.TaskGroup], Awaitable[None]], deliveries: asyncio.TaskGroup
    ) -> None:
        for batch in list(self._journal):
            self.totals.restored += len(batch.records)
            await self._launch(batch, Mishap(), deliveries)
        await feed(deliveries)
        if self._again:
            await self._launch(self._append([]), Mishap(), deliveries)
        for _, batch in self._held_back:
            await self._launch(batch, self._mishap_of(batch), deliveries)

    async def _feed(self, timed: Iterable[tuple[float, Record]], deliveries: asyncio.TaskGroup) -> None:
        """Collect records as they fall due; a batch leaves when it is full, or its first record has lingered."""
        clock = asyncio.get_running_loop().time
        begun_at = clock()
        records: list[bytes] = []
        leaves_at = math.inf
        for due_s, record in timed:
            due_at = begun_at + due_s
            if records and max(due_at, clock()) >= leaves_at:
                await self._sleep_until(leaves_at)
                await self._dispatch(records, deliveries)
                records = []
            await self._sleep_until(due_at)
            if self._stopping.is_set():
                break
            if not records:
                leaves_at = clock() + self._settings.linger_s
            records.append(self._taken(record))
            if len(records) >= self._settings.batch_records:
                await self._dispatch(records, deliveries)
                records = []
        if records:
            await self._dispatch(records, deliveries)

    async def _feed_live(self, queue: "asyncio.Queue[Record]", deliveries: asyncio.TaskGroup) -> None:
        """Collect records as they come; batches leave as those do that are due at their times."""
        clock = asyncio.get_running_loop().time
        records: list[bytes] = []
        leaves_at: float | None = None
        while queue.qsize() or not self._stopping.is_set():
            record = await self._next(queue, leaves_at)
            if record is not None:
                leaves_at = leaves_at or clock() + self._settings.linger_s
                records.append(self._taken(record))
            if records and (record is None or len(records) >= self._settings.batch_records):
                await self._dispatch(records, deliveries)
                records, leaves_at = [], None
        if records:
            await self._dispatch(records, deliveries)

    async def _next(self, queue: "asyncio.Queue[Record]", leaves_at: float | None) -> Record | None:
        """The next record; None if there is none by an instant of the loop's clock, or `stop`."""
        if queue.qsize():
            return queue.get_nowait()
        getting, stopped = asyncio.ensure_future(queue.get()), asyncio.ensure_future(self._stopping.wait())
        try:
            wait_s = None if leaves_at is None else max(0.0, leaves_at - asyncio.get_running_loop().time())
            await asyncio.wait({getting, stopped}, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            return getting.result() if getting.done() else None
        finally:
            getting.cancel()
            stopped.cancel()

    def _taken(self, record: Record) -> bytes:
        """A record as it goes into a batch, counted."""
        self.totals.calls += 1
        return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()

    async def _sleep_until(self, at: float) -> None:
        """Until an instant of the loop's clock, or `stop`."""
        if at <= asyncio.get_running_loop().time():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout_at(at):
                await self._stopping.wait()

    async def _dispatch(self, records: list[bytes], deliveries: asyncio.TaskGroup) -> None:
        """Make a batch of records and launch it, unless it is held back; then those that were overtaken long enough."""
        batch = self._append(records)
        mishap = self._mishap_of(batch)
        if mishap.record_again is not None:
            self._again.append(batch.records[int(mishap.record_again * len(batch.records))])
        if mishap.held_back:
            self._held_back.append((mishap.held_back, batch))
            return
        await self._launch(batch, mishap, deliveries)
        overtaken = [(left - 1, held) for left, held in self._held_back]
        self._held_back = [(left, held) for left, held in overtaken if left]
        for held in [held for left, held in overtaken if not left]:
            await self._launch(held, self._mishap_of(held), deliveries)

    def _append(self, records: list[bytes]) -> Batch:
        batch = self._journal.append(records + self._again)
        self.totals.repeated += len(self._again)
        self._again.clear()
        return batch

    def _mishap_of(self, batch: Batch) -> Mishap:
        return mishap_of(self._settings.faults, self._settings.seed, batch.sequence)

    async def _launch(self, batch: Batch, mishap: Mishap, deliveries: asyncio.TaskGroup) -> None:
        """Begin a delivery as soon as there is room for one more."""
        await self._slots.acquire()
        deliveries.create_task(self._deliver(batch, mishap), name=f"batch {batch.position}")
        # with everything due at once the feed never waits: the deliveries get their turn here
        await asyncio.sleep(0)

    async def _deliver(self, batch: Batch, mishap: Mishap) -> None:
        try:
            await self._courier.deliver(batch, mishap)
        finally:
            self._slots.release()


def main(argv: Sequence[str] | None = None) -> int:
    """The command `tollkeeper simulate pop`; its exit status."""
    return run_command(PROGRAM, lambda: _prepared(parse_options(argv)), PopError)


def _prepared(options: PopOptions) -> Callable[[], Coroutine[Any, Any, int]]:
    return partial(_run, options, _open_journal(options))


def timed_calls(options: PopOptions, now: datetime) -> Iterator[tuple[float, Record]]:
    """The calls that the options ask for, each with the second at which it is due. `now` has an offset.

    Without a start the calls are live: at a rate they end from now on, as fast as possible they ended in the last hour.
    """
    lines, seed, rate = options.lines, options.settings.seed, options.rate
    if options.start:
        calls = Traffic(lines, seed=seed, start=options.start, switch=options.source)
        timed = pacing.at_rate(calls, rate) if rate else pacing.at_once(calls.records())
    elif rate:
        calls = Traffic(lines, seed=seed, start=now, calls_per_s=rate, steady=True, switch=options.source)
        timed = pacing.as_they_end(calls, now)
    else:
        begun_at = now - timedelta(hours=1)
        calls = Traffic(
            lines, seed=seed, start=begun_at, calls_per_s=_UNPACED_CALLS_PER_S, steady=True, switch=options.source
        )
        timed = pacing.at_once(calls.records())
    return pacing.first(options.count, timed)


async def _run(options: PopOptions, journal: Journal) -> int:
    link: HttpLink | StreamLink
    if options.websocket:
        link = StreamLink(options.url, options.token)
    else:
        link = HttpLink(options.url, options.token, gzipped=options.gzipped)
    async with AsyncExitStack() as stack:
        pop = Pop(options.source, await stack.enter_async_context(link), journal, options.settings)
        loop = asyncio.get_running_loop()
        for end in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(end, pop.stop)
            stack.callback(loop.remove_signal_handler, end)
        page = await stack.enter_async_context(status_page(*options.listen, pop.status))
        print(json.dumps({"pop": pop.name, "status": page}), flush=True)
        try:
            await pop.run(timed_calls(options, datetime.now(UTC)))
        finally:
            print(json.dumps(pop.status()), flush=True)
    return 0 if journal.survives or not journal.records else 1


def _open_journal(options: PopOptions) -> Journal:
    # in milliseconds, so that two runs of one source never share an epoch
    epoch = str(time.time_ns() // 1_000_000)
    if options.journal is None:
        return Journal(epoch)
    try:
        return DirectoryJournal(options.journal, epoch)
    except JournalError as error:
        raise UsageError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
