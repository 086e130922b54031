"""`tollkeeper retire`: months before the retention, exported to the archive and dropped from the store."""

import argparse
import re
import sys
import time
from typing import Any

from mediation.cli.options import add_command, add_config, add_daemon_only, add_json, configuration, print_json, reading
from mediation.cli.retire_months import Retired, Retirement
from mediation.daemon import wall_clock
from mediation.failure import Failure
from mediation.retention import due_months, oldest_at
from rating.store.reading import instant_text
from rating.store.retired import DROPPED, in_words, states

_DESCRIPTION = """Export the transactions of months that are wholly before the retention, and drop them from the store.

Each month becomes a file in [store] archive, compressed NDJSON as of `export transactions` and more, with a manifest
beside it; it is read back and compared before anything is dropped. Balances, bills and counters stay as they are. A
month with transactions that are on no bill yet stays, and so says the answer. The command may be repeated, also after
it was interrupted. The daemon does the same by itself, at its start and once a day; while it runs it writes what the
command has to write, and takes calls meanwhile."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "retire", run, "export months before the retention, and drop them", _DESCRIPTION)
    parser.add_argument("--month", type=_month, metavar="YYYY-MM", help="this month alone; exit 1 if it has to stay")
    add_daemon_only(parser)
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(args)
    kept = config.store.retention_months
    if not kept:
        raise Failure(f"{config.file}: store.retention_months is 0, which keeps all: set it to retire months", 2)
    began, oldest = time.monotonic(), oldest_at(kept, wall_clock())
    with reading(config) as cx:
        months = due_months(cx, oldest)
        if args.month is not None:
            if states(cx).get(args.month) == DROPPED:
                months = []
            elif args.month not in months:
                raise Failure(
                    f"{in_words([args.month])} has no transactions, or is not over for {kept} months: the retention"
                    f" keeps what began at {instant_text(oldest)} or later"
                )
            else:
                months = [args.month]
        result = Retired()
        if months:
            retirement = Retirement(config, cx, oldest, args.daemon_only, _tell)
            result = retirement.result
            retirement.run(months)
    _show(result, str(config.store.archive_directory), round(time.monotonic() - began, 3), args.json)
    if args.month in result.kept_back:
        raise Failure(f"{in_words([args.month])} stays: {result.kept_back[args.month]}")
    return 0


def _show(result: Retired, directory: str, seconds: float, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "retired": result.archived,
                "finished": [in_words([month]) for month in result.finished],
                "kept_back": [{"month": in_words([month]), "why": why} for month, why in result.kept_back.items()],
                "archive": directory,
                "seconds": seconds,
            }
        )
        return
    for one in result.archived:
        print(f"{one.month}: {one.transactions} transactions, charges {one.charge}, are in {directory}/{one.file}")
    for month in result.finished:
        print(f"{in_words([month])}: was in the archive already, and is dropped now")
    for month, why in result.kept_back.items():
        print(f"{in_words([month])}: stays, for {why}")
    if not (result.archived or result.finished or result.kept_back):
        print("no month is to be retired")


def _tell(words: str) -> None:
    """How far it is, for a person; a program that reads stderr is not bothered."""
    if sys.stderr.isatty():
        print(f"\r{words} \r", end="", file=sys.stderr, flush=True)


def _month(text: str) -> int:
    match = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", text, re.ASCII)
    if match is None or int(match[1]) < 1970:
        raise argparse.ArgumentTypeError(f"{text!r} is not a month: write YYYY-MM, such as 2025-03")
    return int(match[1]) * 100 + int(match[2])
