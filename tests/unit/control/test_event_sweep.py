"""Transactions that are added all at once: the same fires, and the same is summed, as when each is looked at alone."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.events.account_view import Accounts
from control.events.definition import Filters
from control.events.definition_json import parse_event
from control.events.event_rows import StoredEvent
from control.events.firings import Marks
from control.events.lookout import Lookout
from control.events.measures import Sums, matcher
from control.events.parked import ParkedLanes
from control.events.slot_marks import SlotMarks
from control.events.watched import Watched, watched
from rating.store.batch import COLUMN, CORRECTION_KEY, Row
from tests.builders import NOW, a_row, an_account
from tests.event_site import HOUR_S, UNIT, an_event, charges

HOUR: Final = HOUR_S * UNIT
DAY: Final = 24 * HOUR
LATER: Final = NOW + 31 * DAY
HUGE: Final = 1 << 62
NEVER: Final = 1 << 40
"""So few transactions as there never are."""
NAMES: Final = [str(number) for number in range(20)]
GOLD: Final = {"segment": "gold"}
CALLS: Final = {"measure": "calls", "period": "day", "service": "data"}
MINUTES: Final = {"measure": "minutes", "period": "month"}

Call = dict[str, Any]


def event(number: int, when: Any, **fields: Any) -> Watched:
    """An event in force, since long ago."""
    return watched(StoredEvent(number, parse_event(an_event(when, **fields)), "active", "staff", 0, 0))


class Site:
    """A lookout that looks at fewer than `few` transactions one by one, and every transaction it was given."""

    def __init__(self, events: Sequence[Watched], few: int, names: Iterable[str] = NAMES) -> None:
        zones = ("UTC", "Asia/Kathmandu", "America/New_York")
        self.accounts = {
            name: an_account(
                name,
                timezone=zones[number % 3],
                cycle_day=1 + number % 28,
                credit_limit_micros=30 * UNIT,
                segment="gold" if number % 5 == 4 else None,
            )
            for number, name in enumerate(names)
        }
        self.rows: list[Row] = []
        self.lookout = Lookout(Accounts(self.accounts, {}, self._owed, lambda _: 30 * UNIT), Marks())
        self.lookout.few = few
        self.events = list(events)
        for one in events:
            for series in one.series:
                self.lookout.tallies.install(series, {}, 0, None)
        self.lookout.put_in_force(self.events)

    def store(self, *calls: Call) -> list[tuple[int, str, int | None]]:
        """Transactions of one commit; events that fired, with their accounts and transactions."""
        new = [self._row(len(self.rows) + number + 1, call) for number, call in enumerate(calls)]
        self.rows += new
        return [(one.event, one.account, one.transaction) for one in self.lookout.watch(new, NOW, self).fired]

    def sums(self, account: str, filters: Filters, start: int, end: int, before: int) -> Sums:
        """As the past says them."""
        matches, found = matcher(filters), Sums()
        for row in self.rows:
            at, charged = row[COLUMN["answer_at"]], (row[COLUMN["charge_micros"]], row[COLUMN["duration_us"]])
            own = row[0] < before and row[COLUMN["account"]] == account
            if own and start <= at < end and (matches is None or matches(row)):
                found.add(*charged)
        return found

    def settled(self) -> dict[tuple[Any, ...], dict[str, int]]:
        """Every sum that is in memory and not 0."""
        self.lookout.settle()
        found = {}
        for series in {series for one in self.events for series in one.series}:
            for start in range(NOW - 40 * DAY, NOW + 2 * DAY, HOUR // 4):
                tally = self.lookout.tallies._tallies.get(series, {}).get(start)
                sums = {account: value for account, value in tally.sums.items() if value} if tally else {}
                if sums:
                    found[series, start] = sums
        return found

    def _owed(self, account: str) -> int:
        return sum(row[COLUMN["charge_micros"]] for row in self.rows if row[COLUMN["account"]] == account)

    @staticmethod
    def _row(number: int, call: Call) -> Row:
        columns = {"account": "0", "answer_at": NOW, "charge_micros": 0, "duration_us": 0, "key": 7, **call}
        return a_row(id=number, **columns)


def charge(account: str, units: int, **columns: Any) -> Call:
    """A call of no duration that costs so much."""
    return {"account": account, "charge_micros": units * UNIT, **columns}


@pytest.fixture
def nothing_apart(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From when it is called on, whoever looks at an account alone fails."""

    def taken(*asked: Any) -> Any:
        raise AssertionError(f"looked at alone: {asked}")

    return lambda: monkeypatch.setattr(ParkedLanes, "take", taken)


