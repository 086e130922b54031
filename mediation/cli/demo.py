"""`tollkeeper demo`: the system, fed by simulators, to be watched."""

import argparse
import asyncio
import signal
import sys
from typing import Any, Final

from mediation.cli.options import add_command, add_json, print_json
from mediation.config import Listen
from mediation.config.addresses import host_and_port
from mediation.config.tables import Unfit
from mediation.demo import run_demo
from mediation.failure import Failure
from mediation.logs import setup_logging

WITHIN_S: Final = 20
LONGEST_S: Final = 3600


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "demo", run, "watch the system at work",
        "Run the system on an embedded store in a temporary directory, fed by two simulated POPs, with pages to watch"
        " it on and logins to try; it prints where to look. Ctrl-C ends it. --once plays the scripted story (calls →"
        " rated → credit limit crossed → bar confirmed → mail delivered → bill → refused payment) and exits 0 only if"
        " every step was observed, else with 1 and what was awaited.",
    )  # fmt: skip
    parser.add_argument("--once", action="store_true", help="play one scripted story and exit")
    parser.add_argument(
        "--listen", type=_listen, metavar="HOST:PORT",
        help="the pages' address (default 127.0.0.1:8080, or a free port where that is taken)",
    )  # fmt: skip
    parser.add_argument(
        "--within", type=_seconds, default=WITHIN_S, metavar="S",
        help=f"with --once: seconds that each step is waited for (default {WITHIN_S})",
    )  # fmt: skip
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    setup_logging("WARNING")
    out = sys.stderr if args.json else sys.stdout
    told = run_demo(
        once=args.once,
        within_s=args.within,
        say=lambda line: print(line, file=out, flush=True),
        listen=args.listen,
        stop=_stop_on_signals,
    )
    if not args.once:
        return 0
    if args.json:
        print_json(
            {
                "steps": [seen.step for seen in told.observed],
                "observed": [{"step": seen.step, "what": seen.what, "after_s": seen.after_s} for seen in told.observed],
                "missing": told.missing and {"step": told.missing.step, "awaited": told.missing.awaited},
            }
        )
    if told.missing is not None:
        raise Failure(f"{told.missing.step} was not observed: awaited {told.missing.awaited}")
    return 0


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= LONGEST_S):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds: write 1 to {LONGEST_S}")
    return int(text)


def _listen(text: str) -> Listen:
    try:
        return Listen(*host_and_port(text))
    except Unfit as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
