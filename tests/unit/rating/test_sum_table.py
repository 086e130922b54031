"""Sums by slot: exact however large they are, and added many at once."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.account_slots import Slots
from rating.sum_table import SumTable

SLOTS = 4
NUMBERS = st.one_of(
    st.integers(-(10**9), 10**9), st.integers(-(2**63) + 1, 2**63 - 1), st.sampled_from([0, 1 << 45, 1 << 60])
)
TRANSACTION = st.tuples(st.integers(0, SLOTS - 1), NUMBERS, NUMBERS)


def slots(*numbers: int) -> Slots:
    return np.array(numbers, np.int64)


def table_of(size: int = SLOTS) -> SumTable:
    table = SumTable()
    table.reach(size)
    return table


def count(table: SumTable, transactions: list[tuple[int, int, int]]) -> None:
    columns = np.array(transactions, np.int64).reshape(-1, 3)
    table.count(columns[:, 0], columns[:, 1], columns[:, 2])


def added(some: Any, more: Any) -> Any:
    return tuple(a + b for a, b in zip(some, more, strict=True))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("count"), st.lists(TRANSACTION, max_size=8)),
            st.tuples(st.just("add"), st.integers(0, SLOTS - 1), st.tuples(NUMBERS, NUMBERS, st.just(1), st.just(2))),
            st.tuples(st.just("join"), st.sets(st.integers(0, SLOTS - 1))),
            st.tuples(st.just("clear"), st.sets(st.integers(0, SLOTS - 1))),
        ),
        max_size=30,
    )
)
def test_sums_are_those_of_pythons_numbers(steps: list[Any]) -> None:
    table, other = table_of(), table_of()
    expected = dict.fromkeys(range(SLOTS), (0, 0, 0, 0))
    others = dict(expected)
    for step, *values in steps:
        if step == "count":
            count(table, values[0])
            count(other, values[0])
            for slot, charge, duration in values[0]:
                one = charge, duration, (duration > 0) - (duration < 0), 1
                expected[slot], others[slot] = added(expected[slot], one), added(others[slot], one)
        elif step == "add":
            table.add(*values)
            expected[values[0]] = added(expected[values[0]], values[1])
        elif step == "join":
            table.join(other, slots(*values[0]))
            for slot in values[0]:
                expected[slot] = added(expected[slot], others[slot])
        else:
            table.clear(slots(*values[0]))
            expected |= dict.fromkeys(values[0], (0, 0, 0, 0))
        assert {slot: table.of(slot) for slot in expected} == expected
    assert [*zip(*table.columns(slots(*range(SLOTS))), strict=True)] == list(expected.values())


def test_what_is_added_again_and_again_does_not_overflow() -> None:
    """Each is small enough to be added by the machine's numbers, and all of them are not."""
    table = table_of(1)
    most, rows = (1 << 45) - 1, 1 << 15
    for _ in range(20):
        count(table, [(0, most, -most)] * rows)
    assert table.of(0) == (20 * rows * most, -20 * rows * most, -20 * rows, 20 * rows)


@pytest.mark.parametrize("large", [5, 1 << 60, 2**64])
def test_sums_that_were_stored_are_put_back(large: int) -> None:
    table = table_of()
    table.put(slots(2, 0), ([1, large], [60, -large], [1, 2], [3, 4]))
    assert [*zip(*table.columns(slots(0, 1, 2)), strict=True)] == [(large, -large, 2, 4), (0, 0, 0, 0), (1, 60, 1, 3)]
    assert table.has_some().tolist() == [0, 2]


def test_a_table_that_grows_keeps_its_sums() -> None:
    table = table_of(1)
    count(table, [(0, 7, 1)])
    table.reach(1000)
    count(table, [(999, 8, 0)])
    assert (table.of(0), table.of(999)) == ((7, 1, 1, 1), (8, 0, 0, 1))
