"""A population's calls made at an exchange: planned from traffic, and going on as they would be."""

from datetime import UTC, datetime, timedelta
from itertools import takewhile

import pytest

from simulators.call_records import Record
from simulators.exchange import Call, Exchange
from simulators.live_calls import Records, as_they_begin, plan_of
from simulators.population import lines_of, make_population
from simulators.traffic import Traffic

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
LINES = lines_of(make_population(30, 1))
HOUR = timedelta(hours=1)


def traffic() -> Traffic:
    return Traffic(LINES, seed=1, start=NOW - HOUR, calls_per_s=1, steady=True, switch="sw1")


class Ended:
    """Keeps the records."""

    def __init__(self, exchange: Exchange) -> None:
        self.records: dict[str, Record] = {}
        exchange.watch(self)

    def answered(self, call: Call) -> None:
        pass

    def ended(self, call: Call, record: Record) -> None:
        self.records[call.session] = record


def test_a_call_made_anew_from_its_record_has_the_same_record_but_for_the_session() -> None:
    exchange = Exchange()
    seen = Ended(exchange)
    originals = {call.record["id"]: call.record for call in takewhile(lambda call: call.ended_at < NOW, traffic())}
    assert {"message", "direct", "collect"} <= {record["type"] for record in originals.values()}
    for record in originals.values():
        exchange.place(plan_of(record), datetime.fromisoformat(record["start"]))
    exchange.advance(NOW + HOUR)
    assert {key: {**record, "session": ""} for key, record in seen.records.items()} == {
        key: {**record, "session": ""} for key, record in originals.items()
    }


def test_what_is_over_is_left_out_and_what_goes_on_began_before() -> None:
    planned = list(as_they_begin(traffic(), NOW, count=300))
    assert len(planned) == 300
    assert [at for at, _ in planned] == sorted(at for at, _ in planned)
    before = [(at, plan) for at, plan in planned if at < NOW]
    assert before
    assert all(at + plan.ring + (plan.talk or timedelta(0)) >= NOW for at, plan in before)
    assert len(before) < len(planned)


def test_a_call_goes_as_many_times_faster_as_it_is_told_to() -> None:
    once = [plan for _, plan in as_they_begin(traffic(), NOW - HOUR, count=50)]
    fast = [plan for _, plan in as_they_begin(traffic(), NOW - HOUR, count=50, speed=4)]
    assert [plan.talk for plan in fast] == [plan.talk / 4 for plan in once if plan.talk is not None]
    assert [plan.ring for plan in fast] == [plan.ring / 4 for plan in once]


@pytest.mark.parametrize(("switch", "count"), [("sw1", 1), ("sw2", 0)])
def test_a_pop_gets_its_own_records(switch: str, count: int) -> None:
    exchange = Exchange("sw1")
    records = Records(exchange, lambda record: record["switch"] == switch)
    call = exchange.place(plan_of(next(iter(traffic())).record), NOW)
    assert call is not None
    exchange.end(call, NOW)
    assert records.queue.qsize() == count
