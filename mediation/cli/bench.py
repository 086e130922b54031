"""`tollkeeper bench`: measure this program on this machine."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from mediation.bench.ingest import IngestOptions, run_ingest
from mediation.bench.rate import run_rate
from mediation.bench.search import run_search
from mediation.cli.options import add_command, add_json, print_json


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "bench", run, "measure this program on this machine",
        "Each benchmark starts and ends what it needs itself. Ratios are taken in one run and say more than absolute"
        " figures, which belong to a machine and its load.",
    )  # fmt: skip
    kinds = parser.add_subparsers(dest="bench", metavar="BENCH", required=True)
    ingest = kinds.add_parser(
        "ingest", help="records over HTTP into the store",
        description="Start the daemon as its own process on a fresh store, post records from another one, and compare"
        " with a bare executemany of the same rows (the floor). Afterwards the store must hold exactly what was sent.",
    )  # fmt: skip
    ingest.add_argument(
        "--records", type=_count, default=1_000_000, metavar="N", help="records in all (default 1000000)"
    )
    ingest.add_argument("--batch", type=_count, default=500, metavar="N", help="records a request (default 500)")
    ingest.add_argument("--in-flight", type=_count, default=20, metavar="N", help="requests under way (default 20)")
    ingest.add_argument(
        "--accounts", type=_count, default=100_000, metavar="N", help="with a line each (default 100000)"
    )
    ingest.add_argument("--prefixes", type=_count, default=20_000, metavar="N", help="of the deck (default 20000)")
    ingest.add_argument(
        "--directory", type=Path, metavar="DIR", help="where to put the store (default: a temporary one)"
    )
    add_json(ingest)
    rate = kinds.add_parser(
        "rate", help="pure rating",
        description="Rate calls on one core by a deck of 20,000 prefixes with two periods, and time the deck's load.",
    )  # fmt: skip
    rate.add_argument("--deck", type=_count, metavar="ROWS", help="a deck of so many rows instead of 40000")
    add_json(rate)
    search = kinds.add_parser(
        "search", help="pages of customers and of staff",
        description="Fill a store with a year of calls, a hundred an account, and search it by accounts, lines and"
        " called numbers drawn by chance.",
    )  # fmt: skip
    search.add_argument(
        "--rows", type=_count, default=1_000_000, metavar="N", help="transactions in the store (default 1000000)"
    )
    add_json(search)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.bench == "rate":
        figures = run_rate(args.deck)
    elif args.bench == "search":
        with tempfile.TemporaryDirectory(prefix="tollkeeper-bench-") as directory:
            figures = run_search(args.rows, Path(directory))
    else:
        options = IngestOptions(args.records, args.batch, args.in_flight, args.accounts, args.prefixes)
        with tempfile.TemporaryDirectory(prefix="tollkeeper-bench-", dir=args.directory) as directory:
            figures = run_ingest(options, Path(directory))
    if args.json:
        print_json(figures)
    else:
        sys.stdout.writelines(f"{name:20} {value}\n" for name, value in figures.items())
    return 0


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)
