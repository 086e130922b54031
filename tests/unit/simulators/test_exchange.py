"""The simulated exchange: calls, bars, and a record of each call, as it was."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simulators.call_records import Record
from simulators.exchange import CUT, REFUSED, Call, Exchange, Plan

NOW = datetime(2026, 11, 20, 15, 0, 0, 500_900, tzinfo=UTC)
ANN, BOB, LONDON = "+12125550142", "+12125550143", "+442079460018"
S = timedelta(seconds=1)


class Watching:
    """Keeps what it is told."""

    def __init__(self, exchange: Exchange) -> None:
        self.answered_calls: list[str] = []
        self.records: list[Record] = []
        exchange.watch(self)

    def answered(self, call: Call) -> None:
        self.answered_calls.append(call.session)

    def ended(self, call: Call, record: Record) -> None:
        assert record["id"] == call.session
        self.records.append(record)


def a_plan(calling: str = ANN, number: str = "c1", **plan: Any) -> Plan:
    return Plan({"id": number, "calling": calling, "called": LONDON, "type": "direct"}, **plan)


def told(record: Record) -> dict[str, Any]:
    """What a record says of how the call went."""
    return {key: record[key] for key in ("start", "answer", "duration", "cause") if key in record}


def test_a_call_rings_is_answered_and_ends_each_at_its_time() -> None:
    exchange = Exchange("sw1")
    seen = Watching(exchange)
    call = exchange.place(a_plan(ring=4 * S, talk=61 * S), NOW)
    assert call is not None
    assert exchange.next_at() == call.begun_at + 4 * S
    exchange.advance(NOW + 3 * S)
    assert (seen.answered_calls, exchange.live) == ([], 1)
    exchange.advance(NOW + 5 * S)
    assert seen.answered_calls == ["c1"]
    exchange.advance(NOW + 100 * S)
    assert (exchange.live, exchange.next_at()) == (0, None)
    assert seen.records == [
        {
            "id": "c1", "calling": ANN, "called": LONDON, "type": "direct", "start": "2026-11-20T15:00:00.500+00:00",
            "answer": "2026-11-20T15:00:04.500+00:00", "duration": 61, "cause": 16, "session": "c1", "switch": "sw1",
        }
    ]  # fmt: skip


@pytest.mark.parametrize(("ring", "ended_after"), [(20 * S, 20 * S), (0 * S, 0 * S)])
def test_a_call_that_nobody_answers_has_no_answer(ring: timedelta, ended_after: timedelta) -> None:
    exchange = Exchange()
    seen = Watching(exchange)
    exchange.place(a_plan(ring=ring, talk=0 * S, cause=19), NOW)
    exchange.advance(NOW + ended_after)
    assert seen.answered_calls == []
    assert told(seen.records[0]) == {"start": "2026-11-20T15:00:00.500+00:00", "duration": 0, "cause": 19}


def test_a_barred_line_s_calls_fail_at_once_until_it_is_restored() -> None:
    exchange = Exchange()
    seen = Watching(exchange)
    assert exchange.bar(ANN, "over the limit")
    assert not exchange.bar(ANN, "again")
    assert exchange.place(a_plan(talk=60 * S), NOW) is None
    assert exchange.place(a_plan(BOB, "c2", talk=60 * S), NOW) is not None
    assert told(seen.records[0]) == {"start": "2026-11-20T15:00:00.500+00:00", "duration": 0, "cause": REFUSED}
    assert (exchange.refused, exchange.live) == (1, 1)
    assert exchange.restore(ANN)
    assert not exchange.restore(ANN)
    assert exchange.place(a_plan(number="c3"), NOW) is not None


def test_a_bar_s_calls_end_with_what_they_lasted_so_far() -> None:
    exchange = Exchange()
    seen = Watching(exchange)
    exchange.place(a_plan(), NOW)
    exchange.place(a_plan(number="ringing", ring=30 * S, talk=60 * S), NOW + 20 * S)
    exchange.place(a_plan(BOB, "other"), NOW)
    assert exchange.end_calls(ANN, NOW + timedelta(seconds=33.25)) == 2
    assert [(record["id"], record["duration"], record["cause"]) for record in seen.records] == [
        ("c1", 33.25, CUT),
        ("ringing", 0, CUT),
    ]
    assert (exchange.cut, exchange.live) == (2, 1)
    exchange.advance(NOW + timedelta(hours=1))
    assert len(seen.records) == 2, "what was cut does not end again"


def test_a_call_ends_once() -> None:
    exchange = Exchange()
    seen = Watching(exchange)
    call = exchange.place(a_plan(), NOW)
    assert call is not None
    assert exchange.end(call, NOW + 5 * S)
    assert not exchange.end(call, NOW + 9 * S)
    assert [record["duration"] for record in seen.records] == [5]


def test_a_message_has_no_cause_and_a_barred_line_s_is_on_no_record() -> None:
    exchange = Exchange()
    seen = Watching(exchange)
    message = Plan({"id": "m1", "calling": ANN, "called": LONDON, "type": "message", "units": 2}, talk=0 * S)
    exchange.place(message, NOW)
    exchange.advance(NOW)
    assert [(record["units"], record["duration"], "cause" in record) for record in seen.records] == [(2, 0, False)]
    exchange.bar(ANN, "over the limit")
    assert exchange.place(message, NOW) is None
    assert (len(seen.records), exchange.refused) == (1, 1)


def test_a_line_s_own_calls_are_found_and_others_not() -> None:
    exchange = Exchange()
    for number, calling in (("c1", ANN), ("c2", BOB), ("c3", ANN)):
        exchange.place(a_plan(calling, number), NOW)
    assert [call.session for call in exchange.calls_of(ANN)] == ["c1", "c3"]
    assert [call.session for call in exchange.calls()] == ["c1", "c2", "c3"]
