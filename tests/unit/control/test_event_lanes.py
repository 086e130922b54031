"""The lanes skip what cannot make anything true: with them the same fires as when everything is evaluated each time."""

from collections.abc import Sequence
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.events import event_rows
from control.events.account_view import Accounts, sums_from
from control.events.definition_json import parse_event
from control.events.firings import Firings, Marks
from control.events.lookout import Lookout
from control.events.measures import matcher
from control.events.monitor import EventMonitor
from control.events.readings import SumsOf
from control.events.tallies import Past
from control.events.turn import Turn
from control.events.windows import PERIODS
from rating.store.batch import COLUMN, Row
from tests.builders import NOW, an_account
from tests.event_site import HOUR_S, UNIT, EventSite, an_event, charges

QUARTER: Final = 900 * UNIT
HUGE: Final = 1 << 62
"""A few of these are more than 64 bits hold."""
ZONES: Final = {"1": ("America/New_York", 15), "2": ("Asia/Kathmandu", 31), "3": ("UTC", 1)}


class Everything(Lookout):
    """Evaluates every event with every transaction that one of its conditions counts, from the store."""

    def __init__(self, accounts: Accounts, marks: Marks) -> None:
        super().__init__(accounts, marks)
        self.tallies.accounts = lambda series: set(accounts.accounts)  # type: ignore[method-assign]  # nobody is left out

    def sums_of(self, account: str, past: Past, before: int) -> SumsOf:
        return sums_from(past, account, before)

    def watch(self, rows: Sequence[Row], now: int, past: Past, *, found_by_check: bool = False) -> Firings:
        turn = Turn(rows, now, past)
        for row in rows:
            account, at = row[COLUMN["account"]], row[COLUMN["answer_at"]]
            events = self._reach.events_of(self._accounts.accounts[account])
            for event in sorted(events, key=lambda one: one.id):
                matchers = [matcher(condition.filters) for condition in event.conditions]
                if not any(matches is None or matches(row) for matches in matchers):
                    continue
                sums, owed = sums_from(past, account, row[0] + 1), turn.exposure(self._accounts, account, row[0] + 1)
                judgement = self._accounts.judge(account, event, at, sums, owed)
                self._marks.take(event.id, account, judgement, now, row[0], turn.firings)
        return turn.firings


class Exhaustive(EventMonitor):
    """A monitor that evaluates everything."""

    def __init__(self, accounts: Accounts) -> None:
        super().__init__(accounts)
        self._lookout = Everything(accounts, self.marks)
        self._tallies = self._lookout.tallies


