"""Which calls the POP's options stand for, and when each is due."""

from datetime import UTC, datetime, timedelta

import pytest

from simulators.pop import timed_calls
from simulators.pop_settings import parse_options

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def calls_of(*arguments: str) -> list[tuple[float, dict[str, object]]]:
    options = parse_options(
        ["--url", "http://h:1", "--token", "t", "--source", "pop-nyc", "--population", "50", *arguments]
    )
    return list(timed_calls(options, NOW))


def ended_at(record: dict[str, object]) -> datetime:
    begun = datetime.fromisoformat(str(record.get("answer", record["start"])))
    return begun + timedelta(seconds=float(str(record["duration"])))


def test_live_calls_are_due_when_they_end_at_the_rate() -> None:
    calls = calls_of("--rate", "50", "--count", "500")
    assert len(calls) == 500
    assert calls[-1][0] == pytest.approx(10.0, rel=0.15)
    for due_s, record in calls:
        assert ended_at(record) <= NOW + timedelta(seconds=due_s, milliseconds=1)
        assert record["switch"] == "pop-nyc"


def test_live_calls_as_fast_as_possible_have_ended_already() -> None:
    calls = calls_of("--rate", "0", "--count", "2000")
    assert {due_s for due_s, _ in calls} == {0.0}
    assert all(ended_at(record) < NOW for _, record in calls)


def test_calls_from_a_start_keep_their_own_time_whatever_the_rate() -> None:
    start = ("--start", "2026-01-05T12:00:00+00:00", "--count", "40")
    paced, unpaced = calls_of(*start, "--rate", "20"), calls_of(*start, "--rate", "0")
    assert [record for _, record in paced] == [record for _, record in unpaced]
    assert [due_s for due_s, _ in paced] == pytest.approx([index / 20 for index in range(40)])
    assert ended_at(paced[0][1]) >= datetime(2026, 1, 5, 12, tzinfo=UTC) - timedelta(minutes=1)
