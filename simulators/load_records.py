"""The records of the load generator, as bodies ready to be posted. Pure; a million takes some seconds.

Unlike `simulators.traffic` it does not care for habits: what it draws costs the daemon as much as real calls, and is
cheap to build. Numbers, times and durations differ from record to record, so that no cache can guess them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final

MOST_LINES: Final = 10_000_000
"""Numbers behind `line_number`'s prefix."""

SPREAD_S: Final = 3600
"""Calls start within so many seconds before now, spread evenly."""

_UNANSWERED_SHARE: Final = 0.28
_WHOLE_MINUTES_SHARE: Final = 0.10
_WHOLE_SECONDS_SHARE: Final = 0.45
_DURATIONS: Final = 8192
_RING_S: Final = (2, 40)
_MARKED_S: Final = 3540
_CALLED_DIGITS: Final = 12
_LEAST_SUBSCRIBER_DIGITS: Final = 4
_MOST_DIGITS: Final = 15  # ITU-T E.164


@dataclass(frozen=True, slots=True)
class LoadSpec:
    """What to build. The same specification makes the same bytes."""

    records: int
    """In all, ≥ 0; the last batch may be smaller."""
    batch_records: int
    lines: int
    """Lines that call, 1 to `MOST_LINES`: `line_number(0)` to `line_number(lines - 1)`."""
    prefixes: tuple[str, ...]
    """Digits that called numbers begin with, each as likely as the others."""
    seed: int
    now: datetime
    """UTC."""


def line_number(index: int) -> str:
    """The number of a calling line: +1212 and seven digits, 12120000000 + index."""
    return f"+1212{index:07d}"


def read_prefixes(text: str) -> tuple[str, ...]:
    """Called prefixes, one a line, with or without `+`; blank lines and those that begin with `#` do not count.

    Raises:
        ValueError: a line is no prefix that a number can follow, or there is none.
    """
    lines = (line.strip() for line in text.splitlines())
    prefixes = tuple(line.removeprefix("+") for line in lines if line and not line.startswith("#"))
    if not prefixes:
        raise ValueError("it has no prefix: give one a line, such as 4420")
    longest = _MOST_DIGITS - _LEAST_SUBSCRIBER_DIGITS
    for prefix in prefixes:
        if not (prefix.isascii() and prefix.isdecimal() and len(prefix) <= longest and prefix[0] != "0"):
            raise ValueError(f"`{prefix}` is not 1 to {longest} digits of E.164")
    return prefixes


def build_bodies(spec: LoadSpec) -> Iterator[tuple[bytes, int]]:
    """Bodies of NDJSON, each with the number of its records."""
    rng = Random(spec.seed)
    durations = _draw_durations(rng)
    seconds = _seconds_from(spec.now - timedelta(seconds=SPREAD_S), SPREAD_S + _RING_S[1] + 1)
    called = [(prefix, *_subscriber(prefix)) for prefix in spec.prefixes]
    for first in range(0, spec.records, spec.batch_records):
        count = min(spec.batch_records, spec.records - first)
        yield _build_body(count, spec.lines, rng, durations, seconds, called).encode(), count


def build_marked(spec: LoadSpec, count: int, first_line: int) -> list[bytes]:
    """Records that stand out: calls of almost an hour, one by each of so many lines from an index onwards."""
    rng = Random(f"{spec.seed}/marked")
    start = (spec.now - timedelta(seconds=SPREAD_S)).isoformat(timespec="milliseconds")
    marked = []
    for index in range(count):
        prefix = rng.choice(spec.prefixes)
        width, subscribers = _subscriber(prefix)
        marked.append(
            f'{{"id":"{rng.randbytes(8).hex()}","calling":"{line_number(first_line + index)}",'
            f'"called":"+{prefix}{rng.randrange(subscribers):0{width}d}","start":"{start}",'
            f'"duration":{_MARKED_S},"type":"direct"}}\n'.encode()
        )
    return marked


def _build_body(
    count: int,
    lines: int,
    rng: Random,
    durations: Sequence[str],
    seconds: Sequence[str],
    called: Sequence[tuple[str, int, int]],
) -> str:
    # This loop runs a million times before a benchmark begins: plain draws and one f-string, nothing that is called.
    draw = rng.random
    ids = rng.randbytes(8 * count).hex()
    records = []
    prefix_count, duration_count = len(called), len(durations)
    first_ring_s, rings = _RING_S[0], _RING_S[1] - _RING_S[0]
    for index in range(count):
        prefix, width, subscribers = called[int(draw() * prefix_count)]
        second = int(draw() * SPREAD_S)
        millisecond = f".{int(draw() * 1000):03d}Z"
        duration = durations[int(draw() * duration_count)]
        answer = ""
        if duration != "0":
            answer = f'"answer":"{seconds[second + first_ring_s + int(draw() * rings)]}{millisecond}",'
        records.append(
            f'{{"id":"{ids[index * 16 : index * 16 + 16]}","calling":"+1212{int(draw() * lines):07d}",'
            f'"called":"+{prefix}{int(draw() * subscribers):0{width}d}","start":"{seconds[second]}{millisecond}",'
            f'{answer}"duration":{duration},"type":"direct"}}\n'
        )
    return "".join(records)


def _subscriber(prefix: str) -> tuple[int, int]:
    """Digits that follow a prefix, and how many numbers that makes."""
    width = max(_LEAST_SUBSCRIBER_DIGITS, _CALLED_DIGITS - len(prefix))
    return width, 10**width


def _draw_durations(rng: Random) -> list[str]:
    """A mixture, as JSON numbers of seconds: unanswered, whole minutes, whole seconds, milliseconds."""
    durations = []
    for _ in range(_DURATIONS):
        kind = rng.random()
        talk_ms = min(4 * 3_600_000, 1 + int(75_000 * rng.lognormvariate(0.0, 1.2)))
        if kind < _UNANSWERED_SHARE:
            durations.append("0")
        elif kind < _UNANSWERED_SHARE + _WHOLE_MINUTES_SHARE:
            durations.append(str((talk_ms // 60_000 + 1) * 60))
        elif kind < _UNANSWERED_SHARE + _WHOLE_MINUTES_SHARE + _WHOLE_SECONDS_SHARE:
            durations.append(str(talk_ms // 1000 + 1))
        else:
            durations.append(f"{talk_ms // 1000}.{talk_ms % 1000:03d}")
    return durations


def _seconds_from(start: datetime, count: int) -> list[str]:
    """RFC 3339 texts of so many seconds in a row, without fraction and offset."""
    first = start.replace(microsecond=0, tzinfo=None)
    return [(first + timedelta(seconds=second)).isoformat() for second in range(count)]
