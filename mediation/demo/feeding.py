"""The demo's calls: past weeks of them, those of the story, and those that come in as they happen."""

import asyncio
import contextlib
import heapq
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime
from itertools import takewhile
from operator import itemgetter
from typing import Any, Final

from mediation.demo.provisioning import PAST, SEED
from mediation.demo.site import NAS_POP, NAS_SECRET, POPS, DemoSite
from simulators import pacing
from simulators.call_records import Record
from simulators.courier import Totals
from simulators.exchange import Call, Exchange
from simulators.journal import Journal
from simulators.live_calls import WARM_UP, Records, as_they_begin, make_calls, wall_clock
from simulators.nas import Nas
from simulators.nas_settings import NasSettings
from simulators.pop import Pop
from simulators.pop_link import HttpLink
from simulators.pop_settings import PopSettings
from simulators.population import Line
from simulators.traffic import Traffic

CALLS_PER_S: Final = 2.0
"""Of each POP, live."""
PAST_CALLS: Final = 3_000
"""Of each POP, about so many, before the demo begins."""
STORY_CALLS: Final = 200

Timed = Iterator[tuple[float, Record]]


def past(lines: list[Line], name: str) -> Timed:
    """Calls of the past weeks, by the population's own day and night."""
    rate = PAST_CALLS / PAST.total_seconds()
    now = datetime.now(UTC)
    calls = takewhile(lambda call: call.ended_at < now, _traffic(lines, name, now - PAST, rate, steady=False))
    return pacing.at_once(call.record for call in calls)


def some(lines: list[Line], name: str) -> Timed:
    """The calls of the scripted story."""
    return pacing.first(STORY_CALLS, pacing.at_once(_traffic(lines, name, datetime.now(UTC), 1000.0).records()))


async def make_live_calls(exchange: Exchange, shares: list[tuple[str, list[Line]]], stop: asyncio.Event) -> None:
    """The present's calls, placed at the exchange and ended as they fall due, for ever: those that began before are
    going on."""
    now = datetime.now(UTC)
    every = [as_they_begin(_traffic(lines, name, now - WARM_UP, CALLS_PER_S), now) for name, lines in shares]
    await make_calls(exchange, heapq.merge(*every, key=itemgetter(0)), wall_clock, stop)


@contextlib.asynccontextmanager
async def reporting(site: DemoSite, name: str, exchange: Exchange) -> AsyncIterator[Pop]:
    """A POP that sends the records of its calls at the exchange as they end."""
    records = Records(exchange, lambda record: record["switch"] == name)
    async with _running(site, name, lambda pop: pop.run_live(records.queue)) as (pop, _):
        yield pop


class ReportingNas(Nas):
    """A NAS that reports the local calls of one POP of the exchange, while they go on and when they end.

    Accounting says neither the service nor who else pays: of those calls it need not."""

    def __init__(self, site: DemoSite, exchange: Exchange) -> None:
        super().__init__(NasSettings(site.accounting, NAS_SECRET.encode()), exchange=exchange)

    def answered(self, at_exchange: Call) -> None:
        """It is one of ours, or not: of others it tells nothing."""
        record = at_exchange.plan.record
        if (record.get("switch"), record.get("service"), record.get("type")) == (NAS_POP, "local", "direct"):
            super().answered(at_exchange)


def _traffic(lines: list[Line], name: str, start: datetime, rate: float, *, steady: bool = True) -> Traffic:
    seed = SEED + POPS.index(name)
    return Traffic(lines, seed=seed, start=start, calls_per_s=rate, steady=steady, switch=name)


async def send(site: DemoSite, name: str, timed: Timed) -> Pop:
    """Send records as they fall due, until they have all been acknowledged."""
    async with _running(site, name, lambda pop: pop.run(timed)) as (pop, task):
        await task
    return pop


@contextlib.asynccontextmanager
async def _running(
    site: DemoSite, name: str, run: Callable[[Pop], Coroutine[Any, Any, Totals]]
) -> AsyncIterator[tuple[Pop, "asyncio.Task[Totals]"]]:
    """A POP that is sending; it is stopped at the end."""
    link = HttpLink(site.addresses["feeds.pops"], name)
    pop = Pop(name, link, Journal(str(time.time_ns())), PopSettings(batch_records=50, linger_s=0.5))
    async with link:
        task = asyncio.create_task(run(pop), name=name)
        try:
            yield pop, task
        finally:
            pop.stop()
            await asyncio.wait({task})
    task.result()
