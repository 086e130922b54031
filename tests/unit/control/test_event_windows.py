"""The windows of an account's periods, by its own clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.events.windows import PERIODS, QUARTER_US, PeriodClock
from tests.builders import micros
from tests.unit.rating.test_calendar import ZONES

HOUR = 3_600_000_000


@pytest.mark.parametrize(
    ("zone", "period", "at", "start", "end"),
    [
        # Weeks begin on Monday; 2026-11-20 is a Friday.
        ("UTC", "week", "2026-11-20T15:00:00Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
        ("UTC", "week", "2026-11-16T00:00:00Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
        ("UTC", "week", "2026-11-15T23:59:59Z", "2026-11-09T00:00:00Z", "2026-11-16T00:00:00Z"),
        ("UTC", "weekdays", "2026-11-20T15:00:00Z", "2026-11-16T00:00:00Z", "2026-11-21T00:00:00Z"),
        ("UTC", "weekdays", "2026-11-22T15:00:00Z", "2026-11-16T00:00:00Z", "2026-11-21T00:00:00Z"),
        ("UTC", "weekend", "2026-11-22T15:00:00Z", "2026-11-21T00:00:00Z", "2026-11-23T00:00:00Z"),
        ("UTC", "weekend", "2026-11-20T15:00:00Z", "2026-11-21T00:00:00Z", "2026-11-23T00:00:00Z"),
        ("Asia/Kathmandu", "weekend", "2026-11-20T18:15:00Z", "2026-11-20T18:15:00Z", "2026-11-22T18:15:00Z"),
        ("America/New_York", "day", "2026-11-20T04:59:59Z", "2026-11-19T05:00:00Z", "2026-11-20T05:00:00Z"),
        ("America/New_York", "day", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
        ("America/New_York", "day", "2026-03-08T12:00:00Z", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"),
        ("America/New_York", "hour", "2026-11-01T05:30:00Z", "2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z"),
        ("America/New_York", "hour", "2026-11-01T06:30:00Z", "2026-11-01T06:00:00Z", "2026-11-01T07:00:00Z"),
        ("Asia/Kathmandu", "hour", "2026-11-20T15:20:00Z", "2026-11-20T15:15:00Z", "2026-11-20T16:15:00Z"),
        ("America/Havana", "day", "2026-11-01T05:30:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
        ("America/New_York", "month", "2026-11-20T15:00:00Z", "2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z"),
        ("America/New_York", "bill-cycle", "2026-11-20T15:00:00Z", "2026-11-15T05:00:00Z", "2026-12-15T05:00:00Z"),
    ],
)
def test_a_window_begins_and_ends_by_the_local_clock(zone: str, period: str, at: str, start: str, end: str) -> None:
    assert PeriodClock(zone, 15).window(period, micros(at)) == (micros(start), micros(end))


@given(
    st.sampled_from(ZONES),
    st.sampled_from(PERIODS),
    st.integers(micros("2015-01-01T00:00:00Z"), micros("2029-01-01T00:00:00Z")),
    st.integers(0, 2 * 24 * HOUR),
)
def test_windows_follow_one_another_and_neither_add_nor_lose_time(zone: str, period: str, at: int, ahead: int) -> None:
    clock = PeriodClock(zone, 31)
    start, end = clock.cell(period, at)
    assert start <= at < end
    assert start % QUARTER_US == 0
    assert clock.cell(period, start) == clock.cell(period, end - 1) == (start, end)
    assert clock.cell(period, end)[0] == end
    assert clock.cell(period, start - 1)[1] == start
    begin, over = clock.piece(period, at)
    assert start <= begin <= at < over <= end
    # Whatever was asked in between, the answer is the same.
    clock.cell(period, at + ahead)
    assert PeriodClock(zone, 31).window(period, at) == clock.window(period, at)
    assert period != "hour" or end - start <= HOUR


@pytest.mark.parametrize(
    ("period", "windows"),
    [
        ("month", ["2026-10-01", "2026-09-01"]),
        ("week", ["2026-11-09", "2026-11-02"]),
        ("weekdays", ["2026-11-09", "2026-11-02"]),
        ("weekend", ["2026-11-14", "2026-11-07"]),
        ("day", ["2026-11-19", "2026-11-18"]),
    ],
)
def test_complete_windows_before_do_not_include_the_present_one(period: str, windows: list[str]) -> None:
    clock = PeriodClock("UTC", 1)
    before = clock.before(period, micros("2026-11-20T15:00:00Z"), 2)
    assert [start for start, _ in before] == [micros(f"{day}T00:00:00Z") for day in windows]
