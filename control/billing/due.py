"""Which accounts are due for a bill of a cycle, and which of their transactions are not on one yet."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from control.billing import bill_rows
from control.billing.cycles import Cycle, Cycles
from rating.account import Account

_ACCOUNTS_A_READ = 5_000


class Due(NamedTuple):
    """An account whose cycle has ended and that has no bill of it."""

    account: Account
    cycle: Cycle
    follows: int
    """The number of its latest bill, 0 without one."""
    billed_upto: int
    """The end of that one's cycle, µs UTC; 0 without one."""
    covers_id: int
    """The last transaction that one covers. Both rise from bill to bill: what the latest one does not cover, none
    does."""
    carries: bool
    """Whether it gets a bill also without transactions: it owes something, has a credit, or something was entered."""

    def bills(self, transaction: int, answer_at: int) -> bool:
        """Whether a transaction of the account goes on the bill."""
        return answer_at < self.cycle.end and (answer_at >= self.billed_upto or transaction > self.covers_id)


class Agenda(NamedTuple):
    """What there is to do."""

    due: dict[str, Due]
    already: int
    """Accounts that have a bill of the cycle, or of a later one."""
    not_ended: int
    """Accounts whose cycle goes on."""


def look(cx: sqlite3.Connection, accounts: Iterable[Account], cycles: Cycles, ended_by: int) -> Agenda:
    """Of some accounts: those whose cycle has ended by an instant (µs UTC) and that have no bill of it."""
    due: dict[str, Due] = {}
    already = not_ended = 0
    entered = dict(cx.execute("SELECT account, max(id) FROM ledger_entries WHERE shard = 0 GROUP BY account"))
    for some in _parts(accounts):
        latest_of = bill_rows.latest_bills(cx, [account.account for account in some])
        for account in some:
            cycle = cycles.of(account.timezone, account.cycle_day)
            latest = latest_of.get(account.account)
            last_entry = entered.get(account.account, 0)
            if latest is not None and latest.is_over(cycle):
                already += 1
            elif cycle.end > ended_by:
                not_ended += 1
            elif latest is None:
                due[account.account] = Due(account, cycle, 0, 0, 0, last_entry > 0)
            else:
                carries = latest.total_due_micros != 0 or last_entry > latest.entry
                due[account.account] = Due(account, cycle, latest.number, latest.cycle_end, latest.covers_id, carries)
    return Agenda(due, already, not_ended)


def _parts(accounts: Iterable[Account]) -> Iterator[Sequence[Account]]:
    everyone = iter(accounts)
    while some := list(islice(everyone, _ACCOUNTS_A_READ)):
        yield some
