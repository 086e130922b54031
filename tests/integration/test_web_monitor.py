"""Monitor and control, orders, bars, payments and the audit log in the hands of staff: without script, a real store."""

import csv
import io
import re
from collections.abc import AsyncIterator, Sequence
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from access.orders import State
from control.control_room import ControlRoom
from control.events import preview
from rating.store.batch import Row
from tests.builders import a_batch, cdr_json, lines_csv
from tests.integration.web_site import ADA, ADAS_LINE, BOB, BOBS_LINE, Visitor, WebSite, opened

FORM = {
    "name": "Dear calls", "scope": "numbers", "numbers": ADA, "measure.1": "charge", "period.1": "bill-cycle",
    "comparison.1": "above", "value.1": "1", "check": "continuous", "alert_account": "fired",
    "services": "long-distance", "until": "cleared",
}  # fmt: skip

BOTH = {"service": "long-distance", "reason": "both", "do": "confirmed"}
"""A bar or a restore, as it is sent from the page that asks whether it is meant."""


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[WebSite]:
    async with opened(tmp_path) as site:
        rows = (f"{line},{account},Transcontinental,long-distance,sw1,,"
                for line, account in ((ADAS_LINE, ADA), (BOBS_LINE, BOB)))  # fmt: skip
        await site.store.import_lines(lines_csv(*rows))
        yield site


@pytest.fixture
async def stella(web: WebSite) -> Visitor:
    """Staff."""
    return await web.visitor("stella")


@pytest.fixture
def room(web: WebSite) -> ControlRoom:
    return web.site.room


