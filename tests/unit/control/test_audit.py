"""The audit log: written in order, read backwards by key, and filtered by who, words and days."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import pytest

from control import audit
from control.audit import Filter
from mediation.schema import all_migrations
from rating.store.migrations import migrate

DAY: Final = 86_400_000_000


@pytest.fixture
def cx() -> Iterator[sqlite3.Connection]:
    """A log of three entries: on the first day, on the next, and a moment before that one."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as cx:
        migrate(cx, all_migrations(), 0)
        for at, actor, subject in ((0, "zack", "account 0"), (DAY, "zoe", "account 1"), (DAY - 1, "zoe", "account 2")):
            audit.record(cx, at, actor, "bar", subject, "Why NOT 100%")
        yield cx


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(), [3, 2, 1]),
        (Filter(actor="zoe"), [3, 2]),
        (Filter(actor="zo"), []),
        (Filter(words=("why", "ACCOUNT")), [3, 2, 1]),
        (Filter(words=("why", "account 1")), [2]),
        (Filter(words=("100%",)), [3, 2, 1]),
        (Filter(words=("1_0",)), []),
        (Filter(begins_at=0, ends_at=DAY), [3, 1]),
        (Filter(begins_at=DAY), [2]),
        (Filter(actor="zoe", ends_at=DAY, words=("bar",)), [3]),
    ],
)
def test_a_filter_leaves_what_is_wanted_the_newest_first(
    cx: sqlite3.Connection, wanted: Filter, found: list[int]
) -> None:
    assert [entry.id for entry in audit.entries(cx, limit=10, wanted=wanted)] == found


def test_a_list_goes_on_before_an_entry_within_its_filter(cx: sqlite3.Connection) -> None:
    first = audit.entries(cx, limit=1, wanted=Filter(actor="zoe"))
    assert [entry.id for entry in first] == [3]
    rest = audit.entries(cx, limit=10, before=first[0].id, wanted=Filter(actor="zoe"))
    assert [entry.id for entry in rest] == [2]
