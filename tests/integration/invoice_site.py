"""Pages and API with invoices: the web site's accounts, bills for them, who is enrolled, and who takes payments."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import TCPConnector
from aiohttp.test_utils import TestClient

from control.ledger import Ledger
from control.payments.payment import State
from control.payments.rule_rows import put_rules
from control.payments.rules import EarlyPayment, Rules
from control.users import Role
from rating.cdr import MICROS
from tests.bills_by_hand import issue_bill, some_charges
from tests.integration.web_site import ADA, BOB, Visitor, WebSite, opened

AT_ONCE: Final = 50


class InvoiceSite:
    """What the tests of invoices look at."""

    def __init__(self, base: WebSite) -> None:
        self.web, self.payments = base, base.site.payments

    @property
    def ledger(self) -> Ledger:
        return self.web.acting.room.ledger

    @property
    def due(self) -> int:
        """What Ada owes, in micro-units."""
        return self.ledger.balances.owed(ADA)

    async def program(self, role: Role, account: str | None = None, name: str = "") -> Visitor:
        """A program with a token of its own, and as many connections as it likes."""
        token = await self.web.users.add_token(name or f"a program of {role} {account}", role, account, "test")
        client: TestClient[Any, Any] = TestClient(
            self.web.server, headers={"Authorization": f"Bearer {token}"}, connector=TCPConnector(limit=2 * AT_ONCE)
        )
        self.web._stack.push_async_callback(client.session.close)
        return Visitor(client)

    async def move(self, number: int, *states: State) -> None:
        for state in states:
            await self.payments.move(number, state, actor="the bank")

    async def cancel(self, account: str) -> None:
        """No invoices online any more."""
        await self.web.site.enrolments.cancel(account, "test")

    def rows(self, sql: str) -> list[Any]:
        with sqlite3.connect(f"file:{self.web.path}?mode=ro", uri=True) as cx:
            found = cx.execute(sql).fetchall()
        cx.close()
        return found


async def bill_everybody(base: WebSite) -> None:
    """Ada has the invoices 1 and 2, Bob 3; both may see theirs."""
    rules = Rules("standard", early=EarlyPayment(2 * MICROS, 10))
    await base.store.transact(put_rules, rules, "", "stella", base.now)
    for account, units, period, follows in ((ADA, 100, "2026-09", 0), (ADA, 50, "2026-10", 1), (BOB, 7, "2026-10", 0)):
        charges = some_charges(units * MICROS, account, period=period, follows=follows)
        await issue_bill(base.store, base.acting.room.ledger, base.now, charges)
    for account in (ADA, BOB):
        await base.site.enrolments.enrol(account, "test")


@asynccontextmanager
async def with_invoices(directory: Path) -> AsyncIterator[InvoiceSite]:
    async with opened(directory) as base:
        await bill_everybody(base)
        yield InvoiceSite(base)
