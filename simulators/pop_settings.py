"""What a POP is told: the settings of the class `simulators.pop.Pop`, and the options of the command."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Never

from yarl import URL

from simulators.courier import Retry
from simulators.faults import SYNTAX, Faults, parse_faults

PROGRAM: Final = "tollkeeper simulate pop"


@dataclass(frozen=True, slots=True)
class PopSettings:
    """How a POP sends."""

    batch_records: int = 500
    """Records that make a batch full."""
    in_flight: int = 8
    """Batches that may wait for their answers at once; with so many out, no more records are taken."""
    linger_s: float = 0.5
    """How long the first record of a batch that is not full waits for others."""
    drain_s: float = 10.0
    """How long answers are waited for after `stop`."""
    retry: Retry = field(default_factory=Retry)
    faults: Faults = field(default_factory=Faults)
    seed: int = 0
    """Of the faults."""
    remember_ids: bool = False
    """Keep the ids of acknowledged records in `Pop.acknowledged_ids`."""

    def __post_init__(self) -> None:
        assert self.batch_records >= 1
        assert self.in_flight >= 1


@dataclass(frozen=True, slots=True)
class PopOptions:
    """The command line, read and checked; files are not opened yet."""

    url: str
    source: str
    token: str | None
    token_file: Path | None
    listen: tuple[str, int]
    rate: float
    count: int
    lines: Path | None
    population: int
    start: datetime | None
    websocket: bool
    gzipped: bool
    journal: Path | None
    settings: PopSettings


class UsageError(Exception):
    """The command was called wrongly; the message is one line that says what would do."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        raise UsageError(f"{message} (see {self.prog} --help)")


_DESCRIPTION: Final = """\
A telephony POP. It makes up the calls of a population, and sends their records in batches to a daemon's POP feed:
POST URL/v1/transactions, or messages on URL/v1/stream. A batch is kept until it is acknowledged and sent again after
every failure, so whatever the faults, each record arrives.

On stdout come two JSON lines: {"pop", "status"} at the start, with the address of a page that answers GET / with the
totals; and the totals at the end.
"""

_EPILOG: Final = """\
examples:
  1,000 records of lines that the daemon knows, 50 a second, with a line that breaks now and then:
    tollkeeper simulate pop --url http://127.0.0.1:8081 --token-file pop.token --lines lines.csv \\
        --count 1000 --rate 50 --faults dup=0.1,reorder=0.1,truncate=0.05,disconnect=0.05
  the same records each time, of a day gone by:
    tollkeeper simulate pop --url http://127.0.0.1:8081 --token T --count 5000 \\
        --seed 7 --start 2026-11-20T00:00:00-05:00

exit status: 0 all acknowledged, or the rest is kept in --journal; 1 refused, or stopped with records open; 2 usage
"""


def parse_options(argv: Sequence[str] | None) -> PopOptions:
    """Read the command line.

    Raises:
        UsageError: an option is wrong.
        SystemExit: --help, which is printed.
    """
    given = _parser().parse_args(argv)
    if given.websocket and given.gzip:
        raise UsageError("--gzip goes with HTTP, a message on --websocket is not compressed: leave one of them out")
    if (given.token is None) == (given.token_file is None):
        raise UsageError("the daemon must know who sends: give either --token or --token-file")
    settings = PopSettings(batch_records=given.batch, in_flight=given.in_flight, faults=given.faults, seed=given.seed)
    return PopOptions(
        url=given.url,
        source=given.source,
        token=given.token,
        token_file=given.token_file,
        listen=given.listen,
        rate=given.rate,
        count=given.count,
        lines=given.lines,
        population=given.population,
        start=given.start,
        websocket=given.websocket,
        gzipped=given.gzip,
        journal=given.journal,
        settings=settings,
    )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    daemon = parser.add_argument_group("the daemon")
    daemon.add_argument("--url", required=True, type=_url, help="its POP feed, such as http://127.0.0.1:8081")
    daemon.add_argument("--source", default="pop", metavar="NAME", help="this POP's name (default pop)")
    daemon.add_argument("--token", metavar="T", help="the source's bearer token; others can read it in `ps`")
    daemon.add_argument("--token-file", type=Path, metavar="FILE", help="a file with the token")
    daemon.add_argument("--websocket", action="store_true", help="send messages on one WebSocket, not requests")
    daemon.add_argument("--gzip", action="store_true", help="compress the requests' bodies")
    calls = parser.add_argument_group("the calls")
    calls.add_argument("--seed", type=int, default=1, metavar="N", help="same seed and start: same calls (default 1)")
    calls.add_argument("--lines", type=Path, metavar="FILE.csv", help="a lines.csv: the lines that call")
    calls.add_argument("--population", type=_positive, default=200, metavar="N", help="else: made up (default 200)")
    calls.add_argument("--count", type=_count, default=0, metavar="N", help="records in all (default 0: until stopped)")
    calls.add_argument(
        "--rate", type=_rate, default=10.0, metavar="R", help="records a second; 0: as fast as possible (default 10)"
    )
    calls.add_argument(
        "--start",
        type=_instant,
        metavar="INSTANT",
        help="simulated time begins here (RFC 3339) and follows the population's own day and night; "
        "default: the calls end now, at --rate",
    )
    sending = parser.add_argument_group("the sending")
    sending.add_argument("--batch", type=_positive, default=500, metavar="N", help="records a batch (default 500)")
    sending.add_argument("--in-flight", type=_positive, default=8, metavar="N", help="batches open at once (default 8)")
    sending.add_argument("--journal", type=Path, metavar="DIR", help="keep open batches here, for the next start")
    sending.add_argument(
        "--faults", type=_faults, default=Faults(), metavar=SYNTAX, help="probabilities a batch, and seconds"
    )
    sending.add_argument(
        "--listen",
        type=_address,
        default=("127.0.0.1", 0),
        metavar="HOST:PORT",
        help="status page (default: any port)",
    )
    return parser


def _url(text: str) -> str:
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise argparse.ArgumentTypeError(f"`{text}` is not an address such as http://127.0.0.1:8081")
    return text


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"`{text}` is not HOST:PORT such as 127.0.0.1:0")
    return host.strip("[]"), int(port)


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise argparse.ArgumentTypeError(f"`{text}` is not an instant with an offset such as 2026-11-20T09:00:00-05:00")
    return instant


def _faults(text: str) -> Faults:
    try:
        return parse_faults(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number from 1")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number from 0")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate < float("inf"):
        raise argparse.ArgumentTypeError(f"`{text}` is not a number from 0")
    return rate
