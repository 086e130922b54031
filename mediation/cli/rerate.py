"""`tollkeeper rerate`: charges reversed and charged again by today's tariffs, whether the daemon runs or not."""

import argparse
import contextlib
import sqlite3
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from mediation.cli.desk import Desk, Way
from mediation.cli.options import add_command, add_config, add_json, configuration, instant, print_json, reading
from mediation.cli.rerate_report import Report
from mediation.cli.users_change import actor
from mediation.config import Config
from mediation.daemon import wall_clock
from mediation.directory_builder import DirectoryBuilder
from mediation.failure import Failure
from mediation.writer_rerating import PATH, Part, Posted, packed, post_alone, unpacked
from rating.rerating import Repricer
from rating.store import reratable
from rating.store.forecast import Forecast
from rating.store.partitions import last_id
from rating.store.provisioning import has_account, provisioned, tariff_terms
from rating.store.reductions import gross_of
from rating.store.reratable import Scope
from rating.store.rerating import Correction, Run
from rating.store.sources import names_to_ids

CHUNK: Final = 4_000
"""Transactions that are charged again in one store transaction: records that come in meanwhile wait so long. In fewer
parts the pages of the indexes are written less often."""
_AHEAD: Final = 3
"""Parts that are handed over before it is known what became of the first of them: whoever writes them never waits."""

