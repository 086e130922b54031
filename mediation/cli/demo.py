"""`tollkeeper demo`: the system, fed by simulators, to be watched."""

import argparse
import asyncio
import signal
import sys
from typing import Any

from mediation.cli.options import add_command, add_json, print_json
from mediation.config import Listen
from mediation.config.addresses import host_and_port
from mediation.config.tables import Unfit
from mediation.demo import STEPS, run_demo
from mediation.logs import setup_logging


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "demo", run, "watch the system at work",
        "Run the system on an embedded store in a temporary directory, fed by two simulated POPs, with pages to watch"
        " it on and logins to try; it prints where to look. Ctrl-C ends it. --once plays the scripted story (calls →"
        " rated → credit limit crossed → bar confirmed → mail delivered → bill → refused payment) and exits 0 only if"
        " every step was observed; this version plays the first two, and exits 1.",
    )  # fmt: skip
    parser.add_argument("--once", action="store_true", help="play one scripted story and exit")
    parser.add_argument(
        "--listen", type=_listen, metavar="HOST:PORT",
        help="the pages' address (default 127.0.0.1:8080, or a free port where that is taken)",
    )  # fmt: skip
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    setup_logging("WARNING")
    out = sys.stderr if args.json else sys.stdout
    observed = run_demo(
        once=args.once,
        say=lambda line: print(line, file=out, flush=True),
        listen=args.listen,
        stop=_stop_on_signals,
    )
    if not args.once:
        return 0
    missing = [step for step in STEPS if step not in observed]
    if missing:
        print(f"not observed: {', '.join(missing)} (this version does not have them yet)", file=out)
    if args.json:
        print_json({"steps": observed})
    return 1 if missing else 0


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
