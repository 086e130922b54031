"""More than a POP feed can take, for benchmarks: `python -m simulators.overload`.

It shares the cores with what it measures. So it builds all requests before the clock starts, prints {"ready": true},
waits for a line on stdin, posts for so many seconds, and prints what came of it as one JSON line. What is refused is
offered again, before what was not offered yet, and without waiting for Retry-After: a crowd of senders, each of which
comes again when it was told to, is not more polite than that.
"""

import argparse
import asyncio
import gc
import json
import re
import sys
import time
from argparse import Namespace
from collections import deque
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import Any, Final, cast

import uvloop
from yarl import URL

from simulators.command_line import instant, whole_from_1
from simulators.load import build_requests
from simulators.load_client import Request, percentile_ms
from simulators.load_records import LoadSpec, read_prefixes

_LOOK_EVERY_S: Final = 0.002
_LAST_ANSWERS_WITHIN_S: Final = 30.0
_STATUS_OK: Final = b"200"
_STATUS_REFUSED: Final = b"503"
_CONTENT_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_RETRY_AFTER: Final = re.compile(rb"\r\nretry-after: *[1-9]\d*\r\n", re.IGNORECASE)


class Crowd:
    """Connections that post one request after the other, as fast as they are answered or at a rate."""

    def __init__(self, requests: Sequence[Request], rate: int | None) -> None:
        """`rate`: records offered a second, all connections together."""
        self._requests = deque(requests)
        self._rate = rate
        self._idle: deque[_Connection] = deque()
        self._begun_s = 0.0
        self._open = True
        self._answered = asyncio.Event()
        self._waiting = 0
        self._latencies_s: list[float] = []
        self._seconds = 0.0
        self._counts = {"offered": 0, "accepted": 0, "in_time": 0, "duplicate": 0, "suspended": 0}
        self._answers = {"answered_503": 0, "without_retry_after": 0, "errors": 0}
        self._first_error = ""

    async def run(self, url: URL, connections: int, seconds: int) -> None:
        """Post for so long, or until everything was taken, then wait for the answers that are still to come."""
        assert url.host
        assert url.port
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, connection = await loop.create_connection(lambda: _Connection(self), url.host, url.port)
            self._idle.append(connection)
        self._begun_s = time.perf_counter()
        while (passed_s := time.perf_counter() - self._begun_s) < seconds:
            while self._idle and self._may_post(passed_s):
                self._post(self._idle.popleft())
            if not self._requests and not self._waiting:
                break
            await asyncio.sleep(_LOOK_EVERY_S)
        self._open = False
        self._seconds = time.perf_counter() - self._begun_s
        async with asyncio.timeout(_LAST_ANSWERS_WITHIN_S):
            while self._waiting:
                self._answered.clear()
                await self._answered.wait()

    def figures(self) -> dict[str, Any]:
        """Records, but for the answers; `in_time` are those of `accepted` whose answer came while it still posted."""
        ordered_s = sorted(self._latencies_s)
        return {
            **self._counts,
            **self._answers,
            "first_error": self._first_error,
            "seconds": round(self._seconds, 3),
            "ack_p50_ms": percentile_ms(ordered_s, 50),
            "ack_p99_ms": percentile_ms(ordered_s, 99),
        }

    def _may_post(self, passed_s: float) -> bool:
        due = self._rate is None or self._counts["offered"] < passed_s * self._rate
        return self._open and due and bool(self._requests)

    def _post(self, connection: "_Connection") -> None:
        request = self._requests.popleft()
        self._counts["offered"] += request.records
        self._waiting += 1
        connection.post(request)

    def answered(self, connection: "_Connection", request: Request, head: bytes, body: bytes, took_s: float) -> None:
        """A connection has got an answer."""
        status = head[9:12]
        if status == _STATUS_OK:
            self._latencies_s.append(took_s)
            for name, count in json.loads(body).items():
                if name in self._counts:
                    self._counts[name] += count
                if name == "accepted" and self._open:
                    self._counts["in_time"] += count
        elif status == _STATUS_REFUSED:
            self._answers["answered_503"] += 1
            self._answers["without_retry_after"] += _RETRY_AFTER.search(head) is None
            self._requests.appendleft(request)
        else:
            self._failed(f"{head[:200]!r} {body[:200]!r}")
        self._over(connection)

    def gone(self, request: Request | None, error: Exception | None) -> None:
        """A connection has ended, in the middle of a request or between two."""
        if request is not None:
            self._waiting -= 1
            self._answered.set()
        if self._open or request is not None:
            self._failed(f"a connection was closed: {error}")

    def _failed(self, what: str) -> None:
        self._answers["errors"] += 1
        self._first_error = self._first_error or what

    def _over(self, connection: "_Connection") -> None:
        self._waiting -= 1
        self._answered.set()
        if self._may_post(time.perf_counter() - self._begun_s):
            self._post(connection)
        else:
            self._idle.append(connection)


