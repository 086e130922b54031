"""Which orders a switch's queue gets to see, and how they are found."""

import sqlite3

import pytest

from access import order_rows, orders, planning
from access.barring import Answer, Outcome
from access.migrations import access_migrations
from access.orders import Action
from access.target import Target
from rating.store.migrations import migrate
from tests.switch_by_hand import START


@pytest.fixture
def cx() -> sqlite3.Connection:
    """Orders 1 to 6, of which the odd ones wait for a look, longer than the others for their first command."""
    cx = sqlite3.connect(":memory:", isolation_level=None)
    migrate(cx, access_migrations(), START)
    for number in range(1, 7):
        target = Target("kam1", f"1212555{number:04}", "fax")
        order = planning.plan(
            cx, account="a", target=target, action=Action.BAR, reason="r", cause="c", now=START + 10 - number
        )
        if number % 2:
            acknowledged = Answer(Outcome.ACKNOWLEDGED, "done")
            order_rows.update(cx, orders.answered(orders.sent(order, START), acknowledged, START, 0.0))
    return cx


@pytest.mark.parametrize(
    ("begun", "limit", "looks", "found"),
    [
        (set(), 9, 9, [6, 4, 2, 1, 3, 5]),
        (set(), 2, 9, [6, 4]),
        (set(), 9, 1, [6, 4, 2, 1]),
        (set(), 9, 0, [6, 4, 2]),
        (set(), 4, 9, [6, 4, 2, 1]),
        ({6, 2, 1}, 9, 1, [4, 3]),
        (set(range(1, 7)), 9, 9, []),
        (set(range(3, 103)), 9, 9, [2, 1]),
    ],
)
def test_what_was_not_sent_goes_first_however_long_looks_wait(
    cx: sqlite3.Connection, begun: set[int], limit: int, looks: int, found: list[int]
) -> None:
    due, following = order_rows.due(cx, "kam1", START + 10, begun, limit, looks)
    assert ([order.id for order in due], following) == (found, None)


def test_it_says_when_the_next_one_falls_due(cx: sqlite3.Connection) -> None:
    due, following = order_rows.due(cx, "kam1", START + 5, set(), 9, 0)
    assert ([order.id for order in due], following) == ([6], START + 6)
    assert order_rows.due(cx, "kam2", START + 10, set(), 9, 9) == ([], None)


def test_no_look_at_what_is_due_goes_through_what_is_not(cx: sqlite3.Connection) -> None:
    asked: list[str] = []
    cx.set_trace_callback(asked.append)
    order_rows.due(cx, "kam1", START + 10, {1}, 9, 9)
    cx.set_trace_callback(None)
    indexes = ("access_orders_to_go", "access_orders_by_next", "access_orders_by_next")
    for statement, index in zip(asked, indexes, strict=True):
        steps = [row[3] for row in cx.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert f"INDEX {index} (switch=? AND next_at" in steps[0]
        assert not any(step.startswith(("SCAN", "USE TEMP B-TREE")) for step in steps), steps
