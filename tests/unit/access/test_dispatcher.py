"""Orders on their way to a switch that fails in every way, in a program that is killed at every step."""

import asyncio
import random
from itertools import count
from typing import NoReturn

import pytest

from access import planning
from access.barring import Answer, Verdict
from access.orders import Action, State
from access.sending import NOT_WANTED
from access.target import Target
from tests.switch_by_hand import (
    ANSWER_LOST,
    LOST_ON_THE_WAY,
    REFUSED,
    SECOND,
    START,
    TARGET,
    Site,
    Turn,
)


async def test_a_bar_is_sent_acknowledged_and_confirmed_and_each_is_told_in_its_transaction() -> None:
    site = Site()
    order = site.charge()
    await site.run()
    (done,) = site.orders()
    assert (done.state, done.tries, done.words) == ("confirmed", 1, "so it is")
    assert START == done.planned_at == done.due_at == done.sent_at == done.acknowledged_at == done.confirmed_at
    assert site.switch.barred == {TARGET.key}
    assert site.switch.commands == ["bar over the limit"]
    assert site.written == [(order.id, State.SENT), (order.id, State.ACKNOWLEDGED), (order.id, State.CONFIRMED)]
    assert [(told.id, told.state) for told in site.seen] == site.written


async def test_an_order_goes_out_when_it_is_due_and_not_before() -> None:
    site = Site()
    site.charge(due_at=START + 90 * SECOND)
    await site.run(for_s=89)
    assert site.switch.commands == []
    await site.run()
    (order,) = site.orders()
    assert order.sent_at == START + 90 * SECOND


async def test_what_is_committed_while_it_sleeps_goes_out_when_it_is_woken() -> None:
    site = Site()
    steps = count()

    def charge_late() -> None:
        if next(steps) == 100:
            site.charge()

    await site.run(for_s=0, meanwhile=charge_late)
    assert site.states() == ["confirmed"]


async def test_what_is_planned_while_it_runs_goes_out_without_another_commit() -> None:
    site = Site()
    steps = count()

    def charge_late() -> None:
        if next(steps) == 100:
            assert site.charge().is_ahead

    await site.run(for_s=0, meanwhile=charge_late)
    assert site.states() == ["confirmed"]
    assert [state for _, state in site.written] == ["acknowledged", "confirmed"]
    assert site.switch.commands == ["bar over the limit"]


@pytest.mark.parametrize("fault", [None, LOST_ON_THE_WAY, ANSWER_LOST, REFUSED])
@pytest.mark.parametrize("pays", ["never", "at once", "after the kill"])
async def test_killed_at_each_step_of_an_order_sent_ahead_the_next_run_finishes_it(
    fault: str | None, pays: str
) -> None:
    for step in count(1):
        site = Site(kill_at=step)
        site.switch.faults = [fault]
        steps = count()

        def act(site: Site = site, steps: "count[int]" = steps) -> None:
            if next(steps) == 100:
                site.charge()
                if pays == "at once":
                    site.pay()

        survived = await site.run(for_s=60, meanwhile=act)
        if pays == "after the kill" and not survived and site.owes:
            site.pay()
        site.kill_at = None
        assert await site.run()
        ends_right(site)
        if survived:
            break
    assert step > 5, "it was hardly killed"


async def test_who_pays_when_the_bar_that_was_sent_ahead_is_to_go_out_is_not_barred() -> None:
    site = Site()
    steps = count()

    def act() -> None:
        step = next(steps)
        if step == 100:
            site.charge()
        site.owes = site.owes and step == 100

    await site.run(for_s=0, meanwhile=act)
    (order,) = site.orders()
    assert (order.state, order.sent_at, order.words) == ("cancelled", None, NOT_WANTED)
    assert site.switch.commands == []


async def test_no_more_targets_are_worked_on_at_once_than_allowed() -> None:
    site = Site()
    site.at_once = 3
    site.switch.turns_a_command = 10
    for number in range(20):
        site.charge(target=Target("kam1", f"1212555{number:04}", "fax"))
    await site.run()
    assert {(order.state, order.confirmed_at) for order in site.orders()} == {("confirmed", START)}
    assert site.switch.most_at_once == 3


async def test_looks_that_take_their_time_do_not_hold_up_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    looking: list[Target] = []

    async def look_for_ever(target: Target, *, barred: bool) -> NoReturn:
        looking.append(target)
        await asyncio.Event().wait()
        raise AssertionError("it was woken")

    monkeypatch.setattr(site.switch, "verify", look_for_ever)
    for number in range(40):
        site.charge(target=Target("kam1", f"1212555{number:04}", "fax"))
    turns_since = count()

    def charge_late() -> None:
        if site.states() == ["acknowledged"] * 40 and next(turns_since) == 30:
            site.charge()

    await site.run(for_s=1, meanwhile=charge_late)
    assert len(looking) == site.at_once
    assert site.states() == ["acknowledged"] * 41