class _Connection(asyncio.Protocol):
    """One keep-alive connection: the least HTTP/1.1 that will do, without a task of its own."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._transport: asyncio.WriteTransport | None = None
        self._request: Request | None = None
        self._begun_s = 0.0
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one, and does not say so

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.gone(self._request, exc)

    def post(self, request: Request) -> None:
        """Send a request; the crowd is told of the answer."""
        assert self._transport is not None
        self._request = request
        self._begun_s = time.perf_counter()
        self._transport.write(request.content)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        length = _CONTENT_LENGTH.search(head + b"\r\n")
        if not blank or self._request is None or length is None or len(body) < int(length[1]):
            return
        request, self._request, self._received = self._request, None, b""
        self._crowd.answered(self, request, head + b"\r\n", body, time.perf_counter() - self._begun_s)


def main(argv: Sequence[str] | None = None) -> int:
    """Build, wait, post, report; the exit status."""
    options = _options(argv)
    prefixes = read_prefixes(options.prefixes.read_text(encoding="utf-8"))
    spec = LoadSpec(
        options.records, options.batch, options.lines_count, prefixes, options.seed, options.now.astimezone(UTC)
    )
    requests = build_requests(spec, options.url, options.token, f"overload-{options.seed}")
    print(json.dumps({"ready": True}), flush=True)
    sys.stdin.readline()
    # nothing that the posting makes is cyclic, and looking through all requests for cycles is not free
    gc.collect()
    gc.disable()
    begun_s = time.process_time()
    figures = uvloop.run(_posted(requests, options))
    print(json.dumps(figures | {"cpu_s": round(time.process_time() - begun_s, 3)}), flush=True)
    return 0


async def _posted(requests: Sequence[Request], options: Namespace) -> dict[str, Any]:
    crowd = Crowd(requests, options.rate)
    await crowd.run(options.url, options.connections, options.seconds)
    return crowd.figures()


def _options(argv: Sequence[str] | None) -> Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulators.overload", description=__doc__)
    parser.add_argument("--url", required=True, type=URL, help="the POP feed, such as http://127.0.0.1:8081")
    parser.add_argument("--token", required=True, help="the source's bearer token")
    parser.add_argument("--records", required=True, type=whole_from_1, metavar="N", help="to build: the most to post")
    parser.add_argument("--seconds", required=True, type=whole_from_1, metavar="S", help="to post for")
    parser.add_argument("--connections", type=whole_from_1, default=20, metavar="N", help="default 20")
    parser.add_argument("--rate", type=whole_from_1, metavar="N", help="records offered a second (default: no limit)")
    parser.add_argument("--batch", type=whole_from_1, default=500, metavar="N", help="records a request (default 500)")
    parser.add_argument("--prefixes", required=True, type=Path, metavar="FILE", help="called prefixes, one a line")
    parser.add_argument("--lines-count", type=whole_from_1, default=100_000, metavar="N", help="calling lines")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="default 1")
    parser.add_argument("--now", required=True, type=instant, help="calls start within the hour before (RFC 3339)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
