"""How far back records are kept, and which months are due to leave the store."""

import pytest

from mediation.retention import due_months, oldest_at
from tests.bill_site import BillSite
from tests.builders import micros

NOW = micros("2026-03-15T12:00:00Z")


@pytest.mark.parametrize(
    ("months", "oldest"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "2026-02-01T00:00:00Z"),
        (3, "2025-12-01T00:00:00Z"),
        (15, "2024-12-01T00:00:00Z"),
        (1200, "1970-01-01T00:00:00Z"),
    ],
)
def test_so_many_whole_months_are_kept_besides_this_one(months: int, oldest: str) -> None:
    assert oldest_at(months, NOW) == micros(oldest)


@pytest.mark.parametrize(
    ("standing", "months", "due"),
    [
        ({}, 1, [202511, 202601]),
        ({}, 3, [202511]),
        ({}, 4, []),
        ({}, 0, []),
        ({202601: "closed"}, 3, [202511, 202601]),
        ({202509: "retired", 202510: "dropped"}, 3, [202509, 202511]),
    ],
    ids=["old ones", "one", "none", "all are kept", "begun when less was kept", "begun, and ended"],
)
def test_months_that_are_wholly_before_it_are_due_and_those_that_were_begun(
    standing: dict[int, str], months: int, due: list[int]
) -> None:
    site = BillSite()
    for answer in ("2025-11-30T23:59:59Z", "2026-01-31T12:00:00Z", "2026-02-01T00:00:00Z"):
        site.call(answer)
    site.cx.executemany("INSERT INTO retired_months (month, state, last_id, closed_at) VALUES (?, ?, 0, 0)",
                        standing.items())  # fmt: skip
    assert due_months(site.cx, oldest_at(months, NOW)) == due
