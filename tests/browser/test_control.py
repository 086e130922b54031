"""Account events, bars, orders, payments and the audit log in the hands of staff and operators, in a real browser: with
a daemon that acts on a switch, with and without script, for people who see little, and on small screens."""

import asyncio
import csv
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.browser.pages_site import BREAKER, DEAR_S, HARBOURS, WATCHED, PagesSite, a_call
from tests.browser.visitor import WITHIN_MS, Visitor
from tests.small_site import account, line

if TYPE_CHECKING:
    from playwright.async_api import Browser, Dialog

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.peers("chromium")]

with_scripts = pytest.mark.parametrize("scripts", [True], ids=["script"])
LD: Final = "long-distance"
HELD: Final = BREAKER + 2
"""Accounts that the breaker's test bars at once."""


def own(visitor: Visitor, script: int, plain: int) -> int:
    """The account that is this run's alone."""
    return script if visitor.scripts else plain


async def main_text(visitor: Visitor) -> str:
    return await visitor.page.locator("main").inner_text()


async def reload_until(visitor: Visitor, holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Of a page that is not live."""
    for _ in range(WITHIN_MS // 250):
        if await holds():
            return
        await visitor.page.wait_for_timeout(250)
        await visitor.page.reload()
    raise AssertionError(f"not in time: {what}")


async def for_everybody(visitor: Visitor) -> None:
    """The page as it stands, in light and dark, wide and narrow. Without scripts it is the same page."""
    if visitor.scripts:
        assert not await visitor.faults()
        await visitor.page.emulate_media(color_scheme="light")
        await visitor.page.set_viewport_size({"width": 1280, "height": 900})


async def button(visitor: Visitor, name: str) -> None:
    await visitor.page.get_by_role("button", name=name, exact=True).click()


async def dear_call(pages: PagesSite, *numbers: int) -> None:
    """A call of 6.05 of each, just now."""
    for n in numbers:
        await pages.send(a_call(f"now-{n}-{pages.next_number()}", n, minutes=0.05, duration=DEAR_S))


def over_five(name: str, *numbers: int, **fields: Any) -> dict[str, Any]:
    """An event that a dear call makes true."""
    return {
        "accounts": {"numbers": [account(n) for n in numbers]},
        "name": name,
        "when": {"measure": "charges", "period": "day", "above": "5.00"},
        "alert": [{"by": "email"}],
        "respond": [{"do": "bar", "services": [LD], "until": "cleared"}],
        **fields,
    }


async def order_states(visitor: Visitor) -> list[str]:
    """Of the orders on the page, the newest first, as words."""
    rows = visitor.page.get_by_role("region", name="Access orders").locator("tbody tr:not(:has(.empty))")
    return [(await visitor.cell(rows.nth(n), "State")).split()[1] for n in range(await rows.count())]


# Account events.


async def test_an_event_is_tried_made_watched_changed_paused_and_deleted(visitor: Visitor, pages: PagesSite) -> None:
    n = own(visitor, WATCHED["script"], WATCHED["plain"])
    name = f"Dear day of {account(n)}"
    await visitor.sign_in("stella")
    await visitor.menu("Monitor")
    await visitor.page.get_by_role("link", name="New account event").click()
    page = visitor.page
    await page.get_by_label("Name of the event").fill(name)
    await page.get_by_label("Account numbers").fill(account(n))
    first = page.get_by_role("group", name="Condition 1")
    await first.get_by_label("In a").select_option("day")
    await page.get_by_label("E-mail to the account's contact").select_option("fired")
    await page.get_by_label("Bar these services").fill(LD)
    await button(visitor, "See when it would have fired")
    assert "It was not tried: give a number to compare with" in await main_text(visitor)
    await for_everybody(visitor)
    await first.get_by_label("Value", exact=True).fill("5.00")
    await button(visitor, "See when it would have fired")
    assert "Would have fired: 1 time, for 1 account" in await main_text(visitor)
    row = page.get_by_role("region", name="When it would have fired").locator("tbody tr")
    assert await row.count() == 1
    assert (await visitor.cell(row, "Account"), await visitor.cell(row, "Value")) == (account(n), "6.05")
    assert await visitor.cell(row, "Threshold") == "charges above 5.00"
    assert await first.get_by_label("Value", exact=True).input_value() == "5.00"
    await for_everybody(visitor)
    await button(visitor, "Make the event")
    assert await visitor.heading() == "Access monitor and control"
    event = visitor.row(name)
    assert "active" in await visitor.cell(event, "State")
    assert (await visitor.cell(event, "Created by"), await visitor.cell(event, "Last firing")) == ("stella", "never")
    await for_everybody(visitor)
    await fires(visitor, pages, n, name)
    await is_changed(visitor, name)


async def fires(visitor: Visitor, pages: PagesSite, n: int, name: str) -> None:
    """A call comes, and it is seen what followed."""
    await dear_call(pages, n)
    await visitor.page.goto(f"/firings?account={account(n)}")
    firing = visitor.page.locator("section").filter(has_text=name)

    async def is_over() -> bool:
        return "confirmed" in (text := await firing.inner_text()) and "sent" in text

    await reload_until(visitor, is_over, "the bar is confirmed and the mail sent")
    condition = firing.locator("tbody tr")
    assert await visitor.cell(condition, "Value") == "6.05"
    assert "yes" in await visitor.cell(condition, "Holds")
    assert f"email to h{n}@piers.example" in await firing.inner_text()
    assert line(n) in pages.beside.switch.table
    await for_everybody(visitor)


async def is_changed(visitor: Visitor, name: str) -> None:
    """Changed, paused, taken up and deleted."""
    await visitor.menu("Monitor")
    assert await visitor.cell(visitor.row(name), "Firings") == "1"
    await visitor.page.get_by_role("link", name=name).click()
    value = visitor.page.get_by_role("group", name="Condition 1").get_by_label("Value", exact=True)
    assert await value.input_value() == "5.00"
    await value.fill("5.50")
    await button(visitor, "Save")
    assert "above 5.50" in await visitor.cell(visitor.row(name), "What it does")
    for action, state, said in (
        ("Pause", "paused", "1 account event is paused"), ("Resume", "active", "1 account event is active again"),
    ):  # fmt: skip
        await visitor.page.get_by_label(f"Choose {name}").check()
        await button(visitor, action)
        assert said in await visitor.page.get_by_role("status").inner_text()
        assert state in await visitor.cell(visitor.row(name), "State")
    await button(visitor, "Pause")
    assert "tick some" in await visitor.page.get_by_role("alert").inner_text()
    await visitor.page.get_by_label(f"Choose {name}").check()
    await button(visitor, "Delete")
    assert await visitor.row(name).count() == 0


@with_scripts
async def test_who_has_typed_something_is_asked_before_the_page_is_left(visitor: Visitor, scripts: bool) -> None:
    asked: list[str] = []
    stay = True

    async def answer(dialog: "Dialog") -> None:
        asked.append(dialog.type)
        await (dialog.dismiss() if stay else dialog.accept())

    visitor.page.on("dialog", answer)
    await visitor.sign_in("stella")
    for path, label, away in (
        ("/monitor/new", "Name of the event", "Cancel"),
        (f"/accounts/{account(20)}/access", "Reason, for the audit log", f"Account {account(20)}"),
    ):
        asked.clear()
        await visitor.page.goto(path)
        leave = visitor.page.get_by_role("link", name=away)
        await visitor.page.get_by_label(label).first.press_sequentially("By")
        stay = True
        await leave.click(no_wait_after=True)
        await visitor.until(lambda: _is(asked == ["beforeunload"]), f"a question on {path}")
        assert visitor.page.url.endswith(path)
        stay = False
        await leave.click()
        await visitor.page.wait_for_url(lambda url, left=path: not url.endswith(left))
        assert asked == ["beforeunload", "beforeunload"]
    await visitor.page.goto("/monitor/new")
    await visitor.page.get_by_role("link", name="Cancel").click()
    await visitor.page.wait_for_url("**/monitor")
    assert len(asked) == 2, "nothing was typed"


async def _is(value: bool) -> bool:
    return value


@with_scripts
async def test_what_was_tried_and_not_made_is_asked_about_and_what_is_sent_is_not(
    visitor: Visitor, scripts: bool
) -> None:
    asked: list[str] = []

    async def answer(dialog: "Dialog") -> None:
        asked.append(dialog.type)
        await dialog.accept()

    visitor.page.on("dialog", answer)
    await visitor.sign_in("stella")
    await visitor.page.goto("/monitor/new")
    await visitor.page.get_by_label("Name of the event").press_sequentially("X")
    await button(visitor, "See when it would have fired")
    assert asked == []
    await visitor.page.get_by_role("link", name="Cancel").click()
    await visitor.page.wait_for_url("**/monitor")
    assert asked == ["beforeunload"]


@with_scripts
async def test_all_events_of_a_page_are_ticked_by_one_box(visitor: Visitor, pages: PagesSite, scripts: bool) -> None:
    for name in ("Ticked first", "Ticked second"):
        await pages.prescribe(over_five(name, HARBOURS[-1], respond=[], alert=[]))
    await visitor.sign_in("stella")
    await visitor.menu("Monitor")
    await visitor.page.get_by_label("Choose all account events of this page").check()
    assert await visitor.page.get_by_label("Choose Ticked first").is_checked()
    await button(visitor, "Pause")
    rows = await visitor.page.locator("tbody tr").count()
    assert f"{rows} account events are paused" in await visitor.page.get_by_role("status").inner_text()
    await visitor.page.get_by_label("Choose all account events of this page").check()
    await visitor.page.get_by_label("Choose Ticked second").uncheck()
    await button(visitor, "Resume")
    assert "paused" in await visitor.cell(visitor.row("Ticked second"), "State")
    for name in ("Ticked first", "Ticked second"):
        await visitor.page.get_by_label(f"Choose {name}").check()
    await button(visitor, "Delete")


# Bars and orders.


async def test_services_are_barred_and_restored_by_hand_and_each_order_is_followed(
    visitor: Visitor, pages: PagesSite
) -> None:
    n = own(visitor, 20, 21)
    await visitor.sign_in("stella")
    await visitor.page.goto(f"/accounts/{account(n)}")
    await visitor.page.get_by_role("link", name="Bar or restore services").click()
    assert await visitor.heading() == f"Bar or restore services of Harbour {n}"
    text = await main_text(visitor)
    assert all(words in text for words in (account(n), LD, "voice-mail", "Nothing of this account"))
    await for_everybody(visitor)
    await visitor.page.get_by_label(LD).check()
    await button(visitor, "Go on to bar")
    assert "say why: it goes into the audit log" in await visitor.page.get_by_role("alert").inner_text()
    assert await visitor.page.get_by_label(LD).is_checked()
    assert not await visitor.page.get_by_label("voice-mail").is_checked()
    await visitor.page.get_by_label("Reason, for the audit log").fill("stolen SIM")
    await button(visitor, "Go on to bar")
    assert await visitor.heading() == f"Bar {LD} of Harbour {n}?"
    text = await main_text(visitor)
    assert all(words in text for words in (account(n), "1 line", "stolen SIM", "“service suspended”"))
    await for_everybody(visitor)
    await button(visitor, "Bar these services")
    assert "1 order was planned or changed" in await visitor.page.get_by_role("status").inner_text()
    await visitor.until(lambda: _states(visitor, "confirmed"), "the bar is confirmed")
    assert pages.beside.switch.changes_of(line(n)) == ["sets"]
    lines = visitor.page.get_by_role("region", name="Lines").locator("tbody tr")
    assert "stolen SIM (stella, until somebody restores it)" in await lines.filter(has_text=LD).inner_text()
    assert "free" in await lines.filter(has_text="voice-mail").inner_text()
    await for_everybody(visitor)
    await visitor.page.get_by_label(LD).last.check()
    await visitor.page.get_by_label("Reason, for the audit log").last.fill("found again")
    await button(visitor, "Go on to restore")
    await button(visitor, "Restore these services")
    await visitor.until(lambda: _states(visitor, "confirmed", "confirmed"), "the restore is confirmed")
    assert pages.beside.switch.changes_of(line(n)) == ["sets", "delete"]
    assert "Nothing of this account is barred" in await main_text(visitor)


async def _states(visitor: Visitor, *wanted: str) -> bool:
    return await order_states(visitor) == list(wanted)


async def test_an_order_that_a_switch_refused_is_tried_again(visitor: Visitor, pages: PagesSite) -> None:
    n = own(visitor, 22, 23)
    pages.beside.switch.refuses.add(line(n))
    await visitor.sign_in("stella")
    await visitor.page.goto(f"/accounts/{account(n)}/access")
    await visitor.page.get_by_label(LD).check()
    await visitor.page.get_by_label("Reason, for the audit log").fill("asked for")
    await button(visitor, "Go on to bar")
    await button(visitor, "Bar these services")
    await visitor.until(lambda: _states(visitor, "failed"), "the bar has failed")
    assert "no room in the table" in await visitor.page.get_by_role("region", name="Access orders").inner_text()
    await for_everybody(visitor)
    await visitor.sign_out()
    await visitor.sign_in("oscar")
    await visitor.menu("Orders")
    await visitor.page.get_by_label("Account").fill(account(n))
    await button(visitor, "Filter")
    pages.beside.switch.refuses.clear()
    await visitor.page.get_by_role("button", name="Try order").click()
    assert "is tried again" in await visitor.page.get_by_role("status").inner_text()
    await visitor.until(lambda: _states(visitor, "confirmed"), "the bar is confirmed")
    assert f"account={account(n)}" in visitor.page.url
    assert line(n) in pages.beside.switch.table


async def test_what_the_breaker_held_is_released_or_dropped(visitor: Visitor, pages: PagesSite) -> None:
    numbers = range(30, 30 + HELD) if visitor.scripts else range(30 + HELD, 30 + 2 * HELD)
    await pages.prescribe(over_five(f"A wrong tariff, {visitor.scripts}", *numbers))
    await dear_call(pages, *numbers)
    await visitor.sign_in("oscar")
    await visitor.menu("Orders")
    held = visitor.page.get_by_role("region", name="Held orders").locator("tbody tr")
    assert await held.count() >= HELD - BREAKER
    count = await held.count()
    assert "the breaker holds it" in await held.first.inner_text()
    await for_everybody(visitor)
    await held.first.get_by_role("checkbox").check()
    released = await visitor.cell(held.first, "Account")
    await button(visitor, "Drop the chosen ones")
    assert "not dropped without a remark" in await visitor.page.get_by_role("alert").inner_text()
    assert await held.first.get_by_role("checkbox").is_checked()
    await button(visitor, "Release the chosen ones")
    assert await held.count() == count - 1
    for box in await held.get_by_role("checkbox").all():
        await box.check()
    await visitor.page.get_by_label("Remark").fill("the tariff was wrong")
    await button(visitor, "Drop the chosen ones")
    assert await held.count() == 0
    await visitor.page.get_by_label("Account").fill(released)
    await button(visitor, "Filter")
    await visitor.until(lambda: _states(visitor, "confirmed"), "the released bar is confirmed")
    await visitor.page.goto("/orders?state=cancelled")
    assert "dropped by oscar: the tariff was wrong" in await main_text(visitor)


# Payments, and what is left of all this.


async def test_who_has_paid_is_restored(visitor: Visitor, pages: PagesSite) -> None:
    n = own(visitor, 26, 27)
    limit = {"measure": "charges", "period": "bill-cycle", "above_credit_limit": True}
    await pages.prescribe(over_five(f"Over the limit of {n}", n, when=limit))
    await dear_call(pages, n)
    await visitor.sign_in("stella")
    await visitor.page.goto(f"/accounts/{account(n)}/access")
    await visitor.until(lambda: _states(visitor, "confirmed"), "the bar is confirmed")
    await visitor.page.get_by_role("link", name=f"Account {account(n)}").click()
    assert "barred" in await main_text(visitor)
    await visitor.page.get_by_role("link", name="Payment received").click()
    assert "not billed yet: 6.05 USD" in await main_text(visitor)
    await visitor.page.get_by_label("Amount, USD").fill("600")
    await visitor.page.get_by_label("Remark").fill("cheque 7")
    await button(visitor, "Record the payment")
    assert "above what is owed" in await visitor.page.get_by_role("alert").first.inner_text()
    assert await visitor.page.get_by_label("Amount, USD").input_value() == "600"
    await for_everybody(visitor)
    await visitor.page.get_by_label("Amount, USD").fill("")
    await button(visitor, "Record the payment")
    assert "a payment of 6.05 USD is recorded" in await visitor.page.get_by_role("status").inner_text()
    await visitor.page.goto(f"/accounts/{account(n)}/access")
    await visitor.until(lambda: _states(visitor, "confirmed", "confirmed"), "the restore is confirmed")
    assert pages.beside.switch.changes_of(line(n)) == ["sets", "delete"]


async def test_auditors_find_who_did_what_and_take_it_with_them(
    visitor: Visitor, pages: PagesSite, browser: "Browser"
) -> None:
    n = own(visitor, 28, 29)
    staff = await Visitor.arrive(pages, browser, scripts=visitor.scripts)
    await staff.sign_in("stella")
    await staff.page.goto(f"/accounts/{account(n)}/access")
    await staff.page.get_by_label(LD).check()
    await staff.page.get_by_label("Reason, for the audit log").fill(f"by order of court {n}")
    await button(staff, "Go on to bar")
    await button(staff, "Bar these services")
    await staff.page.get_by_role("status").wait_for()  # a window that is closed on its way may never close
    await staff.leave()
    await visitor.sign_in("audrey")
    assert await visitor.heading() == "Audit log"
    await visitor.page.get_by_label("Who").fill("stella")
    await visitor.page.get_by_label("Words in what was done").fill(f"COURT {n}")
    await button(visitor, "Filter")
    row = visitor.page.locator("tbody tr")
    assert await row.count() == 1
    assert (await visitor.cell(row, "Did"), await visitor.cell(row, "To what")) == ("bar", f"account {account(n)}")
    await for_everybody(visitor)
    async with visitor.page.expect_download() as download:
        await visitor.page.get_by_role("link", name="CSV of these").click()
    file = await (await download.value).path()
    rows = list(csv.reader((await asyncio.to_thread(file.read_text)).splitlines()))
    assert [rows[0][2], *(entry[2] for entry in rows[1:])] == ["actor", "stella"]
    await visitor.page.get_by_label("Words in what was done").fill("nothing like it")
    await button(visitor, "Filter")
    assert "No entry matches" in await visitor.page.locator("td.empty").inner_text()
    await visitor.page.get_by_role("link", name="Clear").click()
    assert await row.count() > 1
    await for_everybody(visitor)
