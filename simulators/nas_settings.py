"""What a NAS is told: the settings of the class `simulators.nas.Nas`, and the options of the command."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from simulators.command_line import (
    UsageError,
    add_calls,
    add_faults,
    add_listen,
    address,
    lines_that_call,
    number_above_0,
    parser,
    secret_of,
    share,
)
from simulators.faults import Faults
from simulators.population import Line

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
    secret = secret_of(given.secret, given.secret_file, "secret")
    settings = NasSettings(
        given.accounting, secret.encode(), given.name, given.listen, timestamps=not given.no_timestamps,
        faults=given.faults, nak=given.nak, silence=given.silence, lost_ack=given.lost_ack, seed=given.seed,
        bar_filter=given.bar_filter,
    )  # fmt: skip
    return NasOptions(settings, lines_that_call(given), given.rate, given.count, given.talk, given.drain)


def _parser() -> argparse.ArgumentParser:
    of_nas = parser(PROGRAM, _DESCRIPTION, _EPILOG)
    daemon = of_nas.add_argument_group("the daemon")
    daemon.add_argument("--accounting", required=True, type=address, metavar="HOST:PORT", help="its accounting feed")
    daemon.add_argument("--secret", metavar="S", help="the shared secret; others can read it in `ps`")
    daemon.add_argument("--secret-file", type=Path, metavar="FILE", help="a file with the secret")
    nas = of_nas.add_argument_group("the NAS")
    nas.add_argument("--name", default="nas1", metavar="NAME", help="its NAS-Identifier (default nas1)")
    add_listen(nas, "takes Disconnect- and CoA-Requests")
    nas.add_argument("--no-timestamps", action="store_true", help="reports have no Event-Timestamp")
    nas.add_argument("--bar-filter", metavar="ID", help="the Filter-Id by which a CoA-Request bars the whole line")
    calls = add_calls(of_nas, "calls")
    calls.add_argument("--rate", type=number_above_0, default=1.0, metavar="R", help="calls a second (default 1)")
    calls.add_argument(
        "--talk", type=number_above_0, default=60.0, metavar="S", help="mean seconds of a call (default 60)"
    )
    calls.add_argument(
        "--drain", type=number_above_0, default=10.0, metavar="S", help="seconds to report in when stopped (default 10)"
    )
    faults = of_nas.add_argument_group("the faults")
    add_faults(faults, "a report")
    for name, what in (("nak", "refused"), ("silence", "not answered"), ("lost-ack", "done, and its answer lost")):
        faults.add_argument(f"--{name}", type=share, default=0.0, metavar="P", help=f"share of requests {what}")
    return of_nas
