"""`tollkeeper bench`: measure this program on this machine."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from mediation.cli.bench_list import BENCHES
from mediation.cli.options import add_command, add_json, print_json
from mediation.failure import Failure


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "bench", run, "measure this program on this machine",
        "Each benchmark starts and ends what it needs itself. Ratios are taken in one run and say more than absolute"
        " figures, which belong to a machine and its load.",
    )  # fmt: skip
    kinds = parser.add_subparsers(metavar="BENCH", required=True)
    for bench in BENCHES:
        kind = kinds.add_parser(
            bench.name, help=bench.summary, description=bench.description, epilog=bench.figures or None
        )
        for option in bench.options:
            kind.add_argument(option.flag, help=option.words, **option.reading)
        add_json(kind)
        kind.set_defaults(bench=bench)


def run(args: argparse.Namespace) -> int:
    """Run the command: measure in a temporary directory, within `--directory` where a benchmark has that option."""
    within: Path | None = getattr(args, "directory", None)
    with tempfile.TemporaryDirectory(prefix="tollkeeper-bench-", dir=within) as directory:
        figures = args.bench.measure(args, Path(directory))
    if args.json:
        print_json(figures)
    else:
        sys.stdout.writelines(args.bench.told(figures))
    if figures.get("failures"):
        raise Failure("; ".join(f"{name} {why}" for name, why in figures["failures"].items()))
    return 0