async def test_commands_that_take_their_time_do_not_hold_up_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    site.at_once, site.switch.looks_until_gone = 1, 1
    bar, steps = site.switch.bar, count()

    async def bar_one(target: Target, reason: str) -> Answer:
        if target != TARGET:
            await asyncio.Event().wait()
        return await bar(target, reason)

    def charge_late() -> None:
        step = next(steps)
        if step == 10:
            site.charge()
        elif step == 100:
            for number in range(6):
                site.charge(target=Target("kam1", f"1212555{number:04}", "fax"))

    monkeypatch.setattr(site.switch, "bar", bar_one)
    await site.run(for_s=1, meanwhile=charge_late)
    assert site.states() == ["confirmed"] + ["sent"] * 6


async def test_what_waits_for_its_target_goes_out_as_soon_as_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    look = site.switch.verify

    async def look_while_somebody_pays(target: Target, *, barred: bool) -> Verdict:
        if site.owes:
            site.pay()
            for _ in range(20):
                await Turn()
        return await look(target, barred=barred)

    monkeypatch.setattr(site.switch, "verify", look_while_somebody_pays)
    site.charge()
    await site.run()
    assert [(order.state, order.sent_at) for order in site.orders()] == [("confirmed", START)] * 2


async def test_who_has_paid_while_others_were_commanded_is_not_barred_any_more() -> None:
    site = Site()
    site.at_once = 1
    site.switch.turns_a_command = 30
    for number in range(5):
        site.charge(target=Target("kam1", f"1212555{number:04}", "fax"))

    def pay_early() -> None:
        if site.owes and len(site.switch.working_on) == 1 and site.states().count("sent") == 5:
            site.pay()

    await site.run(meanwhile=pay_early)
    assert not site.owes
    assert site.switch.commands.count("bar over the limit") == 1
    assert site.switch.barred == set()
    assert all(not order.is_open for order in site.orders())


@pytest.mark.parametrize("fault", [LOST_ON_THE_WAY, ANSWER_LOST])
async def test_an_order_without_an_answer_is_looked_at_and_sent_again_only_if_it_was_not_carried_out(
    fault: str,
) -> None:
    site = Site()
    site.switch.faults = [fault]
    site.charge()
    await site.run()
    (order,) = site.orders()
    assert (order.state, order.tries) == ("confirmed", 2 if fault == LOST_ON_THE_WAY else 1)
    assert [state for _, state in site.written[:2]] == ["sent", "unknown"]
    assert site.switch.barred == {TARGET.key}


async def test_a_switch_that_is_down_for_an_hour_is_told_when_it_is_back() -> None:
    site = Site()
    site.switch.is_down = True
    site.charge()
    await site.run(for_s=3600)
    assert site.states() == ["unknown"]
    assert len(site.switch.commands) == 1, "before it is sent again it is looked at"
    site.switch.is_down = False
    await site.run(upto_s=61)
    assert site.states() == ["confirmed"]


async def test_a_refused_order_is_tried_again_and_then_fails_with_the_switchs_words() -> None:
    site = Site()
    site.switch.faults = [REFUSED] * 9
    site.charge()
    await site.run()
    (order,) = site.orders()
    assert (order.state, order.tries, order.words) == ("failed", 4, "cannot do that")
    assert order.ended_at == START + 7 * SECOND


async def test_calls_that_do_not_end_have_the_bar_sent_again() -> None:
    site = Site()
    site.switch.looks_until_gone = 5
    site.charge()
    await site.run()
    (order,) = site.orders()
    assert (order.state, order.tries, order.checks) == ("confirmed", 2, 5)


async def test_who_has_paid_when_the_bar_is_to_be_sent_is_not_barred() -> None:
    site = Site()
    site.charge()
    site.owes = False
    await site.run()
    assert site.states() == ["cancelled"]
    assert site.switch.commands == []


async def test_a_bar_that_may_have_been_carried_out_and_is_not_wanted_any_more_is_undone() -> None:
    site = Site()
    site.switch.faults = [LOST_ON_THE_WAY]
    site.charge()
    await site.run(for_s=0.5)
    site.owes = False
    await site.run()
    assert site.states() == ["cancelled", "confirmed"]
    assert site.switch.commands == ["bar over the limit", "restore"]
    restore = site.orders()[1]
    assert (restore.action, restore.cause) == (Action.RESTORE, "order 1")


