"""Bills on the real store, beside the parts that watch accounts: a bill moves charges from one side of what is owed to
the other, and nothing else happens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from control.billing import bill_rows
from control.billing.bill_run import charges_of
from control.billing.biller import Posted
from control.billing.charges import Charges
from control.billing.cycles import Cycles
from control.billing.due import look
from control.ledger import Balances
from mediation.schema import all_migrations
from rating.account import Account
from rating.cdr import MICROS
from rating.store.errors import StoreFailed
from rating.store.partitions import last_id
from rating.store.provisioning import get_accounts
from rating.store.read_only import connect_reader
from rating.store.sqlite import open_store
from rating.tariff import parse_tariff
from tests.builders import ACCOUNT, NOW, a_tariff_text, micros
from tests.contract.control_site import ADA, DAY_US, OTHER, ControlSite, accounts, lines, over_five, over_limit
from tests.switch_by_hand import START

OCTOBER = "2026-10-15T12:00:00Z"
CENT = 10_000
CALL_MICROS = 12_200_000
"""A call of ten minutes to London."""


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


def reckoned(control: ControlSite, period: str = "2026-10") -> list[list[Charges]]:
    """The charges that a bill run would hand over."""
    with closing(connect_reader(control.path)) as cx:
        everyone: list[Account] = get_accounts(cx)
        due = look(cx, everyone, Cycles(period), control.time.now).due
        return list(charges_of(cx, due, last_id(cx), control.path.parent))


async def bill_run(control: ControlSite, period: str = "2026-10") -> list[Posted]:
    return [await control.acting.biller.post(part, ADA) for part in reckoned(control, period)]


def owing(control: ControlSite, account: str = ACCOUNT) -> tuple[int, int, int]:
    """Exposure, what of it is unbilled, and what is due."""
    exposure, now = control.acting.exposure, control.time.now
    return exposure.of(account, now), exposure.unbilled(account, now), exposure.balance_due(account)


async def test_a_bill_moves_what_is_unbilled_to_what_is_due(control: ControlSite) -> None:
    await control.call(start=OCTOBER)
    await control.call(start="2026-11-15T12:00:00Z")
    await control.pay(5)
    exposure = 2 * CALL_MICROS - 5 * MICROS
    assert owing(control) == (exposure, 2 * CALL_MICROS, -5 * MICROS)
    (posted,) = await bill_run(control)
    assert (posted.bills, posted.charges_micros) == (1, CALL_MICROS)
    assert owing(control) == (exposure, CALL_MICROS, CALL_MICROS - 5 * MICROS)
    await control.restart()
    assert owing(control) == (exposure, CALL_MICROS, CALL_MICROS - 5 * MICROS)
    await control.pay(10)
    assert owing(control) == (exposure - 10 * MICROS, CALL_MICROS, CALL_MICROS - 15 * MICROS)


async def test_what_rounding_leaves_over_stays_unbilled_and_the_sum_is_what_it_was(control: ControlSite) -> None:
    await control.call(start=OCTOBER, seconds=54, called="+16175550123")
    exposure = owing(control)[0]
    over = exposure % CENT
    assert 0 < over < CENT // 2
    (posted,) = await bill_run(control)
    assert posted.charges_micros == exposure
    assert owing(control) == (exposure, over, exposure - over)
    await control.restart()
    assert owing(control) == (exposure, over, exposure - over)


async def test_a_record_that_comes_late_is_unbilled_until_the_next_bill(control: ControlSite) -> None:
    await control.call(start=OCTOBER)
    assert len(await bill_run(control)) == 1
    await control.call(start=OCTOBER)
    assert owing(control) == (2 * CALL_MICROS, CALL_MICROS, CALL_MICROS)
    assert await bill_run(control) == []
    control.time.now = micros("2026-12-01T00:00:00Z")
    (posted,) = await bill_run(control, "2026-11")
    assert posted.charges_micros == CALL_MICROS
    assert owing(control) == (2 * CALL_MICROS, 0, 2 * CALL_MICROS)


async def test_by_a_bill_alone_nothing_fires_and_no_bar_is_lifted(control: ControlSite) -> None:
    await control.prescribe(over_limit())
    await control.prescribe(over_five("bill-cycle", respond=[]))
    await control.call(start=OCTOBER)
    await control.call()
    await control.carry_out()
    fired, said, told = await control.firings(), await control.said(), await control.alerts()
    assert said == ["bar long-distance confirmed"]
    (posted,) = await bill_run(control)
    assert posted.bills == 1
    await control.tick()
    await control.carry_out()
    assert (await control.firings(), await control.said(), await control.alerts()) == (fired, said, told)
    await control.pay(20)
    assert len(await control.said()) == 2, "a payment lifts it"


async def test_accounts_below_their_limit_stay_there(control: ControlSite) -> None:
    await control.prescribe(over_limit())
    await control.call(start=OCTOBER)
    assert len(await bill_run(control)) == 1
    await control.call(seconds=60)
    assert await control.firings() == []
    await control.call()
    assert len(await control.firings()) == 1


async def test_two_runs_at_once_make_every_bill_once(control: ControlSite) -> None:
    await control.call(start=OCTOBER)
    (part,), (again,) = reckoned(control), reckoned(control)
    post = control.acting.biller.post
    posted = await asyncio.gather(post(part, ADA), post(again, ADA), post(part, "staff:eve"))
    assert [one.bills for one in posted] == [1, 0, 0]
    assert [one.already for one in posted] == [0, 1, 1]
    assert owing(control) == (CALL_MICROS, 0, CALL_MICROS)


async def test_interrupted_before_the_commit_there_is_nothing_of_it(control: ControlSite) -> None:
    await control.call(start=OCTOBER)
    (part,) = reckoned(control)
    bad = msgspec.structs.replace(part[0], account=OTHER, timezone="Nowhere")
    with pytest.raises((KeyError, ValueError)):
        await control.acting.biller.post([*part, bad], ADA)
    assert owing(control) == (CALL_MICROS, CALL_MICROS, 0)
    assert await control.store.read(bill_rows.last_number) == 0
    assert (await control.acting.biller.post(part, ADA)).bills == 1
    assert await control.store.read(bill_rows.last_number) == 1


async def test_a_store_that_fails_ends_the_run(control: ControlSite) -> None:
    await control.call(start=OCTOBER)
    (part,) = reckoned(control)
    await control.store.transact(lambda cx: cx.execute("DROP TABLE bills"))
    with pytest.raises(StoreFailed):
        await control.acting.biller.post(part, ADA)


async def test_what_is_in_memory_is_told_as_of_one_instant(control: ControlSite) -> None:
    await control.call(start=OCTOBER)
    assert len(await bill_run(control)) == 1

    def told(_cx: object, owed: dict[str, int], billed: dict[str, int]) -> tuple[dict[str, int], dict[str, int]]:
        return owed, billed

    owed, billed = await control.acting.biller.standing(told)
    assert owed == billed == {ACCOUNT: CALL_MICROS}
    assert (await control.store.read(Balances.load)).all() == owed
