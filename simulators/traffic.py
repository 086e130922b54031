"""Seeded, realistic call traffic of a population: records of the contract's NDJSON, in the order in which calls end.

Pure: a `Traffic` is a function of its arguments and reads no clock, so a seed and a starting instant name the same
records for ever. `simulators.pacing` says when each is due.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from simulators.call_records import CallRecords, Record
from simulators.daily_profile import busyness
from simulators.population import Habit, Line, callers

CALLS_PER_LINE_AND_DAY: Final = 6.0
"""What a line of appetite 1 makes, on the mean of a week."""

_BLOCK_MS: Final = 15 * 60 * 1000
"""Busyness is looked up once a quarter of an hour: every zone's hours begin on one."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that has ended."""

    ended_at: datetime
    """UTC."""
    record: Record


@dataclass(frozen=True, slots=True)
class _Block:
    """A quarter of an hour."""

    calls_per_ms: float
    shares: tuple[float, ...]
    """Running sums of what each group of lines contributes."""


class _Group:
    """Lines of one zone and one habit: all of them are busy at the same time."""

    def __init__(self, zone: str, habit: Habit, lines: Sequence[Line]) -> None:
        self.zone = ZoneInfo(zone)
        self.habit = habit
        self.lines = lines
        self.appetites = list(accumulate(line.appetite for line in lines))


class Traffic:
    """The calls of a population from an instant onwards, without an end. Each iteration tells the same story anew."""

    def __init__(
        self,
        lines: Iterable[Line],
        *,
        seed: int,
        start: datetime,
        calls_per_s: float | None = None,
        steady: bool = False,
        switch: str | None = None,
    ) -> None:
        """`calls_per_s` is the mean over a week, by default what these lines make of themselves. `steady` keeps it
        constant: who calls still follows the clock, how many call does not. `switch` is named in every record.

        Raises:
            ValueError: a start without an offset, no line that calls, or a rate that is not above 0.
        """
        self._lines = tuple(lines)
        self._callers = tuple(callers(self._lines))
        if start.tzinfo is None:
            raise ValueError(f"the start {start.isoformat()} has no UTC offset")
        if not sum(line.appetite for line in self._callers) > 0:
            raise ValueError("no line of the population makes calls")
        natural = sum(line.appetite for line in self._callers) * CALLS_PER_LINE_AND_DAY / 86_400
        self._calls_per_s = natural if calls_per_s is None else calls_per_s
        if not self._calls_per_s > 0:
            raise ValueError(f"calls per second must be above 0, not {calls_per_s}")
        self._seed = seed
        self._start_ms = (start - _EPOCH) // timedelta(milliseconds=1)
        self._steady = steady
        self._switch = switch
        self._groups = _group(self._callers)
        self._scale = self._calls_per_s / 1000 / sum(group.appetites[-1] for group in self._groups)
        self._block = lru_cache(8)(self._make_block)

    def __iter__(self) -> Iterator[Call]:
        """Calls in order of their end.

        Poisson arrivals with independent durations have Poisson departures (M/G/∞, Mirasol 1963), so the process is
        drawn at the calls' ends: no heap of open calls, and no warm-up in which only short calls have ended.
        """
        rng = Random(f"{self._seed}/traffic")
        records = CallRecords(self._lines, self._seed, self._switch)
        at_ms = float(self._start_ms)
        # Within a block calls come at a constant rate. What is left of an exponential of mean 1 is carried over into
        # the next block, which is exact (time change of a Poisson process).
        wait = rng.expovariate(1.0)
        while True:
            index = int(at_ms // _BLOCK_MS)
            block = self._block(index)
            block_end_ms = (index + 1) * _BLOCK_MS
            ends_ms = at_ms + wait / block.calls_per_ms
            if ends_ms >= block_end_ms:
                wait -= (block_end_ms - at_ms) * block.calls_per_ms
                at_ms = float(block_end_ms)
                continue
            at_ms = ends_ms
            wait = rng.expovariate(1.0)
            group = rng.choices(self._groups, cum_weights=block.shares)[0]
            line = rng.choices(group.lines, cum_weights=group.appetites)[0]
            ended_at = _EPOCH + timedelta(milliseconds=int(at_ms))
            yield Call(ended_at, records.make(line, ended_at, group.zone, rng))

    def records(self) -> Iterator[Record]:
        """The records alone."""
        return (call.record for call in self)

    def _make_block(self, index: int) -> _Block:
        at = _EPOCH + timedelta(milliseconds=index * _BLOCK_MS)
        demand = [group.appetites[-1] * busyness(group.habit, at.astimezone(group.zone)) for group in self._groups]
        calls_per_ms = self._calls_per_s / 1000 if self._steady else self._scale * sum(demand)
        return _Block(calls_per_ms, tuple(accumulate(demand)))


def _group(lines: Iterable[Line]) -> list[_Group]:
    members: dict[tuple[str, Habit], list[Line]] = {}
    for line in lines:
        if line.appetite > 0:
            members.setdefault((line.zone, line.habit), []).append(line)
    return [_Group(zone, habit, group) for (zone, habit), group in members.items()]
