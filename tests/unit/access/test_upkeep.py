"""Bars that were confirmed and do not hold any more: that is noticed, written down, and they are sent again if they are
wanted."""

from itertools import count

import pytest

from access import holding_rows, order_rows, planning
from access.orders import Action, State
from access.sessions import LiveSession, SessionKey
from access.target import Target
from tests.switch_by_hand import ANSWER_LOST, REFUSED, SECOND, START, TARGET, Site

LINE = TARGET.line


def a_session(line: str | None = LINE, username: str | None = None) -> LiveSession:
    return LiveSession(SessionKey("kam1", "gw1", "s1"), line, username, None, None, "127.0.0.1", "kam1", 1, 1)


async def barred(site: Site, target: Target = TARGET) -> None:
    site.charge(target=target)
    await site.run()
    assert site.switch.barred >= {target.key}


def history(site: Site, order: int = 1) -> list[tuple[float, str]]:
    """What was written down of an order, and when, seconds after the start."""
    return [((remark.at - START) / SECOND, remark.words) for remark in holding_rows.history(site.store.cx, order)]


async def test_a_switch_that_forgot_its_bars_is_told_them_again_within_a_round() -> None:
    site = Site()
    others = [Target("kam1", f"1212555{number:04}", "fax") for number in range(30)]
    for target in others:
        site.charge(target=target)
    await site.run()
    commands, turns, began_at = len(site.switch.commands), count(), site.time.now

    def restart() -> None:
        if next(turns) == 100:  # after the first look
            site.switch.barred.clear()

    await site.run(for_s=61, meanwhile=restart)
    await site.run()
    assert site.switch.barred == {target.key for target in others}
    assert set(site.states()) == {"confirmed"}
    assert len(site.switch.commands) == 2 * commands
    ((at, words),) = history(site)
    assert words == "did not hold any more: not barred"
    assert 0 < at - (began_at - START) / SECOND <= 60
    assert {(order.tries, order.losses) for order in site.orders()} == {(2, 1)}
    steps = [state for number, state in site.written if number == 30]
    assert steps[-4:] == ["unknown", "sent", "acknowledged", "confirmed"]


async def test_a_bar_that_holds_is_looked_at_and_left_alone() -> None:
    site = Site()
    await barred(site)
    written = list(site.written)
    await site.run(for_s=3600)
    assert site.switch.commands == ["bar over the limit"]
    assert (site.written, history(site)) == (written, [])


async def test_a_switch_that_does_not_answer_has_lost_nothing() -> None:
    site = Site()
    await barred(site)
    site.switch.is_down = True
    await site.run(for_s=600)
    assert site.states() == ["confirmed"]
    assert history(site) == []


async def test_who_has_paid_meanwhile_is_not_barred_again() -> None:
    site = Site()
    await barred(site)
    site.pay()
    await site.run()
    assert site.states() == ["confirmed", "confirmed"]
    await site.run(for_s=600)
    assert site.switch.commands == ["bar over the limit", "restore"]
    assert site.switch.barred == set()


async def test_who_pays_while_a_lost_bar_is_taken_up_is_not_barred() -> None:
    site = Site()
    await barred(site)
    site.switch.barred.clear()
    for order in site.store.at_once(planning.lose, 1, "not barred", site.time.now, 0.0):
        assert order.state is State.UNKNOWN
    site.pay()
    await site.run()
    assert site.states() == ["cancelled", "confirmed"]
    assert site.switch.barred == set()
    assert "bar over the limit" not in site.switch.commands[1:]


async def test_a_lost_bar_that_nobody_wants_any_more_is_cancelled_and_undone() -> None:
    site = Site()
    await barred(site)
    site.switch.barred.clear()
    site.owes = False
    await site.run(for_s=61)
    assert site.states() == ["cancelled", "confirmed"]
    assert site.orders()[1].reason == planning.UNDONE
    assert site.switch.commands == ["bar over the limit", "restore"]


@pytest.mark.parametrize("ends", ["restore", "bar"])
async def test_the_order_that_was_sent_last_is_the_one_that_is_looked_after(ends: str) -> None:
    site = Site()
    await barred(site)
    if ends == "bar":
        site.plan(Action.BAR)
    else:
        site.pay()
    await site.run()
    assert [order.holds_since is None for order in site.orders()] == [True, ends == "restore"]
    assert site.store.at_once(planning.lose, 1, "not barred", site.time.now, 0.0) == []
    site.switch.barred.clear()
    await site.run(for_s=61)
    assert site.switch.barred == (set() if ends == "restore" else {TARGET.key})
    assert history(site) == []


async def test_of_two_bars_of_a_target_one_is_looked_after() -> None:
    site = Site()
    site.switch.faults = [ANSWER_LOST]
    site.charge()
    await site.run(for_s=0.5)
    site.plan(Action.BAR)
    await site.run()
    assert site.states() == ["confirmed", "confirmed"]
    assert [order.tries for order in site.orders()] == [1, 1], "the first was confirmed by a look"
    assert sorted(order.holds_since is None for order in site.orders()) == [False, True]


