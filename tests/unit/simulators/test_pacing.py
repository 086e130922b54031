"""Pacing is arithmetic: seconds from the beginning, and no clock."""

from datetime import UTC, datetime, timedelta
from itertools import islice

from simulators import pacing
from simulators.traffic import Call

BEGUN = datetime(2026, 11, 20, tzinfo=UTC)
CALLS = [Call(BEGUN + timedelta(seconds=second), {"id": str(second)}) for second in (1, 4, 9)]
RECORDS = [call.record for call in CALLS]


def test_at_once() -> None:
    assert list(pacing.at_once(RECORDS)) == [(0.0, record) for record in RECORDS]


def test_at_a_rate_the_calls_own_times_do_not_count() -> None:
    assert list(pacing.at_rate(CALLS, 4)) == list(zip([0.0, 0.25, 0.5], RECORDS, strict=True))


def test_as_they_end_on_a_clock_of_any_speed() -> None:
    assert list(pacing.as_they_end(CALLS, BEGUN)) == list(zip([1.0, 4.0, 9.0], RECORDS, strict=True))
    assert list(pacing.as_they_end(CALLS, BEGUN, speed=2)) == list(zip([0.5, 2.0, 4.5], RECORDS, strict=True))


def test_the_first_of_them_or_all() -> None:
    assert list(pacing.first(2, pacing.at_once(RECORDS))) == [(0.0, record) for record in RECORDS[:2]]
    assert list(islice(pacing.first(0, pacing.at_once(RECORDS)), 9)) == [(0.0, record) for record in RECORDS]
