"""What an account event would have fired for, had it been in force over the last months: tried on stored transactions.

Pure evaluation, account by account, each as if every call had come in when it was answered and had been looked at
then; at the credit limits of now, and without what the event would have done. It is done in pieces that each read what
they need on any connection, and ends where it has taken too many transactions or too long.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from control.events.account_history import AccountHistory, Payment, opened_at
from control.events.definition import Accounts, EventDefinition
from control.events.firings import Fired, Firings
from control.events.readings import Standing
from control.events.trial import Look, Trial
from rating.account import Account
from rating.cdr import MICROS

DAYS: Final = 92
"""Three months."""
SHOWN: Final = 20
"""Firings that are told in full, the earliest."""
MOST_ROWS: Final = 200_000
MOST_S: Final = 2.0
"""At work: what waits between two pieces does not count."""
PIECE_S: Final = 0.1
"""A piece of work ends when it has taken so long: others wait for its connection."""
_CHUNK: Final = 5_000
_DAY_US: Final = 86_400 * MICROS


class Preview(msgspec.Struct, frozen=True):
    """When an event would have fired, and for whom."""

    since: int
    """µs UTC, as `until`."""
    until: int
    accounts: int
    """On which the event is prescribed."""
    looked_at: int
    """Of them, those that were looked at to the end."""
    transactions: int
    """That were read, with those from before that averages and periods need."""
    stopped: str
    """Why not all accounts were looked at: `transactions` or `time`; empty if they were."""
    count: int
    """Firings in all."""
    fired_for: int
    """Accounts that it would have fired for."""
    fired: list[Fired]
    """The earliest of them. `fired_at` is when the call was answered."""


def concerned(prescribed: Accounts, accounts: Mapping[str, Account]) -> list[str]:
    """The existing accounts on which an event is prescribed, by number."""
    if prescribed.numbers:
        return sorted({number for number in prescribed.numbers if number in accounts})
    segment = prescribed.segment
    return sorted(number for number, account in accounts.items() if segment is None or account.segment == segment)


class PreviewRun:
    """One trial of an event. Ask for `step` until it says that nothing is left, then for the `result`."""

    def __init__(
        self,
        definition: EventDefinition,
        accounts: Mapping[str, Account],
        exposure_of: Callable[[str], int],
        now: int,
        *,
        most_rows: int = MOST_ROWS,
        elapsed_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`exposure_of`: what an account owes now."""
        self._trial = Trial(definition)
        self._accounts, self._exposure_of, self._elapsed_s = accounts, exposure_of, elapsed_s
        self._numbers = concerned(definition.accounts, accounts)
        self._since, self._until = now - DAYS * _DAY_US, now
        self._most_rows, self._rows, self._took_s = most_rows, 0, 0.0
        self._looked_at, self._count, self._fired_for = 0, 0, 0
        self._fired: list[Fired] = []
        self._stopped = ""
        self._cx: sqlite3.Connection
        self._work = self._walk()

    def step(self, cx: sqlite3.Connection) -> bool:
        """Do a piece of the work, on any connection; whether there is more to do."""
        self._cx, began = cx, self._elapsed_s()
        for _ in self._work:
            took = self._elapsed_s() - began
            if self._looked_at == len(self._numbers):
                break
            if self._rows >= self._most_rows or self._took_s + took > MOST_S:
                self._stopped = "transactions" if self._rows >= self._most_rows else "time"
                break
            if took > PIECE_S:
                self._took_s += took
                return True
        return False

    @property
    def result(self) -> Preview:
        """What was found."""
        return Preview(
            self._since, self._until, len(self._numbers), self._looked_at, self._rows, self._stopped,
            self._count, self._fired_for, self._fired,
        )  # fmt: skip

    def _walk(self) -> Iterator[None]:
        """Account by account; yields where it may be interrupted. What was found is kept as it goes."""
        for number in self._numbers:
            account, one = self._accounts[number], Firings()
            clock = self._trial.clocks.of(account)
            start = self._trial.begins(account, self._since)
            history = AccountHistory(self._cx, number, start)
            owed, payments = 0, list[Payment]()
            if self._trial.of_exposure:
                payments = history.payments(self._cx)
                owed = self._exposure_of(number) - history.charges(self._cx) + sum(p.amount_micros for p in payments)
            standing = Standing(opened_at(self._cx, number), account.credit_limit_micros)
            look = Look(self._trial, number, clock, standing, owed, payments, one)
            told = 0
            while rows := history.rows(self._cx, min(_CHUNK, self._most_rows - self._rows)):
                self._rows += len(rows)
                for row in rows:
                    look.at_row(row)
                told += self._keep(one, first=not told)
                yield
            look.at_end()
            self._keep(one, first=not told)
            self._looked_at += 1
            yield

    def _keep(self, found: Firings, *, first: bool) -> int:
        """Take over what an account's calls made fire; how much that is."""
        fired = [one for one in found.fired if one.fired_at >= self._since]
        found.fired.clear()
        found.marks.clear()
        self._count += len(fired)
        self._fired_for += first and bool(fired)
        self._fired = sorted([*self._fired, *fired], key=lambda one: (one.fired_at, one.account))[:SHOWN]
        return len(fired)
