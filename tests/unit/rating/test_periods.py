"""The tariff's calendar: which period holds at an instant, over clock changes too, and until when."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.periods import DAY_S, Period, TariffCalendar, public_holidays

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR_S = 3_600

WORKDAYS = frozenset(range(5))
OFF_PEAK = Period("off-peak")
PEAK = Period("peak", 10, 8 * HOUR_S, 19 * HOUR_S, WORKDAYS)
NIGHT = (Period("night", 5, 22 * HOUR_S, DAY_S), Period("night", 5, 0, 6 * HOUR_S))


def second(text: str) -> int:
    """An instant with an offset, in seconds since 1970 UTC."""
    return (datetime.fromisoformat(text) - EPOCH) // SECOND


def holding(zone: str, periods: tuple[Period, ...], instant: str) -> str:
    calendar = TariffCalendar(zone, periods)
    return calendar.names[calendar.at(second(instant))[0]]


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        ("2026-11-20T08:00:00-05:00", "peak"),  # a Friday; the beginning is inside
        ("2026-11-20T07:59:59-05:00", "off-peak"),
        ("2026-11-20T18:59:59-05:00", "peak"),
        ("2026-11-20T19:00:00-05:00", "off-peak"),  # the end is outside
        ("2026-11-21T12:00:00-05:00", "off-peak"),  # a Saturday
        ("2026-11-20T13:00:00+00:00", "peak"),  # the same eight o'clock, written in UTC
        ("2026-07-20T12:00:00+00:00", "peak"),  # in summer it comes an hour earlier
        ("2026-07-20T11:59:59+00:00", "off-peak"),
    ],
)
def test_periods_are_read_off_the_local_clock(instant: str, expected: str) -> None:
    assert holding("America/New_York", (OFF_PEAK, PEAK), instant) == expected


@pytest.mark.parametrize(
    ("periods", "expected"),
    [
        ((), "any"),
        ((Period("a", to_s=12 * HOUR_S),), "any"),  # none holds at noon
        ((Period("a"), Period("b")), "a"),  # a tie: the earlier
        ((Period("a"), Period("b", 1)), "b"),
        ((Period("a", -1), Period("b", -2)), "a"),
        ((Period("a", -1, 0, 12 * HOUR_S), Period("b", -2)), "b"),
        ((Period("a", 1, 0, 12 * HOUR_S), Period("b"), Period("a")), "b"),  # each window has its own priority
        (
            (Period("a", 2, weekdays=frozenset({5})), Period("b", 1, dates=frozenset({date(2026, 11, 20)})), OFF_PEAK),
            "b",
        ),
    ],
)
def test_at_friday_noon_the_highest_that_holds_wins(periods: tuple[Period, ...], expected: str) -> None:
    assert holding("UTC", periods, "2026-11-20T12:00:00+00:00") == expected


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        ("2026-11-20T21:59:59+01:00", "any"),
        ("2026-11-20T22:00:00+01:00", "night"),
        ("2026-11-20T23:59:59+01:00", "night"),
        ("2026-11-21T00:00:00+01:00", "night"),
        ("2026-11-21T05:59:59+01:00", "night"),
        ("2026-11-21T06:00:00+01:00", "any"),
    ],
)
def test_two_windows_of_one_name_make_a_period_over_midnight(instant: str, expected: str) -> None:
    assert holding("Europe/Berlin", NIGHT, instant) == expected


CONDITIONS = Period(
    "p",
    from_s=8 * HOUR_S,
    weekdays=WORKDAYS,
    dates=frozenset({date(2026, 12, 24), date(2026, 12, 26)}),
    yearly=frozenset({(2, 29), (12, 31)}),
    holidays="US",
)


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        ("2026-12-24T08:00:00", "p"),  # a date
        ("2026-12-24T07:59:59", "any"),  # before `from`
        ("2026-12-25T08:00:00", "p"),  # a holiday
        ("2026-12-26T08:00:00", "any"),  # a date, but a Saturday
        ("2026-12-28T08:00:00", "any"),  # a workday, but no date
        ("2026-12-31T08:00:00", "p"),  # every year
        ("2030-12-31T08:00:00", "p"),
        ("2024-02-29T08:00:00", "p"),
        ("2023-03-01T08:00:00", "any"),  # a year without the 29th has no day for it
        ("2027-12-24T08:00:00", "p"),  # no date in that year, but Christmas observed on the Friday before
    ],
)
def test_all_conditions_must_hold_and_kinds_of_day_are_alternatives(instant: str, expected: str) -> None:
    assert holding("UTC", (CONDITIONS,), f"{instant}+00:00") == expected


@pytest.mark.parametrize(
    ("code", "day", "expected"),
    [
        ("US", date(2026, 7, 3), True),  # the Friday on which Saturday's Independence Day is observed
        ("US", date(2026, 7, 4), True),
        ("US", date(2021, 12, 31), True),  # observed in the year before its own
        ("US", date(2026, 2, 12), False),
        ("US-NY", date(2026, 2, 12), True),  # Lincoln's Birthday
        ("GB", date(2026, 12, 28), True),
    ],
)
def test_holidays_are_those_of_country_and_subdivision(code: str, day: date, expected: bool) -> None:
    assert (day in public_holidays(code)) is expected


@pytest.mark.parametrize("code", ["XX", "us", "USA", "US-", "US-XX", "", "-", "HolidayBase", "B3", "ÜS"])
def test_an_unknown_country_is_a_lookup_error(code: str) -> None:
    with pytest.raises(LookupError, match=f"^{code}$"):
        public_holidays(code)


@pytest.mark.parametrize(
    ("zone", "window", "changes"),
    [
        # New York skips 02:00 to 03:00 on 2026-03-08: the period from 02:30 begins at 03:00, 07:00 UTC.
        ("America/New_York", (9_000, 4 * HOUR_S), ["2026-03-08T07:00:00", "2026-03-08T08:00:00"]),
        ("America/New_York", (2 * HOUR_S, 3 * HOUR_S), []),  # skipped wholly, it does not happen
        ("America/New_York", (HOUR_S, 2 * HOUR_S), ["2026-03-08T06:00:00", "2026-03-08T07:00:00"]),
        # Lord Howe falls back by half an hour, from 02:00 to 01:30 at 15:00 UTC on 2026-04-04.
        (
            "Australia/Lord_Howe",
            (6_300, 8_100),
            [f"2026-04-04T{clock}:00" for clock in ("14:45", "15:00", "15:15", "15:45")],
        ),
        # New York has 01:00 to 02:00 twice on 2026-11-01: so does a period within that hour.
        ("America/New_York", (HOUR_S, 2 * HOUR_S), ["2026-11-01T05:00:00", "2026-11-01T07:00:00"]),
        (
            "America/New_York",
            (4_500, 6_300),
            [f"2026-11-01T{clock}:00" for clock in ("05:15", "05:45", "06:15", "06:45")],
        ),
        # Havana falls back from 01:00 to 00:00 on 2026-11-01: midnight to 01:00 comes twice.
        ("America/Havana", (0, HOUR_S), ["2026-11-01T04:00:00", "2026-11-01T06:00:00"]),
        # Apia had no 2011-12-30 at all: at 10:00 UTC the 29th became the 31st.
        ("Pacific/Apia", (23 * HOUR_S, DAY_S), ["2011-12-30T09:00:00", "2011-12-30T10:00:00"]),
        # Monrovia was 44 minutes and 30 seconds behind until 1972.
        ("Africa/Monrovia", (HOUR_S, 2 * HOUR_S), ["1971-06-01T01:44:30", "1971-06-01T02:44:30"]),
    ],
)
def test_a_clock_change_moves_skips_and_repeats_periods(zone: str, window: tuple[int, int], changes: list[str]) -> None:
    calendar = TariffCalendar(zone, (Period("p", 0, *window),))
    at = second(f"{(changes or ['2026-03-08'])[0][:10]}T00:00:00+00:00")
    end = at + DAY_S
    found = []
    before, _ = calendar.at(at - 1)
    while at < end:
        number, until = calendar.at(at)
        if number != before:
            found.append((EPOCH + at * SECOND).replace(tzinfo=None).isoformat())
        before, at = number, until
    assert found == changes


def naive(zone: str, periods: tuple[Period, ...], at: int) -> str:
    """The period at an instant, by the words of the contract."""
    local = (EPOCH + at * SECOND).astimezone(ZoneInfo(zone))
    clock_s = local.hour * HOUR_S + local.minute * 60 + local.second
    best: Period | None = None
    for period in periods:
        holds = period.from_s <= clock_s < period.to_s and (
            period.weekdays is None or local.weekday() in period.weekdays
        )
        if holds and (best is None or period.priority > best.priority):
            best = period
    return "any" if best is None else best.name


WINDOWS = st.builds(
    lambda name, priority, clock, weekdays: Period(name, priority, min(clock) * 60, max(clock) * 60, weekdays),
    st.sampled_from("abc"),
    st.integers(-2, 2),
    st.tuples(st.integers(0, 1_440), st.integers(0, 1_440)).filter(lambda clock: clock[0] != clock[1]),
    st.none() | st.frozensets(st.integers(0, 6), min_size=1),
)
ZONES = st.sampled_from(
    [
        "UTC",
        "America/New_York",
        "America/Havana",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "Africa/Cairo",
    ]
)
NEAR_CHANGES = st.sampled_from(
    [second(f"{day}T00:00:00+00:00") for day in ("2026-03-08", "2026-11-01", "2026-04-04", "2011-12-30", "2026-10-29")]
)
SECONDS = st.integers(0, 2**33) | st.builds(int.__add__, NEAR_CHANGES, st.integers(-DAY_S, 2 * DAY_S))


@settings(deadline=None)
@given(ZONES, st.lists(WINDOWS, max_size=4).map(tuple), SECONDS)
def test_the_calendar_says_what_the_local_clock_says_until_it_says_something_else(
    zone: str, periods: tuple[Period, ...], at: int
) -> None:
    calendar = TariffCalendar(zone, periods)
    number, until = calendar.at(at)
    assert at < until <= at - at % DAY_S + DAY_S
    for within in {at, (at + until) // 2, until - 1}:
        assert calendar.at(within) == (number, until)
        assert naive(zone, periods, within) == calendar.names[number]
    assert naive(zone, periods, until) == calendar.names[calendar.at(until)[0]]


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (second("0001-01-01T00:00:00+00:00"), "any"),
        (second("0002-01-01T12:00:00+00:00"), "p"),
        (second("9998-12-31T12:00:00+00:00"), "p"),
        (second("9999-12-31T23:59:59+00:00"), "any"),
        (10**15, "any"),
        (-(10**15), "any"),
    ],
)
def test_beyond_the_years_that_a_date_can_name_no_period_holds(zone: str, at: int, expected: str) -> None:
    calendar = TariffCalendar(zone, (Period("p"),))
    number, until = calendar.at(at)
    assert calendar.names[number] == expected
    assert until > at
