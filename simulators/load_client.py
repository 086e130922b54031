"""Posts prepared requests over keep-alive connections and measures: the least HTTP/1.1 (RFC 9112) that will do.

By hand, because a general client costs several times as much, and takes that from the daemon on the same cores.
"""

import asyncio
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic, perf_counter
from typing import Any, Final

_STATUS_OK: Final = 200
_STATUS_UNAVAILABLE: Final = 503
_CONTENT_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_RETRY_AFTER: Final = re.compile(rb"\r\nretry-after: *(\d+)\r\n", re.IGNORECASE)
_CLOSE: Final = re.compile(rb"\r\nconnection: *close\r\n", re.IGNORECASE)

_DEFAULT_RETRY_AFTER_S: Final = 1.0
_MOST_FAILURES: Final = 3
"""Connections that may break one after the other: then a sender gives up, a daemon that is gone is not measured."""


@dataclass(frozen=True, slots=True)
class Request:
    """A whole HTTP request."""

    content: bytes
    records: int
    marked: tuple[int, ...] = ()
    """Which of the marked records are in it."""


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    body: bytes
    retry_after_s: float
    closes: bool


@dataclass(slots=True)
class Measurements:
    """What came back. Records, but for the ones that say otherwise."""

    sent: int = 0
    """In requests that were begun, each counted once however often it was retried."""
    accepted: int = 0
    duplicate: int = 0
    suspended: int = 0
    retried: int = 0
    """Requests that were sent again after a 503."""
    errors: int = 0
    """Requests that ended without a 200."""
    first_error: str = ""
    latencies_s: list[float] = field(default_factory=list)
    """Of the requests that got a 200: from the first sending to the answer, waiting after a 503 included."""
    marked_at_s: dict[int, float] = field(default_factory=dict)
    """When the request of each marked record began to be posted: CLOCK_MONOTONIC, which all processes share."""

    def note_error(self, what: str) -> None:
        self.errors += 1
        self.first_error = self.first_error or what

    def as_json(self) -> dict[str, Any]:
        ordered_s = sorted(self.latencies_s)
        return {
            "sent": self.sent,
            "accepted": self.accepted,
            "duplicate": self.duplicate,
            "suspended": self.suspended,
            "ack_p50_ms": percentile_ms(ordered_s, 50),
            "ack_p99_ms": percentile_ms(ordered_s, 99),
            "retried": self.retried,
            "errors": self.errors,
            "first_error": self.first_error,
        }


def percentile_ms(ordered_s: Sequence[float], percent: int) -> float | None:
    """Nearest-rank percentile of ascending seconds, in milliseconds; None of nothing."""
    if not ordered_s:
        return None
    rank = max(1, -(-len(ordered_s) * percent // 100))
    return round(ordered_s[rank - 1] * 1000, 3)


def due(requests: Iterable[Request], records_per_s: float | None) -> Iterator[tuple[float, Request]]:
    """Each request with the seconds after the beginning at which it may be sent: when the records before it would
    have taken so long at the rate; all of them at once without one."""
    before = 0
    for request in requests:
        yield (before / records_per_s if records_per_s else 0.0), request
        before += request.records


async def post_all(
    host: str, port: int, requests: Sequence[Request], in_flight: int, records_per_s: float | None = None
) -> Measurements:
    """Post the requests over so many connections, no faster than at a rate; each has one request open at a time. Who
    fell behind the rate catches up."""
    measurements = Measurements()
    queue = due(requests, records_per_s)
    begun = perf_counter()
    async with asyncio.TaskGroup() as senders:
        for _ in range(min(in_flight, len(requests))):
            senders.create_task(_post_from(queue, begun, host, port, measurements), name="load sender")
    return measurements


async def _post_from(
    queue: Iterator[tuple[float, Request]], begun: float, host: str, port: int, measurements: Measurements
) -> None:
    connection = _Connection(host, port)
    failures = 0
    try:
        for due_s, request in queue:
            early_s = begun + due_s - perf_counter()
            if early_s > 0:
                await asyncio.sleep(early_s)
            measurements.sent += request.records
            if request.marked:
                measurements.marked_at_s |= dict.fromkeys(request.marked, monotonic())
            try:
                await _post(request, connection, measurements)
                failures = 0
            except (OSError, EOFError, ValueError) as error:
                # whether it arrived is unknown: it is an error of the measurement, and not sent again
                measurements.note_error(f"{type(error).__name__}: {error}")
                connection.close()
                failures += 1
                if failures >= _MOST_FAILURES:
                    return
    finally:
        connection.close()


async def _post(request: Request, connection: "_Connection", measurements: Measurements) -> None:
    begun = perf_counter()
    while True:
        response = await connection.exchange(request.content)
        if response.status != _STATUS_UNAVAILABLE:
            break
        measurements.retried += 1
        await asyncio.sleep(response.retry_after_s)
    if response.status != _STATUS_OK:
        measurements.note_error(f"{response.status} {response.body[:500].decode(errors='replace')}")
        return
    measurements.latencies_s.append(perf_counter() - begun)
    counts = json.loads(response.body)
    measurements.accepted += counts["accepted"]
    measurements.duplicate += counts["duplicate"]
    measurements.suspended += counts["suspended"]


class _Connection:
    """One connection, opened when it is needed."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def exchange(self, content: bytes) -> _Response:
        """Send a request and read the response.

        Raises:
            OSError, EOFError: the connection failed. ValueError: what came is not a response that this client reads.
        """
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        writer.write(content)
        head = await reader.readuntil(b"\r\n\r\n")
        length = _CONTENT_LENGTH.search(head)
        if not length:
            raise ValueError(f"a response without Content-Length: {head[:200]!r}")
        body = await reader.readexactly(int(length[1]))
        retry_after = _RETRY_AFTER.search(head)
        response = _Response(
            status=int(head[9:12]),
            body=body,
            retry_after_s=float(retry_after[1]) if retry_after else _DEFAULT_RETRY_AFTER_S,
            closes=_CLOSE.search(head) is not None,
        )
        if response.closes:
            self.close()
        return response

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
        self._streams = None