_DESCRIPTION = """Rate transactions again by the tariffs of today, each in its version at the answer, and charge again
what costs something else: the old charge is reversed and the new one posted, both with a link to the other.
Account, line, provider and service stay what they were when the record came in. What costs the same is left
alone, so that the command may be repeated, also after it was interrupted.

A bill that was issued is never altered: the difference is on the account's next one. While the daemon runs it writes
the corrections, and takes calls meanwhile. T is a date (its first instant in UTC) or an RFC 3339 instant;
from ≤ answer < to. At least one restriction is needed; of several, all must hold."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "rerate", run, "reverse charges and charge again", _DESCRIPTION)
    parser.add_argument("--from", dest="from_at", type=instant, metavar="T", help="calls answered at T or later")
    parser.add_argument("--to", dest="to_at", type=instant, metavar="T", help="calls answered before T")
    parser.add_argument(
        "--account", action="append", default=[], metavar="N", help="of this account; may be given again"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--destination", metavar="NAME", help="that were rated as this destination")
    where.add_argument("--prefix", type=_prefix, metavar="P", help="to numbers that begin so")
    parser.add_argument("--tariff", metavar="NAME", help="that were rated by this tariff")
    parser.add_argument("--transaction", type=_number, metavar="ID", help="this one")
    parser.add_argument("--reason", default="", metavar="TEXT", help="why, for the audit log and for explain")
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    parser.add_argument("--report", type=Path, metavar="FILE.csv", help="write each change into this file")
    parser.add_argument("--yes", action="store_true", help="do not ask on a terminal")
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(args)
    scope = Scope(
        args.from_at, args.to_at, tuple(args.account), args.destination, args.prefix, args.tariff, args.transaction
    )
    if not scope:
        raise Failure(
            "rerate without a restriction would be about everything: give --from, --to, --account, --destination,"
            " --prefix, --tariff or --transaction",
            2,
        )
    began = time.monotonic()
    with reading(config) as cx:
        _check(cx, scope)
        if not (args.dry_run or args.yes) and sys.stdin.isatty():
            _ask()
        report = Report(tariff_terms(cx), args.report)
        with contextlib.closing(report):
            making = _Making(config, cx, scope, report, args.reason)
            if args.dry_run:
                making.try_out()
            else:
                making.charge_again()
    if args.json:
        seconds = round(time.monotonic() - began, 3)
        print_json({"dry_run": args.dry_run, "run": making.run or None, **report.told(), "seconds": seconds})
    else:
        report.show(args.dry_run)
    return 0


class _Making:
    """A run, and how far it is."""

    def __init__(self, config: Config, cx: sqlite3.Connection, scope: Scope, report: Report, reason: str) -> None:
        self.run = 0
        """Its number, once something was changed."""
        self._config, self._cx, self._scope, self._report = config, cx, scope, report
        self._order = Run(actor(), reason, msgspec.json.encode(scope).decode())
        self._pending: deque[list[tuple[Sequence[Any], Correction]]] = deque()
        """The parts that were handed over."""
        self._is_watched = sys.stderr.isatty()
        self._upto = last_id(cx)
        self._ids = reratable.count(cx, self._upto)
        self._gone_through = 0

    def try_out(self) -> None:
        """Say what would change."""
        forecast, corrections = Forecast(self._cx), self._corrections()
        while some := list(islice(corrections, CHUNK)):
            for (row, _), correction in zip(some, forecast.of(some), strict=True):
                self._report.change(row, correction, None)
        self._end()

    def charge_again(self) -> None:
        """Have it written, part by part."""
        way = Way(PATH, packed, unpacked, lambda store, part: post_alone(store, part, wall_clock()), "corrections made")
        with Desk(self._config, way, self._took, ahead=_AHEAD) as desk:
            corrections = self._corrections()
            while some := list(islice(corrections, CHUNK)):
                self._hand_over(desk, some)
            desk.finish()
        self._end()

    def _hand_over(self, desk: Desk[Part, Posted], some: list[tuple[Sequence[Any], Correction]]) -> None:
        if not self.run:
            desk.finish()  # its first part says what the run's number is
        self._pending.append(some)
        desk.hand_over(Part(msgspec.structs.replace(self._order, id=self.run), [correction for _, correction in some]))

    def _took(self, posted: Posted) -> None:
        self.run = posted.run or self.run
        report, replaced = self._report, {one.original: one for one in posted.replaced}
        report.passed_over += posted.passed_over
        for row, correction in self._pending.popleft():
            if one := replaced.get(correction.original):
                report.change(row, correction, one)

    def _corrections(self) -> Iterator[tuple[Sequence[Any], Correction]]:
        """The transactions that are to be charged again."""
        directory = DirectoryBuilder(self._config.rating.default_tariff).build(provisioned(self._cx))
        currencies = {number: currency for number, (_, currency, _) in tariff_terms(self._cx).items()}
        names = {number: name for name, number in names_to_ids(self._cx).items()}
        repricer, report = Repricer(directory, names, currencies), self._report
        for ids, rows in reratable.read(self._cx, self._scope, self._upto):
            gross = gross_of(self._cx, [row[0] for row in rows])
            report.looked_at += len(rows)
            for row in rows:
                priced = repricer.price(row, gross.get(row[0]))
                if priced is None:
                    report.unchanged += 1
                elif isinstance(priced, str):
                    report.unratable(row[0], priced)
                else:
                    yield row, priced
            self._gone_through += ids
            self._tell()

    def _tell(self) -> None:
        """How far it is, for a person; a program that reads stderr is not bothered."""
        if self._is_watched:
            report = self._report
            print(
                f"\r{self._gone_through} of {self._ids} gone through, {report.looked_at} rated,"
                f" {report.changed} changed ",
                end="", file=sys.stderr, flush=True,
            )  # fmt: skip

    def _end(self) -> None:
        if self._is_watched:
            print(file=sys.stderr)


def _check(cx: sqlite3.Connection, scope: Scope) -> None:
    """Raise Failure for what does not exist: a slip of the pen must not look like nothing to do."""
    for account in scope.accounts:
        if not has_account(cx, account):
            raise Failure(f"there is no account {account}: mind the number")
    names = {name for name, _, _ in tariff_terms(cx).values()}
    if scope.tariff is not None and scope.tariff not in names:
        raise Failure(f"there is no tariff {scope.tariff}: there are {', '.join(sorted(names)) or 'none'}")
    if scope.transaction is not None and not 0 < scope.transaction <= last_id(cx):
        raise Failure(f"there is no transaction {scope.transaction}: export transactions lists them")


def _ask() -> None:
    print("Charges will be reversed and charged again; --dry-run says first what would change. Go on? [y/N] ", end="")
    sys.stdout.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failure("nothing was changed: --yes goes on without asking")


def _prefix(text: str) -> str:
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not the beginning of a number, such as +4420")
    return digits


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise argparse.ArgumentTypeError(f"{text!r} is not a transaction's number, such as 17")
    return int(text)