def seen(page: str) -> str:
    """What a page says, without its marks."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


def value_of(page: str, name: str) -> str:
    found = re.search(rf'name="{re.escape(name)}"[^>]*? value="([^"]*)"', page)
    assert found, f"no input {name}"
    return unescape(found[1])


async def watched(web: WebSite, line: bytes) -> None:
    """A call, counted and looked at."""
    batch = a_batch(web.front.directory, line, source=web.sources["pop-nyc"], arrived_at=web.now)

    def count_and_watch(cx: Any, rows: Sequence[Row]) -> None:
        web.owner.counters.add(rows)
        web.acting.control.watch(cx, rows, web.now)

    await web.store.write(lambda: [batch], count_and_watch)


async def fire(web: WebSite, stella: Visitor, **changes: str) -> None:
    """Prescribe the event, and let a call come that it fires for."""
    assert (await stella.post("/monitor/new", **FORM | changes)).status == 303
    await watched(web, cdr_json(id="dear", duration=50_000))


async def test_an_event_is_made_with_the_form_and_listed_in_words(stella: Visitor) -> None:
    assert "No account events yet" in seen(await stella.get("/monitor"))
    said = seen(await stella.follow(await stella.post("/monitor/new", **FORM)))
    assert "Dear calls ✓ active" in said
    assert f"For account {ADA}: when the charge of a single call in a bill cycle is above 1" in said
    assert "bar long-distance until that is no longer so" in said
    assert "stella" in said


async def test_what_is_refused_is_said_in_place_and_what_was_typed_stays(room: ControlRoom, stella: Visitor) -> None:
    answer = await stella.post("/monitor/new", **FORM | {"value.1": "<much>", "name": 'A "name"'})
    page = await answer.text()
    assert answer.status == 200
    assert value_of(page, "value.1") == "<much>"
    assert value_of(page, "name") == 'A "name"'
    assert re.search(r'name="value\.1"[^>]*aria-invalid="true" aria-describedby="wrong"', page)
    assert "'<much>' is not a number that can be compared with" in seen(page)
    assert await room.events() == []


async def test_an_account_that_is_not_there_is_refused_at_its_input(room: ControlRoom, stella: Visitor) -> None:
    page = await (await stella.post("/monitor/new", **FORM | {"numbers": "4999"})).text()
    assert "there is no account 4999" in seen(page)
    assert re.search(r'<textarea name="numbers"[^>]*aria-invalid="true"', page)
    assert await room.events() == []


async def test_an_event_is_changed_as_it_was_seen_only(room: ControlRoom, web: WebSite, stella: Visitor) -> None:
    await stella.post("/monitor/new", **FORM)
    page = await stella.get("/monitor/1")
    assert value_of(page, "value.1") == "1"
    seen_at = value_of(page, "seen")
    web.now += 1
    assert (await stella.post("/monitor/1", **FORM | {"value.1": "7", "seen": seen_at})).status == 303
    changed = await room.event(1)
    assert changed is not None
    assert changed.definition.conditions[0].threshold.given == "7"  # type: ignore[union-attr]  # a Fixed one
    late = await stella.post("/monitor/1", **FORM | {"value.1": "9", "seen": seen_at})
    assert "somebody has changed the event since" in seen(await late.text())
    assert await room.event(1) == changed


async def test_an_event_too_rich_for_the_form_is_shown_and_changed_as_json(room: ControlRoom, stella: Visitor) -> None:
    rich = (
        '{"accounts": {"all": true}, "name": "Rich", "when": {"measure": "calls", "device": "7", "period": "day",'
        ' "above": 5}}'
    )
    assert (await stella.post("/monitor/new", json=rich)).status == 303
    page = await stella.get("/monitor/1")
    assert '"device": "7"' in seen(page)
    assert "more than the form has room for" in seen(page)
    answer = await stella.post("/monitor/1", json=rich.replace('"7"', "7"), seen=value_of(page, "seen"))
    said = seen(await answer.text())
    assert "when.device" in said
    assert '"device": 7' in said
    assert (await stella.post("/monitor/1", json=rich.replace("Rich", "R"), seen=value_of(page, "seen"))).status == 303
    assert [event.definition.name for event in await room.events()] == ["R"]


async def test_events_are_paused_resumed_and_deleted(room: ControlRoom, stella: Visitor) -> None:
    await stella.post("/monitor/new", **FORM)
    await stella.post("/monitor/new", **FORM | {"name": "Others"})
    both = [("id", "1"), ("id", "2")]
    paused = seen(await stella.follow(await stella.post("/monitor/state", *both, do="pause")))
    assert "2 account events are paused" in paused
    assert paused.count("! paused") == 2
    resumed = seen(await stella.follow(await stella.post("/monitor/state", ("id", "1"), do="resume")))
    assert "1 account event is active again" in resumed
    assert (resumed.count("✓ active"), resumed.count("! paused")) == (1, 1)
    await stella.post("/monitor/state", id="2", do="delete")
    assert "tick some" in seen(await (await stella.post("/monitor/state", do="delete")).text())
    assert len(await room.events()) == 1
    assert "No account events" in seen(await stella.follow(await stella.post("/monitor/state", id="1", do="delete")))
    await stella.get("/monitor/1", status=404)


PREVIEW = FORM | {"do": "preview", "measure.1": "charges", "value.1": "2.00", "services": "", "alert_account": ""}
"""Of what Ada has used already."""


@pytest.mark.parametrize("path", ["/monitor/new", "/monitor/1"])
async def test_what_would_have_fired_is_shown_below_the_form_and_nothing_is_made(
    room: ControlRoom, stella: Visitor, path: str
) -> None:
    await stella.post("/monitor/new", **FORM)
    answer = await stella.post(path, **PREVIEW)
    page = await answer.text()
    assert answer.status == 200
    assert (value_of(page, "value.1"), value_of(page, "name")) == ("2.00", "Dear calls")
    assert "Would have fired: 1 time, for 1 account" in seen(page)
    assert f"20 Nov 2026 14:07:31 {ADA} " in seen(page)
    assert "✓ yes charges everything bill cycle 1 Nov 2026 04:00 2.60 charges above 2.00" in seen(page)
    assert [event.definition.conditions[0].measure for event in await room.events()] == ["charge"]
    await stella.get(re.findall(rf'{ADA}</a></td>\s*<td><a href="([^"]+)"', page)[0])
    never = seen(await (await stella.post(path, **PREVIEW | {"value.1": "9000"})).text())
    assert "Would have fired: not once" in never
    segment = seen(await (await stella.post(path, **PREVIEW | {"scope": "segment", "segment": "gold"})).text())
    assert "It is on no account" in segment


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"value.1": "much"}, "It was not tried: 'much' is not a number"), ({"numbers": "4999"}, "no account 4999")],
)
async def test_what_cannot_be_tried_is_refused_in_place(stella: Visitor, changes: dict[str, str], words: str) -> None:
    page = await (await stella.post("/monitor/new", **PREVIEW | changes)).text()
    assert words in seen(page)
    assert 'id="preview"' not in page


async def test_a_bar_of_a_service_that_no_line_has_at_a_switch_is_warned_of(stella: Visitor) -> None:
    said = "no line has “nope” at a switch, so nothing of it is barred; at switches are long-distance."
    barring = FORM | {"services": "long-distance, nope"}
    tried = seen(await (await stella.post("/monitor/new", **PREVIEW | barring)).text())
    assert f"Not all of it has an effect: {said}" in tried
    assert f"Dear calls is saved, but {said}" in seen(await stella.follow(await stella.post("/monitor/new", **barring)))
    page = await stella.get("/monitor/1")
    assert f"Not all of it has an effect: {said}" in seen(page)
    mended = await stella.post("/monitor/1", **FORM, seen=value_of(page, "seen"))
    assert mended.headers["Location"] == "/monitor"
    assert "at a switch" not in seen(await stella.get("/monitor?warned=1"))
    assert "at a switch" not in seen(await stella.get("/monitor/1"))


async def test_a_preview_that_stops_early_says_where(stella: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview.PreviewRun.__init__, "__kwdefaults__", {"most_rows": 1, "elapsed_s": lambda: 0.0})
    page = seen(await (await stella.post("/monitor/new", **PREVIEW | {"scope": "all"})).text())
    assert "1 call of 0 accounts was looked at, of 2 accounts in all" in page
    assert "It stopped there: that is as many calls as are looked at once" in page


async def test_a_firing_is_shown_with_its_values_orders_and_alerts(web: WebSite, stella: Visitor) -> None:
    assert "Nothing fired yet" in seen(await stella.get("/firings"))
    await fire(web, stella)
    said = seen(await stella.get("/firings"))
    assert f"Dear calls Firing 1 on account {ADA}" in said
    assert "✓ yes charge everything bill cycle" in said
    assert "charge above 1.00" in said
    assert f"bar long-distance of {ADAS_LINE}" in said
    assert "email to ada@customers.example" in said
    assert "Nothing fired for this account" in seen(await stella.get(f"/firings?account={BOB}"))
    assert "never" not in seen(await stella.get("/monitor"))


async def test_an_account_says_what_is_barred_and_why(web: WebSite, stella: Visitor) -> None:
    assert "✕ barred" not in seen(await stella.get(f"/accounts/{ADA}"))
    await fire(web, stella)
    assert f"✕ barred long-distance of {ADAS_LINE} at sw1" in seen(await stella.get(f"/accounts/{ADA}"))
    assert "✕ barred" not in seen(await stella.get(f"/accounts/{BOB}"))


async def test_services_are_barred_and_restored_with_a_reason(room: ControlRoom, stella: Visitor) -> None:
    page = seen(await stella.get(f"/accounts/{BOB}/access"))
    assert f"{BOBS_LINE} long-distance sw1 ✓ free" in page
    assert "Nothing of this account is barred" in page
    asked = BOTH | {"reason": "stolen SIM"}
    page = seen(await stella.follow(await stella.post(f"/accounts/{BOB}/bar", **asked)))
    assert "1 order was planned" in page
    assert "… planned bar long-distance" in page
    assert "✕ barred stolen SIM (stella" in page
    (reason,) = await room.barred(BOB)
    assert reason.words == "stolen SIM"
    assert "No orders of this account" in seen(await stella.get(f"/accounts/{ADA}/access"))
    again = seen(await stella.follow(await stella.post(f"/accounts/{BOB}/bar", **asked)))
    assert "No order was needed" in again
    await stella.follow(await stella.post(f"/accounts/{BOB}/restore", **BOTH | {"reason": "found"}))
    assert await room.barred(BOB) == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"service": "long-distance", "reason": " "}, "say why"),
        ({"reason": "stolen"}, "no service is chosen"),
        ({"service": "telegrams", "reason": "stolen"}, "has no service telegrams"),
        ({"service": "long-distance", "reason": "x" * 501}, "longer than 500 characters"),
        ({"service": "telegrams", "reason": "stolen", "do": "confirmed"}, "has no service telegrams"),
    ],
)
async def test_a_bar_without_service_or_reason_is_refused_in_place(
    room: ControlRoom, stella: Visitor, fields: dict[str, str], words: str
) -> None:
    answer = await stella.post(f"/accounts/{BOB}/bar", **fields)
    page = await answer.text()
    assert answer.status == 200
    assert words in seen(page)
    assert value_of(page, "reason") == fields["reason"]
    assert (await room.barred(BOB), await room.orders()) == ([], [])


async def test_nothing_is_ticked_and_nothing_done_before_it_is_confirmed(room: ControlRoom, stella: Visitor) -> None:
    fresh = await stella.get(f"/accounts/{BOB}/access")
    assert 'value="long-distance"' in fresh
    assert " checked" not in fresh
    asked = {"service": "long-distance", "reason": "stolen <SIM>"}
    page = await (await stella.post(f"/accounts/{BOB}/bar", **asked)).text()
    said = seen(page)
    assert "Bar long-distance of Bob & Sons? Nothing is done yet" in said
    assert all(words in said for words in (BOB, "1 line", BOBS_LINE, "sw1", "stolen <SIM>", "“service suspended”"))
    assert (value_of(page, "service"), value_of(page, "reason")) == ("long-distance", "stolen <SIM>")
    back = await (await stella.post(f"/accounts/{BOB}/bar", **asked, do="change")).text()
    assert value_of(back, "reason") == "stolen <SIM>"
    assert re.search(r'value="long-distance" checked', back)
    assert (await room.barred(BOB), await room.orders()) == ([], [])
    await stella.post(f"/accounts/{BOB}/bar", **asked, do="confirmed")
    asks = seen(await (await stella.post(f"/accounts/{BOB}/restore", **asked)).text())
    assert f"Restore long-distance of Bob & Sons? Nothing is done yet. Account {BOB}" in asks
    assert "✕ barred stolen <SIM> (stella" in asks
    assert len(await room.barred(BOB)) == 1


async def test_orders_are_filtered_by_account_and_state(stella: Visitor) -> None:
    assert "No orders yet" in seen(await stella.get("/orders"))
    for account in (ADA, BOB):
        await stella.post(f"/accounts/{account}/bar", **BOTH)
    assert ADAS_LINE in seen(await stella.get("/orders"))
    only = seen(await stella.get(f"/orders?account={BOB}&state=planned"))
    assert BOBS_LINE in only
    assert ADAS_LINE not in only
    assert "No order matches" in seen(await stella.get("/orders?state=failed"))
    refused = seen(await stella.get("/orders?state=gone"))
    assert "there is no state “gone”: an order is planned, held, " in refused
    assert "Nothing is shown until that is mended." in refused
    assert ADAS_LINE not in refused


async def hold_all(web: WebSite) -> None:
    """As the breaker does."""
    await web.store.transact(lambda cx: cx.execute("UPDATE access_orders SET state = 'held', held_at = planned_at"))


async def test_held_orders_are_released_or_dropped_with_a_remark(
    web: WebSite, room: ControlRoom, stella: Visitor
) -> None:
    for account in (ADA, BOB):
        await stella.post(f"/accounts/{account}/bar", **BOTH)
    await hold_all(web)
    olga = await web.visitor("olga")
    assert "Held: 2 wait for somebody to look" in seen(await olga.get("/orders"))
    refused = await (await olga.post("/orders/drop", id="1", remark="")).text()
    assert "an order is not dropped without a remark" in seen(refused)
    assert re.search(r'value="1"[^>]* checked', refused)
    assert "no order is chosen" in seen(await (await olga.post("/orders/release")).text())
    assert "a remark is for dropping" in seen(await (await olga.post("/orders/release", id="1", remark="no")).text())
    assert {order.state for order in await room.orders()} == {State.HELD}
    assert "dropped by olga: a mistake" in seen(
        await olga.follow(await olga.post("/orders/drop", id="1", remark="a mistake"))
    )
    assert await room.barred(ADA) == []
    assert "Held:" not in seen(await olga.follow(await olga.post("/orders/release", all="yes")))
    assert [order.state for order in await room.orders()] == [State.PLANNED, State.CANCELLED]


async def fail_all(web: WebSite, state: State = State.FAILED) -> None:
    """As when a switch has refused too often."""
    sql = "UPDATE access_orders SET state = ?, next_at = NULL, words = 'no such line'"
    await web.store.transact(lambda cx: cx.execute(sql, (state,)).rowcount)


@pytest.mark.parametrize("state", [State.FAILED, State.UNKNOWN])
async def test_an_order_that_came_to_nothing_is_tried_again(
    web: WebSite, room: ControlRoom, stella: Visitor, state: State
) -> None:
    await stella.post(f"/accounts/{BOB}/bar", **BOTH)
    assert "Try again" not in seen(await stella.get("/orders"))
    await fail_all(web, state)
    olga = await web.visitor("olga")
    assert f"{state} Try again bar long-distance" in seen(await olga.get("/orders"))
    page = seen(await olga.follow(await olga.post("/orders/1/retry", account=BOB, state="confirmed")))
    assert "Order 1 is tried again" in page
    assert "No order matches" in page
    (order,) = await room.orders()
    assert order.next_at == web.now
    assert "olga retry order order 1" in seen(await stella.get("/audit"))


async def test_an_order_is_tried_again_on_the_page_of_its_account(web: WebSite, stella: Visitor) -> None:
    await stella.post(f"/accounts/{BOB}/bar", **BOTH)
    await fail_all(web)
    page = await stella.get(f"/accounts/{BOB}/access")
    assert "✕ failed Try again" in seen(page)
    assert value_of(page, "brief") == "yes"
    after = seen(await stella.follow(await stella.post("/orders/1/retry", brief="yes")))
    assert f"Bar or restore services of Bob & Sons Account {BOB}" in after
    assert "Order 1 is tried again" in after
    assert "… planned bar" in after


async def test_an_order_that_is_not_to_be_tried_again_says_why(web: WebSite, stella: Visitor) -> None:
    await stella.post(f"/accounts/{BOB}/bar", **BOTH)
    said = seen(await (await stella.post("/orders/1/retry")).text())
    assert "Nothing was sent: order 1 is planned" in said
    assert (await stella.post("/orders/99/retry")).status == 404
    assert (await (await web.visitor("axel")).post("/orders/1/retry")).status == 404


async def test_a_payment_is_recorded_once_however_often_its_form_is_sent(web: WebSite, stella: Visitor) -> None:
    await watched(web, cdr_json(id="dear", duration=50_000))
    key = value_of(await stella.get(f"/accounts/{ADA}/payments"), "key")
    form = {"amount": "12.50", "remark": "cheque 7", "key": key}
    for _ in range(2):
        page = await stella.follow(await stella.post(f"/accounts/{ADA}/payments", **form))
        assert "Entry 1: a payment of 12.50 USD is recorded" in seen(page)
    assert len(await web.site.room.ledger.entries(ADA, limit=10)) == 1
    other = seen(await (await stella.post(f"/accounts/{ADA}/payments", **form | {"amount": "13"})).text())
    assert "this form has recorded another payment already" in other
    assert "recorded" not in seen(await stella.get(f"/accounts/{BOB}?paid=1"))


@pytest.mark.parametrize("amount", ["-5", "many", "0", "99999999", "1,000"])
async def test_a_payment_that_cannot_be_is_refused_in_place(web: WebSite, stella: Visitor, amount: str) -> None:
    page = await (await stella.post(f"/accounts/{ADA}/payments", amount=amount, remark="r", key="k")).text()
    assert re.search(r'name="amount"[^>]*aria-invalid="true" aria-describedby="wrong"', page)
    assert (value_of(page, "amount"), value_of(page, "remark"), value_of(page, "key")) == (amount, "r", "k")
    assert await web.site.room.ledger.entries(ADA, limit=10) == []


async def test_the_audit_log_tells_who_did_what_and_why(web: WebSite, stella: Visitor) -> None:
    await stella.post(f"/accounts/{BOB}/bar", **BOTH | {"reason": "=stolen"})
    axel = await web.visitor("axel")
    page = await axel.get("/audit")
    assert f"stella bar account {BOB} long-distance: =stolen" in seen(page)
    assert page.index("=stolen") < page.index("add user")
    rows = list(csv.reader(io.StringIO(await axel.get("/audit.csv"))))
    assert rows[0] == ["id", "at", "actor", "action", "subject", "detail"]
    assert ["stella", "bar", f"account {BOB}"] in [row[2:5] for row in rows]


async def test_the_audit_log_goes_on_by_key(web: WebSite) -> None:
    sql = "INSERT INTO audit_log VALUES (?, 0, '=cmd', 'do', 'it', '')"
    await web.store.transact(lambda cx: cx.executemany(sql, [(n,) for n in range(1_001, 1_151)]).rowcount)
    axel = await web.visitor("axel")
    first = await axel.get("/audit")
    onwards = re.search(r'rel="next" href="([^"]+)"', first)
    assert onwards
    assert " 1053 " in seen(first)
    assert " 1053 " not in seen(await axel.get(unescape(onwards[1])))
    rows = list(csv.reader(io.StringIO(await axel.get("/audit.csv"))))
    assert [int(row[0]) for row in rows[1:]] == sorted((int(row[0]) for row in rows[1:]), reverse=True)
    assert "'=cmd" in {row[2] for row in rows}


async def noted(web: WebSite) -> Visitor:
    """An auditor; what two people did on three days is in the log."""
    days = (0, 86_400_000_000, 86_399_999_999)
    rows = [(2_000 + n, at, "zoe" if n else "zack", "bar", f"account {n}", "Why NOT") for n, at in enumerate(days)]
    sql = "INSERT INTO audit_log VALUES (?, ?, ?, ?, ?, ?)"
    await web.store.transact(lambda cx: cx.executemany(sql, rows).rowcount)
    return await web.visitor("axel")


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("who=zoe", {2001, 2002}),
        ("who=zo", set()),
        ("words=why+ACCOUNT", {2000, 2001, 2002}),
        ("words=why+account+1", {2001}),
        ("words=100%25", set()),
        ("from=1970-01-01&to=1970-01-01", {2000, 2002}),
        ("from=1970-01-02&to=1970-01-02", {2001}),
        ("who=zoe&to=1970-01-01&words=bar", {2002}),
        ("who=zoe&before=2002", {2001}),
    ],
)
async def test_the_audit_log_is_filtered_on_the_page_and_as_csv(web: WebSite, query: str, wanted: set[int]) -> None:
    axel = await noted(web)
    page = await axel.get(f"/audit?{query}")
    assert {int(number) for number in re.findall(r'<td class="amount">(\d+)</td>', page)} == wanted
    assert ("No entry matches" in seen(page)) == (not wanted)
    link = re.search(r'href="(/audit\.csv[^"]*)"', page)
    assert link
    rows = list(csv.reader(io.StringIO(await axel.get(unescape(link[1])))))
    if "before" not in query:
        assert {int(row[0]) for row in rows[1:]} == wanted


async def test_a_day_that_is_none_is_refused_in_place(web: WebSite) -> None:
    axel = await noted(web)
    for query, words in (
        ("from=yesterday", "“yesterday” is not a day"),
        ("to=0001-01-01", "has nothing of that year"),
        ("from=1970-01-02&to=1970-01-01", "the last day is before the first one"),
    ):
        page = await axel.get(f"/audit?{query}")
        assert words in seen(page)
        name = query.partition("=")[0]
        assert re.search(rf'name="{name}"[^>]* value="{parse_qs(query)[name][0]}"', page)
        assert (await axel.client.get(f"/audit.csv?{query}", allow_redirects=False)).status == 303


@pytest.mark.parametrize("path", ["/monitor/99", "/monitor/x", "/accounts/4999/access", "/accounts/4999/payments"])
async def test_what_is_not_there_is_not_found(stella: Visitor, path: str) -> None:
    await stella.get(path, status=404)