async def test_a_bar_that_is_to_be_given_back_is_not_taken_up() -> None:
    site = Site()
    await barred(site)
    site.owes = False
    site.plan(Action.RESTORE)
    assert site.store.at_once(planning.lose, 1, "not barred", site.time.now, 0.0) == []
    assert site.states() == ["confirmed", "sent"]


@pytest.mark.parametrize("session", [a_session(), a_session("another", "bob"), a_session(None, "bob")])
async def test_a_session_that_begins_has_its_bar_carried_out_again_at_once(session: LiveSession) -> None:
    site = Site()
    await barred(site, Target(TARGET.switch, LINE, TARGET.service, "bob"))
    turns = count()

    def begin() -> None:
        if next(turns) == 50:
            site.switch.barred.clear()  # what is used is not barred
            assert site.dispatcher is not None
            site.dispatcher.began(session)

    await site.run(for_s=0, meanwhile=begin)
    assert site.switch.barred == {TARGET.key}
    assert site.states() == ["confirmed"]
    assert history(site) == [(0, "did not hold any more: not barred")]


async def test_sessions_of_others_and_of_who_is_not_barred_change_nothing() -> None:
    site = Site()
    await barred(site)
    turns = count()

    def begin() -> None:
        if next(turns) == 50:
            assert site.dispatcher is not None
            for session in (a_session("another"), a_session(None, "eve"), a_session(None, None), a_session()):
                site.dispatcher.began(session)

    written = list(site.written)
    await site.run(for_s=30, meanwhile=begin)
    assert site.written == written


async def test_who_comes_back_each_time_is_ended_at_most_once_a_minute() -> None:
    site = Site()
    await barred(site)

    def come_back() -> None:
        if site.states() == ["confirmed"] and site.dispatcher is not None:
            site.switch.barred.clear()
            site.dispatcher.began(a_session())

    await site.run(for_s=600, meanwhile=come_back)
    assert len(site.switch.commands) < 20
    for _ in range(holding_rows.REMEMBERED):
        site.store.at_once(holding_rows.remark, 1, "more", site.time.now)
    assert {words for _, words in history(site)} == {"more"}, "what is remembered of an order is bounded"


@pytest.mark.parametrize("fault", [None, ANSWER_LOST])
async def test_killed_at_each_step_of_taking_it_up_the_next_run_finishes_it(fault: str | None) -> None:
    for step in count(1):
        site = Site()
        await barred(site)
        site.switch.barred.clear()
        site.switch.faults = [fault]
        site.points, site.kill_at = 0, step
        over = await site.run(for_s=65)
        if not over:
            assert await site.run(for_s=65)
        assert site.switch.barred == {TARGET.key}
        assert site.states() == ["confirmed"]
        if over:
            break
    assert step > 8, "it was hardly killed"


async def test_a_failed_order_is_tried_again_by_a_person_and_its_history_says_what_it_was() -> None:
    site = Site()
    site.switch.faults = [REFUSED] * 4
    site.charge()
    await site.run()
    assert site.states() == ["failed"]
    now = site.time.now
    assert [order.state for order in site.store.at_once(planning.retry, 1, "tried again by ann", now)] == ["planned"]
    assert history(site) == [((now - START) / SECOND, "tried again by ann; it was failed: cannot do that")]
    await site.run()
    assert site.states() == ["confirmed"]
    assert site.store.at_once(planning.retry, 1, "tried again by ann", now) == []
    assert site.store.at_once(planning.retry, 2, "tried again by ann", now) == []


async def test_an_order_without_an_answer_is_looked_at_now_for_a_person() -> None:
    site = Site()
    site.switch.is_down = True
    site.charge()
    await site.run(for_s=600)
    site.switch.is_down = False
    (order,) = site.store.at_once(planning.retry, 1, "tried again by ann", site.time.now)
    assert (order.state, order.next_at) == ("unknown", site.time.now)
    await site.run(for_s=0)
    assert site.states() == ["confirmed"]


async def test_what_another_order_came_after_is_not_tried_again() -> None:
    site = Site()
    site.switch.faults = [REFUSED] * 4
    site.charge()
    await site.run()
    site.plan(Action.BAR)
    assert site.store.at_once(planning.retry, 1, "tried again by ann", site.time.now) == []


def test_the_newest_order_of_a_target_is_found_that_is_not_cancelled() -> None:
    site = Site()
    first, second = site.plan(Action.BAR), site.plan(Action.BAR)
    site.plan(Action.BAR, account="4000099999")
    site.plan(Action.BAR, target=Target("kam1", LINE, "fax"))
    cx = site.store.cx
    assert order_rows.latest_of(cx, "4000012345", TARGET) == second
    site.store.at_once(planning.cancel, [second.id], "by ann", START)
    assert order_rows.latest_of(cx, "4000012345", TARGET) == first
    assert order_rows.latest_of(cx, "4000012345", Target("kam2", LINE, TARGET.service)) is None
