"""Counters: what a transaction adds to which periods, snapshots of them, and accounts whose periods move."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.account import COLUMNS, Account
from rating.calendar import AccountCalendar
from rating.cdr import MICROS
from rating.counter_parts import Usage, unpack
from rating.counters import Counters
from rating.open_periods import OpenPeriods
from rating.pieces import Piece
from rating.store.retired import RetiredSum
from tests.builders import ACCOUNT, a_row, an_account, micros

JANE = an_account("1", timezone="America/New_York", cycle_day=15)
JOHN = an_account("2", timezone="Asia/Tokyo", cycle_day=31)
ACCOUNTS = {"1": JANE, "2": JOHN}


def counted(*transactions: tuple[str, str, int, int]) -> dict[tuple[str, str, int], tuple[int, int, int, int]]:
    """What counters say after transactions given as (account, answer, charge in micros, seconds)."""
    counters = Counters(ACCOUNTS)
    for account, answer, charge, seconds in transactions:
        counters.count(account, micros(answer), charge, seconds * MICROS)
    return said(counters)


def said(counters: Counters) -> dict[tuple[str, str, int], tuple[int, int, int, int]]:
    return {usage[:3]: usage[3:] for usage in counters}


def test_a_transaction_counts_in_the_month_and_the_bill_cycle_of_its_answer() -> None:
    assert counted(("1", "2026-11-20T15:00:00Z", 2_600_000, 61)) == {
        ("1", "month", micros("2026-11-01T04:00:00Z")): (2_600_000, 61 * MICROS, 1, 1),
        ("1", "bill-cycle", micros("2026-11-15T05:00:00Z")): (2_600_000, 61 * MICROS, 1, 1),
    }


def test_each_account_has_its_own_clock() -> None:
    at = "2026-10-31T20:00:00Z"
    assert set(counted(("1", at, 1, 1), ("2", at, 1, 1))) == {
        ("1", "month", micros("2026-10-01T04:00:00Z")),
        ("1", "bill-cycle", micros("2026-10-15T04:00:00Z")),
        ("2", "month", micros("2026-10-31T15:00:00Z")),  # it is November in Tokyo
        ("2", "bill-cycle", micros("2026-10-30T15:00:00Z")),
    }


def test_sums_are_exact_and_an_unanswered_call_is_a_transaction_but_no_call() -> None:
    sums = counted(
        ("1", "2026-11-20T15:00:00Z", 9_007_199_254_740_993, 61),
        ("1", "2026-11-21T15:00:00Z", 1, 0),
        ("1", "2026-11-22T15:00:00Z", -500_000, -60),  # a reversal
    )
    assert set(sums.values()) == {(9_007_199_254_240_994, 1 * MICROS, 0, 3)}


def test_counting_rows_reads_their_columns_and_remembers_the_last() -> None:
    counters = Counters({ACCOUNT: an_account()})
    rows = [
        a_row(id=5, charge_micros=40),
        a_row(id=6, charge_micros=-40, duration_us=-61 * MICROS),
        a_row(id=7, charge_micros=100),
        a_row(id=9, duration_us=0, charge_micros=0, answer_at=micros("2026-12-01T05:00:00Z")),
    ]
    counters.add(rows)
    assert counters.covers_id == 9
    assert {usage for usage in counters if usage.period == "month"} == {
        Usage(ACCOUNT, "month", micros("2026-11-01T04:00:00Z"), 100, 61 * MICROS, 1, 3),
        Usage(ACCOUNT, "month", micros("2026-12-01T05:00:00Z"), 0, 0, 0, 1),
    }


def test_counting_nothing_covers_nothing_new() -> None:
    counters = Counters({})
    counters.add([a_row(id=7)][:0])
    assert (counters.covers_id, len(counters)) == (0, 0)


@pytest.mark.parametrize("counters_per_part", [1, 3, 4, 1000])
def test_a_snapshot_is_restored_whole_and_counted_on(counters_per_part: int) -> None:
    counters = Counters(ACCOUNTS)
    for month in range(1, 11):
        counters.count("1", micros(f"2026-{month:02}-20T00:00:00Z"), month, 0)
        counters.count("2", micros(f"2026-{month:02}-20T00:00:00Z"), month, 0)
    counters.covers_id = 10
    parts = list(counters.each_part(counters_per_part))
    assert set(unpack(parts)) == set(counters)
    restored = Counters(ACCOUNTS)
    restored.count("2", 0, 99, 99)  # is gone after restoring
    restored.restore(counters.covers_id, parts)
    assert (restored.covers_id, len(restored)) == (10, 40)
    for some in (counters, restored):
        some.count("1", micros("2026-03-20T00:00:00Z"), 5, MICROS)
    assert said(restored) == said(counters)


MOMENTS = st.integers(micros("2023-01-01T00:00:00Z"), micros("2026-12-31T00:00:00Z"))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("count"), st.sampled_from("12"), MOMENTS, st.integers(-(10**7), 2**63 - 1)),
            st.tuples(st.just("ask"), st.sampled_from("12"), MOMENTS),
            st.sampled_from([("save",), ("start",)]),
        ),
        max_size=40,
    )
)
def test_whatever_is_saved_and_restored_between_every_sum_is_that_of_all_transactions(steps: list[Any]) -> None:
    """Periods of long ago are kept packed: calls that come late and questions about them are answered all the same."""
    counters, stored, calendars = Counters(ACCOUNTS), list[bytes](), {n: calendar_of(ACCOUNTS[n]) for n in ACCOUNTS}
    counted: list[Any] = []
    since = 0  # what a start after a crash counts again

    def charged(account: str, which: str, at: int) -> int:
        piece = getattr(calendars[account], which)
        return sum(micros for one, then, micros in counted if one == account and piece(then) == piece(at))

    for step, *values in steps:
        if step == "count":
            counted.append(tuple(values))
            counters.count(*values, MICROS)
        elif step == "ask":
            month, cycle = counters.usage(*values)
            assert month.charge_micros == charged(values[0], "month", values[1])
            assert cycle.charge_micros == charged(values[0], "cycle", values[1])
        elif step == "save":
            parts = list(counters.each_part(1))
            stored = stored[: counters.unchanged_parts] + parts[counters.unchanged_parts :]
            assert stored == parts
            counters.saved()
            since = len(counted)
        else:
            counters = Counters(ACCOUNTS)
            counters.restore(since, stored)
            for again in counted[since:]:
                counters.count(*again, MICROS)
    expected = {(one, which, getattr(calendars[one], which)(at)[0]) for one, at, _ in counted for which in PERIODS}
    assert {(usage.account, PERIOD_NAMES[usage.period], usage.starts_at) for usage in counters} == expected
    for usage in counters:
        assert usage.charge_micros == charged(usage.account, PERIOD_NAMES[usage.period], usage.starts_at)
    assert len(counters) == len(expected)
    assert counters.charged() == {
        account: sum(micros for one, _, micros in counted if one == account) for account, _, _ in counted
    }


PERIODS = ("month", "cycle")
PERIOD_NAMES = {"month": "month", "bill-cycle": "cycle"}


def calendar_of(account: Account) -> AccountCalendar:
    return AccountCalendar(account.timezone, account.cycle_day)


def test_a_period_of_long_ago_is_stored_once_and_once_more_when_a_late_call_comes() -> None:
    counters = Counters({"1": JANE})
    for month in range(1, 11):
        counters.count("1", micros(f"2026-{month:02}-20T12:00:00Z"), 1, 0)

    def written() -> list[bytes]:
        parts = list(counters.each_part())[counters.unchanged_parts :]
        counters.saved()
        return parts

    assert len(written()) == 2 * 10 + 1
    open_ones = 2 + 3 + 1  # months, cycles (which begin on the 15th) and the totals
    assert len(written()) == open_ones
    counters.count("1", micros("2026-07-20T12:00:00Z"), 1, 0)
    assert len(written()) > open_ones
    counters.count("1", micros("2026-10-20T12:00:00Z"), 1, 0)
    assert len(written()) == open_ones


def test_a_snapshot_of_an_older_program_is_restored() -> None:
    old = msgspec.msgpack.encode(
        [
            ("1", "month", micros("2025-11-01T04:00:00Z"), 5, 60, 1, 1),
            ("1", "bill-cycle", micros("2025-10-15T04:00:00Z"), 5, 60, 1, 1),
            ("2", "month", micros("2026-10-31T15:00:00Z"), str(2**64), 61, 1, 2),
            ("2", "bill-cycle", micros("2026-10-30T15:00:00Z"), str(2**64), 61, 1, 2),
        ]
    )
    counters = Counters(ACCOUNTS)
    counters.restore(7, [old])
    assert set(counters) == set(unpack([old]))
    assert counters.charged() == {"1": 5, "2": 2**64}
    assert counters.unchanged_parts == 0


def test_a_snapshot_from_before_there_were_totals_is_restored_with_all_its_cycles() -> None:
    old = msgspec.msgpack.encode(
        [("1", "bill-cycle", micros(f"2025-{month}-15T04:00:00Z"), charge, 60, 1, 1) for month, charge in MONTHS]
    )
    counters = Counters(ACCOUNTS)
    counters.restore(7, [old])
    assert counters.charged() == {"1": 5 + 7 + 2**64}
    assert set(counters) == set(unpack([old]))


MONTHS = (("09", 5), ("10", 7), ("11", str(2**64)))


def test_an_account_may_have_any_number_of_transactions() -> None:
    counters = Counters(ACCOUNTS)
    counters.count_retired(RetiredSum("1", 0, 0, 5, 7, 2**31, 2**33))
    counters.count_retired(RetiredSum("1", 0, 0, 5, 7, 2**31, 2**33))
    again = Counters(ACCOUNTS)
    again.restore(1, counters.parts())
    assert {usage[3:] for usage in again} == {(10, 14, 2**32, 2**34)}


def test_what_is_read_while_sums_are_on_their_way_is_read_again() -> None:
    """Else a charge would be counted twice, or not at all: the page or the event that asks is in another thread."""
    periods = OpenPeriods(lambda _: {}, lambda _: None)
    periods.reach(1)
    periods.add(0, Piece(0, 10, 0, 0), (100, 60, 1, 1))
    read = []

    def half_way() -> int:
        read.append(periods.charges(0))
        if len(read) == 1:
            periods.settle()
        return read[-1]

    assert periods.undisturbed(half_way) == 100
    assert read == [100, 100]


def test_a_snapshot_holds_sums_beyond_64_bits() -> None:
    """A charge may be as large as a store's integer: three of them must not stop the daemon at its next snapshot."""
    counters = Counters(ACCOUNTS)
    for _ in range(3):
        counters.count("1", 0, 2**63 - 1, 10**15)
    assert {usage.charge_micros for usage in unpack(counters.parts())} == {3 * (2**63 - 1)}


