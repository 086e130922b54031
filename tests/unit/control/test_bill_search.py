"""Bills looked for: within what one read looks at, and on from there."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date

import pytest

from control.billing import bill_rows, bill_search
from control.billing.bill import Bill
from control.billing.bill_search import Wanted, search
from mediation.schema import all_migrations
from rating.cdr import MICROS
from rating.store.migrations import migrate

BILLS = 10


def a_bill(number: int) -> Bill:
    """Even ones are Ada's, odd ones Bob's."""
    account, name = ("4000000002", "Ada Lovelace") if number % 2 == 0 else ("4000000001", "Bob 100%")
    day = date(2026, 11, 1)
    return Bill(
        number, account, name, f"2026-{number:02d}", number, number + 1, 1, day, day, "USD", 2, 0, 0, 0, MICROS, MICROS,
        None, 1, 1, number,
    )  # fmt: skip


@pytest.fixture
def cx() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as cx:
        migrate(cx, all_migrations(), 0)
        bill_rows.insert(cx, [(a_bill(number), b"") for number in range(1, BILLS + 1)])
        yield cx


def numbers(cx: sqlite3.Connection, wanted: Wanted, limit: int = 50, before: int | None = None) -> list[int]:
    return [one.bill.number for one in search(cx, wanted, limit=limit, before=before).bills]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), list(range(10, 0, -1))),
        (Wanted(number=3), [3]),
        (Wanted(number=11), []),
        (Wanted(account="4000000002"), [10, 8, 6, 4, 2]),
        (Wanted(account="400000000"), []),
        (Wanted(words=("LOVE", "ada")), [10, 8, 6, 4, 2]),
        (Wanted(words=("100%",)), [9, 7, 5, 3, 1]),
        (Wanted(words=("1_0",)), []),
        (Wanted(period="2026-04", account="4000000002"), [4]),
        (Wanted(period="2026-04", account="4000000001"), []),
        (Wanted(is_flagged=True), []),
    ],
)
def test_what_is_wanted_is_found_the_newest_first(cx: sqlite3.Connection, wanted: Wanted, found: list[int]) -> None:
    assert numbers(cx, wanted) == found


def test_a_page_goes_on_before_its_last_one(cx: sqlite3.Connection) -> None:
    first = search(cx, Wanted(), limit=4)
    assert ([one.bill.number for one in first.bills], first.before) == ([10, 9, 8, 7], 7)
    last = search(cx, Wanted(), limit=4, before=4)
    assert ([one.bill.number for one in last.bills], last.before) == ([3, 2, 1], None)


def test_one_read_looks_at_so_many_and_says_where_it_ended(
    cx: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bill_search, "NUMBERS_A_READ", 3)
    found, before = list[int](), None
    for _ in range(BILLS):
        page = search(cx, Wanted(words=("ada",)), limit=5, before=before)
        found, before = found + [one.bill.number for one in page.bills], page.before
        assert len(page.bills) <= 2
        if before is None:
            break
    assert found == [10, 8, 6, 4, 2]
    assert search(cx, Wanted(number=1), limit=5).before is None
    assert numbers(cx, Wanted(account="4000000002")) == [10, 8, 6, 4, 2]


def test_there_are_none_before_the_first(cx: sqlite3.Connection) -> None:
    cx.execute("DELETE FROM bills")
    assert search(cx, Wanted(), limit=5) == bill_search.Page([], None)
