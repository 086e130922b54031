"""A store in memory with an event monitor beside it, for the tests of account events: calls go in, firings come out."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from control.events import checks, event_rows
from control.events.account_view import Accounts
from control.events.definition_json import parse_event
from control.events.event_rows import StoredEvent
from control.events.firings import Fired, Firings
from control.events.monitor import EventMonitor, Recheck
from control.events.past import StoredPast
from control.events.tallies import Past
from mediation.schema import all_migrations
from rating.account import Account
from rating.store import provisioning, transactions
from rating.store.batch import COLUMN, Row
from rating.store.migrations import migrate
from rating.store.partitions import create_partition, month_of
from tests.builders import ACCOUNT, NOW, a_line, a_row, an_account, micros

UNIT: Final = 1_000_000
HOUR_S: Final = 3600


def charges(**fields: Any) -> dict[str, Any]:
    """A condition: the charges of a month above 100, but for what is given."""
    return {"measure": "charges", "period": "month", **({"above": "100.00"} if not _compares(fields) else {}), **fields}


def _compares(fields: Mapping[str, Any]) -> bool:
    return bool(fields.keys() & {"above", "at_least", "above_credit_limit", "above_average", "of_average"})


def an_event(when: Any = None, **fields: Any) -> dict[str, Any]:
    """An event's JSON: on every account, with one condition of `charges`."""
    return {"accounts": {"all": True}, "name": "Too much", "when": charges() if when is None else when, **fields}


class EventSite:
    """Accounts with a line each, their transactions, and the monitor."""

    def __init__(
        self,
        accounts: Iterable[Account] | None = None,
        *,
        now: int = NOW,
        opened_at: Mapping[str, int] | None = None,
        monitor: Callable[[Accounts], EventMonitor] = EventMonitor,
    ) -> None:
        self.now = now
        self.cx = sqlite3.connect(":memory:", isolation_level=None)
        self.past: Past = StoredPast(self.cx)
        self._new_monitor = monitor
        migrate(self.cx, all_migrations(), now)
        given = [an_account(timezone="UTC")] if accounts is None else list(accounts)
        self.accounts = {account.account: account for account in given}
        lines = [a_line(line=f"1212555{n:04d}", account=account.account) for n, account in enumerate(given)]
        self.lines = {line.account: line.line for line in lines}
        provisioning.put_accounts(self.cx, given, now)
        provisioning.put_lines(self.cx, lines)
        provisioning.put_owners(self.cx, lines)
        for account, at in (opened_at or {}).items():
            self.cx.execute("UPDATE accounts SET opened_at = ? WHERE account = ?", (at, account))
        self.limits = {account.account: account.credit_limit_micros for account in given}
        self.paid = dict.fromkeys(self.accounts, 0)
        self.charged = dict.fromkeys(self.accounts, 0)
        self.last_id = 0
        self.restart()

    def restart(self) -> None:
        """Begin with what the store says, as a daemon does."""
        self.known = Accounts(
            self.accounts,
            event_rows.opened_at(self.cx, {}),
            lambda account: self.charged[account] - self.paid[account],
            self.limits.__getitem__,
        )
        self.monitor = self._new_monitor(self.known)
        self.monitor.load(self.cx, self.now)

    def prescribe(self, document: Mapping[str, Any], *, created_at: int | None = None) -> StoredEvent:
        """Make an event; what it fires for at once is written."""
        at = self.now if created_at is None else created_at
        event = event_rows.insert_event(self.cx, parse_event(document), "staff", at, HOUR_S)
        self.write(self.monitor.add(self.cx, event, self.now))
        return event

    def store(self, *calls: Mapping[str, Any]) -> list[Fired]:
        """Store calls as one batch; what fired. A call's `account`, `answer` and columns of a transaction; the charge
        in units as `charge`."""
        rows = [self._row(call) for call in calls]
        for row in rows:
            month = month_of(row[COLUMN["start_at"]])
            create_partition(self.cx, month)
            transactions.insert(self.cx, month, [row])
            self.charged[row[COLUMN["account"]]] += row[COLUMN["charge_micros"]]
        return self.write(self.monitor.watch(rows, self.now, self.past))

    def _row(self, call: Mapping[str, Any]) -> Row:
        fields = dict(call)
        account = fields.pop("account", ACCOUNT)
        at = fields.pop("answer", self.now)
        at = micros(at) if isinstance(at, str) else at
        charge = fields.pop("charge_micros", fields.pop("charge", 1) * UNIT)
        self.last_id += 1
        line = self.lines[account]
        columns = {"charge_micros": charge, "line": line, "calling": line, "answer_at": at, "start_at": at} | fields
        return a_row(id=self.last_id, record_id=f"r{self.last_id}", account=account, **columns)

    def write(self, firings: Firings) -> list[Fired]:
        """Write what fired; whatever the monitor says is new has to be new to the store."""
        written = [fired for _, fired in event_rows.write_firings(self.cx, firings)]
        assert written == firings.fired
        return written

    def recheck(self, account: str = ACCOUNT) -> Recheck:
        """Look at an account again; what fired is written."""
        again = self.monitor.recheck(account, self.now, self.past)
        self.write(again.firings)
        return again

    def check(self, event: int) -> list[Fired]:
        """Check an event on the clock; what fired is written."""
        stored = event_rows.event_by_id(self.cx, event)
        assert stored is not None
        found = checks.gather_check(self.cx, stored, self.known, self.now)
        firings = checks.conclude(self.cx, found, self.known, self.monitor.marks, self.now, HOUR_S)
        assert firings is not None
        return self.write(firings)
