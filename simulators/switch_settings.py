"""The options of the command `tollkeeper simulate switch`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from simulators.command_line import (
    UsageError,
    add_calls,
    add_faults,
    add_listen,
    add_token,
    lines_that_call,
    number_above_0,
    parser,
    secret_of,
    url,
)
from simulators.faults import Faults
from simulators.population import Line

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
    if given.url is not None and (given.token is None) == (given.token_file is None):
        raise UsageError("the daemon must know who sends: give either --token or --token-file with --url")
    token = "" if given.url is None else secret_of(given.token, given.token_file, "token")
    lines = lines_that_call(given)
    return SwitchOptions(
        given.name, given.listen, lines, given.rate, given.count, given.speed, given.seed, given.url, token,
        given.faults, given.drain,
    )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    of_switch = parser(PROGRAM, _DESCRIPTION, _EPILOG)
    of_switch.add_argument("--name", default="switch", metavar="NAME", help="its name in the records (default switch)")
    add_listen(of_switch, "takes commands")
    calls = add_calls(of_switch, "calls")
    calls.add_argument("--rate", type=number_above_0, default=1.0, metavar="R", help="calls a second (default 1)")
    calls.add_argument(
        "--speed", type=number_above_0, default=1.0, metavar="X", help="so many times as fast do they ring and talk"
    )
    records = of_switch.add_argument_group("the records")
    records.add_argument("--url", type=url, metavar="URL", help="a daemon's POP feed, such as http://127.0.0.1:8081")
    add_token(records)
    add_faults(records, "a batch")
    records.add_argument(
        "--drain", type=number_above_0, default=10.0, metavar="S", help="seconds to send in when stopped (default 10)"
    )
    return of_switch
