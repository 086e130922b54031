"""The accounting feed: a report is answered when it is durable, once, and whatever else a network sends changes
nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from access import session_rows
from simulators import radius_packets as radius
from simulators.radius_packets import ACCOUNTING_ON, INTERIM, START, STOP
from tests.builders import NOW
from tests.integration.radius_site import (
    NOW_S,
    SECRET,
    WITHIN_S,
    FeedAtWork,
    NasByHand,
    a_report,
    feed_at_work,
    nas_by_hand,
)
from tests.small_site import STRANGER, line

MICROS = 1_000_000


@pytest.fixture
async def feed(site: Path) -> AsyncIterator[FeedAtWork]:
    async with feed_at_work(site) as working:
        yield working


@pytest.fixture
async def nas(feed: FeedAtWork) -> AsyncIterator[NasByHand]:
    async with nas_by_hand(feed.address) as nas:
        yield nas


async def received(feed: FeedAtWork, datagrams: int) -> None:
    """Until so many datagrams have come."""
    async with asyncio.timeout(WITHIN_S):
        while feed.feed.status().received < datagrams:
            await asyncio.sleep(0.001)


async def test_a_call_is_live_from_its_start_to_its_stop_which_is_rated(feed: FeedAtWork, nas: NasByHand) -> None:
    await nas.report(START, at=NOW_S - 61)
    assert feed.live() == ["s1"]
    await nas.report(INTERIM, at=NOW_S - 30, lasted=31)
    assert feed.live() == ["s1"]
    await nas.report(STOP, lasted=61, more=[(radius.ACCT_TERMINATE_CAUSE, radius.number(1))])
    assert feed.live() == []
    ((id_, start_at, duration_s, detail),) = feed.stored()
    assert (id_, start_at, duration_s) == ("s1", (NOW_S - 61) * MICROS, 61)
    assert detail == {
        "session": "s1", "username": "bob", "cause": 16, "switch": "gw1", "extra": {"terminate_cause": 1}
    }  # fmt: skip


async def test_a_stop_without_a_session_time_lasted_from_its_start(feed: FeedAtWork, nas: NasByHand) -> None:
    await nas.report(START, at=NOW_S - 90)
    await nas.report(STOP, at=NOW_S - 30)
    ((_, start_at, duration_s, _),) = feed.stored()
    assert (start_at, duration_s) == ((NOW_S - 90) * MICROS, 60)


async def test_a_stop_without_either_is_kept_in_suspense(feed: FeedAtWork, nas: NasByHand) -> None:
    await nas.report(STOP)
    ((reason, raw),) = feed.suspended()
    assert reason == "malformed"
    assert raw["id"] == "s1"
    assert "duration" not in raw


async def test_what_cannot_be_guided_is_suspended_as_text_and_answered(feed: FeedAtWork, nas: NasByHand) -> None:
    await nas.report(STOP, lasted=61, calling=STRANGER)
    ((reason, raw),) = feed.suspended()
    assert (reason, raw["calling"]) == ("unknown-line", STRANGER)


async def test_the_same_packet_again_gets_the_same_answer_and_makes_nothing(feed: FeedAtWork, nas: NasByHand) -> None:
    stop = a_report(STOP, lasted=61)
    first = await nas.ask(stop)
    assert await nas.ask(stop) == first
    assert feed.feed.status().repeated == 1
    assert len(feed.stored()) == 1


@pytest.mark.parametrize("at", [NOW_S, None], ids=["with a timestamp", "without one"])
async def test_a_stop_sent_again_with_a_delay_is_one_call(site: Path, at: int | None) -> None:
    now = NOW
    async with feed_at_work(site, lambda: now) as feed, nas_by_hand(feed.address) as nas:
        await nas.report(STOP, at=at, lasted=61, delay=0)
        now += 5_300_000  # the delay is in whole seconds: what is reckoned from it is another instant
        await nas.report(STOP, at=at, lasted=61, delay=5)
        assert len(feed.stored()) == 1
        assert feed.suspended() == []


async def test_a_stop_sent_again_after_a_restart_is_one_call(site: Path) -> None:
    async with feed_at_work(site) as feed, nas_by_hand(feed.address) as nas:
        await nas.report(STOP, at=None, lasted=61, delay=0)
    async with feed_at_work(site, lambda: NOW + 40_700_000) as feed, nas_by_hand(feed.address) as nas:
        await nas.report(STOP, at=None, lasted=61, delay=40)
        assert len(feed.stored()) == 1


async def test_a_start_again_or_late_does_not_bring_a_session_back(feed: FeedAtWork, nas: NasByHand) -> None:
    await nas.report(START, at=NOW_S - 61, delay=0)
    await nas.report(START, at=NOW_S - 61, delay=7)
    assert feed.live() == ["s1"]
    await nas.report(STOP, at=NOW_S, lasted=61)
    await nas.report(START, at=NOW_S - 61, delay=9)
    await nas.report(INTERIM, at=NOW_S - 1, lasted=60)
    assert feed.live() == []
    await nas.report(STOP, "s2", at=NOW_S, lasted=61)
    await nas.report(START, "s2", at=NOW_S - 61)
    assert feed.live() == []


async def test_an_id_used_again_is_another_call(feed: FeedAtWork, nas: NasByHand) -> None:
    for began in (NOW_S - 7200, NOW_S - 600):
        await nas.report(START, at=began)
        await nas.report(STOP, at=began + 61, lasted=61)
    assert [row[1] for row in feed.stored()] == [(NOW_S - 7200) * MICROS, (NOW_S - 600) * MICROS]


async def test_a_second_stop_with_another_duration_is_a_conflict(feed: FeedAtWork, nas: NasByHand) -> None:
    await nas.report(STOP, lasted=61)
    await nas.report(STOP, lasted=62)
    assert len(feed.stored()) == 1
    assert [reason for reason, _ in feed.suspended()] == ["conflict"]


async def test_both_ends_hanging_up_at_once_make_one_call(feed: FeedAtWork, nas: NasByHand) -> None:
    await nas.report(START, at=NOW_S - 61)
    await nas.report(STOP)
    await nas.report(STOP, at=NOW_S + 1, calling=line(1), called=line(0))
    assert [(row[0], row[2]) for row in feed.stored()] == [("s1", 61)]
    assert feed.suspended() == []


async def test_a_nas_that_starts_again_ends_its_sessions_and_no_other(feed: FeedAtWork, nas: NasByHand) -> None:
    await nas.report(START, "a", at=NOW_S - 61)
    await nas.report(START, "b", at=NOW_S - 61, nas="gw2")
    await nas.report(ACCOUNTING_ON, "")
    assert feed.live() == ["b"]
    await nas.report(STOP, "a", at=NOW_S + 1)
    assert [(row[0], row[2]) for row in feed.stored()] == [("a", 62)]


async def test_a_failed_attempt_lasts_nothing_and_its_session_may_still_begin(feed: FeedAtWork, nas: NasByHand) -> None:
    await nas.report(15, at=NOW_S - 61, more=[(102, radius.number(486))])
    await nas.report(START, at=NOW_S - 60)
    assert feed.live() == ["s1"]
    await nas.report(STOP)
    assert [(row[2], row[3].get("cause")) for row in feed.stored()] == [(0, 17), (60, None)]


async def test_several_nases_of_one_source_may_use_one_id(site: Path) -> None:
    async with feed_at_work(site, network="127.0.0.0/8", shared=True) as feed, nas_by_hand(feed.address) as nas:
        await nas.report(STOP, lasted=61)
        await nas.report(STOP, lasted=61, nas="gw2")
        assert [row[0] for row in feed.stored()] == ["s1@gw1", "s1@gw2"]


async def test_sessions_are_known_after_a_restart(site: Path) -> None:
    async with feed_at_work(site) as feed, nas_by_hand(feed.address) as nas:
        await nas.report(START, "a", at=NOW_S - 61)
        await nas.report(START, "b", at=NOW_S - 61)
        await nas.report(STOP, "b", lasted=61)
    async with feed_at_work(site) as feed, nas_by_hand(feed.address) as nas:
        assert feed.live() == ["a"]
        await nas.report(STOP, "a")
        assert [(row[0], row[2]) for row in feed.stored()] == [("b", 61), ("a", 61)]


async def test_a_stop_is_answered_after_its_commit_and_not_before(site: Path) -> None:
    async with feed_at_work(site, committing=False) as feed, nas_by_hand(feed.address) as nas:
        stop = nas.send(a_report(STOP, lasted=61))
        await nas.report(START, "other", at=NOW_S)
        async with asyncio.timeout(WITHIN_S):
            while not feed.owner.queued:
                await asyncio.sleep(0.001)
        nas.send(stop)
        await received(feed, 3)
        assert nas.answers.empty()
        assert feed.stored() == []
        feed.begin_committing()
        async with asyncio.timeout(WITHIN_S):
            assert radius.is_genuine_answer(await nas.answers.get(), stop, SECRET)
        assert len(feed.stored()) == 1
        assert feed.feed.status().repeated == 1


async def test_a_record_that_an_earlier_run_did_not_send_on_is_sent_by_the_next(site: Path) -> None:
    async with feed_at_work(site, committing=False) as feed, nas_by_hand(feed.address) as nas:
        nas.send(a_report(STOP, lasted=61))
        async with asyncio.timeout(WITHIN_S):
            while not feed.owner.queued:
                await asyncio.sleep(0.001)
        assert feed.stored() == []
    async with feed_at_work(site) as feed, nas_by_hand(feed.address) as nas:
        await nas.report(START, "other")
        assert [row[0] for row in feed.stored()] == ["s1"]


NUMBER = radius.number(1)


@pytest.mark.parametrize(
    ("data", "counted"),
    [
        pytest.param(b"\4", "malformed", id="one octet"),
        pytest.param(a_report(STOP, lasted=61)[:-1], "malformed", id="cut short"),
        pytest.param(b"\xff" * 300, "malformed", id="garbage"),
        pytest.param(a_report(STOP, lasted=61, secret=b"another"), "unauthentic", id="a wrong secret"),
        pytest.param(
            a_report(STOP, lasted=61, more=[(80, bytes(16))]), "unauthentic", id="a wrong Message-Authenticator"
        ),
        pytest.param(a_report(STOP, lasted=61, more=[(46, b"abc")]), "malformed", id="an attribute of a wrong length"),
        pytest.param(a_report(STOP, "", lasted=61), "malformed", id="no session"),
        pytest.param(radius.request(4, 1, SECRET, [(44, b"s1")]), "malformed", id="no status"),
        pytest.param(radius.request(4, 1, SECRET, []), "malformed", id="no attributes"),
        pytest.param(radius.request(1, 1, SECRET, [(1, b"bob")]), "unsupported", id="an Access-Request"),
        pytest.param(radius.request(40, 1, SECRET, [(44, b"s1")]), "unsupported", id="a Disconnect-Request"),
        pytest.param(radius.request(12, 1, SECRET, []), "unauthentic", id="a Status-Server that is not signed"),
    ],
)  # fmt: skip
async def test_what_is_no_report_is_dropped_without_an_answer_and_counted(
    feed: FeedAtWork, nas: NasByHand, data: bytes, counted: str
) -> None:
    nas.send(data)
    await nas.report(START, "next")
    assert nas.answers.empty()
    status = feed.feed.status()
    assert getattr(status, counted) == 1
    assert (status.received, status.answered) == (2, 1)
    assert feed.stored() == feed.suspended() == []


async def test_a_report_of_an_unknown_client_is_dropped_and_counted(site: Path) -> None:
    async with feed_at_work(site, network="192.0.2.0/24") as feed, nas_by_hand(feed.address) as nas:
        nas.send(a_report(STOP, lasted=61))
        await received(feed, 1)
        assert feed.feed.status().strangers == 1
        assert nas.answers.empty()


async def test_too_many_that_wait_are_dropped_and_taken_when_they_come_again(site: Path) -> None:
    async with feed_at_work(site, committing=False, most_waiting=2) as feed, nas_by_hand(feed.address) as nas:
        stops = [nas.send(a_report(STOP, f"s{n}", identifier=n, lasted=61)) for n in range(3)]
        await received(feed, 3)
        assert feed.feed.status().overloaded == 1
        feed.begin_committing()
        async with asyncio.timeout(WITHIN_S):
            for _ in range(2):
                await nas.answers.get()
        await nas.ask(stops[2])
        assert sorted(row[0] for row in feed.stored()) == ["s0", "s1", "s2"]


async def test_status_server_is_answered(feed: FeedAtWork, nas: NasByHand) -> None:
    asked = radius.status_server(9, SECRET)
    answer = await nas.ask(asked)
    assert (answer[0], answer[1]) == (radius.ACCOUNTING_RESPONSE, 9)


async def test_other_kinds_of_accounting_are_answered_and_do_nothing(feed: FeedAtWork, nas: NasByHand) -> None:
    await nas.report(9, at=NOW_S)
    assert feed.live() == []
    assert feed.stored() == feed.suspended() == []


async def test_a_session_of_which_nothing_is_heard_has_ended(site: Path) -> None:
    now = NOW
    async with feed_at_work(site, lambda: now, stale_s=3600) as feed, nas_by_hand(feed.address) as nas:
        await nas.report(START, "a")
        now += 3000 * MICROS
        await nas.report(START, "b")
        now += 1000 * MICROS
        await feed.feed.tidy()
        assert feed.live() == ["b"]
        await nas.report(INTERIM, "a", at=NOW_S + 4001)
        assert feed.live() == ["b", "a"]


async def test_a_session_that_its_switch_denies_has_ended_and_its_stop_still_makes_a_record(site: Path) -> None:
    now = NOW
    async with feed_at_work(site, lambda: now) as feed, nas_by_hand(feed.address) as nas:
        for session in ("a", "b", "c"):
            await nas.report(START, session, at=NOW_S - 61)
            feed.sessions.deny_called("kam1", session)
        now += 10 * MICROS
        await nas.report(INTERIM, "b", at=NOW_S + 10)  # it was denied by mistake
        await feed.feed.tidy()
        assert feed.live() == ["b"]
        assert [s.key.session for s in await feed.store.read(session_rows.all_live)] == ["b"]
        await nas.report(STOP, "a", at=NOW_S, lasted=61)
        assert [(row[0], row[2]) for row in feed.stored()] == [("a", 61)]
        now += 10 * MICROS
        await nas.report(INTERIM, "c", at=NOW_S + 20)
        assert feed.live() == ["b", "c"]


async def test_what_is_heard_of_a_session_while_its_end_is_written_keeps_it(feed: FeedAtWork, nas: NasByHand) -> None:
    await nas.report(START, at=NOW_S - 61)
    (session,) = feed.sessions.of_line(line(0).removeprefix("+"))
    feed.sessions.deny(session.key)
    denied = {key: seen_at - 1 for key, seen_at in feed.sessions.denied().items()}  # a report came since
    assert await feed.store.transact(session_rows.end_denied, denied, NOW) == []
    assert await feed.store.read(session_rows.all_live) == [session]


async def test_two_feeds_never_share_an_address(feed: FeedAtWork) -> None:
    with pytest.raises(OSError, match="in use"):
        await type(feed.feed)("second", [], feed.store, feed.sessions, lambda: NOW).open(*feed.address)


async def test_ciscos_times_and_causes(feed: FeedAtWork, nas: NasByHand) -> None:
    def cisco(kind: int, text: str) -> tuple[int, bytes]:
        return 26, radius.number(9) + bytes((kind, 2 + len(text))) + text.encode()

    more = [
        cisco(25, "h323-setup-time=*09:29:50.250 EST Fri Nov 20 2026"),
        cisco(28, "h323-connect-time=09:30:00.000 EST Fri Nov 20 2026"),
        cisco(30, "h323-disconnect-cause=1F"),
        cisco(26, "h323-call-origin=answer"),
    ]
    await nas.report(STOP, lasted=61, more=more)
    ((_, start_at, duration_s, detail),) = feed.stored()
    assert (start_at, duration_s) == (NOW - 1810 * MICROS + 250_000, 61)
    assert (detail["cause"], detail["leg"]) == (31, "answer")
    assert json.dumps(detail)


async def test_who_asks_is_told_of_each_session_once(site: Path) -> None:
    begun: list[str] = []
    async with (
        feed_at_work(site, began=lambda session: begun.append(session.key.session)) as feed,
        nas_by_hand(feed.address) as nas,
    ):
        await nas.report(START, "a", at=NOW_S - 61)
        await nas.report(INTERIM, "a", at=NOW_S - 30, lasted=31)
        await nas.report(INTERIM, "b", at=NOW_S - 30, lasted=31)
        await nas.report(STOP, "a", lasted=61)
        nas.send(b"garbage")
        await received(feed, 5)
        assert begun == ["a", "b"]
        stands = feed.feed.status()
        assert (stands.live, stands.notes()) == (1, ["1 packets were malformed"])
