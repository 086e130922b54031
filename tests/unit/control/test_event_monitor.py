"""When an account event fires: every sentence of the contract about it, on a store in memory."""

from typing import Any

import pytest

from control.events import event_rows
from control.events.account_view import sums_from
from control.events.definition_json import parse_event
from control.events.evaluation import trace
from control.events.past import StoredPast
from rating.store.batch import CORRECTION_KEY
from tests.builders import ACCOUNT, NOW, an_account, micros
from tests.event_site import UNIT, EventSite, an_event, charges

DECEMBER = micros("2026-12-02T12:00:00Z")
LIMIT = {"measure": "charges", "above_credit_limit": True}
AVERAGE = {"measure": "minutes", "period": "month", "above_average": {"months": 3, "percent": 50}}


def a_site(**account: Any) -> EventSite:
    return EventSite([an_account(timezone="UTC", **account)])


def minutes(number: int, answer: str = "2026-11-20T12:00:00Z", **fields: Any) -> dict[str, Any]:
    return {"duration_us": number * 60 * UNIT, "answer": answer, **fields}


@pytest.mark.parametrize(
    ("condition", "calls", "fires_with"),
    [
        (charges(above="10.00"), [{"charge": 4}, {"charge": 6}, {"charge": 1}, {"charge": 5}], 3),
        (charges(at_least="10.00"), [{"charge": 4}, {"charge": 6}, {"charge": 1}], 2),
        (charges(above=10), [{"charge": 10}], None),
        ({"measure": "minutes", "period": "day", "above": 2}, [minutes(2), {"duration_us": 1}], 2),
        ({"measure": "minutes", "period": "day", "at_least": 1.5}, [minutes(1), {"duration_us": 30 * UNIT}], 2),
        ({"measure": "calls", "period": "day", "above": 1}, [{}, {"duration_us": 0}, {}], 3),
        ({"measure": "calls", "period": "day", "at_least": 2}, [{}, {"duration_us": 0}, {}], 3),
        ({"measure": "charge", "above": "5"}, [{"charge": 5}, {"charge": 4}, {"charge": 6}], 3),
        ({"measure": "charge", "at_least": 5, "service": "data"}, [{"charge": 9}, {"charge": 5, "service": "data"}], 2),
        (charges(above=10, called_country_not_in=["US"]), [{"charge": 90, "called": "12125550100"}, {"charge": 11}], 2),
        ({"measure": "sessions", "above": 1}, [{}, {}, {}], None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("at_once", [False, True])
def test_an_event_fires_with_the_transaction_that_makes_its_condition_true(
    condition: dict[str, Any], calls: list[dict[str, Any]], fires_with: int | None, at_once: bool
) -> None:
    site = EventSite()
    site.prescribe(an_event(condition))
    fired = site.store(*calls) if at_once else [one for call in calls for one in site.store(call)]
    assert [(f.account, f.transaction, f.late) for f in fired] == (
        [] if fires_with is None else [(ACCOUNT, fires_with, False)]
    )


@pytest.mark.parametrize(
    ("period", "calls", "fired"),
    [
        # A transaction counts in the period of its answer, in the account's zone (here New York).
        ("day", ["2026-11-20T04:59:00Z", "2026-11-20T05:00:00Z"], 0),
        ("day", ["2026-11-20T05:00:00Z", "2026-11-20T14:59:00Z"], 1),
        ("month", ["2026-11-01T03:59:00Z", "2026-11-20T05:00:00Z"], 0),
        ("bill-cycle", ["2026-11-14T05:00:00Z", "2026-11-16T05:00:00Z"], 0),
        ("bill-cycle", ["2026-11-15T05:00:00Z", "2026-11-16T05:00:00Z"], 1),
        ("week", ["2026-11-16T04:59:00Z", "2026-11-17T05:00:00Z"], 0),
        ("week", ["2026-11-16T05:00:00Z", "2026-11-20T05:00:00Z"], 1),
        ("weekdays", ["2026-11-16T05:00:00Z", "2026-11-15T05:00:00Z"], 0),
        ("weekend", ["2026-11-14T05:00:00Z", "2026-11-15T05:00:00Z"], 1),
        ("weekend", ["2026-11-13T05:00:00Z", "2026-11-15T05:00:00Z"], 0),
        ("hour", ["2026-11-20T13:59:00Z", "2026-11-20T14:00:00Z"], 0),
        ("hour", ["2026-11-20T14:00:00Z", "2026-11-20T14:59:00Z"], 1),
    ],
)
def test_transactions_of_one_period_count_together(period: str, calls: list[str], fired: int) -> None:
    site = EventSite([an_account(cycle_day=15)])
    site.prescribe(an_event(charges(period=period, above=10)), created_at=0)
    assert len(site.store(*({"charge": 6, "answer": at} for at in calls))) == fired


@pytest.mark.parametrize(
    ("accounts", "fires_for"),
    [
        ({"all": True}, {"1", "2", "3"}),
        ({"numbers": ["1", "3", "9"]}, {"1", "3"}),
        ({"segment": "gold"}, {"2", "3"}),
    ],
)
def test_an_event_concerns_the_accounts_it_names(accounts: dict[str, Any], fires_for: set[str]) -> None:
    site = EventSite([an_account("1"), an_account("2", segment="gold"), an_account("3", segment="gold")])
    site.prescribe(an_event(charges(above=5), accounts=accounts))
    assert {f.account for f in site.store(*({"account": n, "charge": 6} for n in "123"))} == fires_for


def test_an_event_fires_once_a_period_also_over_a_restart_and_again_in_the_next() -> None:
    site = EventSite()
    site.prescribe(an_event(charges(above=10)))
    assert len(site.store({"charge": 11}, {"charge": 11})) == 1
    site.restart()
    assert site.store({"charge": 11}) == []
    site.now = DECEMBER
    assert site.store({"charge": 10}) == []
    assert [f.period_start for f in site.store({"charge": 1})] == [micros("2026-12-01T00:00:00Z")]


def test_a_late_record_fires_only_in_its_own_period_and_is_marked_late() -> None:
    site = EventSite()
    site.prescribe(an_event(charges(above=10)))
    site.store({"charge": 6})
    site.now = DECEMBER
    assert site.store({"charge": 6}) == []
    (fired,) = site.store({"charge": 6, "answer": NOW})
    assert (fired.late, fired.period_start) == (True, micros("2026-11-01T00:00:00Z"))
    assert site.store({"charge": 6, "answer": NOW}) == []
    (fired,) = site.store({"charge": 6})
    assert (fired.late, fired.period_start) == (False, micros("2026-12-01T00:00:00Z"))


def test_what_was_over_before_the_event_was_made_does_not_fire() -> None:
    site = EventSite()
    site.prescribe(an_event(charges(above=10)))
    assert site.store({"charge": 20, "answer": "2026-10-20T12:00:00Z"}) == []


def test_a_new_event_fires_at_once_for_what_it_holds_for_already() -> None:
    site = EventSite([an_account("1"), an_account("2")])
    site.store({"account": "1", "charge": 11}, {"account": "2", "charge": 10})
    event = site.prescribe(an_event(charges(above=10)))
    (firing,) = event_rows.list_firings(site.cx)
    assert (firing.event, firing.account, firing.transaction, firing.late) == (event.id, "1", None, False)
    assert [f.account for f in site.store({"account": "2", "charge": 1})] == ["2"]


def test_events_made_one_after_the_other_share_what_was_summed() -> None:
    site = EventSite()
    first = site.prescribe(an_event(charges(above=10), accounts={"numbers": [ACCOUNT]}))
    site.store({"charge": 6})
    second = site.prescribe(an_event(charges(above=11)))
    site.monitor.remove(site.cx, first.id, site.now)
    site.store({"charge": 5})
    third = site.prescribe(an_event(charges(above=12)))
    assert [f.event for f in site.store({"charge": 1})] == [second.id]
    assert [f.event for f in site.store({"charge": 1})] == [third.id]


def test_a_changed_threshold_is_a_new_one_and_an_unchanged_one_is_not() -> None:
    site = EventSite()
    event = site.prescribe(an_event(charges(above=10)))
    site.store({"charge": 15})
    for above, fires in ((10, 0), (12, 1), (20, 0)):
        changed = event_rows.change_event(site.cx, event.id, parse_event(an_event(charges(above=above))), NOW, 3600)
        assert len(site.write(site.monitor.add(site.cx, changed, NOW))) == fires
    assert len(site.store({"charge": 6})) == 1


@pytest.mark.parametrize(("how", "fires_with"), [("any", 1), ("all", 3)])
def test_several_conditions_fire_once(how: str, fires_with: int) -> None:
    site = EventSite()
    several = [charges(above=10, service="data"), {"measure": "calls", "period": "day", "at_least": 3}]
    site.prescribe(an_event({how: several}))
    calls = [{"charge": 11, "service": "data"}, {}, {}, {"service": "data"}, {}]
    assert [f.transaction for call in calls for f in site.store(call)] == [fires_with]


def test_any_of_several_does_not_fire_again_where_one_takes_over_from_the_other() -> None:
    site = EventSite()
    several = [{"measure": "calls", "period": "day", "at_least": 2}, charges(above=10)]
    site.prescribe(an_event({"any": several}))
    assert len(site.store({"answer": "2026-11-20T12:00:00Z"}, {"answer": "2026-11-20T12:00:00Z"})) == 1
    assert site.store({"answer": "2026-11-20T13:00:00Z", "charge": 9}) == []  # the month's charges, while the day holds
    site.restart()
    site.now = micros("2026-11-21T12:00:00Z")
    assert site.store({}, {}) == []  # the next day's calls, while the month holds
    site.now = DECEMBER
    assert len(site.store({}, {})) == 1


def test_what_was_reversed_in_one_condition_can_come_true_again() -> None:
    site = EventSite()
    site.prescribe(an_event({"all": [charges(above=10), {"measure": "calls", "period": "month", "at_least": 4}]}))
    assert site.store({"charge": 11}, {"charge": -5}, {"charge": 1}, {"charge": 1}) == []
    assert [f.transaction for f in site.store({"charge": 1}, {"charge": 2})] == [6]


def test_the_credit_limit_is_compared_with_what_is_owed() -> None:
    site = a_site(credit_limit_micros=100 * UNIT)
    site.prescribe(an_event(LIMIT))
    site.paid[ACCOUNT] = 50 * UNIT
    calls = [{"charge": 90, "answer": "2026-10-20T12:00:00Z"}, {"charge": 60}, {"charge": 1}]
    assert [f.transaction for f in site.store(*calls)] == [3]
    assert site.store({"charge": 1}) == []


def test_a_filtered_counter_is_compared_with_the_credit_limit() -> None:
    site = a_site(credit_limit_micros=10 * UNIT)
    site.prescribe(an_event(LIMIT | {"period": "month", "service": "data"}))
    calls = [{"charge": 90}, {"charge": 10, "service": "data"}, {"charge": 1, "service": "data"}]
    assert [f.transaction for f in site.store(*calls)] == [3]


def test_an_account_without_a_limit_never_exceeds_it() -> None:
    site = a_site()
    site.prescribe(an_event(LIMIT))
    assert site.store({"charge": 10**9}) == []


def test_a_raised_limit_is_a_new_threshold_and_compared_at_once() -> None:
    site = a_site(credit_limit_micros=10 * UNIT)
    event = site.prescribe(an_event(LIMIT))
    assert len(site.store({"charge": 15})) == 1
    site.limits[ACCOUNT] = 12 * UNIT
    again = site.recheck()
    assert [f.threshold for f in again.firings.fired] == ["charges above the credit limit 12.00"]
    site.limits[ACCOUNT] = 20 * UNIT
    again = site.recheck()
    assert (again.firings.fired, again.holding, again.cleared) == ([], [], [event.id])
    assert len(site.store({"charge": 6})) == 1


def test_a_payment_clears_and_the_same_limit_does_not_fire_twice_in_a_period() -> None:
    site = a_site(credit_limit_micros=10 * UNIT)
    event = site.prescribe(an_event(LIMIT))
    assert len(site.store({"charge": 15})) == 1
    site.paid[ACCOUNT] = 2 * UNIT
    again = site.recheck()
    assert (again.holding, again.cleared, again.firings.fired) == ([event.id], [], [])
    assert again.look_again_at == micros("2026-12-01T00:00:00Z")
    site.paid[ACCOUNT] = 15 * UNIT
    assert site.recheck().cleared == [event.id]
    assert site.store({"charge": 11}) == []
    site.paid[ACCOUNT] = 26 * UNIT
    site.recheck()
    site.now = DECEMBER
    assert len(site.store({"charge": 11})) == 1


@pytest.mark.parametrize("restarted", [False, True])
def test_what_is_still_owed_in_the_next_period_did_not_become_true_again(restarted: bool) -> None:
    site = a_site(credit_limit_micros=10 * UNIT)
    event = site.prescribe(an_event(LIMIT))
    assert len(site.store({"charge": 15})) == 1
    site.now = DECEMBER
    if restarted:
        site.restart()
    assert site.store({"charge": 1}) == []
    assert site.recheck().holding == [event.id]
    site.paid[ACCOUNT] = 16 * UNIT
    if restarted:
        site.restart()
    else:
        site.recheck()
    assert len(site.store({"charge": 11})) == 1


def test_a_late_credit_does_not_make_true_again_what_is_still_owed() -> None:
    site = a_site(credit_limit_micros=10 * UNIT)
    site.prescribe(an_event(LIMIT))
    assert len(site.store({"charge": 15})) == 1
    site.now = DECEMBER
    assert site.store({"charge": -1, "answer": "2026-10-20T12:00:00Z"}) == []  # of a period before the event was made
    assert site.store({"charge": 1}) == []


def test_what_is_owed_besides_another_reason_does_not_fire_when_that_is_over_also_over_a_restart() -> None:
    site = a_site(credit_limit_micros=10 * UNIT)
    site.prescribe(an_event({"any": [charges(above=5, period="day"), LIMIT]}))
    assert len(site.store({"charge": 6})) == 1
    assert site.store({"charge": 6}) == []
    site.restart()
    site.now = DECEMBER
    assert site.store({"charge": 1}) == []


def test_a_new_period_clears_what_its_transactions_do_not_make_true() -> None:
    site = EventSite()
    event = site.prescribe(an_event(charges(above=10)))
    site.store({"charge": 11})
    assert site.recheck().holding == [event.id]
    site.now = DECEMBER
    assert site.recheck().cleared == [event.id]


def test_a_new_limit_of_an_import_is_to_be_looked_at() -> None:
    site = EventSite([an_account("1"), an_account("2")])
    site.prescribe(an_event(charges(above=10, period="day"), accounts={"segment": "gold"}))
    site.store({"account": "1", "charge": 6})
    accounts = {"1": an_account("1", segment="gold"), "2": an_account("2", credit_limit_micros=5)}
    assert site.monitor.follow(accounts, {}) == ["2"]
    assert [f.account for f in site.store({"account": "1", "charge": 6}, {"account": "2", "charge": 60})] == ["1"]


def test_an_account_whose_clock_moves_is_counted_anew() -> None:
    site = EventSite([an_account("1", timezone="UTC")])
    site.prescribe(an_event(charges(above=10, period="day")), created_at=0)
    site.store({"account": "1", "charge": 6, "answer": "2026-11-20T02:00:00Z"})
    site.monitor.follow({"1": an_account("1", timezone="America/New_York")}, {})
    assert len(site.store({"account": "1", "charge": 6, "answer": "2026-11-19T23:00:00Z"})) == 1


@pytest.mark.parametrize(
    ("opened_at", "before", "now", "fires"),
    [
        # 60 minutes a month before: more than 90 fire. Empty periods are zero.
        ("2026-01-01", {8: 60, 9: 60, 10: 60}, 90, False),
        ("2026-01-01", {8: 60, 9: 60, 10: 60}, 91, True),
        ("2026-01-01", {7: 600, 8: 60, 10: 60}, 61, True),
        ("2026-01-01", {8: 60, 10: 60}, 60, False),
        ("2026-01-01", {}, 1, True),
        # Periods before the account opened are left out; it was open when it had transactions.
        ("2026-10-15", {10: 60}, 91, True),
        ("2026-10-15", {10: 60}, 90, False),
        ("2026-11-19", {9: 60, 10: 0}, 45, False),
        ("2026-11-19", {9: 60}, 46, True),
        # Without any history it is false.
        ("2026-11-19", {}, 1000, False),
    ],
)
def test_an_average_is_over_the_complete_periods_before(
    opened_at: str, before: dict[int, int], now: int, fires: bool
) -> None:
    opened = {ACCOUNT: micros(f"{opened_at}T00:00:00Z")}
    site = EventSite([an_account(timezone="UTC")], opened_at=opened)
    site.store(*(minutes(number, f"2026-{month:02}-20T12:00:00Z") for month, number in before.items()))
    site.prescribe(an_event(AVERAGE))
    assert bool(site.store(minutes(now))) is fires


def test_a_percentage_of_the_average_is_not_added_to_it() -> None:
    site = EventSite()
    site.store({"charge": 10, "answer": "2026-10-20T12:00:00Z"})
    site.prescribe(an_event(charges(of_average={"months": 1, "percent": 150})))
    assert [f.transaction for f in site.store({"charge": 15}, {"charge": 1})] == [3]


def test_a_late_record_that_moves_an_average_is_no_new_threshold() -> None:
    site = EventSite()
    site.store(minutes(10, "2026-10-20T12:00:00Z"))
    site.prescribe(an_event(AVERAGE))
    assert len(site.store(minutes(100))) == 1
    assert site.store(minutes(1, "2026-10-21T12:00:00Z"), minutes(1)) == []


def test_a_trace_says_what_was_compared_and_why_nothing_was() -> None:
    site = EventSite()
    event = site.prescribe(an_event({"any": [AVERAGE, charges(above="10.5", service="data"), LIMIT]}))
    (fired,) = site.store({"charge": 11, "service": "data"})
    assert fired.trace == [
        {
            "measure": "minutes",
            "period": "month",
            "from": "2026-11-01T00:00:00Z",
            "to": "2026-12-01T00:00:00Z",
            "value": "1.0166",
            "threshold": None,
            "holds": False,
            "because": "there is no complete period before this one to take an average of",
        },
        {
            "measure": "charges",
            "service": "data",
            "period": "month",
            "from": "2026-11-01T00:00:00Z",
            "to": "2026-12-01T00:00:00Z",
            "value": "11.00",
            "threshold": "charges above 10.50",
            "relation": "above",
            "limit": "10.50",
            "holds": True,
        },
        {
            "measure": "charges",
            "period": "bill-cycle",
            "from": "2026-11-01T00:00:00Z",
            "to": "2026-12-01T00:00:00Z",
            "value": "11.00",
            "threshold": None,
            "holds": False,
            "compared": "exposure",
            "because": "the account has no credit limit",
        },
    ]
    (watched,) = site.monitor.events_of(ACCOUNT)
    judgement = site.known.judge(ACCOUNT, watched, NOW, sums_from(StoredPast(site.cx), ACCOUNT))
    assert trace(judgement) == fired.trace
    assert watched.id == event.id


def test_what_is_long_over_is_forgotten_and_found_again() -> None:
    site = EventSite()
    site.prescribe(an_event(charges(above=10, period="hour")), created_at=0)
    site.store({"charge": 6})
    site.now = DECEMBER
    site.store({"charge": 6})
    site.monitor.prune(site.now)
    assert [f.late for f in site.store({"charge": 6, "answer": NOW}, {"charge": 6})] == [True, False]


def test_sums_prepared_beside_the_writer_catch_up() -> None:
    site = EventSite()
    site.store({"charge": 6})
    event = event_rows.insert_event(site.cx, parse_event(an_event(charges(above=10))), "staff", NOW, 3600)
    prepared = site.monitor.prepare(site.cx, event, NOW, site.last_id + 1)
    site.store({"charge": 4})
    assert site.write(site.monitor.add(site.cx, event, NOW, prepared)) == []
    assert [f.transaction for f in site.store({"charge": 1})] == [3]


def test_what_came_while_no_event_was_in_force_counts_for_the_next_one() -> None:
    site = EventSite()
    only = {"numbers": [ACCOUNT]}
    first = site.prescribe(an_event(charges(above=10), accounts=only))
    site.store({"charge": 3})
    site.monitor.remove(site.cx, first.id, site.now)
    site.store({"charge": 4})
    site.prescribe(an_event(charges(above=10), accounts=only))
    assert [f.transaction for f in site.store({"charge": 3}, {"charge": 1})] == [4]


def test_a_late_record_that_no_filter_passes_says_that_the_account_was_open() -> None:
    site = EventSite()
    data = {"service": "data"}
    site.prescribe(an_event(charges(above_average={"months": 3, "percent": 0}, service="data")))
    assert site.store(data) == []
    assert site.store({"answer": "2026-10-20T12:00:00Z"}) == []
    assert [f.transaction for f in site.store(data)] == [3]


def test_what_a_late_record_made_true_fires_with_the_next_that_any_of_its_conditions_counts() -> None:
    site = EventSite()
    average = charges(above_average={"months": 3, "percent": 0}, service="data")
    site.prescribe(an_event({"any": [average, {"measure": "calls", "period": "day", "above": 9}]}))
    assert site.store({"service": "data"}, {"answer": "2026-10-20T12:00:00Z"}) == []
    assert [f.transaction for f in site.store({})] == [3]


def test_what_a_late_record_made_true_besides_does_not_fire_when_the_other_reason_is_over() -> None:
    site = EventSite([an_account(timezone="UTC", cycle_day=20)])
    average = charges(above_average={"months": 1, "percent": 0}, period="week")
    site.prescribe(an_event({"any": [charges(above=0, period="day"), average]}))
    assert len(site.store({})) == 1
    assert site.store({"charge": 0, "answer": "2026-11-12T12:00:00Z"}, {"charge": 0}) == []  # it was open in that week
    site.now = micros("2026-11-21T12:00:00Z")
    assert site.store({"charge": 0}) == []


def test_between_the_reversal_of_a_charge_and_what_is_charged_instead_nobody_looks() -> None:
    site = a_site(credit_limit_micros=10 * UNIT)
    event = site.prescribe(an_event(LIMIT)).id
    assert [one.event for one in site.store({"charge": 11})] == [event]
    site.now = DECEMBER
    assert site.store({"charge": 5}) == []  # it has owed too much since November
    site.paid[ACCOUNT] += 2 * UNIT
    taken_back = {"charge": -5, "duration_us": -61 * UNIT, "key": CORRECTION_KEY}
    assert site.store(taken_back, {"charge": 6, "key": CORRECTION_KEY}) == []
    assert site.store(taken_back | {"charge": -6}) == []
    assert [one.event for one in site.store({"charge": 2})] == [event]  # by then it owed less than its limit


def test_what_a_reversal_takes_away_may_come_again_and_make_an_event_true() -> None:
    site = EventSite()
    calls = {"measure": "calls", "above": 1, "period": "day", "service": "long-distance"}
    minutes_of_data = {"measure": "minutes", "above": 10, "period": "day", "service": "data"}
    site.prescribe(an_event({"all": [calls, minutes_of_data]}))
    assert site.store({}, {}) == []
    assert site.store({"duration_us": -61 * UNIT, "charge": -1, "key": CORRECTION_KEY}) == []
    assert site.store({"duration_us": 1200 * UNIT, "service": "data"}) == []  # one call is left
    assert [one.transaction for one in site.store({})] == [5]


def test_a_charge_that_was_taken_back_is_not_the_greatest_of_its_period() -> None:
    site = EventSite()
    site.store(
        {"charge": 50}, {"charge": 3}, {"charge": -50, "duration_us": -61 * UNIT, "key": CORRECTION_KEY}, {"charge": 5}
    )
    site.cx.execute("INSERT INTO rerated VALUES (1, 0, 3, 4, 1)")
    assert site.prescribe(an_event({"measure": "charge", "period": "day", "above": 4}))
    (fired,) = event_rows.list_firings(site.cx)
    assert "5.00" in fired.trace
    assert "50.00" not in fired.trace
