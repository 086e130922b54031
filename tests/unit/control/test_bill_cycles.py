"""Which cycle begins in a month: cycle days that a month has not, clocks that change, periods as typed."""

from itertools import pairwise

import pytest

from control.billing.cycles import cycle_beginning_in, parse_period, periods_to_look_at
from rating.calendar import AccountCalendar
from tests.builders import micros


@pytest.mark.parametrize(
    ("period", "timezone", "cycle_day", "start", "end"),
    [
        ("2026-10", "UTC", 1, "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
        ("2026-10", "UTC", 15, "2026-10-15T00:00:00Z", "2026-11-15T00:00:00Z"),
        ("2026-12", "UTC", 20, "2026-12-20T00:00:00Z", "2027-01-20T00:00:00Z"),
        ("2026-01", "UTC", 31, "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z"),
        ("2026-02", "UTC", 31, "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"),
        ("2026-02", "UTC", 29, "2026-02-28T00:00:00Z", "2026-03-29T00:00:00Z"),
        ("2028-02", "UTC", 30, "2028-02-29T00:00:00Z", "2028-03-30T00:00:00Z"),
        ("2026-04", "UTC", 31, "2026-04-30T00:00:00Z", "2026-05-31T00:00:00Z"),
        # clocks go back on 1 November 2026, forward on 8 March
        ("2026-10", "America/New_York", 15, "2026-10-15T04:00:00Z", "2026-11-15T05:00:00Z"),
        ("2026-11", "America/New_York", 1, "2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z"),
        ("2026-02", "America/New_York", 8, "2026-02-08T05:00:00Z", "2026-03-08T05:00:00Z"),
        ("2026-03", "America/New_York", 8, "2026-03-08T05:00:00Z", "2026-04-08T04:00:00Z"),
        ("2026-10", "Pacific/Kiritimati", 31, "2026-10-30T10:00:00Z", "2026-11-29T10:00:00Z"),
        ("2026-10", "Etc/GMT+12", 31, "2026-10-31T12:00:00Z", "2026-11-30T12:00:00Z"),
    ],
)
def test_a_month_has_one_cycle_that_begins_in_it(
    period: str, timezone: str, cycle_day: int, start: str, end: str
) -> None:
    assert cycle_beginning_in(period, timezone, cycle_day) == (period, micros(start), micros(end))


@pytest.mark.parametrize("timezone", ["UTC", "America/New_York", "America/St_Johns", "Pacific/Apia", "Asia/Tokyo"])
@pytest.mark.parametrize("cycle_day", [1, 15, 28, 29, 30, 31])
def test_cycles_follow_each_other_without_a_gap_as_the_counters_have_them(timezone: str, cycle_day: int) -> None:
    periods = [f"{year}-{month:02}" for year in (2010, 2011, 2012) for month in range(1, 13)]
    cycles = [cycle_beginning_in(period, timezone, cycle_day) for period in periods]
    assert all(before.end == after.start for before, after in pairwise(cycles))
    calendar = AccountCalendar(timezone, cycle_day)
    assert all(calendar.cycle(cycle.start) == (cycle.start, cycle.end) for cycle in cycles)


@pytest.mark.parametrize(
    "text", ["2026-13", "2026-00", "2026-1", "202610", "2026-10-01", "1969-12", "9999-12", "", "x"]
)
def test_a_period_that_is_none_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="write the month in which the cycle begins, as 2026-10"):
        parse_period(text)


@pytest.mark.parametrize(
    ("now", "last_billed", "periods"),
    [
        ("2026-11-20T00:00:00Z", None, ["2026-09", "2026-10", "2026-11"]),
        ("2026-11-20T00:00:00Z", "2026-10", ["2026-09", "2026-10", "2026-11"]),
        ("2026-11-20T00:00:00Z", "2026-07", ["2026-07", "2026-08", "2026-09", "2026-10", "2026-11"]),
        ("2026-01-31T12:00:00Z", None, ["2025-12", "2026-01", "2026-02"]),
    ],
)
def test_the_schedule_looks_at_the_months_whose_cycles_may_have_ended(
    now: str, last_billed: str | None, periods: list[str]
) -> None:
    assert periods_to_look_at(micros(now), last_billed) == periods


def test_the_schedule_does_not_go_back_for_ever() -> None:
    assert len(periods_to_look_at(micros("2026-11-20T00:00:00Z"), "1999-01")) == 24
