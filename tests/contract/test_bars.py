"""What is told of a firing's bars when not all of them come to be, and what a person tries again; on the real store."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from access import holding_rows
from access.orders import State
from control import audit, bars
from control.account_control import Refused
from control.alerts import BarConfirmed, Finding, Fired
from mediation.schema import all_migrations
from rating.store.sqlite import open_store
from rating.tariff import parse_tariff
from tests.builders import ACCOUNT, NOW, a_tariff_text
from tests.contract.control_site import ADA, DAY_US, LD, OTHER, OTHER_LINE, VM, ControlSite, accounts, lines, over_limit
from tests.switch_by_hand import REFUSED, START

CONFIRMED: Final = ({"by": "email", "when": "confirmed"},)


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
    await site.close()


async def with_one_held(control: ControlSite) -> int:
    """Both accounts cross their limits, and two services of each are to be barred; the breaker holds the last bar.
    Its number."""
    await control.prescribe(over_limit(LD, VM, alert=CONFIRMED))
    await control.call(times=2)
    await control.call(times=2, calling=f"+{OTHER_LINE}")
    await control.carry_out()
    assert await control.said(OTHER) == [f"bar {LD} confirmed", f"bar {VM} held"]
    assert [alert.account for alert in await control.room.alerts()] == [ACCOUNT]
    return (await control.orders(OTHER))[1].id


async def drop(control: ControlSite, held: int) -> Any:
    return await control.room.drop([held], ADA, "a mistake")


async def give_back(control: ControlSite, _: int) -> Any:
    return await control.room.restore(OTHER, [VM], ADA, "a mistake")


@pytest.mark.parametrize("cancel", [drop, give_back])
async def test_when_the_last_bar_is_cancelled_those_that_were_confirmed_are_told(
    control: ControlSite, cancel: Any
) -> None:
    held = await with_one_held(control)
    await cancel(control, held)
    assert await control.said(OTHER) == [f"bar {LD} confirmed", f"bar {VM} cancelled"]
    assert [alert.account for alert in await control.room.alerts()] == [OTHER, ACCOUNT]
    await control.carry_out()
    assert len(await control.alerts()) == 2


async def test_nothing_is_told_of_bars_that_are_given_back_before_they_are_confirmed(control: ControlSite) -> None:
    await with_one_held(control)
    await control.pay(100, OTHER)
    await control.carry_out()
    assert await control.said(OTHER) == [f"bar {LD} confirmed", f"bar {VM} cancelled", f"restore {LD} confirmed"]
    assert [alert.account for alert in await control.room.alerts()] == [ACCOUNT]


async def test_what_is_told_of_confirmed_bars_names_the_amounts_that_were_told_when_it_fired(
    control: ControlSite,
) -> None:
    when_fired = {"by": "email", "when": "fired"}
    await control.prescribe(over_limit(alert=[when_fired, *CONFIRMED]))
    await control.call(times=2)
    await control.restart()
    await control.carry_out()
    confirmed, fired = (alert.facts for alert in await control.room.alerts())
    assert isinstance(confirmed, BarConfirmed)
    assert isinstance(fired, Fired)
    assert confirmed.findings == fired.findings
    assert fired.findings == (Finding("charges", 24_400_000, 20_000_000, "above", "bill-cycle", "", "credit limit"),)


async def one_failed(control: ControlSite) -> int:
    """One of two bars is confirmed, and then the other one given up. The number of the latter."""
    control.switch.faults = [None, *[REFUSED] * 4]
    await control.prescribe(over_limit(LD, VM, alert=CONFIRMED))
    await control.call(times=2)
    await control.carry_out()
    assert sorted(order.state for order in await control.orders()) == [State.CONFIRMED, State.FAILED]
    return next(order.id for order in await control.orders() if order.state is State.FAILED)


async def test_a_bar_that_failed_does_not_keep_the_others_from_being_told(control: ControlSite) -> None:
    await one_failed(control)
    (firing,) = await control.room.firings(ACCOUNT)
    for _ in range(2):
        await control.store.transact(bars.tell_confirmed, ACCOUNT, firing.id, NOW)
    assert await control.alerts() == ["bar-confirmed"]


async def test_a_person_tries_a_failed_order_again(control: ControlSite) -> None:
    failed = await one_failed(control)
    order = await control.room.retry(failed, ADA)
    assert (order.id, order.state, order.words) == (failed, State.PLANNED, f"tried again by {ADA}")
    (entry,) = await control.store.read(lambda cx: audit.entries(cx, limit=1))
    assert entry.action == "retry order"
    assert (entry.actor, entry.subject) == (ADA, f"order {failed}")
    await control.carry_out()
    assert {order.state for order in await control.orders()} == {State.CONFIRMED}
    (remark,) = await control.store.read(holding_rows.history, failed)
    assert remark.words == f"tried again by {ADA}; it was failed: cannot do that"


async def test_what_cannot_be_tried_again_is_refused_in_words(control: ControlSite) -> None:
    failed = await one_failed(control)
    confirmed = next(order.id for order in await control.orders() if order.id != failed)
    with pytest.raises(Refused, match="there is no access order 999"):
        await control.room.retry(999, ADA)
    with pytest.raises(Refused, match=f"order {confirmed} is confirmed"):
        await control.room.retry(confirmed, ADA)
    await control.pay(100)
    with pytest.raises(Refused, match=f"order {failed} is not wanted any more"):
        await control.room.retry(failed, ADA)
