"""The demo's script: whichever day it is, the customer has a bill cycle behind, and another one that has begun."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from mediation.demo.provisioning import PAST, people
from mediation.demo.script import CALLS_BEFORE, LONG_CALLS, calls_before, cycle_before, endless_call, long_calls
from rating.calendar import AccountCalendar
from rating.cdr import MICROS

DAYS = [datetime(2027, 1, 1, 4, 30, tzinfo=UTC) + timedelta(days=day) for day in range(366)]


def test_on_every_day_of_a_year_a_cycle_has_just_ended() -> None:
    for now in DAYS:
        customer = people(now)[0]
        cycle = cycle_before(customer, now)
        assert timedelta(days=2) < now - cycle.end < timedelta(days=5), now
        assert now - PAST < cycle.start < cycle.end, now
        local = cycle.start.astimezone(ZoneInfo(customer.zone))
        assert (local.hour, local.strftime("%Y-%m")) == (0, cycle.period), now


def test_calls_of_the_cycle_before_are_all_within_it() -> None:
    for now in DAYS[::7]:
        customer = people(now)[0]
        cycle = cycle_before(customer, now)
        records = calls_before(customer, cycle, "sw1")
        assert len({record["id"] for record in records}) == CALLS_BEFORE
        assert {record["calling"] for record in records} == {customer.lines[0].number}
        assert {record["service"] for record in records} == {"local", "long-distance"}
        for record in records:
            start, answer = (datetime.fromisoformat(record[key]) for key in ("start", "answer"))
            assert cycle.start <= start < answer
            assert answer + timedelta(seconds=record["duration"]) < cycle.end


def test_long_calls_follow_each_other_in_the_present_cycle() -> None:
    now = DAYS[40]
    customer = people(now)[0]
    calendar = AccountCalendar(customer.zone, customer.cycle_day)
    begun, _ = calendar.cycle(int(now.timestamp()) * MICROS)
    free_at = datetime.fromtimestamp(begun // MICROS, UTC)
    planned = list(long_calls(customer, now, "sw1"))
    for begins_at, plan in planned:
        assert begins_at >= free_at
        assert plan.talk is not None
        free_at = begins_at + plan.ring + plan.talk
    assert free_at < now
    assert len({plan.record["id"] for _, plan in planned}) == LONG_CALLS


def test_an_endless_call_ends_when_somebody_ends_it() -> None:
    plan = endless_call(people(DAYS[0])[0], "sw1", "endless")
    assert (plan.record["id"], plan.talk) == ("endless", None)


@pytest.mark.parametrize("now", [DAYS[0], DAYS[100]])
def test_the_customer_is_the_first_and_has_one_line(now: datetime) -> None:
    everybody = people(now)
    assert len(everybody[0].lines) == 1
    assert len({one.account for one in everybody}) == len(everybody)
