"""The alerts of an account's own are found without a look at those of all others."""

import sqlite3
from contextlib import closing

from control.events import own_alerts
from mediation.schema import all_migrations
from rating.store.migrations import migrate
from tests.builders import ACCOUNT, NOW


def test_what_customers_prescribe_is_found_by_an_index() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as cx:
        migrate(cx, all_migrations(), NOW)
        asked: list[str] = []
        cx.set_trace_callback(asked.append)
        assert own_alerts.of_account(cx, ACCOUNT) == []
        cx.set_trace_callback(None)
        (statement,) = [statement for statement in asked if "account_events" in statement]
        steps = [row[3] for row in cx.execute(f"EXPLAIN QUERY PLAN {statement}")]
        for index in ("account_events_by_creator", "users_by_account"):
            assert any(f"INDEX {index} " in step for step in steps), steps
        assert not any(step.startswith("SCAN") for step in steps), steps