def test_what_makes_nothing_true_is_only_added(nothing_apart: Callable[[], None]) -> None:
    nothing_apart()
    unreachable = event(3, {"measure": "calls", "period": "week", "above": 1 << 32})
    site = Site([event(1, charges(above=5)), event(2, {**CALLS, "above": 5}), unreachable], few=1)
    for _ in range(5):
        commit = [{**charge(name, 1), "duration_us": UNIT, "service": "data"} for name in NAMES]
        assert site.store(*commit, *(charge(name, 0, service="data") for name in NAMES)) == []
    assert all(set(sums.values()) <= {5, 5 * UNIT} for sums in site.settled().values())
    assert sum(len(sums) for sums in site.settled().values()) == 3 * len(NAMES)


def test_a_new_period_is_begun_by_all_at_once(nothing_apart: Callable[[], None]) -> None:
    site = Site([event(1, charges(above=5, period="day"))], few=1)
    for day in (0, 1):
        assert site.store(*(charge(name, 3, answer_at=NOW + day * DAY) for name in NAMES)) == []
        nothing_apart()
    assert len(site.settled()) == 6  # two days in three zones


def test_what_an_account_had_before_counts_when_it_comes_back_to_a_period() -> None:
    site = Site([event(1, charges(above=5, period="day"))], few=1)
    for day, units in ((0, 3), (1, 1), (0, 2)):
        assert site.store(*(charge(name, units, answer_at=NOW - day * DAY) for name in NAMES)) == []
    assert site.store(charge("4", 1, answer_at=NOW - DAY), charge("5", 1)) == [(1, "5", 62)]


@pytest.mark.parametrize("few", [1, NEVER])
def test_the_very_transaction_that_makes_something_true_is_found_among_others(few: int) -> None:
    site = Site([event(1, charges(above=5)), event(2, {**MINUTES, "above": 1}, accounts=GOLD)], few)
    fired = site.store(
        *(charge(name, 1) for name in NAMES),  # 1 to 20
        charge("2", 4),
        charge("3", 5),  # 22
        charge("2", 1),  # 23
        {"account": "4", "duration_us": 60 * UNIT},
        {"account": "3", "duration_us": 61 * UNIT},  # it is not golden
        {"account": "4", "duration_us": 1},  # 26
        charge("3", 9),
        charge("2", 9),
    )
    assert fired == [(1, "3", 22), (1, "2", 23), (2, "4", 26)]
    sums = {(series.measure, name): of for (series, _), some in site.settled().items() for name, of in some.items()}
    assert sums == {
        ("minutes", "4"): 60 * UNIT + 1,
        **{("charges", name): {"2": 15, "3": 15}.get(name, 1) * UNIT for name in NAMES},
    }


@pytest.mark.parametrize("few", [1, NEVER])
def test_what_was_true_for_one_transaction_only_is_found(few: int) -> None:
    site = Site([event(1, charges(above=5)), event(2, {**MINUTES, "above": 1})], few)
    assert site.store(*(charge(name, 1) for name in NAMES)) == []
    long_, back = {"account": "2", "duration_us": 61 * UNIT}, {"account": "2", "duration_us": -61 * UNIT}
    assert site.store(charge("1", 5), charge("1", -5), long_, back) == [(1, "1", 21), (2, "2", 23)]


@pytest.mark.parametrize("few", [1, NEVER])
@pytest.mark.parametrize(("between", "fired"), [([], []), ([charge("1", 1, answer_at=LATER)], [(1, "0", 24)])])
def test_a_reversal_and_what_is_charged_instead_are_one_only_if_nothing_is_between(
    few: int, between: list[Call], fired: list[tuple[int, str, int]]
) -> None:
    site = Site([event(1, {"measure": "charges", "above_credit_limit": True})], few)
    assert site.store(charge("0", 31)) == [(1, "0", 1)]
    assert site.store(*(charge(name, 1, answer_at=LATER) for name in NAMES)) == []
    corrected = [charge("0", units, answer_at=LATER, key=CORRECTION_KEY) for units in (-31, 31)]
    # Seen between the two, the account owes nothing, so that it owes too much anew, in another month.
    assert site.store(corrected[0], *between, corrected[1]) == fired


