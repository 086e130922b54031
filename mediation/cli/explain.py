"""`tollkeeper explain`: why a transaction cost what it cost."""

import argparse
from typing import Any

from mediation.cli.options import add_command, add_config, add_json, configuration, print_json, reading
from mediation.failure import Failure
from rating.explanation import as_json
from rating.rater import Rater
from rating.store.batch import COLUMN
from rating.store.provisioning import get_tariff
from rating.store.reading import cdr_of, exporter
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
        transaction = exporter(cx)(tuple(row))
        number = row[COLUMN["tariff"]]
        explained: dict[str, Any] = {}
        if number is not None:
            cdr = cdr_of(row, transaction["source"])
            explanation = Rater(parse_tariff(get_tariff(cx, number))).explain(
                cdr, transaction["provider"], transaction["service"]
            )
            if isinstance(explanation, str):
                raise Failure(f"the tariff's version {number} no longer rates this call ({explanation})")
            explained = as_json(cdr.id, explanation)
    agrees = not explained or explained["charge"] == transaction["charge"]
    if args.json:
        print_json({"transaction": transaction, "explanation": explained or None, "agrees": agrees})
    else:
        _print(transaction, explained)
    if not agrees:
        raise Failure(
            f"rated again it costs {explained['charge']}, not {transaction['charge']}: report this as a fault"
        )
    return 0


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a transaction's number, such as 17")
    return int(text[:30])


def _print(transaction: dict[str, Any], explained: dict[str, Any]) -> None:
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
