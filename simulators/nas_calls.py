"""The calls that a NAS of its own makes: of some lines, at a mean rate, each for a time by chance."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from random import Random
from typing import Any, TypeVar

from simulators.circle import Acquaintances
from simulators.population import Line, callers

C = TypeVar("C")


async def make_calls(
    begin: Callable[[str, str], Awaitable[C | None]],
    end: Callable[[C], Awaitable[None]],
    lines: Sequence[Line],
    *,
    rate: float,
    count: int,
    talk_s: float,
    seed: int,
    stop: asyncio.Event,
) -> None:
    """Calls of some lines at a mean rate, each for an exponential time; until `count` have ended (0: without an end),
    or `stop`: then those that go on are ended."""
    rng, circles = Random(f"{seed}/nas calls"), Acquaintances(lines, seed)
    calling = list(callers(lines))

    async def one_call() -> None:
        line = rng.choice(calling)
        call = await begin(line.number, circles.draw_called(line, rng))
        if call is None:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), rng.expovariate(1 / talk_s))
        await end(call)

    async with asyncio.TaskGroup() as group:
        made = 0
        while not stop.is_set() and (not count or made < count):
            made += 1
            group.create_task(one_call())
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), rng.expovariate(rate))


async def until_drained(making: Coroutine[Any, Any, None], stop: asyncio.Event, drain_s: float) -> None:
    """Until all calls were made and reported; after `stop` no longer than `drain_s`."""
    task = asyncio.ensure_future(making)
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not task.done():
        await asyncio.wait({task}, timeout=drain_s)
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    else:
        task.result()