@pytest.mark.parametrize("few", [1, NEVER])
def test_what_waits_for_the_next_of_its_transactions_is_not_begun_anew_elsewhere(few: int) -> None:
    of_data = charges(above=5, service="data"), charges(above=1, period="day", service="data")
    site = Site([event(1, {"all": of_data})], few)
    for at, fired in ((NOW - DAY, []), (NOW, [(1, "1", 2)])):
        assert site.store(charge("1", 3, answer_at=at, service="data")) == fired
    assert site.store(charge("1", 0, answer_at=NOW - DAY)) == []
    assert set(site.lookout._leads) == {"1"}
    for units, fired in ((1, []), (5, [(1, "1", 5)])):
        assert site.store(charge("1", units, answer_at=LATER, service="data")) == fired


@pytest.mark.parametrize("few", [1, NEVER])
@pytest.mark.parametrize("forgotten", [["1"], NAMES], ids=["of one", "of all"])
def test_sums_that_are_not_in_memory_are_asked_of_the_past(few: int, forgotten: list[str]) -> None:
    site = Site([event(1, charges(above=5))], few)
    assert site.store(*(charge(name, 3) for name in NAMES)) == []
    site.lookout.put_in_force([])
    if forgotten is NAMES:
        site.lookout.tallies.keep(())
    else:
        site.lookout.tallies.forget("1")
    site.lookout.put_in_force(site.events)
    assert site.store(*(charge(name, 2) for name in NAMES)) == []
    assert site.store(*(charge(name, 1) for name in NAMES)) == [(1, name, 41 + int(name)) for name in NAMES]


def test_whom_somebody_else_looks_at_has_settled(nothing_apart: Callable[[], None]) -> None:
    site = Site([event(1, charges(above=5))], few=1)
    site.store(*(charge(name, 1) for name in NAMES))
    site.lookout.refresh("1")
    (series,) = site.events[0].series
    assert site.lookout.tallies.accounts(series) == {"1"}
    nothing_apart()
    assert site.store(*(charge(name, 1) for name in NAMES)) == []


def test_accounts_that_were_looked_at_alone_are_parked_again() -> None:
    site = Site([event(1, charges(above=5))], few=1)
    site.store(*(charge(name, 6) for name in NAMES[:3]), *(charge(name, 1) for name in NAMES))
    assert set(site.lookout._leads) == set(NAMES[:3])
    site.store(charge("9", 1))
    assert site.lookout._leads == {}


def test_marks_are_gone_when_they_were_looked_for() -> None:
    marks, slots = SlotMarks(), np.array([5, 0, 700, 5], np.int64)
    for wanted, found in ((5, [0, 3]), (700, [2]), (1, [])):
        assert np.flatnonzero(marks.among(slots, np.array([wanted], np.int64))).tolist() == found


@pytest.mark.parametrize("few", [1, NEVER])
def test_sums_beyond_64_bits_are_exact(few: int) -> None:
    site = Site([event(1, charges(above=5)), event(2, {**MINUTES, "above": 5})], few)
    others = [charge(name, 1) for name in NAMES if name != "1"]
    huge = {"account": "1", "charge_micros": HUGE, "duration_us": HUGE}
    assert site.store(*others, *[huge] * 3) == [(1, "1", 20), (2, "1", 20)]
    for _ in range(3):
        assert site.store(*[huge] * 3, *others) == []
    assert sorted(sums["1"] for sums in site.settled().values() if "1" in sums) == [12 * HUGE, 12 * HUGE]
    assert site.store(charge("1", 1, answer_at=NOW - DAY), *others) == []
    assert sorted(sums["1"] for sums in site.settled().values() if "1" in sums) == [12 * HUGE, 12 * HUGE + UNIT]


def test_many_large_charges_never_pass_for_a_debt() -> None:
    """Each is small enough to be added at once."""
    large = (1 << 45) - 1
    site = Site([event(1, charges(above=1))], few=1)
    site.store(charge("1", 2))  # its limit is passed, so nothing more can come true this month
    for _ in range(5):
        assert site.store(*[{"account": "1", "charge_micros": large}] * 9000) == []
    assert [sums["1"] for sums in site.settled().values()] == [45_000 * large + 2 * UNIT]


def test_arrays_grow_with_the_accounts() -> None:
    names = [str(number) for number in range(500)]
    site = Site([event(1, charges(above=6)), event(2, {**CALLS, "above": 6})], 1, names)
    for known in (10, 70, 500, 500, 500):
        assert site.store(*(charge(name, 1, service="data", duration_us=1) for name in names[:known])) == []
        known_sums = [value for sums in site.settled().values() for value in sums.values()]
        assert len(known_sums) == 2 * known
    fired = site.store(*(charge(name, 1, service="data", duration_us=1) for name in names for _ in "12"))
    # Ten have come five times, 60 four times and the others thrice: of the first the second one is too much.
    assert [(number, account) for number, account, _ in fired] == [(of, name) for name in names[:10] for of in (1, 2)]


