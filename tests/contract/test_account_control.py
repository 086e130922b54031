"""What watches accounts and acts on them, on the real store: one transaction holds what belongs together, and what is
barred is given back when its reason is gone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from access.orders import Action
from control import audit
from control.account_control import Refused
from control.events.definition_json import parse_event
from mediation.pipeline.recycling import Selection
from mediation.schema import all_migrations
from rating.cdr import MICROS
from rating.store.sqlite import open_store
from rating.tariff import parse_tariff
from tests.builders import ACCOUNT, CALLING, NOW, a_tariff_text, cdr_json
from tests.contract.control_site import (
    ADA,
    DAY_US,
    LD,
    OTHER,
    OTHER_LINE,
    STRANGER,
    VM,
    ControlSite,
    accounts,
    lines,
    over_five,
    over_limit,
)
from tests.switch_by_hand import REFUSED, START


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[ControlSite]:
    store = await open_store(tmp_path / "tollkeeper.db", all_migrations(), START)
    await store.import_accounts(accounts(), NOW - 100 * DAY_US)
    await store.import_lines(lines())
    text = a_tariff_text()
    await store.import_tariff(text, parse_tariff(text), NOW)
    await store.close()
    site = ControlSite(tmp_path)
    await site.open()
    yield site
    if site.is_open:
        await site.close()


class TestFiring:
    async def test_charges_over_the_limit_in_one_batch_fire_once_tell_and_bar(self, control: ControlSite) -> None:
        event = await control.prescribe(over_limit())
        await control.call(times=5)
        (firing,) = await control.room.firings(ACCOUNT)
        assert (firing.event, firing.account, firing.late) == (event.id, ACCOUNT, False)
        (alert,) = await control.room.alerts(ACCOUNT)
        assert (alert.firing, alert.recipient, alert.state) == (firing.id, "ada@customers.example", "waiting")
        (order,) = await control.orders()
        assert (order.action, order.state, order.cause) == ("bar", "planned", f"firing {firing.id}")
        assert (order.target.switch, order.target.line, order.target.service) == ("kam1", CALLING, LD)
        await control.carry_out()
        assert await control.said() == ["bar long-distance confirmed"]
        assert control.barred == {LD}

    async def test_at_the_limit_nothing_happens(self, control: ControlSite) -> None:
        await control.provisions.import_accounts(accounts("24.40"))
        await control.prescribe(over_limit())
        await control.call(times=2)
        assert await control.firings() == []
        await control.call(seconds=1)
        assert len(await control.firings()) == 1

    async def test_interrupted_before_the_commit_there_is_nothing_of_it(self, control: ControlSite) -> None:
        await control.prescribe(over_limit())
        batch = control.batch(cdr_json(id="x", duration=3600, service=LD))
        control.fails = True
        sending = asyncio.create_task(control.owner.put(batch))
        await asyncio.wait({sending})
        assert sending.exception() is not None, "it was acknowledged"
        await control.restart()
        assert (await control.firings(), await control.alerts(), await control.said()) == ([], [], [])
        assert await control.reasons() == []
        await control.send(cdr_json(id="x", duration=3600, service=LD))
        assert (len(await control.firings()), len(await control.alerts())) == (1, 1)
        assert await control.said() == ["bar long-distance planned"]

    @pytest.mark.parametrize("again", ["duplicate", "restart", "another call", "tick"])
    async def test_what_has_fired_does_not_fire_again(self, control: ControlSite, again: str) -> None:
        await control.prescribe(over_limit())
        await control.send(cdr_json(id="x", duration=3600, service=LD))
        if again == "restart":
            await control.restart()
            await control.call()
        elif again == "tick":
            await control.tick()
        else:
            await control.send(cdr_json(id="x" if again == "duplicate" else "y", duration=3600, service=LD))
        assert (len(await control.firings()), len(await control.alerts())) == (1, 1)
        assert await control.said() == ["bar long-distance planned"]

    async def test_a_late_record_is_told_and_bars_nothing(self, control: ControlSite) -> None:
        control.time.now -= 30 * DAY_US
        await control.prescribe(
            over_five("month", alert=[{"by": "email"}, {"by": "email", "to": "a@b.example", "when": "confirmed"}])
        )
        control.time.now += 30 * DAY_US
        await control.call(start="2026-10-25T12:00:00Z")
        assert [late for _, late in await control.firings()] == [True]
        assert await control.alerts() == ["fired", "fired"], "what waits for bars would wait for ever"
        assert (await control.said(), await control.reasons()) == ([], [])

    async def test_a_recycled_record_fires_too(self, control: ControlSite) -> None:
        await control.prescribe(over_limit())
        await control.call(3600, calling="+" + STRANGER)
        assert await control.firings() == []
        await control.provisions.import_lines(lines(f"+{STRANGER},{ACCOUNT},Transcontinental,{LD},kam1,,"))
        done = await control.recycler.recycle(Selection(), ADA)
        assert done.recycled == 1
        assert len(await control.firings()) == 1
        assert [order.target.line for order in await control.orders()] == [CALLING, STRANGER]

    async def test_what_holds_when_an_event_is_added_fires_at_once(self, control: ControlSite) -> None:
        await control.call(3600)
        await control.prescribe(over_limit())
        assert await control.said() == ["bar long-distance planned"]


class TestCleared:
    async def test_a_payment_cancels_the_bar_that_was_not_sent(self, control: ControlSite) -> None:
        await control.prescribe(over_limit())
        await control.call(times=2)
        await control.pay(5)
        assert await control.said() == ["bar long-distance cancelled"]
        await control.carry_out()
        assert control.switch.commands == []

    async def test_a_payment_restores_what_was_barred(self, control: ControlSite) -> None:
        await control.prescribe(over_limit(LD, VM))
        await control.call(times=2)
        await control.carry_out()
        assert control.barred == {LD, VM}
        await control.restart()
        await control.pay(5)
        await control.carry_out()
        assert (control.barred, await control.reasons()) == (set(), [])
        assert [said for said in await control.said() if "restore" in said] == [
            "restore long-distance confirmed",
            "restore voice-mail confirmed",
        ]

    async def test_a_payment_that_is_too_small_changes_nothing(self, control: ControlSite) -> None:
        await control.prescribe(over_limit())
        await control.call(times=2)
        await control.pay(4)
        assert await control.said() == ["bar long-distance planned"]

    async def test_who_has_paid_and_owes_too_much_again_in_a_later_period_is_barred_again(
        self, control: ControlSite
    ) -> None:
        await control.prescribe(over_limit())
        await control.call(times=2)
        await control.carry_out()
        await control.pay(20)
        await control.carry_out()
        control.time.now += 30 * DAY_US
        await control.tick()
        await control.call(times=2, start="2026-12-20T12:00:00Z")
        await control.carry_out()
        assert [said.split()[0] for said in await control.said()] == ["bar", "restore", "bar"]
        assert control.barred == {LD}

    async def test_a_raised_limit_in_an_import_gives_back_and_a_lowered_one_bars(self, control: ControlSite) -> None:
        await control.prescribe(over_limit())
        await control.call(times=2)
        await control.carry_out()
        await control.provisions.import_accounts(accounts("100.00"))
        await control.carry_out()
        assert control.barred == set()
        await control.provisions.import_accounts(accounts("10.00"))
        await control.carry_out()
        assert control.barred == {LD}

    async def test_a_new_period_gives_back_what_its_charges_had_barred(self, control: ControlSite) -> None:
        await control.prescribe(over_five("day"))
        await control.call()
        await control.carry_out()
        at = await control.tick()
        assert at is not None
        control.time.now = at - 1
        await control.tick()
        await control.carry_out()
        assert control.barred == {LD}
        control.time.now = at
        assert await control.tick() is None
        await control.carry_out()
        assert control.barred == set()

    async def test_a_deleted_event_gives_back_what_it_barred_until_cleared(self, control: ControlSite) -> None:
        cleared = await control.prescribe(over_limit(LD))
        kept = await control.prescribe(over_limit(VM, until="restored"))
        await control.call(times=2)
        await control.carry_out()
        for event in (cleared, kept):
            await control.room.set_event_state(event.id, "deleted", ADA)
        await control.carry_out()
        assert control.barred == {VM}
        with pytest.raises(Refused, match="no account event"):
            await control.room.set_event_state(cleared.id, "active", ADA)

    async def test_an_event_that_is_changed_so_that_it_does_not_hold_gives_back(self, control: ControlSite) -> None:
        event = await control.prescribe(over_five("month"))
        await control.call()
        await control.carry_out()
        when = {"measure": "charges", "period": "month", "above": "50.00"}
        await control.room.change_event(event.id, parse_event(over_five("month", when=when)), ADA)
        await control.carry_out()
        assert control.barred == set()


class TestOtherEnds:
    async def test_until_the_period_ends_means_so_whatever_is_paid(self, control: ControlSite) -> None:
        await control.prescribe(over_five("day", respond=[{"do": "bar", "services": [LD], "until": "period-end"}]))
        await control.call()
        await control.carry_out()
        await control.pay(1000)
        (reason,) = await control.reasons()
        assert reason.look_at is not None
        control.time.now = reason.look_at - 1
        await control.tick()
        assert len(await control.reasons()) == 1
        await control.restart()
        control.time.now = reason.look_at
        await control.tick()
        await control.carry_out()
        assert (control.barred, await control.reasons()) == (set(), [])

    async def test_until_restored_means_by_a_person(self, control: ControlSite) -> None:
        await control.prescribe(over_limit(until="restored"))
        await control.call(times=2)
        await control.carry_out()
        await control.pay(1000)
        control.time.now += 90 * DAY_US
        await control.tick()
        assert control.barred == {LD}
        await control.room.restore(ACCOUNT, [LD], ADA, "has called")
        await control.carry_out()
        assert (control.barred, await control.reasons()) == (set(), [])

    async def test_two_reasons_for_one_target_both_have_to_go(self, control: ControlSite) -> None:
        await control.prescribe(over_limit())
        await control.prescribe(over_five("day"))
        await control.call(times=2)
        await control.carry_out()
        assert await control.said() == ["bar long-distance confirmed"]
        await control.pay(20)
        assert (len(await control.reasons()), control.barred) == (1, {LD})
        control.time.now += DAY_US
        await control.tick()
        await control.carry_out()
        assert (await control.reasons(), control.barred) == ([], set())
        assert control.switch.commands == ["bar service suspended", "restore"]


async def test_sessions_that_an_event_would_end_are_said_not_to_be_ended(control: ControlSite) -> None:
    await control.prescribe(over_limit(respond=[{"do": "disconnect"}], alert=[]))
    await control.call(times=5)
    entries = await control.store.read(lambda cx: audit.entries(cx, limit=10))
    (undone,) = [entry for entry in entries if entry.action == "disconnect"]
    assert undone.subject == f"account {ACCOUNT}"
    assert "firing 1: not carried out" in undone.detail


class TestLimits:
    RAISE: Final = ({"do": "raise-credit-limit", "percent": 50, "at_most": "40.00"},)

    async def test_it_is_raised_up_to_a_cap_told_and_compared_at_once(self, control: ControlSite) -> None:
        await control.prescribe(over_limit(respond=self.RAISE, alert=[]))
        await control.call(times=2)  # 24.40
        assert await control.limit() == 30 * MICROS
        assert (len(await control.firings()), await control.alerts()) == (1, ["limit-raised"])
        await control.call()  # 36.60: above the raised limit
        assert await control.limit() == 40 * MICROS
        assert (len(await control.firings()), await control.alerts()) == (2, ["limit-raised"] * 2)
        await control.restart()
        await control.call()  # 48.80: above the last one, which is not raised
        assert (len(await control.firings()), await control.limit()) == (3, 40 * MICROS)
        assert len(await control.alerts()) == 2

    async def test_one_batch_far_above_goes_through_every_step(self, control: ControlSite) -> None:
        await control.prescribe(over_limit(respond=self.RAISE, alert=[]))
        await control.call(times=5)
        assert (len(await control.firings()), await control.limit()) == (3, 40 * MICROS)

    async def test_a_raised_limit_takes_the_reason_of_a_bar_away(self, control: ControlSite) -> None:
        await control.prescribe(over_limit())
        await control.prescribe(over_limit(name="Raise", respond=self.RAISE))
        await control.call(times=2)
        assert await control.reasons() == []
        await control.carry_out()
        assert control.barred == set()


class TestAlertsOfConfirmedBars:
    CONFIRMED: Final = ({"by": "email", "when": "confirmed"},)

    async def test_they_come_when_the_last_bar_is_confirmed_and_once(self, control: ControlSite) -> None:
        await control.prescribe(over_limit(LD, VM, alert=self.CONFIRMED))
        await control.call(times=2)
        assert await control.alerts() == []
        control.switch.looks_until_gone = 2
        await control.carry_out()
        assert await control.alerts() == ["bar-confirmed"]
        await control.restart()
        await control.carry_out()
        assert await control.alerts() == ["bar-confirmed"]

    async def test_a_bar_that_is_not_confirmed_is_not_told(self, control: ControlSite) -> None:
        await control.prescribe(over_limit(alert=self.CONFIRMED))
        control.switch.faults = [REFUSED] * 4
        await control.call(times=2)
        await control.carry_out()
        assert (await control.said(), await control.alerts()) == (["bar long-distance failed"], [])

    async def test_a_firing_whose_target_another_had_barred_is_told_too(self, control: ControlSite) -> None:
        await control.prescribe(over_five("day", alert=[]))
        await control.call()
        await control.carry_out()
        await control.prescribe(over_limit(alert=self.CONFIRMED))
        await control.call()
        assert (len(await control.orders()), await control.alerts()) == (1, ["bar-confirmed"])
        (alert,) = await control.room.alerts()
        (order,) = await control.store.read(control.control.orders_of, alert)
        assert (order.do, order.state) == ("bar", "confirmed"), "the letter must not say that nothing is barred"


class TestByHand:
    async def test_a_person_bars_and_restores(self, control: ControlSite) -> None:
        await control.room.bar(ACCOUNT, [], ADA, "stolen telephone")
        await control.carry_out()
        assert control.barred == {LD, VM}
        await control.room.restore(ACCOUNT, [VM], ADA, "may listen")
        await control.carry_out()
        assert control.barred == {LD}

    @pytest.mark.parametrize(
        ("account", "services", "words"), [("4000099999", [], "no account"), (ACCOUNT, ["fax"], "no service fax")]
    )
    async def test_what_is_not_there_is_refused(
        self, control: ControlSite, account: str, services: list[str], words: str
    ) -> None:
        with pytest.raises(Refused, match=words):
            await control.room.bar(account, services, ADA, "x")
        assert await control.orders(None) == []

    async def test_a_bar_that_failed_is_tried_again_when_a_person_bars(self, control: ControlSite) -> None:
        await control.prescribe(over_limit())
        control.switch.faults = [REFUSED] * 4
        await control.call(times=2)
        await control.carry_out()
        assert control.barred == set()
        await control.room.bar(ACCOUNT, [LD], ADA, "again")
        await control.carry_out()
        assert control.barred == {LD}

    async def test_a_restore_that_failed_is_tried_again_when_a_person_restores(self, control: ControlSite) -> None:
        await control.room.bar(ACCOUNT, [LD], ADA, "stolen")
        await control.carry_out()
        control.switch.faults = [REFUSED] * 4
        await control.room.restore(ACCOUNT, [LD], ADA, "found")
        await control.carry_out()
        assert control.barred == {LD}
        await control.room.restore(ACCOUNT, [LD], ADA, "still found")
        await control.carry_out()
        assert control.barred == set()


class TestTheBreaker:
    """Three automatic bars in ten minutes go through."""

    async def fill(self, control: ControlSite) -> None:
        """Four bars: the last is held."""
        await control.prescribe(over_limit(LD, VM))
        await control.call(times=2)
        await control.call(times=2, calling="+" + OTHER_LINE)

    async def test_more_are_held_and_stay_so_until_a_person_lets_them_go(self, control: ControlSite) -> None:
        await self.fill(control)
        await control.carry_out()
        (held,) = [order for order in await control.orders(OTHER) if order.state == "held"]
        assert len(control.switch.barred) == 3
        await control.restart()
        control.time.now += 3600 * MICROS
        await control.carry_out()
        assert len(control.switch.barred) == 3
        assert [order.id for order in await control.room.release([held.id], ADA)] == [held.id]
        await control.carry_out()
        assert len(control.switch.barred) == 4

    async def test_dropped_the_target_stays_free_and_the_reason_is_gone(self, control: ControlSite) -> None:
        await self.fill(control)
        (held,) = await control.room.orders(None, [order.state for order in await control.orders(OTHER)][-1:])
        await control.room.drop([held.id], ADA, "a wrong tariff")
        await control.carry_out()
        assert len(control.switch.barred) == 3
        assert [reason.service for reason in await control.room.barred(OTHER)] == [LD]

    async def test_a_payment_takes_a_held_bar_back(self, control: ControlSite) -> None:
        await self.fill(control)
        await control.pay(100, OTHER)
        assert {order.state for order in await control.orders(OTHER)} == {"cancelled"}

    async def test_people_are_not_counted_and_their_bar_lets_a_held_one_go(self, control: ControlSite) -> None:
        await control.room.bar(OTHER, [], ADA, "x")
        await control.room.restore(OTHER, [], ADA, "x")
        await self.fill(control)
        await control.room.bar(OTHER, [], ADA, "this one is right")
        await control.carry_out()
        assert len(control.switch.barred) == 4

    async def test_what_a_person_has_dealt_with_does_not_count_any_more(self, control: ControlSite) -> None:
        await self.fill(control)
        held = [order.id for order in await control.orders(OTHER) if order.state == "held"]
        await control.room.release(held, ADA)
        control.time.now += 1
        await control.prescribe(over_limit(LD, VM, name="Another"))
        await control.carry_out()
        assert {order.state for order in await control.orders(None)} == {"confirmed"}


async def test_an_order_is_not_sent_when_its_account_has_paid_since_it_was_looked_at(control: ControlSite) -> None:
    await control.prescribe(over_limit())
    await control.call(times=2)
    (order,) = await control.orders()
    assert await control.room.may_send(order)
    await control.pay(20)
    assert order.action is Action.BAR
    assert not await control.room.may_send(order)
