"""`tollkeeper recount`: every counter, balance and bill recomputed from transactions and ledger, and compared."""

import argparse
import sqlite3
import sys
from typing import Any, Final

import msgspec

from control.billing.bill_rows import last_number
from control.billing.billed import Billed
from control.billing.recounting import recount_billed, recount_bills
from control.ledger import Balances, ledger_differences
from control.ledger.postings import next_id, unbalanced
from mediation.cli.options import add_command, add_config, add_json, configuration, print_json, reading
from mediation.config import Config
from mediation.failure import Failure
from mediation.ops import CountersAnswer
from mediation.writer_bills import BALANCES_PATH, BalancesAnswer, balances_as_of, balances_in
from mediation.writer_socket import ask_daemon
from rating.counter_parts import unpack
from rating.counters import Counters
from rating.money import format_micros
from rating.recount import Difference, as_sums, differences, recount
from rating.store import snapshots
from rating.store.partitions import last_id, partitions
from rating.store.provisioning import get_accounts
from rating.store.reductions import use_differences
from rating.store.retired import retired_sums
from rating.store.transactions import read_chunks

_SHOWN: Final = 100


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "recount", run, "recompute every counter and balance from the transactions",
        "Recompute every counter and bill from the transactions and every balance from the ledger, independently of the"
        " running code, and print the differences: to the daemon's own counters and balances, each as of one"
        " transaction, while it runs, else to the stored snapshot with what came after it, and to the balances that a"
        " start would load. Exit 1 if there are any.",
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
        bills, wrong = _recounted_money(config, cx)
    found = [_told(one) for one in differences(as_sums(unpack(counted.parts), accounts), truth.sums)] + wrong
    for line in found[:_SHOWN]:
        print(line, file=sys.stderr)
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
                "bills": bills,
            }
        )
    else:
        print(
            f"{truth.transactions} transactions up to {counted.covers_id}, charges {charges}, {bills} bills:"
            f" {len(found)} differences to {source}"
        )
    return 1 if found else 0


def _told(difference: Difference) -> str:
    """A counter's difference, in words."""
    account, period, first_day, was, is_ = difference
    names = ("charge_micros", "duration_us", "calls", "transactions")
    parts = [
        f"{name} counted {counted}, recounted {recounted}"
        for name, counted, recounted in zip(names, was, is_, strict=True)
        if counted != recounted
    ]
    return f"account {account}, {period} from {first_day}: {'; '.join(parts)}"


def _recounted_money(config: Config, cx: sqlite3.Connection) -> tuple[int, list[str]]:
    """How many bills there are, and in words where balances, ledger and bills do not agree."""
    standing = _balances(config, cx)
    owed, billed = (
        {account: int(micros) for account, micros in told.items()} for told in (standing.owed, standing.billed)
    )
    wrong = [
        f"account {account}: balance_micros counted {was}, recounted {is_}"
        for account, was, is_ in ledger_differences(cx, owed, standing.entry)
    ]
    wrong += [f"ledger entry {number}: its postings sum to {total}, not to zero" for number, total in unbalanced(cx)]
    wrong += use_differences(cx)
    wrong += recount_billed(cx, billed, standing.bill)
    bills, wrong_bills = recount_bills(cx, standing.bill)
    return bills, wrong + wrong_bills


def _balances(config: Config, cx: sqlite3.Connection) -> BalancesAnswer:
    """The running daemon's balances, else those that a start would load."""
    running = ask_daemon(config.store.path, "GET", BALANCES_PATH)
    if running is not None and running[0] == 200:
        return balances_in(running[1])
    if running is not None:
        raise Failure("the daemon did not give its balances: look at its log, or stop it and recount again")
    entry, bill = next_id(cx) - 1, last_number(cx)
    return balances_as_of(entry, bill, Balances.load(cx).all(), Billed.load(cx).all())


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
    if not since:
        for some in retired_sums(cx):
            counters.count_retired(some)
    for month in partitions(cx):
        columns = "id, account, answer_at, charge_micros, duration_us"
        for chunk in read_chunks(cx, month, columns, after=since, upto=upto):
            counters.count_all(transaction[1:] for transaction in chunk)
    return CountersAnswer(max(upto, since), counters.parts())
