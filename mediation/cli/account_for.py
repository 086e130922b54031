"""`tollkeeper account-for`: what became of everything that was received on a day."""

import argparse
from datetime import date
from typing import Any

from mediation.cli.options import add_command, add_config, add_json, configuration, day, print_json, reading
from rating.store.arrivals import account_for

_COLUMNS = ("received", "stored", "duplicate", "suspended", "discarded")


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "account-for", run, "account for everything received on a day",
        "Per source, for a UTC day of arrival: received = stored + duplicate + suspended + discarded. What is stored,"
        " suspended or discarded is counted from the rows themselves. Exit 1 if it does not add up.",
    )  # fmt: skip
    parser.add_argument("--day", required=True, type=day, metavar="D", help="the UTC day of arrival, YYYY-MM-DD")
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(args)
    with reading(config) as cx:
        counts = account_for(cx, (args.day - date(1970, 1, 1)).days)
    wrong = [name for name, c in counts.items() if c["received"] != sum(c[column] for column in _COLUMNS[1:])]
    if args.json:
        print_json({"day": args.day.isoformat(), "sources": counts, "adds_up": not wrong})
        return 1 if wrong else 0
    width = max([len(name) for name in counts] + [6])
    print(f"{args.day}  {'source':<{width}} " + " ".join(f"{column:>10}" for column in _COLUMNS))
    for name, count in counts.items():
        mark = "  DOES NOT ADD UP" if name in wrong else ""
        print(f"{'':10}  {name:<{width}} " + " ".join(f"{count[column]:>10}" for column in _COLUMNS) + mark)
    return 1 if wrong else 0
