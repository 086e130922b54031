"""Months and bill cycles by the local clock: short months, zones, and midnights that the clock skips or repeats."""

from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rating.calendar import AccountCalendar
from rating.cdr import MICROS
from tests.builders import micros

ZONES = (
    "UTC",
    "America/New_York",
    "Asia/Kathmandu",  # +05:45
    "Australia/Lord_Howe",  # a clock change of half an hour
    "Pacific/Kiritimati",  # +14
    "Pacific/Pago_Pago",  # -11
    "Africa/Cairo",  # skips a midnight in April
    "America/Havana",  # repeats one in November
    "America/Sao_Paulo",  # did, until 2019
    "Asia/Beirut",
)


@pytest.mark.parametrize(
    ("zone", "at", "starts"),
    [
        ("UTC", "2026-11-20T15:00:00Z", "2026-11-01T00:00:00Z"),
        ("UTC", "2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z"),
        ("UTC", "2026-10-31T23:59:59.999999Z", "2026-10-01T00:00:00Z"),
        ("UTC", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z"),
        ("UTC", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("America/New_York", "2026-11-01T03:59:59Z", "2026-10-01T00:00:00-04:00"),
        ("America/New_York", "2026-11-01T04:00:00Z", "2026-11-01T00:00:00-04:00"),
        ("America/New_York", "2026-11-20T15:00:00Z", "2026-11-01T00:00:00-04:00"),  # the clock has changed since
        ("Asia/Kathmandu", "2026-10-31T18:14:59Z", "2026-10-01T00:00:00+05:45"),
        ("Asia/Kathmandu", "2026-10-31T18:15:00Z", "2026-11-01T00:00:00+05:45"),
        ("Pacific/Kiritimati", "2026-12-31T10:00:00Z", "2027-01-01T00:00:00+14:00"),
        ("Pacific/Pago_Pago", "2027-01-01T10:59:59Z", "2026-12-01T00:00:00-11:00"),
        ("America/Havana", "2026-11-01T04:30:00Z", "2026-11-01T00:00:00-04:00"),  # 00:30, the first time
        ("America/Havana", "2026-11-01T05:30:00Z", "2026-11-01T00:00:00-04:00"),  # 00:30, the second time
    ],
)
def test_a_month_begins_at_local_midnight_of_its_first_day(zone: str, at: str, starts: str) -> None:
    assert AccountCalendar(zone, 15).month(micros(at))[0] == micros(starts)


@pytest.mark.parametrize(
    ("cycle_day", "at", "starts"),
    [
        (1, "2026-11-20", "2026-11-01"),
        (15, "2026-11-14", "2026-10-15"),
        (15, "2026-11-15", "2026-11-15"),
        (15, "2026-01-14", "2025-12-15"),
        (28, "2026-02-27", "2026-01-28"),
        (28, "2026-02-28", "2026-02-28"),
        (28, "2028-02-29", "2028-02-28"),
        (29, "2026-02-28", "2026-02-28"),  # has no 29th
        (29, "2026-03-28", "2026-02-28"),
        (29, "2026-03-29", "2026-03-29"),
        (29, "2028-02-28", "2028-01-29"),
        (29, "2028-02-29", "2028-02-29"),
        (30, "2026-02-27", "2026-01-30"),
        (30, "2026-02-28", "2026-02-28"),
        (30, "2028-02-28", "2028-01-30"),
        (30, "2028-02-29", "2028-02-29"),
        (30, "2026-03-29", "2026-02-28"),
        (31, "2026-01-30", "2025-12-31"),
        (31, "2026-01-31", "2026-01-31"),
        (31, "2026-02-27", "2026-01-31"),
        (31, "2026-02-28", "2026-02-28"),
        (31, "2026-03-30", "2026-02-28"),
        (31, "2026-04-29", "2026-03-31"),
        (31, "2026-04-30", "2026-04-30"),
        (31, "2026-12-30", "2026-11-30"),
        (31, "2026-12-31", "2026-12-31"),
    ],
)
def test_a_cycle_begins_on_its_day_or_on_the_last_of_a_shorter_month(cycle_day: int, at: str, starts: str) -> None:
    calendar = AccountCalendar("UTC", cycle_day)
    assert calendar.cycle(micros(f"{at}T00:00:00Z"))[0] == micros(f"{starts}T00:00:00Z")
    assert calendar.cycle(micros(f"{at}T23:59:59.999999Z"))[0] == micros(f"{starts}T00:00:00Z")


@pytest.mark.parametrize(
    ("zone", "cycle_day", "at", "starts"),
    [
        ("America/New_York", 20, "2026-11-20T04:59:59Z", "2026-10-20T00:00:00-04:00"),
        ("America/New_York", 20, "2026-11-20T05:00:00Z", "2026-11-20T00:00:00-05:00"),
        # Cairo skipped 00:00 to 01:00 on 24 April 2026: the day began at 01:00.
        ("Africa/Cairo", 24, "2026-04-23T21:59:59Z", "2026-03-24T00:00:00+02:00"),
        ("Africa/Cairo", 24, "2026-04-23T22:00:00Z", "2026-04-24T01:00:00+03:00"),
        ("Asia/Beirut", 29, "2026-03-28T21:59:59Z", "2026-02-28T00:00:00+02:00"),
        ("Asia/Beirut", 29, "2026-03-28T22:00:00Z", "2026-03-29T01:00:00+03:00"),
        ("America/Sao_Paulo", 4, "2018-11-04T03:00:00Z", "2018-11-04T01:00:00-02:00"),
        # Havana repeated 00:00 to 01:00 on 1 November 2026: both hours are that day's.
        ("America/Havana", 1, "2026-11-01T03:59:59Z", "2026-10-01T00:00:00-04:00"),
        ("America/Havana", 1, "2026-11-01T04:00:00Z", "2026-11-01T00:00:00-04:00"),
        ("America/Havana", 1, "2026-11-01T05:00:00Z", "2026-11-01T00:00:00-04:00"),
        # Sao Paulo repeated 23:00 to 24:00 on 16 February 2019: both hours are the day's before.
        ("America/Sao_Paulo", 17, "2019-02-17T01:30:00Z", "2019-01-17T00:00:00-02:00"),
        ("America/Sao_Paulo", 17, "2019-02-17T02:30:00Z", "2019-01-17T00:00:00-02:00"),
        ("America/Sao_Paulo", 17, "2019-02-17T03:00:00Z", "2019-02-17T00:00:00-03:00"),
    ],
)
def test_a_cycle_begins_with_the_first_instant_of_its_local_day(
    zone: str, cycle_day: int, at: str, starts: str
) -> None:
    assert AccountCalendar(zone, cycle_day).cycle(micros(at))[0] == micros(starts)


@settings(deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    cycle_day=st.integers(1, 31),
    at=st.integers(micros("2010-01-01T00:00:00Z"), micros("2040-01-01T00:00:00Z")),
)
@example(zone="Africa/Cairo", cycle_day=24, at=micros("2026-04-23T22:00:00Z"))
def test_a_cycle_holds_its_instants_and_its_first_is_on_its_day(zone: str, cycle_day: int, at: int) -> None:
    starts, ends = AccountCalendar(zone, cycle_day).cycle(at)
    assert starts <= at < ends
    first = datetime.fromtimestamp(starts // MICROS, ZoneInfo(zone))
    before = datetime.fromtimestamp(starts // MICROS - 1, ZoneInfo(zone))
    assert before.date() == first.date() - timedelta(days=1)
    assert first.day == min(cycle_day, ((first.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(1)).day)
    assert AccountCalendar(zone, cycle_day).cycle(starts - 1)[1] == starts
    assert AccountCalendar(zone, cycle_day).cycle(ends)[0] == ends


@pytest.mark.parametrize(
    ("zone", "cycle_day", "around"),
    [
        ("UTC", 31, "2026-02-28T00:00:00Z"),
        ("America/New_York", 1, "2026-11-01T04:00:00Z"),
        ("Africa/Cairo", 24, "2026-04-23T22:00:00Z"),
        ("America/Havana", 1, "2026-11-01T04:00:00Z"),
        ("America/Sao_Paulo", 17, "2019-02-17T02:00:00Z"),
        # 1 November 2009 began, and a minute later it was 23:01 on 31 October again.
        ("America/St_Johns", 1, "2009-11-01T02:31:00Z"),
    ],
)
def test_an_instants_period_does_not_depend_on_what_was_asked_before(zone: str, cycle_day: int, around: str) -> None:
    calendar, random = AccountCalendar(zone, cycle_day), Random(7)
    for _ in range(500):
        at = micros(around) + random.randrange(-7_200 * MICROS, 7_200 * MICROS)
        fresh = AccountCalendar(zone, cycle_day)
        local = datetime.fromtimestamp(at // MICROS, UTC).astimezone(ZoneInfo(zone))
        assert calendar.cycle(at) == fresh.cycle(at), local
        assert calendar.month(at) == fresh.month(at), local
