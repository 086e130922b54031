"""A search over many segments of the indexes and several partitions, whose ids lie far apart and mingle."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from rating.account import Account, Line
from rating.search import backwards
from rating.search.by_day import charges_by_day
from rating.search.conditions import Condition, parse_conditions
from rating.search.keys import Sort
from rating.search.search import Page, find_transaction, search_account, search_all
from rating.store import provisioning, sources, transactions
from rating.store.migrations import own_migrations
from rating.store.partitions import create_partition, month_of
from rating.store.read_only import connect_reader
from rating.store.sqlite import migrate_store
from rating.tariff import parse_tariff
from tests.builders import ACCOUNT, CALLED, CALLING, NOW, a_row, a_tariff_text, micros
from tests.contract.test_search import all_pages, ids

CALLS: Final = 240
STEP: Final = 9_973
"""Between ids: 240 of them reach over 74 segments."""
MONTHS: Final = ("2026-08", "2026-09", "2026-10", "2026-11")
LINES: Final = (CALLING, "12125550143", "12125550144")
OWNER: Final = Account.of(ACCOUNT, "Customer", None, "USD", "America/New_York", None, None, None, 1)
"""Of the first two lines."""


def call(n: int) -> dict[str, Any]:
    """The n-th call: mostly of the newest month of its time, now and then a late one of an older month."""
    month = MONTHS[n * 4 // CALLS if n % 5 else n % 3]
    start_at = micros(f"{month}-0{n % 9 + 1}T12:00:00+00:00") + n
    return {
        "id": 1 + n * STEP,
        "record_id": f"n{n}",
        "start_at": start_at,
        "answer_at": start_at,
        "line": LINES[n % 3],
        "called": CALLED if n % 2 else "14165550100",
        "charge_micros": n * 100,
        "arrived_at": NOW + n,
    }


@pytest.fixture
def cx(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    path = tmp_path / "tollkeeper.db"
    migrate_store(path, own_migrations(), NOW)
    with closing(sqlite3.connect(path)) as writer, writer:
        sources.register(writer, ["pop-nyc"])
        text = a_tariff_text()
        provisioning.add_tariff(writer, text, parse_tariff(text), NOW)
        provisioning.put_accounts(writer, [OWNER], NOW)
        provisioning.put_owners(writer, [Line(line, "local", "", ACCOUNT, "Transatlantic") for line in LINES[:2]])
        for n in range(CALLS):
            columns = call(n)
            month = month_of(columns["start_at"])
            create_partition(writer, month)
            transactions.insert(writer, month, [a_row(**columns)])
        create_partition(writer, 202612)  # and one that is empty
    with closing(connect_reader(path)) as reader:
        yield reader


def given_(*triples: tuple[str, str, str]) -> tuple[Condition, ...]:
    return parse_conditions(triples, ZoneInfo("UTC"), "USD")


def numbered(page_rows: list[dict[str, Any]]) -> list[int]:
    return [(number - 1) // STEP for number in ids(page_rows)]


@pytest.mark.parametrize("limit", [1, 7, 500])
def test_a_customer_finds_the_calls_of_every_segment_and_month(cx: sqlite3.Connection, limit: int) -> None:
    for sort in (Sort("charge", False), Sort("charge", True)):
        rows, pages = all_pages(lambda after, sort=sort: search_account(cx, ACCOUNT, LINES[:2], (), sort, after, limit))
        expected = [n for n in range(CALLS) if n % 3 < 2]
        assert numbered(rows) == (expected[::-1] if sort.descending else expected)
        assert {page.totals.count for page in pages if page.totals} == {len(expected)}


@pytest.mark.parametrize("limit", [1, 7, 500])
@pytest.mark.parametrize("budget", [3, 50, 10_000])
@pytest.mark.parametrize(
    ("column", "value", "left"),
    [
        ("line", LINES[1], lambda n: n % 3 == 1),
        ("called", CALLED, lambda n: n % 2 == 1),
        ("charge", "0", lambda n: n == 0),
        ("start", "2026-08-01", lambda n: call(n)["start_at"] // (86_400 * 10**6) == 20_666),
    ],
)
def test_staff_find_them_from_the_newest_back(
    cx: sqlite3.Connection, column: str, value: str, left: Any, budget: int, limit: int
) -> None:
    conditions = given_((column, "=", value))
    rows, _ = all_pages(lambda after: search_all(cx, conditions, after, limit, budget))
    assert numbered(rows) == [n for n in reversed(range(CALLS)) if left(n)]
    assert rows


def test_a_busy_number_is_not_counted_to_the_end_but_still_found(
    cx: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backwards, "_FEW", 10)
    monkeypatch.setattr(backwards, "_COUNTED", 20)
    expected = [n for n in reversed(range(CALLS)) if n % 2]
    for budget in (5, 1000):
        for limit in (1, 7):
            rows, pages = all_pages(
                lambda after, limit=limit, budget=budget: search_all(
                    cx, given_(("called", "=", CALLED)), after, limit, budget
                )
            )
            assert numbered(rows) == expected
            assert all(page.totals is None for page in pages)


def test_a_busy_number_that_matches_nothing_is_looked_for_in_parts(
    cx: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backwards, "_FEW", 5)
    monkeypatch.setattr(backwards, "_COUNTED", 5)
    conditions = given_(("called", "=", CALLED), ("device", "=", "none such"))
    rows, pages = all_pages(lambda after: search_all(cx, conditions, after, 10, 10))
    assert rows == []
    backs = [page.searched_back_to_at for page in pages[:-1]]
    assert len(backs) > 1
    assert all(back is not None and NOW <= back < NOW + CALLS for back in backs)
    assert backs == sorted(backs, reverse=True)
    assert pages[-1].searched_back_to_at is None


@pytest.mark.parametrize("few", [1, 10, 79, 80, 81, 10_000])
@pytest.mark.parametrize("limit", [1, 7, 500])
def test_what_is_found_at_once_and_what_is_found_in_parts_is_the_same(
    cx: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, limit: int, few: int
) -> None:
    monkeypatch.setattr(backwards, "_FEW", few)
    of_a_line = [n for n in reversed(range(CALLS)) if n % 3 == 1]
    assert len(of_a_line) == 80
    for charge, left in (("0", of_a_line), ("0.0151", [n for n in of_a_line if n > 150])):
        conditions = given_(("line", "=", LINES[1]), ("charge", ">=", charge))
        rows, pages = all_pages(lambda after, conditions=conditions: search_all(cx, conditions, after, limit))
        assert numbered(rows) == left
        assert {page.totals.count for page in pages if page.totals} == {len(left)}
        assert {sum(page.totals.charge_micros.values()) for page in pages if page.totals} == {100 * sum(left)}


def test_a_number_that_is_asked_for_twice_is_found_once(cx: sqlite3.Connection) -> None:
    page = search_all(cx, given_(("called", "in", "+14165550100,+1 416 555 0100")), None, 500)
    assert numbered(page.rows) == [n for n in reversed(range(CALLS)) if n % 2 == 0]
    assert page.totals is not None
    assert page.totals.count == CALLS // 2


def test_a_page_that_ends_for_its_budget_says_how_far_it_looked(cx: sqlite3.Connection) -> None:
    page: Page = search_all(cx, given_(("device", "=", "none such")), None, 10, 50)
    assert page.searched_back_to_at == NOW + CALLS - 50
    assert page.totals is None


def test_the_indexes_are_used(cx: sqlite3.Connection) -> None:
    plans: list[str] = []
    cx.set_trace_callback(plans.append)
    search_account(cx, ACCOUNT, LINES, given_(("called", "=", CALLED)), Sort(), None, 5)
    cx.set_trace_callback(None)
    statements = [sql for sql in plans if "matches" in sql]
    assert statements
    for sql in statements:
        steps = [step for *_, step in cx.execute(f"EXPLAIN QUERY PLAN {sql}") if "transactions_" in step]
        assert sum("_line (<expr>=? AND line=?" in step for step in steps) == len(MONTHS)
        assert sum("PRIMARY KEY (rowid=?" in step for step in steps) == len(MONTHS)
        assert len(steps) == 2 * len(MONTHS)


def test_a_transaction_is_found_in_whichever_month_it_lies(cx: sqlite3.Connection) -> None:
    for n in range(CALLS):
        row = find_transaction(cx, 1 + n * STEP, ACCOUNT)
        assert row is not None
        assert row["id"] == f"n{n}"
        assert find_transaction(cx, 2 + n * STEP) is None


def test_the_charges_of_the_last_days_are_those_of_their_calls(cx: sqlite3.Connection) -> None:
    days = charges_by_day(cx, OWNER, NOW, days=90)
    dates = [midnight.date() for midnight, _ in days]
    expected = dict.fromkeys(dates, 0)
    for n in range(CALLS):
        day = datetime.fromtimestamp(call(n)["answer_at"] // 10**6, ZoneInfo(OWNER.timezone)).date()
        if n % 3 < 2 and day in expected:
            expected[day] += n * 100
    assert dict(zip(dates, (charged for _, charged in days), strict=True)) == expected
    assert sum(charged > 0 for charged in expected.values()) > 10
