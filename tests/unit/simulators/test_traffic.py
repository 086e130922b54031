"""Traffic is the same for a seed, and has the shape of calls that people make."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from statistics import mean, median
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from simulators.population import LINE_SERVICES, Line, lines_of, make_population
from simulators.traffic import CALLS_PER_LINE_AND_DAY, Call, Traffic

MONDAY = datetime(2026, 11, 16, 0, 0, tzinfo=ZoneInfo("America/New_York"))
LINES = lines_of(make_population(400, seed=1))


def some_calls(count: int, **options: Any) -> list[Call]:
    arguments: dict[str, Any] = {"seed": 1, "start": MONDAY, **options}
    return list(islice(Traffic(LINES, **arguments), count))


@pytest.fixture(scope="module")
def week() -> list[Call]:
    end = MONDAY + timedelta(days=7)
    return list(takewhile(lambda call: call.ended_at < end, Traffic(LINES, seed=1, start=MONDAY)))


def start_of(call: Call) -> datetime:
    return datetime.fromisoformat(call.record["start"])


def test_a_seed_and_a_start_name_the_same_records_for_ever() -> None:
    traffic = Traffic(LINES, seed=1, start=MONDAY)
    first = list(islice(traffic, 500))
    assert list(islice(traffic, 500)) == first
    assert some_calls(500) == first
    assert some_calls(500, start=MONDAY.astimezone(UTC)) == first


@pytest.mark.parametrize("other", [{"seed": 2}, {"start": MONDAY + timedelta(hours=1)}, {"calls_per_s": 3.0}])
def test_another_seed_start_or_rate_makes_other_calls(other: dict[str, Any]) -> None:
    assert [call.record for call in some_calls(50, **other)] != [call.record for call in some_calls(50)]


def test_the_first_record_of_a_seed_is_known() -> None:
    """A change of the draws shows here: it changes every demo and every recorded test."""
    assert some_calls(1)[0].record == {
        "id": "1-0000001",
        "calling": "+12135550889",
        "called": "+12135552908",
        "start": "2026-11-15T20:58:59.884-08:00",
        "answer": "2026-11-15T20:59:10.495-08:00",
        "duration": 72.304,
        "type": "direct",
        "service": "local",
        "cause": 16,
    }


def test_calls_come_in_the_order_of_their_ends_from_the_start_onwards(week: list[Call]) -> None:
    assert week[0].ended_at >= MONDAY
    assert all(earlier.ended_at <= later.ended_at for earlier, later in pairwise(week))


def test_times_of_a_record_add_up(week: list[Call]) -> None:
    for call in week[:2000]:
        answer = datetime.fromisoformat(str(call.record.get("answer", call.record["start"])))
        talked = timedelta(seconds=call.record["duration"])
        assert start_of(call) <= answer
        if talked:
            assert abs(answer + talked - call.ended_at) < timedelta(milliseconds=1)


def test_ids_are_unique(week: list[Call]) -> None:
    assert len({call.record["id"] for call in week}) == len(week)


def test_the_number_of_calls_is_what_the_lines_make_of_themselves(week: list[Call]) -> None:
    expected = 7 * CALLS_PER_LINE_AND_DAY * sum(line.appetite for line in LINES)
    assert len(week) == pytest.approx(expected, rel=0.05)


def test_more_than_a_quarter_of_the_calls_is_not_answered(week: list[Call]) -> None:
    calls = [call.record for call in week if call.record["type"] != "message"]
    assert mean(record["duration"] == 0 for record in calls) == pytest.approx(0.28, abs=0.02)
    assert all(record["cause"] == 16 for record in calls if record["duration"])
    assert {record["cause"] for record in calls if not record["duration"]} == {1, 17, 19}


def test_durations_have_a_long_tail(week: list[Call]) -> None:
    durations = [call.record["duration"] for call in week if call.record["duration"]]
    assert 50 < median(durations) < 110
    assert mean(durations) > 1.6 * median(durations)
    assert min(durations) >= 1
    assert 3600 < max(durations) <= 4 * 3600


def test_ringing_takes_seconds(week: list[Call]) -> None:
    rings = [
        (datetime.fromisoformat(call.record["answer"]) - start_of(call)).total_seconds()
        for call in week
        if "answer" in call.record
    ]
    assert min(rings) >= 1
    assert 5 < median(rings) < 12
    assert max(rings) <= 45


def test_nights_are_quieter_than_days_on_the_lines_own_clock(week: list[Call]) -> None:
    by_hour = Counter(start_of(call).hour for call in week)
    night = sum(by_hour[hour] for hour in range(1, 5))
    day = sum(by_hour[hour] for hour in range(10, 14))
    assert day > 15 * night
    # Honolulu sleeps when New York has lunch: times are written with the offset of the line
    assert len({start_of(call).utcoffset() for call in week}) >= 5


def test_weekends_are_quieter_than_working_days(week: list[Call]) -> None:
    by_day = Counter(start_of(call).weekday() for call in week)
    assert max(by_day[5], by_day[6]) < 0.9 * min(by_day[day] for day in range(5))


def test_steady_traffic_has_no_nights() -> None:
    calls = some_calls(4000, calls_per_s=0.05, steady=True)
    by_hour = Counter(call.ended_at.hour for call in calls)
    assert min(by_hour.values()) > 0.6 * max(by_hour.values())
    seconds = (calls[-1].ended_at - MONDAY).total_seconds()
    assert len(calls) / seconds == pytest.approx(0.05, rel=0.06)


def test_gaps_between_steady_calls_are_exponential() -> None:
    calls = some_calls(5000, calls_per_s=2.0, steady=True)
    gaps_s = [(later.ended_at - earlier.ended_at).total_seconds() for earlier, later in pairwise(calls)]
    # mean, and the share of gaps above it: e⁻¹ for Poisson arrivals
    assert mean(gaps_s) == pytest.approx(0.5, rel=0.05)
    assert mean(gap > 0.5 for gap in gaps_s) == pytest.approx(0.368, abs=0.02)


def test_few_lines_make_many_of_the_calls(week: list[Call]) -> None:
    by_line = Counter(call.record["calling"] for call in week)
    busiest_tenth = sum(count for _, count in by_line.most_common(40))
    assert busiest_tenth > 0.3 * len(week)


def test_a_line_calls_its_circle_again_and_again(week: list[Call]) -> None:
    (number, calls), *_ = Counter(call.record["calling"] for call in week).most_common(1)
    called = Counter(call.record["called"] for call in week if call.record["calling"] == number)
    assert sum(count for _, count in called.most_common(25)) > 0.6 * calls
    assert len(called) > 25, "and some strangers"


def test_most_calls_are_direct_and_some_go_abroad(week: list[Call]) -> None:
    types = Counter(call.record["type"] for call in week)
    assert types["direct"] > 0.85 * len(week)
    assert types.keys() >= {"message", "toll-free", "calling-card", "collect", "operator", "third-number", "premium"}
    abroad = sum(not call.record["called"].startswith("+1") for call in week)
    assert 0.03 < abroad / len(week) < 0.20


def test_records_name_only_services_that_the_line_has(week: list[Call]) -> None:
    assert {call.record.get("service") for call in week} == {*LINE_SERVICES, None}
    bare = Traffic([Line("+12125550001", "UTC"), Line("+12125550002", "UTC", ("fax",))], seed=1, start=MONDAY)
    assert all("service" not in record for record in islice(bare.records(), 300))


def test_whoever_pays_for_a_call_is_in_the_population(week: list[Call]) -> None:
    numbers = {line.number for line in LINES}
    for call in week:
        record = call.record
        assert record["calling"] in numbers
        if record["type"] in ("collect", "toll-free"):
            assert record["called"] in numbers
        if record["type"] in ("calling-card", "third-number"):
            assert record["charge_to"] in numbers


def test_calls_of_a_kind_that_the_population_cannot_make_are_made_direct() -> None:
    lone = Traffic([Line("+12125550001", "UTC")], seed=1, start=MONDAY)
    types = {record["type"] for record in islice(lone.records(), 2000)}
    assert types == {"direct", "message", "operator", "premium", "conference"}


def test_the_switch_is_named_on_wish() -> None:
    assert "switch" not in some_calls(1)[0].record
    assert some_calls(1, switch="pop-nyc")[0].record["switch"] == "pop-nyc"


def test_a_clock_change_moves_the_quiet_hours_with_it() -> None:
    """2026-11-01: New York falls back at 02:00, and its first hour of Monday is still a quiet one."""
    before = Traffic(LINES, seed=1, start=datetime(2026, 11, 1, 3, tzinfo=UTC))
    times = [start_of(call) for call in islice(before, 1500) if call.record["calling"].startswith("+1212")]
    assert {time.utcoffset() for time in times} == {timedelta(hours=-4), timedelta(hours=-5)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": datetime(2026, 11, 16)}, "no UTC offset"),  # noqa: DTZ001  # without a zone, which is what is refused
        ({"lines": []}, "no line"),
        ({"lines": [Line("card:1", "UTC")]}, "no line"),
        ({"lines": [Line("+18005550001", "UTC")]}, "no line"),
        ({"calls_per_s": 0.0}, "above 0"),
    ],
)
def test_traffic_that_cannot_be_made_is_refused(options: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"lines": LINES, "seed": 1, "start": MONDAY, **options}
    with pytest.raises(ValueError, match=message):
        Traffic(**arguments)
