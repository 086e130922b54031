"""What a NAS is told: the settings of the class `simulators.nas.Nas`, and the options of the command."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Never

from simulators.faults import SYNTAX, Faults, parse_faults
from simulators.population import Line, lines_of, make_population, read_lines

PROGRAM: Final = "tollkeeper simulate nas"


@dataclass(frozen=True, slots=True)
class NasSettings:
    """How a NAS behaves."""

    accounting: tuple[str, int] | None
    """Where its reports go; None: `Nas.report_to` says it before the first call."""
    secret: bytes = field(repr=False)
    name: str = "nas1"
    """Its NAS-Identifier."""
    listen: tuple[str, int] = ("127.0.0.1", 0)
    """Where it takes Disconnect- and CoA-Requests."""
    retry_s: float = 3.0
    """A report that is not answered within it is sent again."""
    timestamps: bool = True
    """Whether reports have an Event-Timestamp."""
    faults: Faults = field(default_factory=Faults)
    """Of a report: dup sends it twice, reorder after the next one, truncate cut short first, disconnect loses its
    answer; delay holds up reports and answers."""
    nak: float = 0.0
    """Probability that a Disconnect- or CoA-Request is refused."""
    silence: float = 0.0
    """Probability that it is not answered."""
    lost_ack: float = 0.0
    """Probability that it is carried out, and its first answer lost."""
    nak_cause: int = 501
    """The Error-Cause of a refusal."""
    bar_filter: str | None = None
    """The Filter-Id by which a CoA-Request bars the whole line: its calls end, and the next ones fail, until one comes
    for the same session with another Filter-Id. None: no CoA-Request does."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class NasOptions:
    """The command line, read and checked."""

    settings: NasSettings
    lines: tuple[Line, ...]
    rate: float
    count: int
    talk_s: float
    drain_s: float


class UsageError(Exception):
    """The command was called wrongly; the message is one line that says what would do."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        raise UsageError(f"{message} (see {self.prog} --help)")


_DESCRIPTION: Final = """\
A NAS. It makes calls, reports each to a daemon's radius-accounting feed until it is answered, and takes Disconnect- and
CoA-Requests (RFC 5176): a call that is disconnected ends, with its Stop.

On stdout come two JSON lines: {"nas", "coa", "status"} at the start, with the address for Disconnect- and CoA-Requests
and that of a page that answers GET / with the totals; and the totals at the end.
"""

_EPILOG: Final = """\
examples:
  100 calls of lines that the daemon knows, 5 a second, of half a minute in the mean:
    tollkeeper simulate nas --accounting 127.0.0.1:1813 --secret-file nas1.secret --lines lines.csv \\
        --count 100 --rate 5 --talk 30
  a NAS whose answers get lost:
    tollkeeper simulate nas --accounting 127.0.0.1:1813 --secret S --lost-ack 0.5 --faults dup=0.1,disconnect=0.1

exit status: 0 all is reported, or stopped; 1 an address cannot be used; 2 usage
"""


def parse_options(argv: Sequence[str] | None) -> NasOptions:
    """Read the command line, and the files that it names.

    Raises:
        UsageError: an option is wrong.
        SystemExit: --help, which is printed.
    """
    given = _parser().parse_args(argv)
    if (given.secret is None) == (given.secret_file is None):
        raise UsageError("the daemon and the NAS share a secret: give either --secret or --secret-file")
    if given.nak + given.silence + given.lost_ack > 1:
        raise UsageError("--nak, --silence and --lost-ack are shares of all requests: together at most 1")
    try:
        secret = given.secret or given.secret_file.read_text(encoding="utf-8").strip()
        if given.lines is None:
            lines = lines_of(make_population(given.population, given.seed))
        else:
            lines = tuple(read_lines(given.lines.read_text(encoding="utf-8"), given.seed))
    except (OSError, ValueError) as error:
        raise UsageError(f"a file cannot be used: {error}") from error
    settings = NasSettings(
        given.accounting, secret.encode(), given.name, given.listen, timestamps=not given.no_timestamps,
        faults=given.faults, nak=given.nak, silence=given.silence, lost_ack=given.lost_ack, seed=given.seed,
        bar_filter=given.bar_filter,
    )  # fmt: skip
    return NasOptions(settings, lines, given.rate, given.count, given.talk, given.drain)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    daemon = parser.add_argument_group("the daemon")
    daemon.add_argument("--accounting", required=True, type=_address, metavar="HOST:PORT", help="its accounting feed")
    daemon.add_argument("--secret", metavar="S", help="the shared secret; others can read it in `ps`")
    daemon.add_argument("--secret-file", type=Path, metavar="FILE", help="a file with the secret")
    nas = parser.add_argument_group("the NAS")
    nas.add_argument("--name", default="nas1", metavar="NAME", help="its NAS-Identifier (default nas1)")
    nas.add_argument(
        "--listen", type=_address, default=("127.0.0.1", 0), metavar="HOST:PORT",
        help="takes Disconnect- and CoA-Requests (default: any port)",
    )  # fmt: skip
    nas.add_argument("--no-timestamps", action="store_true", help="reports have no Event-Timestamp")
    nas.add_argument("--bar-filter", metavar="ID", help="the Filter-Id by which a CoA-Request bars the whole line")
    calls = parser.add_argument_group("the calls")
    calls.add_argument("--seed", type=int, default=1, metavar="N", help="same seed: same calls (default 1)")
    calls.add_argument("--lines", type=Path, metavar="FILE.csv", help="a lines.csv: the lines that call")
    calls.add_argument("--population", type=_count, default=200, metavar="N", help="else: made up (default 200)")
    calls.add_argument("--count", type=_count, default=0, metavar="N", help="calls in all (default 0: until stopped)")
    calls.add_argument("--rate", type=_above_0, default=1.0, metavar="R", help="calls a second (default 1)")
    calls.add_argument("--talk", type=_above_0, default=60.0, metavar="S", help="mean seconds of a call (default 60)")
    calls.add_argument(
        "--drain", type=_above_0, default=10.0, metavar="S", help="seconds to report in when stopped (default 10)"
    )
    faults = parser.add_argument_group("the faults")
    faults.add_argument(
        "--faults", type=_faults, default=Faults(), metavar=SYNTAX, help="probabilities a report, and seconds"
    )
    for name, what in (("nak", "refused"), ("silence", "not answered"), ("lost-ack", "done, and its answer lost")):
        faults.add_argument(f"--{name}", type=_share, default=0.0, metavar="P", help=f"share of requests {what}")
    return parser


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"`{text}` is not HOST:PORT such as 127.0.0.1:1813")
    return host.strip("[]"), int(port)


def _faults(text: str) -> Faults:
    try:
        return parse_faults(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number from 0")
    return int(text)


def _above_0(text: str) -> float:
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"`{text}` is not a number above 0")
    return value


def _share(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"`{text}` is not a probability from 0 to 1")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0
