"""What an event would have fired for: as the monitor fires when the calls come one after the other; and its bounds."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.events.definition_json import parse_event
from control.events.preview import DAYS, MOST_S, PIECE_S, SHOWN, Preview, PreviewRun
from control.ledger import postings
from control.ledger.entry import Book, Entry, Kind, Posting
from tests.builders import ACCOUNT, NOW, an_account, micros
from tests.event_site import UNIT, EventSite, an_event, charges

DAY: Final = 86_400 * UNIT
HOUR: Final = 3600 * UNIT
SINCE: Final = NOW - DAYS * DAY
OTHER: Final = "4000054321"
LIMITED: Final = {"above_credit_limit": True}


def preview(
    site: EventSite, document: Mapping[str, Any], *, most_rows: int = 10_000, clock: Callable[[], float] = lambda: 0.0
) -> Preview:
    """Try an event, in as many pieces as it takes."""
    run = PreviewRun(
        parse_event(document), site.accounts, site.known.exposure_of, NOW, most_rows=most_rows, elapsed_s=clock
    )
    while run.step(site.cx):
        pass
    return run.result


def found(preview: Preview) -> list[tuple[str, int | None, int, str]]:
    return [(one.account, one.transaction, one.period_start, one.threshold) for one in preview.fired]


def pay(site: EventSite, amount: int, at: int) -> None:
    """A payment in units, as the ledger has it."""
    number = postings.next_id(site.cx)
    entry = Entry(number, Kind.PAYMENT, ACCOUNT, at, "a test", "", str(number), None, amount * UNIT, "USD")
    books = ((Book.CASH, amount * UNIT), (Book.RECEIVABLE, -amount * UNIT))
    postings.add(site.cx, entry, b"", [Posting(book, ACCOUNT, micros, "USD") for book, micros in books])
    site.paid[ACCOUNT] += amount * UNIT


CONDITIONS: Final = [
    charges(above="5"),
    charges(at_least="3", period="week", called_country="GB"),
    charges(above="2", period="day", service="long-distance"),
    {"measure": "calls", "period": "hour", "at_least": 2},
    {"measure": "minutes", "period": "weekend", "above": "2"},
    {"measure": "charge", "period": "month", "at_least": "3"},
    charges(period="bill-cycle", **LIMITED),
    charges(period="day", **LIMITED),
    charges(period="month", service="voice-mail", **LIMITED),
    {"measure": "calls", "period": "day", "above_average": {"months": 2, "percent": 50}},
    charges(period="month", above_average={"months": 1, "percent": 0}, service="long-distance"),
]
CALLS: Final = st.lists(
    st.fixed_dictionaries(
        {
            "account": st.sampled_from([ACCOUNT, OTHER]),
            "answer": st.integers(SINCE // HOUR + 1, NOW // HOUR - 1).map(lambda hour: hour * HOUR),
            "charge": st.integers(0, 4),
            "duration_us": st.sampled_from([0, 60 * UNIT, 90 * UNIT]),
            "called": st.sampled_from(["442079460018", "12125550100"]),
            "service": st.sampled_from(["long-distance", "voice-mail"]),
        }
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    calls=CALLS,
    conditions=st.lists(st.sampled_from(CONDITIONS), min_size=1, max_size=3),
    how=st.sampled_from(["any", "all"]),
)
def test_it_finds_what_fires_when_the_calls_come_one_after_the_other(
    calls: list[dict[str, Any]], conditions: list[dict[str, Any]], how: str
) -> None:
    site = EventSite(
        [an_account(number, timezone=zone, credit_limit_micros=6 * UNIT)
         for number, zone in ((ACCOUNT, "America/New_York"), (OTHER, "Asia/Kathmandu"))],
        now=SINCE,
    )  # fmt: skip
    event = an_event({how: conditions})
    site.prescribe(event)
    fired = []
    for call in sorted(calls, key=lambda call: call["answer"]):
        site.now = call["answer"]
        fired += site.store(call)
    said = preview(site, event)
    wanted = [(one.account, one.transaction, one.period_start, one.threshold) for one in fired]
    assert sorted(found(said)) == sorted(wanted[:SHOWN])
    assert (said.count, said.fired_for) == (len(fired), len({one.account for one in fired}))
    assert [one.trace for one in said.fired] == [
        one.trace for one in sorted(fired, key=lambda one: (one.fired_at, one.account))
    ]
    assert (said.looked_at, said.accounts, said.transactions, said.stopped) == (2, 2, len(calls), "")


def test_a_call_from_before_counts_and_what_it_fired_for_is_not_said() -> None:
    site = EventSite()
    site.store({"answer": SINCE - DAY, "charge": 60}, {"answer": SINCE + HOUR, "charge": 60})
    assert found(preview(site, an_event())) == [(ACCOUNT, 2, micros("2026-08-01T00:00:00Z"), "charges above 100.00")]
    site.store({"answer": SINCE - 2 * DAY, "charge": 60})
    assert preview(site, an_event()).count == 0, "it had fired before"


def test_calls_count_as_they_were_answered_whenever_they_came() -> None:
    site = EventSite()
    site.store({"answer": NOW - HOUR, "charge": 60}, {"answer": NOW - 2 * HOUR, "charge": 60})
    (one,) = preview(site, an_event()).fired
    assert (one.transaction, one.fired_at, one.late) == (1, NOW - HOUR, False)
    assert one.trace[0]["value"] == "120.00"


def test_periods_from_before_are_read_for_an_average() -> None:
    site = EventSite(opened_at={ACCOUNT: NOW})
    when = charges(above_average={"months": 6, "percent": 100})
    site.store(*({"answer": f"2026-{month:02d}-10T12:00:00Z", "charge": 10} for month in range(3, 10)))
    site.store({"answer": "2026-10-10T12:00:00Z", "charge": 25})
    (one,) = preview(site, an_event(when)).fired
    assert (one.trace[0]["average"], one.trace[0]["periods"], one.trace[0]["value"]) == ("10.00", 6, "25.00")


@pytest.mark.parametrize(("paid_at", "times"), [(NOW - 30 * DAY, 2), (NOW, 1)])
def test_what_was_paid_is_not_owed_from_then_on(paid_at: int, times: int) -> None:
    site = EventSite([an_account(timezone="UTC", credit_limit_micros=10 * UNIT)])
    site.store({"answer": NOW - 40 * DAY, "charge": 11}, {"answer": NOW - 5 * DAY, "charge": 3})
    pay(site, 5, paid_at)
    site.store({"answer": NOW - DAY, "charge": 4})
    said = preview(site, an_event(charges(**LIMITED)))
    assert [one.trace[0]["value"] for one in said.fired] == ["11.00", "13.00"][:times]


def test_without_calls_limit_or_accounts_nothing_fires() -> None:
    site = EventSite()
    assert preview(site, an_event()).count == 0
    site.store({"charge": 1000})
    assert preview(site, an_event(charges(**LIMITED))).count == 0
    nobody = preview(site, an_event(accounts={"segment": "gold"}))
    assert (nobody.accounts, nobody.looked_at, nobody.count) == (0, 0, 0)


def test_only_the_accounts_that_it_is_prescribed_on_are_looked_at() -> None:
    site = EventSite([an_account(ACCOUNT, segment="gold"), an_account(OTHER)])
    site.store(*({"account": number, "charge": 200} for number in (ACCOUNT, OTHER)))
    for accounts, wanted in (
        ({"all": True}, [ACCOUNT, OTHER]),
        ({"segment": "gold"}, [ACCOUNT]),
        ({"numbers": [OTHER, OTHER]}, [OTHER]),
    ):
        said = preview(site, an_event(accounts=accounts))
        assert [one.account for one in said.fired] == wanted
        assert said.looked_at == said.accounts == len(wanted)


def test_the_earliest_are_told_and_all_are_counted() -> None:
    site = EventSite()
    when = {"measure": "charge", "period": "hour", "above": "1"}
    site.store(*({"answer": NOW - hour * HOUR, "charge": 2} for hour in range(50)))
    said = preview(site, an_event(when))
    assert (said.count, said.fired_for) == (50, 1)
    assert [one.fired_at for one in said.fired] == [NOW - hour * HOUR for hour in range(49, 29, -1)]


def test_it_ends_after_so_many_transactions_and_keeps_what_it_found() -> None:
    site = EventSite([an_account(ACCOUNT), an_account(OTHER)])
    for number in (ACCOUNT, OTHER):
        site.store(*({"account": number, "charge": 30} for _ in range(5)))
    for most, looked_at, count in ((3, 0, 0), (4, 0, 1), (5, 0, 1), (6, 1, 1), (9, 1, 2)):
        said = preview(site, an_event(), most_rows=most)
        assert (said.transactions, said.stopped, said.looked_at, said.count) == (most, "transactions", looked_at, count)
    assert preview(site, an_event(), most_rows=11).stopped == ""


def test_it_ends_after_so_long_and_lets_go_of_the_connection_before() -> None:
    site = EventSite([an_account(str(number)) for number in range(100)])
    ticks = iter(range(10_000))
    run = PreviewRun(
        parse_event(an_event()), site.accounts, site.known.exposure_of, NOW,
        elapsed_s=lambda: next(ticks) * PIECE_S,
    )  # fmt: skip
    steps = 1
    while run.step(site.cx):
        steps += 1
    assert run.result.stopped == "time"
    assert 0 < run.result.looked_at < 100
    assert steps >= MOST_S / PIECE_S / 3


def test_sessions_are_counted_by_nothing_and_fire_for_nothing() -> None:
    site = EventSite()
    site.store({"charge": 5})
    assert preview(site, an_event({"measure": "sessions", "above": 1})).count == 0
