"""`tollkeeper recount`: every counter recomputed from the transactions, and compared."""

import argparse
import sqlite3
import sys
from typing import Any, Final

import msgspec

from mediation.cli.options import add_command, add_config, add_json, configuration, print_json, reading
from mediation.config import Config
from mediation.failure import Failure
from mediation.ops import CountersAnswer
from mediation.writer_socket import ask_daemon
from rating.counters import Counters, unpack
from rating.money import format_micros
from rating.recount import as_sums, differences, recount
from rating.store import snapshots
from rating.store.partitions import last_id, partitions
from rating.store.provisioning import get_accounts
from rating.store.transactions import read_chunks

_SHOWN: Final = 100


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "recount", run, "recompute every counter from the transactions",
        "Recompute every counter from the transactions, independently of the running code, and print the differences:"
        " to the daemon's own counters as of one transaction while it runs, else to the stored snapshot with what"
        " came after it. Exit 1 if"
        " there are any.",
    )  # fmt: skip
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(args)
    with reading(config) as cx:
        counted, source = _counters(config, cx)
        accounts = get_accounts(cx)
        truth = recount(cx, accounts, counted.covers_id)
    found = differences(as_sums(unpack(counted.parts), accounts), truth.sums)
    for difference in found[:_SHOWN]:
        account, period, first_day, was, is_ = difference
        line = f"account {account}, {period} from {first_day}:"
        for name, a, b in zip(("charge_micros", "duration_us", "calls", "transactions"), was, is_, strict=True):
            if a != b:
                line += f" {name} counted {a}, recounted {b};"
        print(line.rstrip(";"), file=sys.stderr)
    charges = format_micros(truth.charge_micros, 6)
    if args.json:
        print_json(
            {
                "transactions": truth.transactions,
                "accounts": len({account for account, _, _ in truth.sums}),
                "charges": charges,
                "differences": len(found),
                "as_of": counted.covers_id,
                "compared_with": source,
            }
        )
    else:
        print(
            f"{truth.transactions} transactions up to {counted.covers_id}, charges {charges}:"
            f" {len(found)} differences to {source}"
        )
    return 1 if found else 0


def _counters(config: Config, cx: sqlite3.Connection) -> tuple[CountersAnswer, str]:
    """The counters to compare with, and where they come from."""
    running = ask_daemon(config.store.path, "GET", "/counters")
    if running is None:
        return _as_a_start_would(cx), "the stored snapshot and what came after it"
    status, body = running
    if status != 200:
        raise Failure("the daemon did not give its counters: look at its log, or stop it and recount again")
    return msgspec.msgpack.decode(body, type=CountersAnswer), "the running daemon's counters"


def _as_a_start_would(cx: sqlite3.Connection) -> CountersAnswer:
    """The counters that a start of the daemon would begin with: those of the snapshot, and the transactions since."""
    counters = Counters({account.account: account for account in get_accounts(cx)})
    counters.restore(*snapshots.load(cx))
    upto, since = last_id(cx), counters.covers_id
    for month in partitions(cx):
        columns = "id, account, answer_at, charge_micros, duration_us"
        for chunk in read_chunks(cx, month, columns, after=since, upto=upto):
            for _, *transaction in chunk:
                counters.count(*transaction)
    return CountersAnswer(max(upto, since), counters.parts())