@pytest.mark.parametrize(
    ("changed", "moved"),
    [
        ({}, False),
        ({"name": "Jane Roe", "tariff": "other", "currency": "EUR"}, False),
        ({"timezone": "America/Chicago"}, True),
        ({"cycle_day": 16}, True),
    ],
)
def test_an_import_moves_periods_when_it_changes_the_clock_of_an_account_with_usage(
    changed: dict[str, object], moved: bool
) -> None:
    counters = Counters(ACCOUNTS)
    counters.count("1", 0, 1, 1)
    values = {name: getattr(JANE, name) for name in COLUMNS} | changed
    assert counters.follow({"1": an_account(**values), "2": JOHN, "3": an_account("3")}) is moved


def test_an_account_without_usage_moves_nothing() -> None:
    counters = Counters(ACCOUNTS)
    counters.count("1", 0, 1, 1)
    assert not counters.follow({"1": JANE, "2": an_account("2", timezone="UTC", cycle_day=3)})


def test_after_an_import_transactions_count_by_the_new_clock() -> None:
    counters = Counters({"1": JANE})
    counters.count("1", micros("2026-11-20T15:00:00Z"), 1, 1)
    counters.follow({"1": an_account("1", timezone="UTC", cycle_day=20), "3": an_account("3", timezone="UTC")})
    counters.restore(0, [])
    counters.count("1", micros("2026-11-20T15:00:00Z"), 1, 1)
    counters.count("3", micros("2026-11-20T15:00:00Z"), 1, 1)
    assert set(said(counters)) == {
        ("1", "month", micros("2026-11-01T00:00:00Z")),
        ("1", "bill-cycle", micros("2026-11-20T00:00:00Z")),
        ("3", "month", micros("2026-11-01T00:00:00Z")),
        ("3", "bill-cycle", micros("2026-11-01T00:00:00Z")),
    }


