"""The options of the command `tollkeeper simulate switch`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Never

from simulators.faults import SYNTAX, Faults, parse_faults
from simulators.population import Line, lines_of, make_population, read_lines

PROGRAM: Final = "tollkeeper simulate switch"


@dataclass(frozen=True, slots=True)
class SwitchOptions:
    """The command line, read and checked."""

    name: str
    listen: tuple[str, int]
    lines: tuple[Line, ...]
    rate: float
    count: int
    speed: float
    seed: int
    url: str | None
    """The POP feed that its records go to; None: to nobody."""
    token: str
    faults: Faults
    drain_s: float


class UsageError(Exception):
    """The command was called wrongly; the message is one line that says what would do."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        raise UsageError(f"{message} (see {self.prog} --help)")


_DESCRIPTION: Final = """\
A SIP switch. Calls of a population are going on at it, and it is commanded over JSON-RPC as a Kamailio is (htable.sets,
htable.get, htable.delete, dlg.list_match, dlg.end_dlg, tm.cancel): the calls of a number in its table fail at once with
cause 21. With --url the record of each call goes to a daemon's POP feed when the call ends.

On stdout come two JSON lines: {"switch", "rpc", "status"} at the start, with the address for commands and that of a
page that answers GET / with the totals; and the totals at the end.
"""

_EPILOG: Final = """\
examples:
  a switch for [switches.kam1], whose calls the daemon hears of:
    tollkeeper simulate switch --listen 127.0.0.1:15080 --lines lines.csv --rate 5 \\
        --url http://127.0.0.1:8081 --token-file pop.token
  a table of barred numbers, and calls that nobody hears of:
    tollkeeper simulate switch --listen 127.0.0.1:15080

exit status: 0 ended, or stopped; 1 an address cannot be used, or records were refused; 2 usage
"""


def parse_options(argv: Sequence[str] | None) -> SwitchOptions:
    """Read the command line, and the files that it names.

    Raises:
        UsageError: an option is wrong.
        SystemExit: --help, which is printed.
    """
    given = _parser().parse_args(argv)
    if given.url is not None and not given.url.startswith(("http://", "https://")):
        raise UsageError(f"--url: `{given.url}` is not an address such as http://127.0.0.1:8081")
    if given.url is not None and (given.token is None) == (given.token_file is None):
        raise UsageError("the daemon must know who sends: give either --token or --token-file with --url")
    try:
        token = given.token_file.read_text(encoding="utf-8").strip() if given.token_file else given.token or ""
        if given.lines is None:
            lines = lines_of(make_population(given.population, given.seed))
        else:
            lines = tuple(read_lines(given.lines.read_text(encoding="utf-8"), given.seed))
    except (OSError, ValueError) as error:
        raise UsageError(f"a file cannot be used: {error}") from error
    return SwitchOptions(
        given.name, given.listen, lines, given.rate, given.count, given.speed, given.seed, given.url, token,
        given.faults, given.drain,
    )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--name", default="switch", metavar="NAME", help="its name in the records (default switch)")
    parser.add_argument(
        "--listen", type=_address, default=("127.0.0.1", 0), metavar="HOST:PORT",
        help="takes commands (default: any port)",
    )  # fmt: skip
    calls = parser.add_argument_group("the calls")
    calls.add_argument("--seed", type=int, default=1, metavar="N", help="same seed: same calls (default 1)")
    calls.add_argument("--lines", type=Path, metavar="FILE.csv", help="a lines.csv: the lines that call")
    calls.add_argument("--population", type=_count, default=200, metavar="N", help="else: made up (default 200)")
    calls.add_argument("--count", type=_count, default=0, metavar="N", help="calls in all (default 0: until stopped)")
    calls.add_argument("--rate", type=_above_0, default=1.0, metavar="R", help="calls a second (default 1)")
    calls.add_argument(
        "--speed", type=_above_0, default=1.0, metavar="X", help="so many times as fast do they ring and talk"
    )
    records = parser.add_argument_group("the records")
    records.add_argument("--url", metavar="URL", help="a daemon's POP feed, such as http://127.0.0.1:8081")
    records.add_argument("--token", metavar="T", help="the source's bearer token; others can read it in `ps`")
    records.add_argument("--token-file", type=Path, metavar="FILE", help="a file with the token")
    records.add_argument(
        "--faults", type=_faults, default=Faults(), metavar=SYNTAX, help="probabilities a batch, and seconds"
    )
    records.add_argument(
        "--drain", type=_above_0, default=10.0, metavar="S", help="seconds to send in when stopped (default 10)"
    )
    return parser


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"`{text}` is not HOST:PORT such as 127.0.0.1:15080")
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
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"`{text}` is not a number above 0")
    return value
