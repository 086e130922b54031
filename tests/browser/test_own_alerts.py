"""A customer's own alerts in a real browser: set, a mistake said in place, paused and deleted."""

import pytest

from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.peers("chromium")]


async def for_everybody(visitor: Visitor) -> None:
    if visitor.scripts:
        assert not await visitor.faults()


async def test_an_alert_is_set_paused_and_deleted(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.sign_in("changer-script" if visitor.scripts else "changer-plain")
    await visitor.menu("Alerts")
    assert await visitor.heading() == "Alerts"
    await page.get_by_label("in a").select_option("month")
    await page.get_by_label("are above").fill("much")
    await page.get_by_role("button", name="Set the alert").click()
    assert "'much' is not a number" in await page.get_by_role("alert").inner_text()
    assert await page.get_by_label("are above").input_value() == "much"
    await for_everybody(visitor)
    name = f"Watched, {visitor.scripts}"
    await page.get_by_label("are above").fill("90000" if visitor.scripts else "90001")
    await page.get_by_label("Name, if you like").fill(name)
    await page.get_by_role("button", name="Set the alert").click()
    row = visitor.row(name)
    assert ("active" in await visitor.cell(row, "State"), await visitor.cell(row, "Last sent")) == (True, "never")
    await for_everybody(visitor)
    await page.get_by_role("button", name=f"Pause {name}").click()
    assert "paused" in await visitor.cell(row, "State")
    await page.get_by_role("button", name=f"Delete {name}").click()
    assert await row.count() == 0
    assert "The alert is deleted" in await page.get_by_role("status").inner_text()