async def test_a_payment_while_the_bar_has_no_answer_restores_without_barring_again() -> None:
    site = Site()
    site.switch.faults = [ANSWER_LOST]
    site.charge()
    await site.run(for_s=0.5)
    assert site.states() == ["unknown"]
    site.pay()
    await site.run()
    assert site.states() == ["cancelled", "confirmed"]
    assert site.orders()[0].words == "order 2 replaced it"
    assert site.orders()[0].replaced_by == site.orders()[1].id
    assert site.orders()[1].supersedes == site.orders()[0].id
    assert site.switch.barred == set()


async def test_a_newer_bar_that_is_not_wanted_leaves_the_restore_before_it_alone() -> None:
    site = Site()
    site.charge()
    await site.run()
    site.pay()
    site.charge()
    site.owes = False
    await site.run()
    assert site.states() == ["confirmed", "confirmed", "cancelled"]
    assert site.switch.barred == set()


async def test_a_held_bar_waits_for_a_person_and_does_not_stop_a_restore() -> None:
    site = Site()
    site.charge()
    await site.run()
    site.pay()
    held = site.charge(held="the breaker holds it")
    site.owes = False
    await site.run(for_s=600)
    assert site.states() == ["confirmed", "confirmed", "held"]
    site.owes = True
    released = site.store.at_once(planning.release, [held.id], "by ann", site.time.now)
    assert [order.state for order in released] == ["planned"]
    await site.run()
    assert site.states() == ["confirmed", "confirmed", "confirmed"]
    assert site.switch.barred == {TARGET.key}


async def test_a_restore_cancels_the_held_bar_before_it() -> None:
    site = Site()
    site.plan(Action.BAR, held="the breaker holds it")
    site.plan(Action.RESTORE)
    await site.run()
    assert site.states() == ["cancelled", "confirmed"]


async def test_a_restore_that_is_due_later_does_not_stop_the_bar_before_it() -> None:
    site = Site()
    site.charge()
    site.plan(Action.RESTORE, due_at=START + 600 * SECOND)
    await site.run(for_s=599)
    assert site.states() == ["confirmed", "planned"]
    assert site.switch.barred == {TARGET.key}
    site.owes = False
    await site.run()
    assert site.states() == ["confirmed", "confirmed"]
    assert site.switch.barred == set()


async def test_orders_for_a_switch_that_is_not_configured_say_so_and_wait() -> None:
    site = Site()
    site.charge(target=Target("kam2", "12125550142", "fax"))
    await site.run(for_s=300)
    (order,) = site.orders()
    assert (order.state, order.tries) == ("planned", 0)
    assert order.words == "there is no [switches.kam2] in the configuration: add it, and the order goes out"


async def told(site: Site, story: random.Random) -> None:
    """An account that charges and pays at odd moments, while the switch fails now and then."""
    site.switch.faults = [story.choice([None, LOST_ON_THE_WAY, ANSWER_LOST, REFUSED]) for _ in range(4)]
    site.switch.looks_until_gone = story.randrange(6)
    acts = sorted(story.randrange(400) for _ in range(story.randrange(1, 7)))
    turns = count()

    def act() -> None:
        if acts and next(turns) >= acts[0]:
            acts.pop(0)
            (site.pay if site.owes else site.charge)()

    killed = 0
    while True:
        if not await site.run(meanwhile=act):
            killed += 1
            site.kill_at = site.points + story.randrange(1, 30) if killed < 4 else None
        elif not acts:
            return


@pytest.mark.parametrize("seed", range(40))
async def test_nobody_is_barred_wrongly_or_forgotten_whenever_the_program_is_killed(seed: int) -> None:
    for round_ in range(8):
        site = Site(kill_at=random.Random(f"{seed} {round_}").randrange(1, 40))
        site.charge()
        await told(site, random.Random(f"{seed}/{round_}"))
        ends_right(site)


@pytest.mark.parametrize("fault", [None, LOST_ON_THE_WAY, ANSWER_LOST, REFUSED])
@pytest.mark.parametrize("pays", [False, True])
async def test_killed_at_each_step_of_an_order_the_next_run_finishes_it(fault: str | None, pays: bool) -> None:
    for step in count(1):
        site = Site(kill_at=step)
        site.switch.faults = [fault]
        site.charge()
        if await site.run():
            break
        if pays:
            site.pay()
        assert await site.run()
        ends_right(site)
    assert step > 10, "it was hardly killed"


def ends_right(site: Site) -> None:
    assert bool(site.switch.barred) == site.owes, (site.owes, site.states(), site.switch.commands)
    assert all(not order.is_open for order in site.orders())
    assert State.FAILED not in site.states()
    # What was told in a transaction that was committed is what is written, and each change but control's own was told.
    told_last = dict(site.written)
    assert all(told_last[order.id] == order.state for order in site.orders() if order.sent_at is not None)
