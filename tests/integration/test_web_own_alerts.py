"""Customers' own alerts: set, told of, paused and deleted on the pages; and nobody else's can be touched."""

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from control.events.definition import as_json
from control.events.own_alerts import MOST
from tests.builders import cdr_json
from tests.integration.web_site import ADA, ADAS_LINE, BOBS_LINE, Visitor, WebSite, opened

ALERT = {"measure": "charges", "period": "month", "value": "1000"}


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[WebSite]:
    async with opened(tmp_path) as site:
        yield site


@pytest.fixture
async def ada(web: WebSite) -> Visitor:
    """A customer with an e-mail address."""
    return await web.visitor("ada")


def seen(page: str) -> str:
    """What a page says, without its marks."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


async def events(web: WebSite) -> list[dict[str, Any]]:
    return [as_json(event.definition) for event in await web.site.room.events()]


async def test_an_alert_tells_the_own_contact_and_does_nothing_else(web: WebSite, ada: Visitor) -> None:
    assert "No alerts yet" in seen(await ada.get("/alerts"))
    fields = ALERT | {"line": ADAS_LINE, "service": "long-distance", "called": "+442071838750", "name": "London"}
    said = seen(await ada.follow(await ada.post("/alerts", **fields)))
    assert "The alert is set" in said
    assert f"London ✓ active charges line {ADAS_LINE} long-distance to +442071838750 month 1000 e-mail never" in said
    assert await events(web) == [
        {
            "accounts": {"numbers": [ADA]},
            "name": "London",
            "when": {
                "measure": "charges", "service": "long-distance", "line": ADAS_LINE[1:], "called": "442071838750",
                "period": "month", "above": "1000",
            },
            "check": {"continuous": True},
            "alert": [{"by": "email", "when": "fired"}],
        }
    ]  # fmt: skip
    assert "ada add account event event 1 London" in seen(await (await web.visitor("stella")).get("/audit"))


async def test_it_says_when_it_came_true_and_when_it_was_sent(web: WebSite, ada: Visitor) -> None:
    await ada.post("/alerts", **ALERT | {"measure": "calls", "value": "2", "name": ""})
    assert "Calls above 2 in a month ✓ active calls everything month 2 e-mail never never" in seen(
        await ada.get("/alerts")
    )
    await web.receive(cdr_json(id="third"))
    await ada.post("/alerts", **ALERT | {"measure": "calls", "value": "1"})  # holds already: it fires at once
    (alert,) = await web.site.room.alerts(ADA)
    assert alert.recipient == "ada@customers.example"
    row = seen(await ada.get("/alerts")).split("Calls above 1 ")[1]
    assert re.search(r"e-mail \d+ \w+ \d{4} \d\d:\d\d never", row)
    await web.store.transact(
        lambda cx: cx.execute("UPDATE alerts SET state = 'sent', sent_at = ?", (web.now,)).rowcount
    )
    row = seen(await ada.get("/alerts")).split("Calls above 1 ")[1]
    assert re.search(r"e-mail \d+ \w+ \d{4} \d\d:\d\d \d+ \w+ \d{4} \d\d:\d\d", row)


async def test_an_alert_is_paused_resumed_and_deleted(web: WebSite, ada: Visitor) -> None:
    await ada.post("/alerts", **ALERT)
    for button, words, state in (
        ("pause", "The alert is paused", "paused"),
        ("resume", "The alert is active again", "active"),
        ("delete", "The alert is deleted", None),
    ):
        assert words in seen(await ada.follow(await ada.post("/alerts/state", **{button: "1"})))
        event = await web.site.room.event(1)
        assert (event.state if event else None) == state
    assert "No alerts yet" in seen(await ada.get("/alerts"))
    assert (await ada.post("/alerts/state", delete="1")).status == 404


@pytest.mark.parametrize(
    ("changes", "words", "field"),
    [
        ({"value": ""}, "give a number to compare with", "value"),
        ({"value": "<much>"}, "'<much>' is not a number", "value"),
        ({"measure": "calls", "value": "1.5"}, "no number of calls", "value"),
        ({"measure": "sessions"}, "choose what is counted", "measure"),
        ({"period": "century"}, "none of its words", "period"),
        ({"line": BOBS_LINE}, "none of your lines", "line"),
        ({"line": "x"}, "'x' is no number", "line"),
        ({"service": "telegrams"}, "none of your lines has that service", "service"),
        ({"called": "London"}, "is no number", "called"),
        ({"name": "x" * 201}, "is not a text", "name"),
    ],
)
async def test_what_is_refused_is_said_and_what_was_typed_stays(
    web: WebSite, ada: Visitor, changes: dict[str, str], words: str, field: str
) -> None:
    answer = await ada.post("/alerts", **ALERT | {"called": "+442071838750"} | changes)
    page = await answer.text()
    assert answer.status == 200
    assert f"No alert was set: {words}" in seen(page) or words in seen(page)
    assert re.search(rf'name="{field}"[^>]*aria-invalid="true"', page)
    if "called" not in changes:
        assert 'value="+442071838750"' in page
    assert await events(web) == []


async def test_alerts_are_not_set_twice_and_not_without_end(web: WebSite, ada: Visitor) -> None:
    await ada.post("/alerts", **ALERT)
    assert "there is such an alert already" in seen(await (await ada.post("/alerts", **ALERT)).text())
    for n in range(1, MOST):
        await ada.post("/alerts", **ALERT | {"value": str(1000 + n)})
    more = seen(await (await ada.post("/alerts", **ALERT | {"value": "7"})).text())
    assert f"there are {MOST} alerts already: delete one of them first" in more
    assert len(await events(web)) == MOST


async def test_who_has_no_address_is_told_so(web: WebSite) -> None:
    bob = await web.visitor("bob")
    assert "no e-mail address is known of you" in seen(await (await bob.post("/alerts", **ALERT)).text())
    assert await events(web) == []


async def test_what_others_prescribed_is_neither_seen_nor_touched(web: WebSite, ada: Visitor) -> None:
    stella, bob = await web.visitor("stella"), await web.visitor("bob")
    form = {
        "name": "Of staff", "scope": "numbers", "numbers": ADA, "measure.1": "charge", "period.1": "month",
        "comparison.1": "above", "value.1": "1000", "check": "continuous", "alert_account": "fired",
    }  # fmt: skip
    assert (await stella.post("/monitor/new", **form)).status == 303
    await ada.post("/alerts", **ALERT | {"name": "Of Ada"})
    assert "Of staff" not in seen(await ada.get("/alerts"))
    assert "Of Ada" not in seen(await bob.get("/alerts"))
    assert "Of Ada" in seen(await stella.get("/monitor"))
    for visitor, number in ((ada, "1"), (bob, "1"), (bob, "2"), (ada, "99"), (ada, "x")):
        assert (await visitor.post("/alerts/state", delete=number)).status == 404
    assert (await ada.post("/alerts/state", become="2")).status == 404
    assert len(await events(web)) == 2


async def test_an_alert_that_staff_made_more_of_is_theirs(web: WebSite, ada: Visitor) -> None:
    await ada.post("/alerts", **ALERT | {"name": "Of Ada"})
    stella = await web.visitor("stella")
    page = await stella.get("/monitor/1")
    seen_at = re.search(r'name="seen" value="(\d+)"', page)
    assert seen_at
    form = {
        "name": "Of Ada", "scope": "numbers", "numbers": ADA, "measure.1": "charges", "period.1": "bill-cycle",
        "comparison.1": "above_credit_limit", "check": "continuous", "alert_account": "fired", "seen": seen_at[1],
    }  # fmt: skip
    assert (await stella.post("/monitor/1", **form)).status == 303
    assert "Of Ada" not in seen(await ada.get("/alerts"))
    assert (await ada.post("/alerts/state", delete="1")).status == 404


@pytest.mark.parametrize("name", ["stella", "olga", "agnes", "axel"])
async def test_alerts_are_for_customers(web: WebSite, name: str) -> None:
    other = await web.visitor(name)
    await other.get("/alerts", status=404)
    assert (await other.post("/alerts", **ALERT)).status == 404
