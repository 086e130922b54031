"""Continuous, periodic and one-time checks agree on random traffic, with one another and with a naive recount.

An event is judged with each transaction, in the order in which they were stored, by what was stored up to it and at the
instant of its answer. So a record that makes conditions of several periods hold makes the event fire in its own only.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.events import event_rows
from control.events.lookout import Lookout
from rating.store.batch import CORRECTION_KEY
from tests.builders import an_account, micros
from tests.event_site import UNIT, EventSite

ZONES: Final = {"1": ("America/New_York", 15), "2": ("Asia/Kathmandu", 31)}
NOW: Final = micros("2026-11-20T12:00:00Z")
SINCE: Final = micros("2026-08-25T00:00:00Z")
HOUR: Final = 3600 * UNIT
CALLED: Final = {"442079460018": "GB", "12125550100": "US", "sip:ann@example.com": None}
PERIODS: Final = ("bill-cycle", "month", "week", "weekdays", "weekend", "day", "hour")

Call = dict[str, Any]


class Naive:
    """What should fire, counted anew from all the calls at every call, with local dates."""

    def __init__(self, when: dict[str, Any], created_at: int, opened_at: dict[str, int]) -> None:
        self.how, self.conditions = next(((how, when[how]) for how in ("any", "all") if how in when), ("any", [when]))
        self.created_at, self.opened_at = created_at, opened_at
        self.calls: list[Call] = []
        self.marked: set[tuple[Any, ...]] = set()
        self.fired: list[tuple[str, int, int, bool]] = []
        """Account, transaction, begin of the period, late."""

    def take_back(self, call: Call) -> None:
        """It is judged with what is charged instead, which is stored next."""
        self.calls.append(call)

    def store(self, call: Call) -> None:
        self.calls.append(call)
        if not any(passes(condition, call) for condition in self.conditions):
            return
        account, at = call["account"], call["answer"]
        spans = [span_of(c["period"], account, at) for c in self.conditions]
        true = [self._holds(c, account, at) for c in self.conditions]
        ways = [[n] for n in range(len(true))] if self.how == "any" else [list(range(len(true)))]
        holding = []
        for way in ways:
            begins, ends = max(spans[n][0] for n in way), min(spans[n][1] for n in way)
            if all(true[n] for n in way) and ends > self.created_at:
                holding.append(((account, begins, tuple(threshold_of(self.conditions[n]) for n in way)), ends))
        if holding and not self.marked.intersection(key for key, _ in holding):
            self.fired.append((account, len(self.calls), holding[0][0][1], holding[0][1] <= NOW))
        self.marked.update(key for key, _ in holding)

    def _holds(self, condition: Call, account: str, at: int) -> bool:
        value = self._value(condition, account, span_of(condition["period"], account, at))
        if "above" in condition:
            return value > condition["above"]
        if "at_least" in condition:
            return value >= condition["at_least"]
        rule = condition["above_average"]
        spans = []
        inside = at
        for _ in range(rule["months"]):
            begin = span_of(
                {"weekdays": "week", "weekend": "week"}.get(condition["period"], condition["period"]), account, inside
            )[0]
            inside = begin - 1
            spans.append(span_of(condition["period"], account, inside))
        while spans and not (
            self.opened_at[account] < spans[-1][1]
            or any(c["account"] == account and spans[-1][0] <= c["answer"] < spans[-1][1] for c in self.calls)
        ):
            spans.pop()
        if not spans:
            return False
        average = sum(self._value(condition, account, span) for span in spans) / Fraction(len(spans))
        return value > average * (100 + rule["percent"]) / 100

    def _value(self, condition: Call, account: str, span: tuple[int, int]) -> Fraction:
        calls = [
            c
            for c in self.calls
            if c["account"] == account and span[0] <= c["answer"] < span[1] and passes(condition, c)
        ]
        match condition["measure"]:
            case "charges":
                return Fraction(sum(c["charge"] for c in calls))
            case "minutes":
                return Fraction(sum(c["duration_us"] for c in calls), 60 * UNIT)
            case "calls":
                return Fraction(sum((c["duration_us"] > 0) - (c["duration_us"] < 0) for c in calls))
        return Fraction(max([0, *(c["charge"] for c in calls)]))


def threshold_of(condition: Call) -> tuple[str, str]:
    """What is in force beside the begin of a period: an event fires once for both."""
    (rule,) = condition.keys() & {"above", "at_least", "above_average"}
    return condition["measure"], f"{rule} {condition[rule]}"


def passes(condition: Call, call: Call) -> bool:
    country = CALLED[call["called"]]
    return (
        condition.get("service") in (None, call["service"])
        and condition.get("called_country") in (None, country)
        and country not in condition.get("called_country_not_in", ())
    )


def span_of(period: str, account: str, at: int) -> tuple[int, int]:
    """First instant of a period and of what follows, by the account's local dates."""
    zone, cycle_day = ZoneInfo(ZONES[account][0]), ZONES[account][1]
    if period == "hour":
        offset = datetime.fromtimestamp(at // UNIT, zone).utcoffset()
        assert offset is not None
        shift = offset // timedelta(seconds=1) * UNIT
        begin = (at + shift) // HOUR * HOUR - shift
        return begin, begin + HOUR
    today = datetime.fromtimestamp(at // UNIT, zone).date()
    monday = today - timedelta(days=today.weekday())
    match period:
        case "day":
            first, last = today, today + timedelta(days=1)
        case "week":
            first, last = monday, monday + timedelta(days=7)
        case "weekdays":
            first, last = monday, monday + timedelta(days=5)
        case "weekend":
            first, last = monday + timedelta(days=5), monday + timedelta(days=7)
        case _:
            starts = [month_start(2026, month, cycle_day if period == "bill-cycle" else 1) for month in range(1, 13)]
            first = max(start for start in starts if start <= today)
            last = starts[starts.index(first) + 1]
    return tuple(int(datetime(d.year, d.month, d.day, tzinfo=zone).timestamp()) * UNIT for d in (first, last))  # type: ignore[return-value]  # two of them


def month_start(year: int, month: int, day: int) -> date:
    following = date(year + month // 12, month % 12 + 1, 1)
    return min(date(year, month, 1) + timedelta(days=day - 1), following - timedelta(days=1))


filters = st.sampled_from(
    [
        {},
        {},
        {"service": "data"},
        {"called_country": "GB"},
        {"called_country_not_in": ["US"]},
        {"service": "data", "called_country": "GB"},
    ]
)
fixed = st.one_of(
    st.integers(0, 12).map(lambda n: {"above": n}),
    st.integers(1, 12).map(lambda n: {"at_least": n}),
)
averages = st.builds(
    lambda n, percent: {"above_average": {"months": n, "percent": percent}}, st.integers(1, 3), st.integers(0, 60)
)


limits = st.just({"above_credit_limit": True, "measure": "charges"})


def conditions(thresholds: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda measure, period, some, threshold: {"measure": measure, "period": period, **some, **threshold},
        st.sampled_from(["charges", "minutes", "calls", "charge"]),
        st.sampled_from(PERIODS),
        filters,
        thresholds,
    )


def whens(thresholds: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(conditions(thresholds), min_size=2, max_size=3)
    return st.one_of(conditions(thresholds), several.map(lambda c: {"any": c}), several.map(lambda c: {"all": c}))


of_debts = st.builds(
    lambda debt, others: {"any": [debt, *others]},
    conditions(limits),
    st.lists(conditions(st.one_of(fixed, limits)), max_size=2),
)
"""What is owed, or else something: of debts a check looks also at now, whatever periods their transactions have."""


calls = st.builds(
    lambda account, quarter, second, charge, duration, service, called: {
        "account": account,
        "answer": SINCE + quarter * 900 * UNIT + second * UNIT,
        "charge": charge,
        "duration_us": duration * UNIT,
        "service": service,
        "called": called,
    },
    st.sampled_from(["1", "2"]),
    # Many close together, around the ends of months, weeks and summer time; some anywhere.
    st.one_of(
        st.integers(0, 8_000),
        st.builds(
            lambda day, quarter: day * 96 + quarter,
            st.sampled_from([6, 37, 46, 51, 67, 68, 82, 84]),
            st.integers(0, 120),
        ),
    ),
    st.sampled_from([0, 1, 899]),
    st.sampled_from([0, 1, 2, 3, 4, 5, 6, 6, -2]),
    st.sampled_from([0, 30, 60, 150]),
    st.sampled_from(["long-distance", "data"]),
    st.sampled_from(sorted(CALLED)),
)
batches = st.lists(st.lists(calls, min_size=1, max_size=8), min_size=1, max_size=8)
corrections = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 63), st.integers(0, 9)), max_size=6)
"""After which batch, of which call so far, and what it is charged instead."""
instants = st.sampled_from([SINCE, micros("2026-10-15T00:00:00Z"), micros("2026-11-16T00:00:00Z")])


def a_site(opened_at: dict[str, int]) -> EventSite:
    accounts = [
        an_account(n, timezone=zone, cycle_day=day, credit_limit_micros=9 * UNIT) for n, (zone, day) in ZONES.items()
    ]
    return EventSite(accounts, now=NOW, opened_at=opened_at)


def an_event(when: dict[str, Any], check: dict[str, Any]) -> dict[str, Any]:
    return {"accounts": {"all": True}, "name": "any", "when": when, "check": check}


def keys(site: EventSite, event: int) -> set[tuple[str, int, str]]:
    """Everything for which an event does not fire again."""
    return {(mark.account, mark.period_start, mark.threshold) for mark in event_rows.marks_of(site.cx, [event])}


def firings(site: EventSite, event: int) -> set[tuple[str, int, int, str, str]]:
    """What an event has fired for, and by what."""
    return {
        (one.account, one.period_start, one.period_end, one.threshold, one.trace)
        for one in event_rows.list_firings(site.cx)
        if one.event == event
    }


relaxed = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def charged_again(call: Call, charge: int) -> tuple[Call, Call]:
    """What takes a call's charge back, and what is charged instead."""
    taken_back = {"charge": -call["charge"], "duration_us": -call["duration_us"], "key": CORRECTION_KEY}
    return call | taken_back, call | {"charge": charge, "key": CORRECTION_KEY}


@pytest.fixture(params=[1, 99], scope="module", autouse=True)
def added(request: pytest.FixtureRequest) -> Iterator[None]:
    """Transactions are added at once, or one by one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lookout, "few", request.param)
        yield


@relaxed
@given(whens(st.one_of(fixed, averages)), batches, corrections, instants, instants, st.sets(st.integers(0, 7)))
def test_continuous_checks_fire_as_a_naive_recount_says_also_over_restarts(
    when: dict[str, Any],
    traffic: list[list[Call]],
    corrected: list[tuple[int, int, int]],
    created_at: int,
    opened_at: int,
    restarts: set[int],
) -> None:
    opened = {"1": opened_at, "2": SINCE}
    site, naive = a_site(opened), Naive(when, created_at, opened)
    event = site.prescribe(an_event(when, {"continuous": True}), created_at=created_at)
    fired = []
    standing: list[Call] = []
    for number, batch in enumerate(traffic):
        if number in restarts:
            site.restart()
        fired += site.store(*batch)
        for call in batch:
            naive.store(call)
        standing += batch
        pairs = []
        for _, which, charge in (one for one in corrected if one[0] == number):
            which %= len(standing)
            pairs.append(charged_again(standing[which], charge))
            standing[which] = pairs[-1][1]
        fired += site.store(*(row for pair in pairs for row in pair))
        for taken_back, instead in pairs:
            naive.take_back(taken_back)
            naive.store(instead)
    assert [(f.account, f.transaction, f.period_start, f.late) for f in fired] == naive.fired
    assert {f.event for f in fired} <= {event.id}


@relaxed
@given(
    st.one_of(st.tuples(whens(st.one_of(fixed, averages)), instants), st.tuples(of_debts, st.just(SINCE))),
    batches,
    corrections,
    instants,
    st.sets(st.integers(0, 7)),
)
def test_periodic_and_one_time_checks_agree_with_continuous_ones_whenever_they_are_done(
    made: tuple[dict[str, Any], int],
    traffic: list[list[Call]],
    corrected: list[tuple[int, int, int]],
    opened_at: int,
    checked: set[int],
) -> None:
    when, created_at = made
    site = a_site({"1": opened_at, "2": SINCE})
    continuous, periodic, once = (
        site.prescribe(an_event(when, check), created_at=created_at).id
        for check in ({"continuous": True}, {"every": "1h"}, {"once": "2026-11-20T12:00:00Z"})
    )
    standing: list[Call] = []
    for number, batch in enumerate(traffic):
        site.store(*batch)
        standing += batch
        for _, which, charge in (one for one in corrected if one[0] == number):
            pair = charged_again(standing[which % len(standing)], charge)
            site.store(*pair)
            standing[which % len(standing)] = pair[1]
        if number in checked:
            site.check(periodic)
    site.check(periodic)
    site.check(once)
    assert keys(site, periodic) == keys(site, once) == keys(site, continuous)
    assert firings(site, periodic) == firings(site, once) == firings(site, continuous)


def test_a_late_record_of_a_window_that_a_start_has_read_in_part_is_added_to_all_of_it() -> None:
    """What a start reads begins with the earliest window of any account: of another account's it may be the middle."""
    opened = {"1": SINCE, "2": SINCE}
    when = {"measure": "charges", "period": "bill-cycle", "above": 1}
    call = {"account": "1", "duration_us": 0, "service": "long-distance", "called": "12125550100"}
    first, later = micros("2026-09-15T04:00:00Z"), micros("2026-09-29T18:15:00Z")
    site = a_site(opened)
    site.prescribe(an_event(when, {"continuous": True}), created_at=SINCE)
    assert site.store(call | {"answer": first, "charge": 1}, call | {"answer": later, "charge": 0}) == []
    site.restart()
    assert [fired.transaction for fired in site.store(call | {"answer": first, "charge": 1})] == [3]


@pytest.mark.parametrize("checked_between", [False, True])
def test_a_late_record_of_a_bill_cycle_fires_in_its_own_month_not_in_the_one_it_makes_hold(
    checked_between: bool,
) -> None:
    site = a_site({})
    conditions = [
        {"measure": "charges", "period": "bill-cycle", "above": 1},
        {"measure": "charges", "period": "month", "above": 0},
    ]
    events = [
        site.prescribe(an_event({"all": conditions}, check), created_at=SINCE).id
        for check in ({"continuous": True}, {"every": "1h"})
    ]
    call = {"account": "2", "charge": 1, "duration_us": 0, "service": "long-distance", "called": "12125550100"}
    september, august = micros("2026-08-31T18:15:00Z"), micros("2026-08-30T18:15:00Z")  # the 1st and 31st in Kathmandu
    assert site.store(call | {"answer": september}) == []
    if checked_between:
        assert site.check(events[1]) == []
    (fired,) = site.store(call | {"answer": august})
    assert (fired.transaction, fired.period_end, fired.late) == (2, september, True)
    assert [one.period_end for one in site.check(events[1])] == [september]
    (fired,) = site.store(call | {"answer": september})
    assert (fired.transaction, fired.late) == (3, True)
    assert [one.period_start for one in site.check(events[1])] == [september]
    assert keys(site, events[0]) == keys(site, events[1])
    assert firings(site, events[0]) == firings(site, events[1])
