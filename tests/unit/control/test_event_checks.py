"""Events that are checked on the clock: what falls due, what a check finds, and what it leaves alone."""

from typing import Any

import msgspec
import pytest

from control.events import checks, event_rows, new_rows
from control.events.definition import as_json
from control.events.definition_json import parse_event
from control.events.firings import Firings
from tests.builders import ACCOUNT, NOW, an_account, micros
from tests.event_site import HOUR_S, UNIT, EventSite, an_event, charges

HOUR = HOUR_S * UNIT
ONCE = {"once": "2026-12-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("check", "first", "after"),
    [
        ({"continuous": True}, None, None),
        ({"every": "10m"}, NOW + HOUR // 6, NOW + HOUR + HOUR // 6),
        ({"every": True}, NOW + HOUR, NOW + 2 * HOUR),
        (ONCE, micros("2026-12-01T00:00:00Z"), None),
    ],
)
def test_a_check_falls_due_at_its_interval_or_once(check: dict[str, Any], first: int | None, after: int | None) -> None:
    site = EventSite()
    event = site.prescribe(an_event(check=check))
    assert event_rows.next_due_at(site.cx) == event.next_check_at == first
    if first is None:
        return
    assert event_rows.due_events(site.cx, first - 1) == []
    assert [due.id for due in event_rows.due_events(site.cx, first)] == [event.id]
    site.now = NOW + HOUR
    site.check(event.id)
    assert event_rows.next_due_at(site.cx) == after
    again = event_rows.event_by_id(site.cx, event.id)
    assert again is not None
    assert (again.last_checked_at, again.next_check_at) == (site.now, after)


def test_a_periodic_event_waits_for_its_check_and_fires_once_a_period() -> None:
    site = EventSite()
    event = site.prescribe(an_event(charges(above=10), check={"every": "1h"}))
    assert site.store({"charge": 11}) == []
    assert [(f.account, f.transaction, f.late) for f in site.check(event.id)] == [(ACCOUNT, None, False)]
    site.store({"charge": 11})
    assert site.check(event.id) == []
    site.restart()
    site.store({"charge": 11})
    assert site.check(event.id) == []


def test_a_check_sees_also_the_periods_that_ended_since_the_one_before() -> None:
    site = EventSite()
    event = site.prescribe(an_event(charges(above=10, period="hour"), check={"every": "1d"}))
    site.store({"charge": 11, "answer": NOW + HOUR}, {"charge": 9, "answer": NOW + 2 * HOUR})
    site.now = NOW + 24 * HOUR
    assert [f.period_start for f in site.check(event.id)] == [NOW + HOUR]
    site.store({"charge": 2, "answer": NOW + 2 * HOUR})
    assert [f.period_start for f in site.check(event.id)] == [NOW + 2 * HOUR]


def test_a_check_compares_what_is_owed_too() -> None:
    site = EventSite([an_account(timezone="UTC", credit_limit_micros=10 * UNIT)])
    limit = {"measure": "charges", "above_credit_limit": True}
    event = site.prescribe(an_event(limit, check=ONCE))
    site.store({"charge": 11})
    assert len(site.check(event.id)) == 1
    site.paid[ACCOUNT] = UNIT
    assert site.recheck().cleared == [event.id]


def test_a_periodic_event_does_not_fire_when_an_account_is_looked_at_again() -> None:
    site = EventSite()
    event = site.prescribe(an_event(charges(above=10), check={"every": "1h"}))
    site.store({"charge": 11})
    again = site.recheck()
    assert (again.firings, again.holding) == (Firings(), [event.id])


@pytest.mark.parametrize("what", ["paused", "deleted", "changed"])
def test_a_check_of_an_event_that_was_changed_meanwhile_comes_to_nothing(what: Any) -> None:
    site = EventSite()
    event = site.prescribe(an_event(charges(above=10), check={"every": "1h"}))
    site.store({"charge": 11})
    found = checks.gather_check(site.cx, event, site.known, NOW)
    if what == "changed":
        event_rows.change_event(site.cx, event.id, parse_event(an_event(charges(above=20))), NOW + 1, HOUR_S)
    else:
        event_rows.set_state(site.cx, event.id, what, NOW + 1)
    assert checks.conclude(site.cx, found, site.known, site.monitor.marks, NOW, HOUR_S) is None
    assert event_rows.due_events(site.cx, NOW + 9 * HOUR) == []


def test_events_are_listed_until_they_are_deleted_and_in_force_until_they_are_paused() -> None:
    site = EventSite()
    one, two, three = (site.prescribe(an_event(name=name)) for name in ("one", "two", "three"))
    event_rows.set_state(site.cx, one.id, "paused", NOW)
    event_rows.set_state(site.cx, two.id, "deleted", NOW)
    assert [event.id for event in event_rows.list_events(site.cx)] == [one.id, three.id]
    assert [event.id for event in event_rows.list_events(site.cx, after=one.id)] == [three.id]
    assert [event.id for event in event_rows.active_events(site.cx)] == [three.id]
    assert event_rows.event_by_id(site.cx, 99) is None
    shown = event_rows.event_json(three)
    assert (shown["id"], shown["state"], shown["created_at"]) == (three.id, "active", "2026-11-20T15:00:00Z")
    assert shown.items() >= as_json(three.definition).items()


def test_firings_are_written_once_and_listed_newest_first() -> None:
    site = EventSite([an_account("1"), an_account("2")])
    site.prescribe(an_event(charges(above=10)))
    fired = site.store({"account": "1", "charge": 11}, {"account": "2", "charge": 11})
    assert event_rows.write_firings(site.cx, Firings(fired)) == []
    stored = event_rows.list_firings(site.cx)
    assert [(f.account, f.transaction) for f in stored] == [("2", 2), ("1", 1)]
    assert msgspec.json.decode(stored[1].trace) == fired[0].trace
    assert [f.account for f in event_rows.list_firings(site.cx, "1")] == ["1"]
    assert [f.id for f in event_rows.list_firings(site.cx, before=stored[0].id, limit=1)] == [stored[1].id]


def test_a_changed_event_is_checked_from_the_beginning() -> None:
    site = EventSite()
    every = {"every": "1h"}
    event = site.prescribe(an_event(charges(above=20), check=every))
    site.store({"charge": 11})
    assert site.check(event.id) == []
    lower = parse_event(an_event(charges(above=10), check=every))
    site.write(site.monitor.add(site.cx, event_rows.change_event(site.cx, event.id, lower, NOW + 1, HOUR_S), NOW))
    assert len(site.check(event.id)) == 1


@pytest.mark.parametrize("accounts", [{"all": True}, {"numbers": [ACCOUNT]}, {"numbers": ["1"]}])
def test_a_check_goes_through_the_transactions_in_their_order_however_many_and_in_how_many_months(
    monkeypatch: pytest.MonkeyPatch, accounts: dict[str, Any]
) -> None:
    monkeypatch.setattr(new_rows, "_IDS", 2)
    site = EventSite([an_account(timezone="UTC", cycle_day=15), an_account("1", timezone="UTC", cycle_day=15)])
    when = {"all": [charges(above=9, period="bill-cycle"), charges(above=0, period="day")]}
    event = site.prescribe(an_event(when, accounts=accounts, check={"every": "1h"}), created_at=0)
    days = ["2026-10-31", "2026-11-02", "2026-10-30", "2026-11-03", "2026-10-31", "2026-11-01", "2026-10-30"]
    named = accounts.get("numbers", [ACCOUNT, "1"])
    calls = [{"account": a, "answer": f"{day}T12:00:00Z", "charge": 3} for day in days for a in (ACCOUNT, "1")]
    site.store(*calls[:3])
    assert site.check(event.id) == []
    site.store(*calls[3:])
    # With the fourth call of an account its cycle holds, and from then on each day that has another call.
    since = [
        (a, micros(f"{day}T00:00:00Z"))
        for day in ("2026-11-03", "2026-10-31", "2026-11-01", "2026-10-30")
        for a in (ACCOUNT, "1")
    ]
    assert [(f.account, f.period_start) for f in site.check(event.id)] == [one for one in since if one[0] in named]
    assert site.check(event.id) == []
