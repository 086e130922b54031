"""The recount comes to the same sums as the counters by a way of its own, and finds what somebody changed."""

import sqlite3
from collections.abc import Iterator, Sequence
from random import Random

import pytest

from rating.account import Account
from rating.cdr import MICROS
from rating.counters import Counters
from rating.recount import Difference, as_sums, differences, recount
from rating.store import transactions
from rating.store.batch import COLUMN, Row
from rating.store.migrations import migrate, own_migrations
from rating.store.partitions import create_partition, last_id, month_of, table_of
from tests.builders import a_row, an_account, micros

ZONES = (
    "UTC",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/Havana",
    "Pacific/Kiritimati",
    "America/St_Johns",
)
ACCOUNTS = tuple(
    an_account(f"{zone}/{day}", timezone=zone, cycle_day=day) for zone in ZONES for day in (1, 15, 28, 29, 30, 31)
)
BEGIN, END = micros("2026-01-01T00:00:00Z"), micros("2028-04-01T00:00:00Z")
CHANGES = tuple(
    micros(text)
    for text in (
        "2026-02-28T05:00:00Z",
        "2026-03-08T07:00:00Z",  # New York
        "2026-04-04T15:00:00Z",  # Lord Howe
        "2026-04-23T22:00:00Z",  # Cairo skips a midnight
        "2026-11-01T05:00:00Z",  # Havana repeats one
        "2027-12-31T10:00:00Z",
        "2028-02-29T00:00:00Z",
    )
)


@pytest.fixture
def cx() -> Iterator[sqlite3.Connection]:
    cx = sqlite3.connect(":memory:", isolation_level=None)
    migrate(cx, own_migrations(), 0)
    yield cx
    cx.close()