def test_there_may_be_any_number_of_clocks() -> None:
    names = [str(number) for number in range(200)]
    site = Site([event(1, charges(above=2, period="bill-cycle"))], 1, names)
    for _ in "12":
        assert site.store(*(charge(name, 1) for name in names)) == []
    site.lookout.prune({})
    assert [account for _, account, _ in site.store(*(charge(name, 1) for name in names))] == names


def test_an_account_with_two_lanes_takes_few_bytes() -> None:
    names = [str(number) for number in range(5000)]
    events = [event(1, charges(above=99)), event(2, {**MINUTES, "above": 99}), event(3, {**CALLS, "above": 99})]
    site = Site(events, 1, names)
    site.store(*(charge(name, 1) for name in names))
    parked = site.lookout._parked
    arrays = [parked.numbers, *(a for c in parked._columns.values() for a in (c.gathered, c.room))]
    assert sum(array.nbytes for array in arrays) <= 64 * len(names)
    assert site.lookout._leads == {}


conditions = st.one_of(
    st.builds(
        lambda measure, period, some, above: {"measure": measure, "period": period, **some, "above": above},
        st.sampled_from(["charges", "minutes", "calls", "charge"]),
        st.sampled_from(["month", "bill-cycle", "week", "weekdays", "day", "hour"]),
        st.sampled_from(
            [{}, {}, {"service": "data"}, {"called_country": "GB"}, {"service": "data", "type": "premium"}]
        ),
        st.integers(0, 12),
    ),
    st.just({"measure": "charges", "above_credit_limit": True}),
    st.just({"measure": "charges", "period": "day", "above_average": {"months": 1, "percent": 10}}),
)
whens = st.one_of(conditions, st.lists(conditions, min_size=2, max_size=3).map(lambda some: {"all": some}))
reaches = st.sampled_from([{"all": True}, {"all": True}, GOLD, {"numbers": ["1", "2", "3"]}, {"numbers": ["3"]}])
calls = st.builds(
    lambda account, ago, units, duration, columns: {
        "account": account,
        "answer_at": NOW - ago,
        "charge_micros": units * UNIT,
        "duration_us": duration * UNIT,
        **columns,
    },
    st.sampled_from(NAMES[:6]),
    st.sampled_from([0, 0, 0, 0, 0, HOUR, DAY, 9 * DAY, 30 * DAY]),
    st.sampled_from([0, 1, 1, 2, 3, HUGE // UNIT, -1]),
    st.sampled_from([0, 1, 60, 150, HUGE // UNIT, -60]),
    st.fixed_dictionaries(
        {
            "service": st.sampled_from(["long-distance", "data"]),
            "called": st.sampled_from(["442079460018", "12125550100"]),
            "type": st.sampled_from(["direct", "premium"]),
            "key": st.sampled_from([7, 7, 7, CORRECTION_KEY]),
        }
    ),
)
steps = st.one_of(
    *[st.lists(calls, min_size=1, max_size=30).map(lambda some: ("store", some))] * 3,
    st.tuples(st.sampled_from(["refresh", "forget"]), st.sampled_from(NAMES[:6])),
    st.tuples(st.sampled_from(["settle", "forget_accounts", "prune", "put_in_force"])),
)


def take(site: Site, step: tuple[Any, ...]) -> Any:
    """Do a step; what comes of it."""
    match step:
        case ("store", some):
            return site.store(*some)
        case ("refresh", account):
            site.lookout.refresh(account)
        case ("forget", account):
            site.lookout.forget_accounts()
            site.lookout.tallies.forget(account)
        case ("prune",):
            site.lookout.prune({series: NOW - 5 * DAY for one in site.events for series in one.series})
        case ("put_in_force",):
            site.lookout.put_in_force(site.events)
        case (name,):
            getattr(site.lookout, name)()
    return None


@pytest.mark.parametrize("few", [1, 6])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(whens, reaches), min_size=1, max_size=4), st.lists(steps, min_size=1, max_size=12))
def test_the_same_fires_and_is_summed_as_when_each_transaction_is_looked_at_alone(
    few: int, prescribed: list[tuple[Any, Any]], done: list[tuple[Any, ...]]
) -> None:
    events = [event(number, when, accounts=reach) for number, (when, reach) in enumerate(prescribed, 1)]
    together, alone = Site(events, few, NAMES[:6]), Site(events, NEVER, NAMES[:6])
    for step in done:
        assert take(together, step) == take(alone, step)
    assert together.settled() == alone.settled()
    assert together.lookout._marks._marks == alone.lookout._marks._marks
