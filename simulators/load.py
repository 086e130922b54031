"""A load generator for benchmarks of the POP feed: `python -m simulators.load`.

It shares the cores with what it measures. So it builds all requests before the clock starts, prints {"ready": true},
waits for a line on stdin, posts them as cheaply as it can, and prints its measurements as one JSON line.
"""

import argparse
import gc
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Never

import uvloop
from yarl import URL

from simulators.command_line import instant, whole_from_1
from simulators.load_client import Request, post_all
from simulators.load_records import MOST_LINES, LoadSpec, build_bodies, build_marked, read_prefixes

_PROGRAM: Final = "python -m simulators.load"

_EPILOG: Final = f"""\
the calling line of index i (0 to lines-count − 1) is +1212 and i in seven digits, 1212xxxxxxx = 12120000000 + i;
the called number is a random prefix of the file and random digits. With the same --seed and --now it posts the same
bytes again, which the daemon must find to be duplicates.

stdout: {{"ready": true}}; then, after a line on stdin, one line with sent accepted duplicate suspended ack_p50_ms
ack_p99_ms retried errors first_error seconds cpu_s build_s. A 503 is sent again after Retry-After, anything else but
200 is an error. With --marked, marked_at_s has [k, s] for the k-th of those calls (from 0): when its request began to
be posted, in seconds of CLOCK_MONOTONIC.

lines-count is at most {MOST_LINES}. exit status: 0 posted, also with errors; 2 usage
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        self.exit(2, f"{_PROGRAM}: {message} (see --help)\n")


def build_requests(spec: LoadSpec, url: URL, token: str, epoch: str, marked: Sequence[bytes] = ()) -> list[Request]:
    """The specification's batches as whole HTTP requests; their positions count up in `epoch`, unless it is empty.
    Marked records are spread evenly over them."""
    requests = []
    path = url.joinpath("v1", "transactions").raw_path
    batches = -(-spec.records // spec.batch_records)
    for sequence, (bulk, records) in enumerate(build_bodies(spec), start=1):
        own = range((sequence - 1) * len(marked) // batches, sequence * len(marked) // batches)
        body = bulk + b"".join(marked[own.start : own.stop])
        position = f"Tollkeeper-Batch: {epoch}/{sequence}\r\n" if epoch else ""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {url.host_port_subcomponent}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/x-ndjson\r\n{position}Content-Length: {len(body)}\r\n\r\n"
        )
        requests.append(Request(head.encode() + body, records + len(own), tuple(own)))
    return requests


def main(argv: Sequence[str] | None = None) -> int:
    """Build, wait, post, report; the exit status."""
    parser = _parser()
    options = parser.parse_args(argv)
    url: URL = options.url
    try:
        prefixes = read_prefixes(options.prefixes.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        parser.error(f"--prefixes {options.prefixes}: {error}")
    assert url.host
    assert url.port
    spec = LoadSpec(
        options.records, options.batch, options.lines_count, prefixes, options.seed, options.now.astimezone(UTC)
    )
    build_begun = time.perf_counter()
    marked = build_marked(spec, options.marked, options.marked_from)
    requests = build_requests(spec, url, options.token, options.epoch, marked)
    build_s = time.perf_counter() - build_begun
    print(json.dumps({"ready": True}), flush=True)
    sys.stdin.readline()
    # nothing that the posting makes is cyclic, and looking through all requests for cycles is not free
    gc.collect()
    gc.disable()
    cpu_begun, begun = time.process_time(), time.perf_counter()
    measurements = uvloop.run(post_all(url.host, url.port, requests, options.in_flight, options.rate))
    seconds, cpu_s = time.perf_counter() - begun, time.process_time() - cpu_begun
    times = {"seconds": round(seconds, 6), "cpu_s": round(cpu_s, 6), "build_s": round(build_s, 3)}
    of_marked = {"marked_at_s": sorted(measurements.marked_at_s.items())} if marked else {}
    print(json.dumps(measurements.as_json() | times | of_marked), flush=True)
    return 0


def _parser() -> _Parser:
    parser = _Parser(
        prog=_PROGRAM, description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", required=True, type=_url, help="the POP feed, such as http://127.0.0.1:8081")
    parser.add_argument("--token", required=True, help="the source's bearer token")
    parser.add_argument("--records", required=True, type=whole_from_1, metavar="N")
    parser.add_argument("--prefixes", required=True, type=Path, metavar="FILE", help="called prefixes, one a line")
    parser.add_argument("--batch", type=whole_from_1, default=500, metavar="N", help="records a request (default 500)")
    parser.add_argument("--in-flight", type=whole_from_1, default=20, metavar="N", help="connections (default 20)")
    parser.add_argument("--rate", type=whole_from_1, metavar="N", help="records a second at most (default: no limit)")
    parser.add_argument(
        "--lines-count", type=_lines, default=100_000, metavar="N", help="calling lines (default 100000)"
    )
    parser.add_argument(
        "--marked", type=int, default=0, metavar="N", help="besides, as many calls of almost an hour, spread evenly"
    )
    parser.add_argument(
        "--marked-from", type=int, default=MOST_LINES // 2, metavar="INDEX", help="lines that make them, one call each"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="default 1")
    parser.add_argument(
        "--now",
        type=instant,
        default=datetime.now(UTC),
        metavar="INSTANT",
        help="calls start within the hour before (RFC 3339; default: the clock)",
    )
    parser.add_argument(
        "--epoch",
        default=str(time.time_ns() // 1_000_000),
        help="of the batches' positions (default: the clock's milliseconds); empty: no positions",
    )
    return parser


def _url(text: str) -> URL:
    url = URL(text)
    if url.scheme != "http" or not url.host:
        raise argparse.ArgumentTypeError(f"`{text}` is not an address such as http://127.0.0.1:8081")
    return url


def _lines(text: str) -> int:
    if (lines := whole_from_1(text)) > MOST_LINES:
        raise argparse.ArgumentTypeError(f"{text} lines are more than {MOST_LINES}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
