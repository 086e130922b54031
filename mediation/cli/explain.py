"""`tollkeeper explain`: why a transaction cost what it cost."""

import argparse
from typing import Any

from mediation.cli.options import add_command, add_config, add_json, configuration, print_json, reading
from mediation.failure import Failure
from rating.explaining import NoLongerRated, explain, reverses, stored_rater, tariff_of
from rating.store.reading import exporter
from rating.store.reductions import reductions_of
from rating.store.rerate_links import Links, links_of
from rating.store.retired import in_words, retired_between
from rating.store.transactions import find_by_id


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
            retired = retired_between(cx)
            archive = f"; those of {in_words(retired)} are in {config.store.archive_directory}" if retired else ""
            raise Failure(f"there is no transaction {args.transaction}: export transactions lists them{archive}")
        number = tariff_of(row)
        rater = None if number is None else stored_rater(cx, number)
        try:
            explained = explain(row, exporter(cx)(tuple(row)), rater, reductions_of(cx, args.transaction))
            explained.correction = links_of(cx, args.transaction, reverses(row))
        except NoLongerRated as fault:
            raise Failure(str(fault)) from None
    if args.json:
        print_json(explained)
    else:
        _print(explained.transaction, explained.explanation, explained.correction)
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


def _print(transaction: dict[str, Any], explained: dict[str, Any] | None, correction: Links | None) -> None:
    print(f"transaction {transaction['transaction']}: {transaction['calling']} to {transaction['called']}"
          f" ({transaction['place_called'] or transaction['destination'] or 'no destination'}),"
          f" answered {transaction['answer']}, {transaction['duration']} s")  # fmt: skip
    currency = transaction["currency"] or ""
    print(f"  charge      {transaction['charge']} {currency} by tariff {transaction['tariff'] or 'none'},"
          f" {transaction['billed_s']} s billed")  # fmt: skip
    if correction:
        _print_links(correction)
    if transaction["reverses"] is not None:
        return
    if not explained:
        print("  no tariff was needed: it was not answered")
        return
    print(f"  connect fee {explained['connect_fee']}")
    for run_ in explained["explain"]:
        print(f"  {run_['from']}  {run_['seconds']:>6} s  {run_['period']:<12}"
              f" {run_['rate']} per {run_['per_s']} s  = {run_['amount']}")  # fmt: skip
    if explained["capped"]:
        print("  cut to the destination's greatest charge")
    if conversion := explained.get("conversion"):
        print(f"  in {conversion['from']} so far; 1 {conversion['from']} = {conversion['rate']} {conversion['to']}")
    if "gross" in explained:
        print(f"  without allowances and discounts it would cost {explained['gross']}")
        for taken in explained["reductions"]:
            print(f"  {_words(taken)}")


def _words(taken: dict[str, Any]) -> str:
    """What a rule did to the charge."""
    rule = f"{taken['kind']} {taken['rule']}"
    if taken["kind"] == "allowance":
        return f"{rule}: {taken['used']} {taken['measure']} covered, {taken['amount']} off"
    if taken["percent"] == "0":
        return f"{rule}: counted for it, not reached before"
    return f"{rule}: {taken['percent']} % less, {taken['amount']} off"


def _print_links(correction: Links) -> None:
    """What its charge took the place of, and what took the place of its charge."""
    if correction.reverses is not None:
        print(f"  takes back  transaction {correction.reverses}, which explain tells of")
    if correction.replaces is not None:
        print(f"  instead of  transaction {correction.replaces}, which was taken back")
    if correction.reversed_by is not None:
        print(f"  taken back  by transaction {correction.reversed_by}")
    if correction.replaced_by is not None:
        print(f"  charged     again by transaction {correction.replaced_by}")
    why = f": {correction.reason}" if correction.reason else ""
    print(f"  rated again {correction.at} by {correction.by}, run {correction.run}{why}")