def test_all_charges_of_an_account_are_known_whatever_cycle_they_are_of() -> None:
    counters = Counters(ACCOUNTS)
    for month in range(1, 11):
        counters.count("1", micros(f"2026-{month:02}-20T00:00:00Z"), month, 0)
    counters.count("2", micros("2024-10-20T00:00:00Z"), -7, 0)
    assert (counters.charges("1"), counters.charges("2"), counters.charges("3")) == (55, -7, 0)
    assert counters.charged() == {"1": 55, "2": -7}
    again = Counters(ACCOUNTS)
    again.restore(11, counters.parts())
    assert again.charged() == {"1": 55, "2": -7}
    again.count("1", micros("2026-01-20T00:00:00Z"), 100, 0)
    again.count("1", micros("2026-02-20T00:00:00Z"), 1000, 0)
    assert (again.charges("1"), again.charged()["1"]) == (1155, 1155)
    again.restore(0, [])
    assert (again.charges("1"), again.charged()) == (0, {})


def test_counters_of_many_accounts_are_read_some_at_a_time() -> None:
    accounts = {str(number): an_account(str(number)) for number in range(10)}
    counters = Counters(accounts)
    for number in range(10):
        counters.count(str(number), micros("2026-11-20T15:00:00Z"), number, MICROS)
    assert [usage[3] for usage in counters if usage.period == "month"] == list(range(10))
    assert counters.charged() == {str(number): number for number in range(10)}
    assert [len(slots) for slots, _ in counters._open.all_charges(3)] == [3, 3, 3, 1]
    restored = Counters(accounts)
    restored.restore(10, counters.each_part(3))
    assert restored.charged() == counters.charged()
    assert said(restored) == said(counters)
