"""`tollkeeper export`: transactions as NDJSON."""

import argparse
import sys
from typing import Any

import msgspec

from mediation.cli.options import add_command, add_config, add_json_anyway, configuration, instant, reading
from rating.store.provisioning import has_account
from rating.store.reading import export
from rating.store.retired import in_words, retired_between


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "export", run, "write transactions as NDJSON",
        "Write every transaction that was acknowledged before the command began to stdout, one JSON object a line;"
        " also while the daemon runs. T is a date (its first instant in UTC) or an RFC 3339 instant;"
        " from ≤ answer < to.",
    )  # fmt: skip
    parser.add_argument("what", choices=("transactions",), help="what to write")
    parser.add_argument("--account", metavar="N", help="only this account's")
    parser.add_argument("--from", dest="from_at", type=instant, metavar="T", help="only calls answered at T or later")
    parser.add_argument("--to", dest="to_at", type=instant, metavar="T", help="only calls answered before T")
    add_config(parser)
    add_json_anyway(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(args)
    if args.from_at is not None and args.to_at is not None and args.from_at > args.to_at:
        print("tollkeeper export: --from is after --to: nothing is between them", file=sys.stderr)
    encoder = msgspec.json.Encoder(decimal_format="number")
    with reading(config) as cx:
        out = sys.stdout.buffer
        for line in export(cx, args.account, args.from_at, args.to_at):
            out.write(encoder.encode(line) + b"\n")
        out.flush()
        if args.account is not None and not has_account(cx, args.account):
            print(f"tollkeeper export: there is no account {args.account}: mind the number", file=sys.stderr)
        retired = retired_between(cx, args.from_at, args.to_at)
    if retired:
        where = config.store.archive_directory
        print(f"tollkeeper export: {in_words(retired)}: retired, the transactions are in {where}", file=sys.stderr)
    return 0
