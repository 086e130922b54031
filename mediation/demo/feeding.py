"""The demo's calls: past weeks of them, those of the story, and those that come in as they happen."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from mediation.demo.site import POPS, SEED, DemoSite
from simulators import pacing
from simulators.call_records import Record
from simulators.courier import Totals
from simulators.journal import Journal
from simulators.pop import Pop
from simulators.pop_link import HttpLink
from simulators.pop_settings import PopSettings
from simulators.population import Line
from simulators.traffic import Traffic

CALLS_PER_S: Final = 2.0
"""Of each POP, live."""
PAST: Final = timedelta(days=21)
PAST_CALLS: Final = 3_000
"""Of each POP, before the demo begins."""
STORY_CALLS: Final = 200

Timed = Iterator[tuple[float, Record]]


def past(lines: list[Line], name: str) -> Timed:
    """Calls of the past weeks, by the population's own day and night."""
    rate = PAST_CALLS / PAST.total_seconds()
    calls = _traffic(lines, name, datetime.now(UTC) - PAST, rate, steady=False)
    return pacing.first(PAST_CALLS, pacing.at_once(calls.records()))


def some(lines: list[Line], name: str) -> Timed:
    """The calls of the scripted story."""
    return pacing.first(STORY_CALLS, pacing.at_once(_traffic(lines, name, datetime.now(UTC), 1000.0).records()))


def live(lines: list[Line], name: str) -> Timed:
    """Each call when it ends, for ever."""
    now = datetime.now(UTC)
    return pacing.as_they_end(_traffic(lines, name, now, CALLS_PER_S), now)


def _traffic(lines: list[Line], name: str, start: datetime, rate: float, *, steady: bool = True) -> Traffic:
    seed = SEED + POPS.index(name)
    return Traffic(lines, seed=seed, start=start, calls_per_s=rate, steady=steady, switch=name)


async def send(site: DemoSite, name: str, timed: Timed) -> Pop:
    """Send records as they fall due, until they have all been acknowledged."""
    async with posting(site, name, timed) as (pop, task):
        await task
    return pop


@contextlib.asynccontextmanager
async def posting(site: DemoSite, name: str, timed: Timed) -> AsyncIterator[tuple[Pop, "asyncio.Task[Totals]"]]:
    """A POP that is sending; it is stopped at the end."""
    link = HttpLink(site.addresses["feeds.pops"], name)
    pop = Pop(name, link, Journal(str(time.time_ns())), PopSettings(batch_records=50, linger_s=0.5))
    async with link:
        task = asyncio.create_task(pop.run(timed), name=name)
        try:
            yield pop, task
        finally:
            pop.stop()
            await asyncio.wait({task})
    task.result()
