"""The ledger of a running daemon: balances move with the transaction that makes an entry, and only with it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from control.ledger import Balances, Entry, EntryRefused, Ledger, ledger_differences
from control.ledger.postings import unbalanced
from mediation.schema import all_migrations
from rating.cdr import MICROS
from rating.store.sqlite import SqliteStore, open_store
from tests.builders import ACCOUNT, NOW, accounts_csv

HUNDRED = 100 * MICROS


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await open_store(tmp_path / "tollkeeper.db", all_migrations(), NOW)
    await store.import_accounts(accounts_csv(), NOW)
    yield store
    assert await store.read(unbalanced) == []
    await store.close()


async def test_a_payment_moves_the_balance_once_and_survives(store: SqliteStore) -> None:
    ledger = Ledger(store, lambda: NOW, Balances())
    paid = [ledger.pay(ACCOUNT, HUNDRED, "USD", actor="stella", key="k1") for _ in range(3)]
    recorded = await asyncio.gather(*paid)
    assert [one.is_new for one in recorded].count(True) == 1
    assert {one.entry.id for one in recorded} == {1}
    await ledger.credit(ACCOUNT, 5 * MICROS, "USD", actor="stella", key="k2")
    await ledger.reverse(ACCOUNT, 1, actor="stella", key="k3", remark="bounced")
    assert ledger.balances.owed(ACCOUNT) == -5 * MICROS
    assert [entry.amount_micros for entry in await ledger.entries(ACCOUNT, limit=10)] == [-HUNDRED, 5 * MICROS, HUNDRED]
    assert await store.read(ledger_differences, ledger.balances.all()) == []
    assert (await store.read(Balances.load)).owed(ACCOUNT) == -5 * MICROS


async def test_who_watches_sees_the_new_balance_in_the_same_transaction(store: SqliteStore) -> None:
    seen: list[tuple[int, int, int, bool]] = []

    def watch(cx: sqlite3.Connection, entry: Entry, now: int) -> None:
        seen.append((entry.id, -balances.owed(entry.account), now, cx.in_transaction))

    balances = Balances()
    ledger = Ledger(store, lambda: NOW, balances, watch)
    for _ in range(2):
        await ledger.pay(ACCOUNT, HUNDRED, "USD", actor="stella", key="k1")
    assert seen == [(1, HUNDRED, NOW, True)]


async def test_an_entry_that_comes_to_nothing_moves_no_balance(store: SqliteStore) -> None:
    def watch(_cx: sqlite3.Connection, _entry: Entry, _now: int) -> None:
        raise RuntimeError("a mistake elsewhere")

    ledger = Ledger(store, lambda: NOW, Balances(), watch)
    with pytest.raises(RuntimeError):
        await ledger.pay(ACCOUNT, HUNDRED, "USD", actor="stella", key="k1")
    with pytest.raises(EntryRefused):
        await ledger.pay(ACCOUNT, HUNDRED, "EUR", actor="stella", key="k2")
    assert ledger.balances.owed(ACCOUNT) == 0
    assert await ledger.entries(ACCOUNT, limit=10) == []
    assert await store.read(ledger_differences, ledger.balances.all()) == []
