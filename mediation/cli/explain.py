"""`tollkeeper explain`: why a transaction cost what it cost."""

import argparse
from typing import Any

from mediation.cli.options import add_command, add_config, add_json, configuration, print_json, reading
from mediation.failure import Failure
from rating.explaining import NoLongerRated, explain, tariff_of
from rating.rater import Rater
from rating.store.provisioning import get_tariff
from rating.store.reading import exporter
from rating.store.transactions import find_by_id
from rating.tariff import parse_tariff


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "explain", run, "why a transaction cost what it cost",
        "Rate a transaction again by the very version of the tariff that it was rated by, and print how its charge came"
        " about: destination, connect fee, and each run of equal increments with its period and rate.",
    )  # fmt: skip
    parser.add_argument(
        "transaction", type=_number, metavar="TRANSACTION", help="the number that export calls transaction"
    )
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(args)
    with reading(config) as cx:
        row = find_by_id(cx, args.transaction) if args.transaction < 1 << 63 else None
        if row is None:
            raise Failure(f"there is no transaction {args.transaction}: export transactions lists them")
        number = tariff_of(row)
        rater = None if number is None else Rater(parse_tariff(get_tariff(cx, number)))
        try:
            explained = explain(row, exporter(cx)(tuple(row)), rater)
        except NoLongerRated as fault:
            raise Failure(str(fault)) from None
    if args.json:
        print_json(explained)
    else:
        _print(explained.transaction, explained.explanation)
    if not explained.agrees:
        assert explained.explanation is not None
        raise Failure(
            f"rated again it costs {explained.explanation['charge']}, not {explained.transaction['charge']}: report"
            " this as a fault"
        )
    return 0


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a transaction's number, such as 17")
    return int(text[:30])


def _print(transaction: dict[str, Any], explained: dict[str, Any] | None) -> None:
    print(f"transaction {transaction['transaction']}: {transaction['calling']} to {transaction['called']}"
          f" ({transaction['place_called'] or transaction['destination'] or 'no destination'}),"
          f" answered {transaction['answer']}, {transaction['duration']} s")  # fmt: skip
    currency = transaction["currency"] or ""
    print(f"  charge      {transaction['charge']} {currency} by tariff {transaction['tariff'] or 'none'},"
          f" {transaction['billed_s']} s billed")  # fmt: skip
    if not explained:
        print("  no tariff was needed: it was not answered")
        return
    print(f"  connect fee {explained['connect_fee']}")
    for run_ in explained["explain"]:
        print(f"  {run_['from']}  {run_['seconds']:>6} s  {run_['period']:<12}"
              f" {run_['rate']} per {run_['per_s']} s  = {run_['amount']}")  # fmt: skip
    if explained["capped"]:
        print("  cut to the destination's greatest charge")