def store(cx: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Rows into their partitions, in the order of their ids."""
    for row in rows:
        month = month_of(row[COLUMN["start_at"]])
        create_partition(cx, month)
        transactions.insert(cx, month, [row])


def traffic(random: Random, transactions: int) -> list[Row]:
    """Calls of all accounts, many of them around midnights and clock changes; reversals and unanswered ones too."""
    rows = []
    for number in range(1, transactions + 1):
        start_at = random.randrange(BEGIN, END)
        if random.random() < 0.3:
            start_at = random.choice(CHANGES) + random.randrange(-7_200 * MICROS, 7_200 * MICROS)
        answer_at = start_at + random.choice((0, 0, random.randrange(90 * MICROS)))
        answered = random.random() < 0.8
        rows.append(
            a_row(
                id=number,
                record_id=str(number),
                start_at=start_at,
                answer_at=answer_at,
                account=random.choice(ACCOUNTS).account,
                duration_us=random.randrange(1, 10**10) if answered else 0,
                charge_micros=random.choice((0, random.randrange(10**9), -random.randrange(10**7))) if answered else 0,
            )
        )
    return rows


def counters_of(rows: Sequence[Row], accounts: Sequence[Account] = ACCOUNTS) -> Counters:
    counters = Counters({account.account: account for account in accounts})
    counters.add(rows)
    return counters


def found(cx: sqlite3.Connection, counters: Counters, accounts: Sequence[Account] = ACCOUNTS) -> list[Difference]:
    truth = recount(cx, accounts, counters.covers_id)
    return differences(as_sums(counters, accounts), truth.sums)


@pytest.mark.parametrize("seed", range(5))
def test_a_recount_of_random_traffic_agrees_with_the_counters(cx: sqlite3.Connection, seed: int) -> None:
    rows = traffic(Random(seed), 2_000)
    store(cx, rows)
    counters = counters_of(rows)
    assert found(cx, counters) == []
    truth = recount(cx, ACCOUNTS, last_id(cx))
    assert truth.transactions == 2_000
    assert truth.charge_micros == sum(row[COLUMN["charge_micros"]] for row in rows)
    assert len(truth.sums) == len(counters)


def test_a_recount_is_as_of_one_transaction(cx: sqlite3.Connection) -> None:
    rows = traffic(Random(7), 500)
    store(cx, rows)
    assert found(cx, counters_of(rows[:300])) == []
    assert recount(cx, ACCOUNTS, 300).transactions == 300
    assert recount(cx, ACCOUNTS, 0).transactions == 0


def test_counters_that_were_restored_agree_too(cx: sqlite3.Connection) -> None:
    rows = traffic(Random(8), 500)
    store(cx, rows)
    first = counters_of(rows[:200])
    counters = Counters({account.account: account for account in ACCOUNTS})
    counters.restore(first.covers_id, first.each_part(7))
    counters.add(rows[200:])
    assert found(cx, counters) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("UPDATE {table} SET charge_micros = charge_micros + 1 WHERE id = 1", (2_600_001, 61 * MICROS, 1, 1)),
        ("UPDATE {table} SET duration_us = duration_us - 1 WHERE id = 1", (2_600_000, 61 * MICROS - 1, 1, 1)),
        ("UPDATE {table} SET duration_us = 0 WHERE id = 1", (2_600_000, 0, 0, 1)),
        ("DELETE FROM {table} WHERE id = 1", (0, 0, 0, 0)),
    ],
)
def test_a_changed_transaction_shows_in_its_month_and_cycle(
    cx: sqlite3.Connection, change: str, expected: tuple[int, int, int, int]
) -> None:
    accounts = [an_account("1", cycle_day=15), an_account("2")]
    rows = [a_row(id=1, account="1"), a_row(id=2, account="2", record_id="2")]
    store(cx, rows)
    cx.execute(change.format(table=table_of(202611)))
    was = (2_600_000, 61 * MICROS, 1, 1)
    assert found(cx, counters_of(rows, accounts), accounts) == [
        Difference("1", "bill-cycle", "2026-11-15", was, expected),
        Difference("1", "month", "2026-11-01", was, expected),
    ]


def test_a_transaction_that_moved_to_another_account_shows_in_both(cx: sqlite3.Connection) -> None:
    accounts = [an_account("1"), an_account("2")]
    rows = [a_row(id=1, account="1")]
    store(cx, rows)
    cx.execute(f"UPDATE {table_of(202611)} SET account = '2'")
    assert [(one.account, one.period) for one in found(cx, counters_of(rows, accounts), accounts)] == [
        ("1", "bill-cycle"), ("1", "month"), ("2", "bill-cycle"), ("2", "month"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "answer", ["2026-12-01T04:59:59.999999Z", "2026-12-01T05:00:00Z", "2026-11-01T03:59:59.999999Z"]
)
def test_a_counter_in_the_wrong_period_shows(cx: sqlite3.Connection, answer: str) -> None:
    rows = [a_row(id=1, account="1", answer_at=micros(answer))]
    store(cx, rows)
    in_another_zone = counters_of(rows, [an_account("1", timezone="Asia/Tokyo")])
    assert len(found(cx, in_another_zone, [an_account("1")])) >= 2


@pytest.mark.parametrize("lost", [0, 1, 17])
def test_a_transaction_that_was_not_counted_shows(cx: sqlite3.Connection, lost: int) -> None:
    rows = traffic(Random(9), 100)
    store(cx, rows)
    counters = counters_of(rows[:lost] + rows[lost + 1 :])
    assert {one.account for one in found(cx, counters)} == {rows[lost][COLUMN["account"]]}


def test_a_transaction_that_was_counted_twice_shows(cx: sqlite3.Connection) -> None:
    rows = traffic(Random(10), 100)
    store(cx, rows)
    assert {one.account for one in found(cx, counters_of([*rows, rows[-1]]))} == {rows[-1][COLUMN["account"]]}


def test_a_counter_without_anything_in_it_is_no_difference() -> None:
    assert differences({("1", "month", "2026-11-01"): (0, 0, 0, 0)}, {}) == []


def test_gaps_in_the_ids_do_not_matter(cx: sqlite3.Connection) -> None:
    rows = [a_row(id=number, record_id=str(number), account="1") for number in (5, 49_999, 50_004, 50_005, 170_000)]
    store(cx, rows)
    accounts = [an_account("1")]
    assert found(cx, counters_of(rows, accounts), accounts) == []
    assert recount(cx, accounts, 170_000).transactions == 5
