"""`tollkeeper bill-run`: the formal bills of a cycle, whether the daemon runs or not."""

import argparse
import sqlite3
import sys
import time
from contextlib import closing
from typing import Any, Final

import msgspec

from control.billing.bill_rows import last_period
from control.billing.bill_run import charges_of
from control.billing.biller import Posted
from control.billing.cycles import Cycles, parse_period, periods_to_look_at
from control.billing.due import Due, look
from control.billing.letterhead import Letterhead
from mediation.cli.bill_desk import bill_way
from mediation.cli.desk import Desk
from mediation.cli.options import add_command, add_config, add_daemon_only, add_json, configuration, print_json, reading
from mediation.config import Config
from mediation.daemon import wall_clock
from mediation.failure import Failure
from rating.account import Account
from rating.cdr import MICROS
from rating.money import shown_micros
from rating.store.partitions import last_id
from rating.store.provisioning import get_accounts

_ROUNDS: Final = 5
"""How often accounts are reckoned at most, when other runs bill them meanwhile."""
_SHOWN: Final = 5

_DESCRIPTION = """Issue the bills of the cycle that begins in a month: a formal record per account, numbered one by one.

A bill has the account's charges that are on no bill yet, of calls answered before the end of the cycle: what
came late is on the next one. An account gets no bill for a cycle in which it has no calls, owes nothing, has no
credit, and nothing was paid or credited. An account that has the bill is passed over: the command may be
repeated, also after it was interrupted. While the daemon runs it writes the bills, and takes calls meanwhile.

The exit status is 1 if the cycle of an account has not ended; accounts whose cycle has are billed all the same."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "bill-run", run, "formal billing of a cycle", _DESCRIPTION)
    when = parser.add_mutually_exclusive_group(required=True)
    when.add_argument("--period", type=_period, metavar="YYYY-MM", help="the month in which the cycle begins")
    when.add_argument(
        "--ended-for", type=_seconds, metavar="S",
        help="instead: every cycle that ended at least so many seconds ago; how the daemon bills on schedule",
    )  # fmt: skip
    parser.add_argument("--account", metavar="N", help="of this account alone")
    add_daemon_only(parser)
    add_config(parser)
    add_json(parser)


class Totals(msgspec.Struct):
    """What a run came to, in accounts."""

    bills: int = 0
    already: int = 0
    empty: int = 0
    not_ended: int = 0
    overtaken: int = 0
    charges_micros: int = 0
    too_great: list[str] = msgspec.field(default_factory=list)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(args)
    began, now = time.monotonic(), wall_clock()
    with reading(config) as cx:
        accounts = _accounts(cx, args.account)
        making = _Making(config, cx, args.daemon_only, sys.stderr.isatty())
        if args.period is not None:
            making.bill(accounts, args.period, now)
        else:
            for period in periods_to_look_at(now, last_period(cx)):
                making.bill(accounts, period, now - args.ended_for * MICROS)
    _show(making.totals, round(time.monotonic() - began, 3), args.json)
    if args.period is not None:
        _complain(making.totals, args.period)
    return 0


class _Making:
    """A run, and what it has come to so far."""

    def __init__(self, config: Config, cx: sqlite3.Connection, daemon_only: bool, is_watched: bool) -> None:
        self.totals = Totals()
        self._config, self._cx, self._daemon_only, self._is_watched = config, cx, daemon_only, is_watched
        self._overtaken: list[str] = []

    def bill(self, accounts: list[Account], period: str, ended_by: int) -> None:
        """Issue the bills of the cycles that begin in a month and have ended by an instant."""
        cycles, totals = Cycles(period), self.totals
        agenda = look(self._cx, accounts, cycles, ended_by)
        totals.not_ended += agenda.not_ended
        totals.already += agenda.already
        for _ in range(_ROUNDS):
            self._overtaken = []
            if agenda.due:
                self._issue(agenda.due)
            if not self._overtaken:
                return
            # Another run has given them a bill since we looked: perhaps of an earlier cycle.
            names = set(self._overtaken)
            agenda = look(self._cx, [one for one in accounts if one.account in names], cycles, ended_by)
            totals.already += agenda.already
        totals.overtaken += len(self._overtaken)

    def _issue(self, due: dict[str, Due]) -> None:
        directory = self._config.store.path.parent
        parts = charges_of(self._cx, due, last_id(self._cx), directory, self._looked_at, _letterhead(self._config))
        billable = 0
        with Desk(self._config, bill_way(), self._took, self._daemon_only) as desk, closing(parts):
            for part in parts:
                billable += len(part)
                desk.hand_over(part)
            desk.finish()
        self.totals.empty += len(due) - billable
        if self._is_watched:
            print(file=sys.stderr)

    def _took(self, posted: Posted) -> None:
        totals = self.totals
        totals.bills += posted.bills
        totals.already += posted.already
        totals.empty += posted.empty
        totals.charges_micros += posted.charges_micros
        totals.too_great += posted.too_great
        self._overtaken += posted.overtaken
        self._tell(f"{totals.bills} bills issued")

    def _looked_at(self, transactions: int) -> None:
        self._tell(f"{transactions} transactions looked at")

    def _tell(self, words: str) -> None:
        """How far it is, for a person; a program that reads stderr is not bothered."""
        if self._is_watched:
            print(f"\r{words} \r", end="", file=sys.stderr, flush=True)


def _show(totals: Totals, seconds: float, as_json: bool) -> None:
    charges = shown_micros(totals.charges_micros)
    if as_json:
        print_json(
            {
                "bills": totals.bills,
                "charges": charges,
                "seconds": seconds,
                "already_billed": totals.already,
                "nothing_to_bill": totals.empty,
                "not_ended": totals.not_ended,
            }
        )
    else:
        bills = "1 bill" if totals.bills == 1 else f"{totals.bills} bills"
        print(
            f"{bills} issued, charges {charges}, in {seconds} s; {totals.already} accounts had theirs already,"
            f" {totals.empty} have nothing to bill"
        )


def _complain(totals: Totals, period: str) -> None:
    """Raise Failure if not everything was done that was asked for."""
    if totals.too_great:
        raise Failure(f"account {totals.too_great[0]} has amounts beyond what a bill can hold: mend its transactions")
    if totals.overtaken:
        raise Failure(f"{totals.overtaken} accounts are being billed by others: start the command again")
    if totals.not_ended:
        raise Failure(
            f"the cycle that begins in {period} has not ended for {totals.not_ended} of the accounts:"
            " start the command again when it has"
        )


def _letterhead(config: Config) -> Letterhead | None:
    """What the configuration of this moment puts at the head of invoices."""
    if config.billing is None or config.billing.provider_name is None:
        return None
    return Letterhead(config.billing.provider_name, config.billing.letterhead)


def _accounts(cx: sqlite3.Connection, number: str | None) -> list[Account]:
    accounts = get_accounts(cx)
    if number is None:
        return accounts
    found = [account for account in accounts if account.account == number]
    if not found:
        raise Failure(f"there is no account {number}: mind the number")
    return found


def _period(text: str) -> str:
    try:
        return parse_period(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return int(text)
