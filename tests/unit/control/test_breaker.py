"""How many automatic bars go through, and from when on they wait."""

import sqlite3

import pytest

from control import bars
from control.breaker import Breaker
from mediation.schema import all_migrations
from rating.cdr import MICROS
from rating.store.migrations import migrate
from tests.switch_by_hand import START, TARGET

ORDERS, PER_S = 3, 600


@pytest.fixture
def cx() -> sqlite3.Connection:
    cx = sqlite3.connect(":memory:", isolation_level=None)
    migrate(cx, all_migrations(), START)
    return cx


def reason(cx: sqlite3.Connection, at_s: int, *, by_hand: bool = False) -> str | None:
    """One more reason for a bar, and what the breaker says to it then."""
    now = START + at_s * MICROS
    cx.execute(
        "INSERT INTO bar_reasons SELECT coalesce(max(id), 0) + 1, 0, '1', 'kam1', '2', 'fax', NULL, ?, 'ann', '',"
        " 'restored', NULL, ?, NULL, NULL FROM bar_reasons",
        (None if by_hand else 7, now),
    )
    return Breaker(ORDERS, PER_S).asked(cx, now)


@pytest.mark.parametrize(
    ("before_s", "at_s", "waits"),
    [
        ([], 0, False),
        ([0, 0], 0, False),
        ([0, 0, 0], 0, True),
        ([0, 1, 2], 599, True),
        ([0, 1, 2], 600, False),
        ([0, 0, 0, 0, 0, 0, 0], 600, False),
        ([0, 0, 0, 0, 400, 500, 500], 600, True),
        ([500, 400, 300, 0], 599, True),
        ([500, 400, 0, 0, 0], 600, False),
    ],
)
def test_more_than_so_many_within_the_time_wait(
    cx: sqlite3.Connection, before_s: list[int], at_s: int, waits: bool
) -> None:
    for before in before_s:
        reason(cx, before)
    words = reason(cx, at_s)
    assert (words is not None) == waits
    assert words is None or "more than 3 automatic bars in 10 min" in words


def test_those_of_people_and_those_from_before_it_was_closed_do_not_count(cx: sqlite3.Connection) -> None:
    for _ in range(5):
        assert reason(cx, 0, by_hand=True) is None
    for _ in range(ORDERS):
        assert reason(cx, 0) is None
    assert reason(cx, 0) is not None
    Breaker.close(cx, START)
    for _ in range(ORDERS):
        assert reason(cx, 1) is None
    assert reason(cx, 1) is not None


def test_what_every_step_of_an_order_asks_is_found_by_an_index(cx: sqlite3.Connection) -> None:
    asked: list[str] = []
    cx.set_trace_callback(asked.append)
    for _ in range(ORDERS + 1):
        reason(cx, 0)
    bars.firings_barring(cx, TARGET)
    cx.set_trace_callback(None)
    statements = [statement for statement in asked if statement.startswith("SELECT") and "bar_reasons" in statement]
    steps = [row[3] for each in statements for row in cx.execute(f"EXPLAIN QUERY PLAN {each}")]
    for index in ("bar_reasons_automatic", "bar_reasons_by_target"):
        assert any(f"INDEX {index} " in step for step in steps), steps
    assert not any(step.startswith("SCAN bar_reasons") for step in steps), steps
