"""What a POP is told: the settings of the class `simulators.pop.Pop`, and the options of the command."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from simulators.command_line import (
    UsageError,
    add_calls,
    add_faults,
    add_listen,
    add_token,
    instant,
    lines_that_call,
    number_from_0,
    parser,
    secret_of,
    url,
    whole_from_1,
)
from simulators.courier import Retry
from simulators.faults import Faults
from simulators.population import Line

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
    """The command line, read and checked."""

    url: str
    source: str
    token: str
    listen: tuple[str, int]
    rate: float
    count: int
    lines: tuple[Line, ...]
    start: datetime | None
    websocket: bool
    gzipped: bool
    journal: Path | None
    settings: PopSettings


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
    """Read the command line, and the files that it names.

    Raises:
        UsageError: an option is wrong, or a file cannot be used.
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
        token=secret_of(given.token, given.token_file, "token"),
        listen=given.listen,
        rate=given.rate,
        count=given.count,
        lines=lines_that_call(given),
        start=given.start,
        websocket=given.websocket,
        gzipped=given.gzip,
        journal=given.journal,
        settings=settings,
    )


def _parser() -> argparse.ArgumentParser:
    of_pop = parser(PROGRAM, _DESCRIPTION, _EPILOG)
    daemon = of_pop.add_argument_group("the daemon")
    daemon.add_argument("--url", required=True, type=url, help="its POP feed, such as http://127.0.0.1:8081")
    daemon.add_argument("--source", default="pop", metavar="NAME", help="this POP's name (default pop)")
    add_token(daemon)
    daemon.add_argument("--websocket", action="store_true", help="send messages on one WebSocket, not requests")
    daemon.add_argument("--gzip", action="store_true", help="compress the requests' bodies")
    calls = add_calls(of_pop, "records", "same seed and start: same calls")
    calls.add_argument(
        "--rate", type=number_from_0, default=10.0, metavar="R",
        help="records a second; 0: as fast as possible (default 10)",
    )  # fmt: skip
    calls.add_argument(
        "--start", type=instant, metavar="INSTANT",
        help="simulated time begins here (RFC 3339) and follows the population's own day and night; default: the calls"
        " end now, at --rate",
    )  # fmt: skip
    sending = of_pop.add_argument_group("the sending")
    sending.add_argument("--batch", type=whole_from_1, default=500, metavar="N", help="records a batch (default 500)")
    sending.add_argument(
        "--in-flight", type=whole_from_1, default=8, metavar="N", help="batches open at once (default 8)"
    )
    sending.add_argument("--journal", type=Path, metavar="DIR", help="keep open batches here, for the next start")
    add_faults(sending, "a batch")
    add_listen(sending, "status page")
    return of_pop
