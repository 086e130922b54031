"""A population's calls made at a simulated exchange, as they happen; and the records that come out of it, for a POP."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from simulators.call_records import Record
from simulators.conversation import NORMAL_CLEARING
from simulators.exchange import Call, Exchange, Plan
from simulators.traffic import Call as CallMade

WARM_UP: Final = timedelta(hours=4)
"""No call lasts longer: traffic that began so long ago has as many calls going on as it ever will."""

_LONGEST_SLEEP_S: Final = 0.1
"""Others place calls too: what falls due earlier than it did is looked for as often."""
_NO_TIME: Final = timedelta(0)

Clock = Callable[[], datetime]
Planned = tuple[datetime, Plan]


def wall_clock() -> datetime:
    """Now."""
    return datetime.now(UTC)


def plan_of(record: Record) -> Plan:
    """The call that a record is of, to be made anew."""
    start = datetime.fromisoformat(record["start"])
    answer = datetime.fromisoformat(record["answer"]) if "answer" in record else None
    talk = timedelta(milliseconds=round(record["duration"] * 1000))
    told = {key: value for key, value in record.items() if key not in ("start", "answer", "duration", "cause")}
    # How long it rang before nobody answered is in no record.
    return Plan(told, answer - start if answer else _NO_TIME, talk, record.get("cause", NORMAL_CLEARING))


def as_they_begin(
    calls: Iterable[CallMade], since: datetime, *, count: int = 0, speed: float = 1.0
) -> Iterator[Planned]:
    """Each call with the instant at which it is placed, without those that are over by `since`; so many of them (0:
    without an end), each rung and talked through `speed` times as fast.

    Where calls come by chance (Poisson) and last as long as they like, they go by the same chance: the instants at
    which traffic has them end will do for those at which they begin.
    """
    planned = (_planned(made, speed) for made in calls)
    going_on = ((at, plan) for at, plan in planned if at + plan.ring + (plan.talk or _NO_TIME) >= since)
    return islice(going_on, count or None)


def _planned(made: CallMade, speed: float) -> Planned:
    plan = plan_of(made.record)
    assert plan.talk is not None
    zone = datetime.fromisoformat(made.record["start"]).tzinfo
    return made.ended_at.astimezone(zone), replace(plan, ring=plan.ring / speed, talk=plan.talk / speed)


async def make_calls(exchange: Exchange, planned: Iterable[Planned], clock: Clock, stop: asyncio.Event) -> None:
    """Place each call when it is time, and let calls be answered and end; until all have ended, or `stop`. What then
    still goes on is left to the caller. Calls that began before now are going on, but for those of barred lines."""
    began_at = clock()
    for at, plan in planned:
        await _pass_time(exchange, clock, stop, until=at)
        if stop.is_set():
            return
        if at < began_at and plan.record["calling"] in exchange.barred:
            continue
        exchange.place(plan, at)
        exchange.advance(clock())
    while exchange.next_at() is not None and not stop.is_set():
        await _pass_time(exchange, clock, stop, until=None)


async def _pass_time(exchange: Exchange, clock: Clock, stop: asyncio.Event, until: datetime | None) -> None:
    """Let time pass until an instant, or (None) a while."""
    while not stop.is_set():
        now = clock()
        exchange.advance(now if until is None else min(now, until))
        if until is not None and now >= until:
            return
        following = min((at for at in (until, exchange.next_at()) if at is not None), default=now)
        try:
            async with asyncio.timeout(min(_LONGEST_SLEEP_S, max(0.001, (following - now).total_seconds()))):
                await stop.wait()
        except TimeoutError:
            if until is None:
                return


class Records:
    """The records of an exchange's calls as they end, for one POP: a queue that never ends."""

    def __init__(self, exchange: Exchange, wanted: Callable[[Record], bool] = lambda _: True) -> None:
        """`wanted` says which records are this POP's."""
        self.queue: asyncio.Queue[Record] = asyncio.Queue()
        self._wanted = wanted
        exchange.watch(self)

    def answered(self, call: Call) -> None:
        """Nothing to record yet."""

    def ended(self, _call: Call, record: Record) -> None:
        """Its record goes out."""
        if self._wanted(record):
            self.queue.put_nowait(record)
