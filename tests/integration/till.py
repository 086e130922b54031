"""An account that pays, on a real store, and who takes its payments."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from control.account_control import AccountControl
from control.billing.bill import Bill
from control.breaker import Breaker
from control.ledger import Balances, Entry, Ledger, ledger_differences
from control.ledger.postings import unbalanced
from control.payments import payment_rows
from control.payments.payment import Payment, Pending, State
from control.payments.rule_rows import put_rules
from control.payments.rules import EarlyPayment, Rules
from control.payments.service import Attempt, Payments
from mediation.schema import all_migrations
from rating.cdr import MICROS
from rating.store.sqlite import SqliteStore, open_store
from tests.bills_by_hand import issue_bill, some_charges
from tests.builders import ACCOUNT, accounts_csv, an_account, lines_csv, micros

ISSUED = micros("2026-11-03T12:00:00-05:00")
LAST_DAY_ENDS = micros("2026-11-14T00:00:00-05:00")
"""In the account's zone; the discount's tenth day is over then."""
TWO_PERCENT = Rules("standard", early=EarlyPayment(2 * MICROS, 10))
CUSTOMER = "ada"
EVENT = {
    "accounts": {"all": True},
    "name": "Over the limit",
    "when": {"measure": "charges", "period": "bill-cycle", "above_credit_limit": True},
    "respond": [{"do": "bar", "services": ["long-distance"], "until": "cleared"}],
}


class Till:
    """A store with an account that pays, and who takes its payments."""

    def __init__(self, store: SqliteStore) -> None:
        self.store, self.now = store, ISSUED
        self.control = AccountControl(
            lambda: {ACCOUNT: an_account(credit_limit_micros=50 * MICROS)},
            lambda account: self.ledger.balances.owed(account),
            Breaker(100, 600),
            3600,
        )
        self.watching = True
        self.ledger = Ledger(store, lambda: self.now, Balances(), self.watch)
        self.woken = 0
        self.payments = Payments(store, self.ledger, lambda: self.now, self.wake)

    def watch(self, cx: sqlite3.Connection, entry: Entry, now: int) -> None:
        if not self.watching:
            raise RuntimeError("a mistake elsewhere")
        self.control.on_entry(cx, entry, now)

    def wake(self) -> None:
        self.woken += 1

    async def bill(self, units: int, *, follows: int = 0, period: str = "2026-10") -> Bill:
        charges = some_charges(units * MICROS, follows=follows, period=period)
        return await issue_bill(self.store, self.ledger, self.now, charges)

    async def rules(self, rules: Rules = TWO_PERCENT) -> None:
        await self.store.transact(put_rules, rules, "", "stella", self.now)

    async def pay(self, units: int | None = None, key: str = "k1", invoice: int = 1) -> Payment:
        return (await self.tried(units, key, invoice)).payment

    async def tried(self, units: int | None = None, key: str = "k1", invoice: int = 1) -> Attempt:
        return await self.payments.pay(invoice, units and units * MICROS, actor=CUSTOMER, key=key)

    async def move(self, *states: State, number: int = 1) -> Payment:
        moved = [await self.payments.move(number, state, actor="the bank") for state in states]
        return moved[-1]

    async def pending(self) -> Pending:
        """What is on its way, as pages are told it."""
        return await self.store.read(payment_rows.pending, ACCOUNT)

    async def books(self) -> dict[str, int]:
        """What stands in every book, in whole units."""
        return {book: total // MICROS for book, total in (await self.books_micros()).items() if total}

    async def books_micros(self) -> dict[str, int]:
        rows = await self.store.read(
            lambda cx: cx.execute("SELECT book, sum(amount_micros) FROM ledger_postings GROUP BY book").fetchall()
        )
        return dict(rows)

    @property
    def due(self) -> int:
        return self.ledger.balances.owed(ACCOUNT) // MICROS

    async def attempts(self, invoice: int = 1) -> list[str]:
        """The states of all attempts, the oldest first."""
        found = await self.store.read(payment_rows.of_invoice, invoice)
        return [f"{one.state} {one.reason}" if one.reason else str(one.state) for one in found[::-1]]


@asynccontextmanager
async def opened_till(tmp_path: Path) -> AsyncIterator[Till]:
    """On a fresh store; at the end its books are looked at."""
    store = await open_store(tmp_path / "tollkeeper.db", all_migrations(), ISSUED)
    await store.import_accounts(accounts_csv(f"{ACCOUNT},Ada Lovelace,,USD,America/New_York,50.00,standard,,1"), ISSUED)
    await store.import_lines(lines_csv(f"+12125550142,{ACCOUNT},Transcontinental,long-distance,kam1,,"))
    till = Till(store)
    try:
        yield till
        assert await store.read(unbalanced) == []
        assert sum((await till.books_micros()).values()) == 0
        assert await store.read(ledger_differences, till.ledger.balances.all()) == []
    finally:
        await store.close()