filters = st.sampled_from(
    [
        {},
        {},
        {"service": "data"},
        {"called_country": "GB"},
        {"service": "data", "called_country_not_in": ["US"]},
        {"type": "premium"},
    ]
)
thresholds = st.one_of(
    st.integers(0, 12).map(lambda n: {"above": n}),
    st.integers(1, 12).map(lambda n: {"at_least": n}),
    st.builds(
        lambda kind, months, percent: {kind: {"months": months, "percent": percent}},
        st.sampled_from(["above_average", "of_average"]),
        st.integers(1, 3),
        st.integers(1, 90),
    ),
    st.just({"above_credit_limit": True, "measure": "charges"}),
)
conditions = st.builds(
    lambda measure, period, some, threshold: {"measure": measure, "period": period, **some, **threshold},
    st.sampled_from(["charges", "charges", "minutes", "calls", "charge"]),
    st.sampled_from(PERIODS),
    filters,
    thresholds,
)
several = st.lists(conditions, min_size=2, max_size=3)
events = st.builds(
    lambda when, accounts: an_event(when, accounts=accounts),
    st.one_of(conditions, several.map(lambda c: {"any": c}), several.map(lambda c: {"all": c})),
    st.sampled_from([{"all": True}, {"all": True}, {"segment": "gold"}, {"numbers": ["1", "3"]}]),
)
calls = st.builds(
    lambda account, ago, second, charge, duration, columns: {
        "account": account,
        "ago": ago * QUARTER - second * UNIT,
        "charge": charge,
        "duration_us": duration * UNIT,
        **columns,
    },
    st.sampled_from("123"),
    st.sampled_from([0, 0, 0, 0, 1, 2, 20, 96, 200, 700, 2000]),
    st.sampled_from([0, 1, 899]),
    st.sampled_from([0, 1, 1, 2, 3, 5, 9, -2, -6, HUGE // UNIT]),
    st.sampled_from([0, 0, 30, 60, 150, HUGE // UNIT // 1000]),
    st.fixed_dictionaries(
        {
            "service": st.sampled_from(["long-distance", "data"]),
            "called": st.sampled_from(["442079460018", "12125550100", "sip:ann@example.com"]),
            "type": st.sampled_from(["direct", "premium"]),
        }
    ),
)
batches = st.lists(calls, min_size=1, max_size=8)
steps = st.one_of(
    batches.map(lambda batch: ("store", batch)),
    batches.map(lambda batch: ("store", batch)),
    batches.map(lambda batch: ("store", batch)),
    st.tuples(st.just("pay"), st.sampled_from("123"), st.sampled_from([-3, 2, 5, 20])),
    st.tuples(st.just("limit"), st.sampled_from("123"), st.sampled_from([None, 5, 12, 30])),
    st.tuples(st.just("wait"), st.sampled_from([1, 30, 96, 700])),
    st.tuples(st.just("prune")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("add"), events),
    st.tuples(st.just("remove"), st.integers(1, 4)),
    st.tuples(st.just("change"), st.integers(1, 4), events),
    st.tuples(st.just("move"), st.sampled_from("123"), st.sampled_from("123"), st.booleans()),
)


def a_site(monitor: type[EventMonitor]) -> EventSite:
    accounts = [
        an_account(n, timezone=zone, cycle_day=day, credit_limit_micros=9 * UNIT, segment="gold" if n == "2" else None)
        for n, (zone, day) in ZONES.items()
    ]
    opened_at = {"1": NOW - 40 * 96 * QUARTER, "2": NOW, "3": 0}
    return EventSite(accounts, now=NOW, opened_at=opened_at, monitor=monitor)


def answered(site: EventSite, *, ago: int, **call: Any) -> dict[str, Any]:
    """A call that was answered so long ago."""
    return {"answer": site.now - ago, **call}


def take(site: EventSite, step: tuple[Any, ...]) -> list[Any]:
    """Do a step; what comes of it."""
    match step:
        case ("store", batch):
            return list(site.store(*(answered(site, **call) for call in batch)))
        case ("pay", account, units):
            site.paid[account] += units * UNIT
        case ("limit", account, units):
            site.limits[account] = None if units is None else units * UNIT
        case ("wait", quarters):
            site.now += quarters * QUARTER
        case ("prune",):
            site.monitor.prune(site.now)
        case ("restart",):
            site.restart()
        case ("add", event):
            site.prescribe(event)
        case ("remove", number):
            if event_rows.event_by_id(site.cx, number):
                event_rows.set_state(site.cx, number, "deleted", site.now)
                site.monitor.remove(site.cx, number, site.now)
        case ("change", number, event):
            stored = event_rows.event_by_id(site.cx, number)
            if stored and stored.state == "active":
                changed = event_rows.change_event(site.cx, number, parse_event(event), site.now, HOUR_S)
                return site.write(site.monitor.add(site.cx, changed, site.now))
        case ("move", account, like, golden):
            zone, day = ZONES[like]
            moved = an_account(account, timezone=zone, cycle_day=day, segment="gold" if golden else None)
            site.accounts = {**site.accounts, account: moved}
            site.monitor.follow(site.accounts, event_rows.opened_at(site.cx, site.accounts))
    if step[0] in ("pay", "limit"):
        again = site.recheck(step[1])
        return [*again.firings.fired, again.holding, again.cleared, again.look_again_at]
    return []


@pytest.mark.parametrize("few", [1, 4, 99])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(events, min_size=1, max_size=3), st.lists(steps, min_size=1, max_size=25))
def test_what_fires_is_the_same_as_when_everything_is_evaluated_with_every_transaction(
    few: int, prescribed: list[dict[str, Any]], done: list[tuple[Any, ...]]
) -> None:
    """With transactions added at once, one by one, and now so now so."""
    quick, thorough = a_site(EventMonitor), a_site(Exhaustive)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lookout, "few", few)
        for step in [*(("add", event) for event in prescribed), *done]:
            assert take(quick, step) == take(thorough, step)
            assert set(event_rows.marks_of(quick.cx, range(99))) == set(event_rows.marks_of(thorough.cx, range(99)))


class Untouched:
    """A past that nobody is to ask."""

    def sums(self, *asked: Any) -> Any:
        raise AssertionError(asked)


@pytest.mark.parametrize(
    ("condition", "call", "enough"),
    [
        (charges(above=1000), {"charge": 100}, 10),
        (charges(above=1000, service="data"), {"charge": 100, "service": "data"}, 10),
        (charges(above=1000, called_country="GB"), {"charge": 100}, 10),
        ({"measure": "minutes", "period": "day", "above": 10}, {"duration_us": 60 * UNIT}, 10),
        ({"measure": "calls", "period": "day", "at_least": 11}, {}, 10),
        ({"measure": "charge", "above": 5}, {"charge": 5}, 10),
        ({"measure": "charge", "period": "weekdays", "above": 5}, {"charge": 5}, 10),
        ({"measure": "charges", "above_credit_limit": True}, {"charge": 1}, 9),
    ],
)
def test_nothing_is_evaluated_while_there_is_room(
    monkeypatch: pytest.MonkeyPatch, condition: dict[str, Any], call: dict[str, Any], enough: int
) -> None:
    site = EventSite([an_account(timezone="UTC", credit_limit_micros=9 * UNIT)])
    site.prescribe(an_event(condition))
    evaluated = []
    judge = Accounts.judge

    def judged(*asked: Any) -> Any:
        evaluated.append(site.last_id)
        return judge(*asked)

    monkeypatch.setattr(Accounts, "judge", judged)
    monkeypatch.setattr(site, "past", Untouched())
    for _ in range(enough):
        assert site.store(call) == []
    assert evaluated == []
    assert [fired.transaction for fired in site.store(call | {"charge": 6})] == [enough + 1]
    assert set(evaluated) == {enough + 1}


def test_accounts_without_events_are_not_gathered_for() -> None:
    site = EventSite([an_account("1"), an_account("2")])
    site.prescribe(an_event(charges(above=10), accounts={"numbers": ["2"]}))
    assert site.store({"account": "1", "charge": 99}, {"account": "2", "charge": 10}) == []
    assert [fired.account for fired in site.store({"account": "1", "charge": 99}, {"account": "2"})] == ["2"]
