"""When a simulated call's record is due: seconds after the run began, as pairs (due_s, record). No clock of its own."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice

from simulators.call_records import Record
from simulators.traffic import Call


def at_once(records: Iterable[Record]) -> Iterator[tuple[float, Record]]:
    """Everything is due from the beginning."""
    return ((0.0, record) for record in records)


def at_rate(calls: Iterable[Call], records_per_s: float) -> Iterator[tuple[float, Record]]:
    """One record every 1/`records_per_s` seconds, whatever the calls' own times say."""
    assert records_per_s > 0
    return ((index / records_per_s, call.record) for index, call in enumerate(calls))


def as_they_end(calls: Iterable[Call], begun_at: datetime, speed: float = 1.0) -> Iterator[tuple[float, Record]]:
    """Each record when its call ends, on a clock that shows `begun_at` at first and runs `speed` times as fast."""
    assert speed > 0
    return (((call.ended_at - begun_at).total_seconds() / speed, call.record) for call in calls)


def first(count: int, timed: Iterable[tuple[float, Record]]) -> Iterator[tuple[float, Record]]:
    """The first `count` of them; 0 is all, for ever."""
    return islice(timed, count or None)
