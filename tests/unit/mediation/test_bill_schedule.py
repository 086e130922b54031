"""When bills are due on schedule: so long after the end of the next cycle of any account."""

import pytest

from mediation.bill_schedule import next_end
from rating.cdr import MICROS
from tests.builders import an_account, micros

HOUR_S = 3600


@pytest.mark.parametrize(
    ("now", "after_s", "clocks", "due"),
    [
        ("2026-11-20T12:00:00Z", HOUR_S, [("UTC", 1)], "2026-12-01T01:00:00Z"),
        ("2026-11-20T12:00:00Z", HOUR_S, [("UTC", 1), ("UTC", 25), ("UTC", 15)], "2026-11-25T01:00:00Z"),
        ("2026-11-20T12:00:00Z", HOUR_S, [("America/New_York", 21), ("Asia/Tokyo", 21)], "2026-11-20T16:00:00Z"),
        ("2026-12-01T00:59:59Z", HOUR_S, [("UTC", 1)], "2026-12-01T01:00:00Z"),  # ended, not for long enough
        ("2026-12-01T01:00:00Z", HOUR_S, [("UTC", 1)], "2027-01-01T01:00:00Z"),
        ("2027-02-10T00:00:00Z", 1, [("UTC", 31)], "2027-02-28T00:00:01Z"),
        ("2026-12-03T00:00:00Z", 3 * 86_400, [("UTC", 1)], "2026-12-04T00:00:00Z"),
        ("2026-11-20T12:00:00Z", HOUR_S, [], "2026-11-20T13:00:00Z"),
    ],
)
def test_the_next_run_is_due_when_a_cycle_has_ended_for_long_enough(
    now: str, after_s: int, clocks: list[tuple[str, int]], due: str
) -> None:
    accounts = [an_account(str(n), timezone=zone, cycle_day=day) for n, (zone, day) in enumerate(clocks)]
    assert next_end(accounts, micros(now), after_s) == micros(due)


def test_right_after_a_run_the_next_one_is_later() -> None:
    account = an_account(cycle_day=20)
    at = micros("2026-11-19T00:00:00Z")
    for _ in range(30):
        following = next_end([account], at, HOUR_S)
        assert following > at
        at = following
    assert at > micros("2026-11-19T00:00:00Z") + 29 * 28 * 86_400 * MICROS
