"""Accounts, transactions and a ledger in memory, to be billed at once: what the tests of bills share."""

import sqlite3
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from control.billing import bill_rows
from control.billing.bill import Bill, Document
from control.billing.bill_run import charges_of
from control.billing.cycles import Cycles
from control.billing.due import look
from control.billing.issuing import Issued, issue
from control.ledger.payments import record_credit, record_payment, reverse
from mediation.schema import all_migrations
from rating.account import Account
from rating.cdr import MICROS
from rating.store.batch import COLUMNS
from rating.store.migrations import migrate
from rating.store.partitions import create_partition, last_id, month_of
from rating.store.provisioning import add_tariff, put_accounts
from rating.tariff import parse_tariff
from tests.builders import ACCOUNT, NOW, a_row, a_tariff_text, an_account, micros

DIRECTORY: Final = Path(tempfile.gettempdir())
DAY_US: Final = 86_400 * MICROS


class BillSite:
    """A store in memory. Its clock is `now`."""

    def __init__(self, *accounts: Account) -> None:
        self.cx = sqlite3.connect(":memory:", isolation_level=None)
        migrate(self.cx, all_migrations(), NOW)
        self.now = NOW
        self.accounts = {account.account: account for account in accounts or (an_account(),)}
        self.provision(*self.accounts.values())
        text = a_tariff_text()
        add_tariff(self.cx, text, parse_tariff(text), NOW)
        self.keys = 0

    def provision(self, *accounts: Account) -> None:
        put_accounts(self.cx, accounts, NOW)
        self.accounts |= {account.account: account for account in accounts}

    def call(self, answer: str | int, micros_: int = MICROS, account: str = ACCOUNT, **columns: Any) -> int:
        """A transaction, answered at an instant; its id."""
        at = micros(answer) if isinstance(answer, str) else answer
        number = last_id(self.cx) + 1
        values = {"account": account, "record_id": f"r{number}", "start_at": at, "answer_at": at} | columns
        reverses = values.pop("reverses", None)
        row = a_row(id=number, charge_micros=micros_, **values)
        month = month_of(values["start_at"])
        create_partition(self.cx, month)
        self.cx.execute(
            f"INSERT INTO transactions_{month} ({', '.join(COLUMNS)}, reverses)"
            f" VALUES ({', '.join('?' * (len(COLUMNS) + 1))})",
            (*row, reverses),
        )
        return number

    def pay(self, units: int, account: str = ACCOUNT) -> int:
        self.keys += 1
        return record_payment(
            self.cx, account, units * MICROS, self.currency(account), actor="stella", key=f"k{self.keys}", now=self.now
        ).entry.id

    def currency(self, account: str) -> str:
        return self.accounts[account].currency

    def credit(self, units: int, account: str = ACCOUNT) -> int:
        self.keys += 1
        return record_credit(
            self.cx, account, units * MICROS, self.currency(account), actor="stella", key=f"k{self.keys}", now=self.now
        ).entry.id

    def take_back(self, entry: int, account: str = ACCOUNT) -> None:
        self.keys += 1
        reverse(self.cx, account, entry, actor="stella", key=f"k{self.keys}", now=self.now)

    def bill_run(self, period: str, accounts: Iterable[Account] | None = None) -> list[Bill]:
        """Bill the cycles that begin in a month, as of now; the new bills."""
        everyone = self.accounts.values() if accounts is None else accounts
        agenda = look(self.cx, everyone, Cycles(period), self.now)
        made = [self.issue(part) for part in charges_of(self.cx, agenda.due, last_id(self.cx), DIRECTORY)]
        assert not any(issued.overtaken or issued.already for issued in made)
        return [bill for issued in made for bill in issued.bills]

    def issue(self, part: list[Any]) -> Issued:
        self.cx.execute("BEGIN")
        issued = issue(self.cx, part, "stella", self.now)
        self.cx.execute("COMMIT")
        return issued

    def bill(self, period: str) -> Bill:
        """The one new bill."""
        (bill,) = self.bill_run(period)
        return bill

    def document(self, bill: Bill) -> Document:
        return bill_rows.document(self.cx, bill.number)

    def itemised(self, bill: Bill) -> list[int]:
        """The transactions on a bill, in its order."""
        return [
            call.transaction
            for section in self.document(bill).sections
            for line in section.lines
            for call in line.calls
        ]
