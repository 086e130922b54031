"""Account events, firings, orders, bars and payments through the API, on a real store."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from access import planning
from control import bars
from control.users import Role
from tests.builders import accounts_csv
from tests.integration.web_control import EVENT, acted_on, with_switches
from tests.integration.web_site import ADA, ADAS_LINE, BOB, Visitor, WebSite, opened

EVENTS, PAY = "/api/v1/account-events", f"/api/v1/accounts/{ADA}/payments"
DUE = "2.618"
PAYABLE = "2.62"
"""What a bill of it would come to."""
"""Ada's total due: what she has used."""


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[WebSite]:
    async with opened(tmp_path) as site:
        await with_switches(site)
        yield site


@pytest.fixture
async def staff(web: WebSite) -> Visitor:
    return await web.program(Role.STAFF)


@pytest.fixture
async def ada(web: WebSite) -> Visitor:
    """A customer's program."""
    return await web.program(Role.CUSTOMER, ADA)


@pytest.fixture
async def operator(web: WebSite) -> Visitor:
    return await web.program(Role.OPERATOR)


async def call(visitor: Visitor, method: str, path: str, body: object = None, status: int = 200) -> Any:
    data = None if body is None else json.dumps(body).encode()
    answer = await visitor.client.request(method, path, data=data)
    assert answer.status == status, await answer.text()
    return json.loads(await answer.read())


def paid_micros(web: WebSite) -> int:
    return -web.acting.room.ledger.balances.owed(ADA)


@pytest.mark.parametrize(
    ("path", "roles"),
    [
        (EVENTS, {Role.STAFF}),
        ("/api/v1/firings", {Role.STAFF, Role.OPERATOR, Role.CUSTOMER}),
        ("/api/v1/access-orders", {Role.STAFF, Role.OPERATOR}),
        ("/api/v1/alerts", {Role.STAFF}),
        (PAY, {Role.STAFF, Role.CUSTOMER}),
    ],
)
async def test_a_role_that_may_not_use_a_route_is_told_so(web: WebSite, path: str, roles: set[Role]) -> None:
    for role in Role:
        program = await web.program(role, ADA if role is Role.CUSTOMER else None)
        await program.json(path, status=200 if role in roles else 403)


# Account events.


async def test_an_event_is_made_where_its_location_says_and_reads_as_it_was_written(staff: Visitor) -> None:
    answer = await staff.client.post(EVENTS, data=json.dumps(EVENT).encode())
    assert (answer.status, answer.headers["Location"]) == (201, f"{EVENTS}/1")
    made = json.loads(await answer.read())
    assert (made["id"], made["state"], made["created_by"]) == (1, "active", "token:a program of staff")
    assert {key: made[key] for key in EVENT} == EVENT
    assert await staff.json(f"{EVENTS}/1") == made
    assert (await staff.json(EVENTS)) == {"items": [made], "next": None}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"when": {"any": [EVENT["when"], {**EVENT["when"], "above": "-1"}]}}, "when.any[1].above: '-1' is not"),
        ({"when": {**EVENT["when"], "serivce": "x"}}, "when.serivce: unknown key"),
        ({"respond": [{"do": "bar", "services": []}]}, "respond[0].services: is empty"),
        ({"accounts": {"numbers": ["1"]}}, "accounts.numbers: there is no account 1"),
        ({"name": None}, "name: is missing"),
        ({"id": 5}, "id: unknown key"),
    ],
)
async def test_what_is_wrong_with_an_event_is_named_by_its_path(
    staff: Visitor, change: dict[str, Any], words: str
) -> None:
    await call(staff, "POST", EVENTS, EVENT, status=201)
    for method, path in (("POST", EVENTS), ("PUT", f"{EVENTS}/1")):
        problem = await call(staff, method, path, {**EVENT, **change}, status=422)
        assert problem["detail"].startswith(words)
    assert [event["name"] for event in (await staff.json(EVENTS))["items"]] == ["Unusual use"]


async def test_an_event_is_changed_by_what_was_read_and_says_no_other_state(staff: Visitor) -> None:
    made = await call(staff, "POST", EVENTS, EVENT, status=201)
    changed = await call(staff, "PUT", f"{EVENTS}/1", made | {"name": "Any use"})
    assert (changed["name"], changed["state"]) == ("Any use", "active")
    assert (
        "state: unknown key" in (await call(staff, "PUT", f"{EVENTS}/1", changed | {"state": "paused"}, 422))["detail"]
    )


async def test_an_event_is_paused_taken_up_and_deleted(staff: Visitor) -> None:
    await call(staff, "POST", EVENTS, EVENT, status=201)
    for path, state in (("/1/pause", "paused"), ("/1/pause", "paused"), ("/1/resume", "active")):
        assert (await call(staff, "POST", EVENTS + path))["state"] == state
        assert (await staff.json(f"{EVENTS}/1"))["state"] == state
    assert (await call(staff, "DELETE", f"{EVENTS}/1"))["state"] == "deleted"
    assert (await staff.json(EVENTS))["items"] == []
    for method, path, body in (
        ("GET", "/1", None), ("PUT", "/1", EVENT), ("DELETE", "/1", None), ("POST", "/1/pause", None),
        ("POST", "/1/resume", None), ("GET", "/7", None),
    ):  # fmt: skip
        await call(staff, method, EVENTS + path, body, status=404)


async def test_an_event_that_is_sent_again_with_its_key_is_made_once(staff: Visitor) -> None:
    for _ in range(2):
        made = await staff.send(EVENTS, EVENT, status=201, **{"Idempotency-Key": "once"})
        assert made["id"] == 1
    await staff.send(EVENTS, EVENT | {"name": "other"}, status=422, **{"Idempotency-Key": "once"})
    over = await staff.send(EVENTS, EVENT | {"check": {"once": "2020-12-01T00:00:00Z"}}, status=422)
    assert "is over: write an instant to come" in over["detail"]
    assert len((await staff.json(EVENTS))["items"]) == 1


async def test_events_go_on_by_key(staff: Visitor) -> None:
    for name in ("a", "b", "c"):
        await call(staff, "POST", EVENTS, EVENT | {"name": name}, status=201)
    found, after = [], ""
    for _ in range(3):
        page = await staff.json(f"{EVENTS}?limit=1&after={after}")
        found += [event["name"] for event in page["items"]]
        after = page["next"]
    assert (found, after) == (["a", "b", "c"], None)


async def test_what_an_event_would_have_fired_for_is_told_and_nothing_is_made(staff: Visitor) -> None:
    told = await staff.send(f"{EVENTS}/preview", EVENT)
    (one,) = told["items"]
    keys = ("count", "fired_for", "accounts", "looked_at", "stopped")
    assert [told[key] for key in keys] == [1, 1, 1, 1, None]
    assert (one["account"], one["threshold"], one["trace"][0]["value"]) == (ADA, "charges above 2.00", "2.60")
    assert (one["at"], one["period_start"]) == ("2026-11-20T14:07:31Z", "2026-11-01T04:00:00Z")
    assert (await staff.json(f"/api/v1/transactions/{one['transaction']}"))["transaction"]["account"] == ADA
    assert (told["since"], told["until"]) == ("2026-08-20T15:00:00Z", "2026-11-20T15:00:00Z")
    assert (await staff.json(EVENTS), (await staff.json("/api/v1/firings"))["items"]) == (
        {"items": [], "next": None},
        [],
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"when": {**EVENT["when"], "above": "-1"}}, "when.above: '-1' is not"),
        ({"accounts": {"numbers": ["1"]}}, "accounts.numbers: there is no account 1"),
    ],
)
async def test_what_is_wrong_with_an_event_to_be_tried_is_named(
    staff: Visitor, operator: Visitor, change: dict[str, Any], words: str
) -> None:
    assert (await staff.send(f"{EVENTS}/preview", {**EVENT, **change}, status=422))["detail"].startswith(words)
    await operator.send(f"{EVENTS}/preview", EVENT, status=403)


async def test_a_bar_of_a_service_that_no_line_has_at_a_switch_is_made_and_warned_of(staff: Visitor) -> None:
    barring = EVENT | {"respond": [{"do": "bar", "services": ["nope", "voice-mail", "nope"], "until": "cleared"}]}
    there = "at switches are long-distance, voice-mail"
    said = [f"no line has “nope” at a switch, so nothing of it is barred; {there}"]
    assert (await staff.send(f"{EVENTS}/preview", barring))["warnings"] == said
    made = await call(staff, "POST", EVENTS, barring, status=201)
    assert made["warnings"] == said
    assert "warnings" not in await staff.json(f"{EVENTS}/1")
    changed = await call(staff, "PUT", f"{EVENTS}/1", made | {"respond": EVENT["respond"]})
    assert "warnings" not in changed
    assert (await staff.send(f"{EVENTS}/preview", EVENT))["warnings"] == []


# What they did.


async def test_what_fired_is_listed_with_its_orders_and_alerts(
    web: WebSite, staff: Visitor, operator: Visitor, ada: Visitor
) -> None:
    await call(staff, "POST", EVENTS, EVENT, status=201)
    (firing,) = (await staff.json(f"/api/v1/firings?account={ADA}"))["items"]
    assert (firing["event"], firing["account"], firing["threshold"], firing["late"]) == (
        1, ADA, "charges above 2.00", False,
    )  # fmt: skip
    assert firing["trace"][0]["value"] == DUE
    assert (await operator.json("/api/v1/firings"))["items"] == [firing]
    assert (await ada.json("/api/v1/firings"))["items"] == [firing | {"trace": None}]
    (order,) = (await operator.json(f"/api/v1/access-orders?account={ADA}&state=planned,held"))["items"]
    assert (order["action"], order["switch"], order["line"], order["service"], order["state"], order["cause"]) == (
        "bar", "lax", ADAS_LINE, "long-distance", "planned", f"firing {firing['id']}",
    )  # fmt: skip
    assert order["due_at"] is not None
    assert order["sent_at"] is order["confirmed_at"] is None
    (alert,) = (await staff.json(f"/api/v1/alerts?account={ADA}"))["items"]
    assert (alert["medium"], alert["recipient"], alert["about"], alert["state"]) == (
        "email", "ada@customers.example", "fired", "waiting",
    )  # fmt: skip
    for path in ("firings", "access-orders", "alerts"):
        assert (await staff.json(f"/api/v1/{path}?account={BOB}"))["items"] == []
    assert (await staff.json("/api/v1/access-orders?state=confirmed"))["items"] == []


async def test_a_customer_sees_no_firing_of_another_whatever_is_asked(web: WebSite, staff: Visitor) -> None:
    await call(staff, "POST", EVENTS, EVENT, status=201)
    bob = await web.program(Role.CUSTOMER, BOB)
    for query in ("", f"?account={ADA}", f"?account={BOB}", "?account="):
        assert await bob.json(f"/api/v1/firings{query}") == {"items": [], "next": None}


async def test_a_state_that_no_order_has_is_refused(staff: Visitor) -> None:
    assert "planned, held" in (await staff.json("/api/v1/access-orders?state=gone", status=422))["detail"]


async def test_services_are_barred_and_restored_by_hand(web: WebSite, staff: Visitor, ada: Visitor) -> None:
    one = f"/api/v1/accounts/{ADA}"
    barred = await staff.send(f"{one}/bar", {"services": ["voice-mail"], "reason": "asked for"}, status=202)
    assert [(order["action"], order["service"]) for order in barred["items"]] == [("bar", "voice-mail")]
    said = {"line": ADAS_LINE, "service": "voice-mail", "switch": "lax", "since": barred["items"][0]["planned_at"]}
    assert (await ada.json(one))["barred"] == [said]
    assert (await staff.json("/api/v1/accounts"))["items"][0]["barred"] == [said]
    web.now += 1_000_000
    await staff.send(f"{one}/bar", {"reason": "everything"}, status=202)
    both = (await ada.json(one))["barred"]
    assert [row["service"] for row in both] == ["voice-mail", "long-distance"]
    assert both[0] == said, "since the first of its reasons"
    await staff.send(f"{one}/restore", {"reason": "by mistake"}, status=202)
    assert (await ada.json(one))["barred"] == []
    states = {order["state"] for order in (await staff.json("/api/v1/access-orders"))["items"]}
    assert states == {"cancelled"}


@pytest.mark.parametrize("act", ["bar", "restore"])
async def test_a_bar_that_means_nothing_is_refused_in_words(staff: Visitor, act: str) -> None:
    for account, body, status, words in (
        (ADA, {"services": ["telepathy"], "reason": "x"}, 422, "no service telepathy"),
        (ADA, {"services": ["voice-mail"]}, 422, "reason"),
        (ADA, {"services": ["voice-mail"], "reason": ""}, 422, "reason"),
        ("1", {"reason": "x"}, 404, ""),
    ):
        problem = await staff.send(f"/api/v1/accounts/{account}/{act}", body, status=status)
        assert words in problem["detail"]


async def held_order(web: WebSite, staff: Visitor) -> int:
    """A bar that the breaker holds."""
    made = await staff.send(f"/api/v1/accounts/{ADA}/bar", {"services": ["voice-mail"], "reason": "x"}, status=202)
    number: int = made["items"][0]["id"]
    await web.store.transact(lambda cx: planning.hold(cx, [number], "too many", web.now))
    return number


async def test_operators_release_what_is_held_once(web: WebSite, staff: Visitor, operator: Visitor) -> None:
    number = await held_order(web, staff)
    (held,) = (await operator.json("/api/v1/access-orders?state=held"))["items"]
    assert (held["id"], held["held_at"] is not None) == (number, True)
    done = await operator.send("/api/v1/access-orders/release", {"ids": [number], "remark": "looked at"})
    assert [(order["id"], order["state"]) for order in done["items"]] == [(number, "planned")]
    assert "looked at" in done["items"][0]["words"]
    await operator.send("/api/v1/access-orders/release", {"ids": [number, 99]}, status=409)


async def test_what_is_dropped_stays_free(web: WebSite, staff: Visitor, operator: Visitor) -> None:
    number = await held_order(web, staff)
    await operator.send("/api/v1/access-orders/drop", {"ids": [number]}, status=422)
    done = await operator.send("/api/v1/access-orders/drop", {"ids": [number], "remark": "a mistake"})
    assert [(order["id"], order["state"]) for order in done["items"]] == [(number, "cancelled")]
    assert await web.store.read(bars.open_of_account, ADA) == []
    await operator.send("/api/v1/access-orders/drop", {"ids": [number], "remark": "again"}, status=409)


async def test_operators_have_an_order_tried_again_that_failed(
    web: WebSite, staff: Visitor, operator: Visitor, ada: Visitor
) -> None:
    made = await staff.send(f"/api/v1/accounts/{ADA}/bar", {"services": ["voice-mail"], "reason": "x"}, status=202)
    path = f"/api/v1/access-orders/{made['items'][0]['id']}/retry"
    assert "is planned" in (await operator.send(path, b"", status=409))["detail"]
    await web.store.transact(
        lambda cx: cx.execute("UPDATE access_orders SET state = 'failed', next_at = NULL").rowcount
    )
    again = await operator.send(path, b"")
    assert (again["state"], "token:a program of operator" in again["words"]) == ("planned", True)
    assert (await operator.json("/api/v1/access-orders?state=planned"))["items"] == [again]
    await operator.send("/api/v1/access-orders/99/retry", b"", status=404)
    await ada.send(path, b"", status=403)


# Payments.


async def test_a_payment_pays_the_total_due_unless_it_is_less(web: WebSite, staff: Visitor, ada: Visitor) -> None:
    assert await staff.send(PAY, {"amount": "1.5", "remark": "cash"}, status=202) == {"payment": 1, "state": "accepted"}
    account = await ada.json(f"/api/v1/accounts/{ADA}")
    keys = ("exposure", "unbilled", "balance_due", "left")
    assert [account[key] for key in keys] == ["1.118", DUE, "-1.50", "2498.882"]
    assert await staff.send(PAY, {}, status=202) == {"payment": 2, "state": "accepted"}
    assert (await ada.json(f"/api/v1/accounts/{ADA}"))["exposure"] == "-0.002", "no bill comes to that"
    mine = (await ada.json(PAY))["items"]
    assert [(one["payment"], one["kind"], one["amount"], one["currency"]) for one in mine] == [
        (2, "payment", "1.12", "USD"), (1, "payment", "1.50", "USD"),
    ]  # fmt: skip
    assert [(one["by"], one["remark"]) for one in mine] == [(None, ""), (None, "cash")]
    assert (await staff.json(f"{PAY}?limit=1"))["items"][0]["by"] == "token:a program of staff"
    assert (await staff.json(f"{PAY}?limit=1&after=2"))["items"][0]["payment"] == 1


async def refused(staff: Visitor, body: object) -> tuple[str, str]:
    """Reason and type of a payment's refusal."""
    answer = await staff.client.post(PAY, data=json.dumps(body).encode())
    assert answer.status == 409, await answer.text()
    return json.loads(await answer.read())["reason"], answer.content_type


async def test_what_is_not_due_is_not_taken(web: WebSite, staff: Visitor) -> None:
    for body in ({"amount": "2.63"}, {"amount": "999999"}):
        assert await refused(staff, body) == ("over-amount", "application/problem+json")
    assert paid_micros(web) == 0
    await staff.send(PAY, {"amount": PAYABLE}, status=202)
    for body in ({}, {"amount": "0.01"}):
        assert await refused(staff, body) == ("zero-balance", "application/problem+json")
    await web.acting.room.ledger.credit(ADA, 1_000_000, "USD", actor="test", key="goodwill")
    for body in ({}, {"amount": "0.01"}):
        assert await refused(staff, body) == ("credit-balance", "application/problem+json")
    assert len((await staff.json(PAY))["items"]) == 2


async def test_payments_at_one_time_take_what_is_due_once(web: WebSite, staff: Visitor) -> None:
    answers = await asyncio.gather(*(staff.client.post(PAY, data=b'{"amount":"2.00"}') for _ in range(6)))
    assert sorted(answer.status for answer in answers) == [202, 409, 409, 409, 409, 409]
    assert paid_micros(web) == 2_000_000


@pytest.mark.parametrize("body", [{}, {"amount": PAYABLE}, {"amount": "1.00", "currency": "USD", "remark": "x"}])
async def test_a_key_pays_once_even_where_no_answer_was_kept(web: WebSite, staff: Visitor, body: object) -> None:
    """Another caller has no kept answers, as a daemon that was started again."""
    key = {"Idempotency-Key": "pay-once"}
    first = await staff.send(PAY, body, status=202, **key)
    assert await staff.send(PAY, body, status=202, **key) == first
    stella = await web.visitor("stella")
    assert await stella.send(PAY, body, status=202, **key) == first
    for visitor in (staff, stella):
        await visitor.send(PAY, {"amount": "0.50"}, status=422, **key)
    assert len((await staff.json(PAY))["items"]) == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"amount": "0"}, "must be above zero"),
        ({"amount": "-1"}, "amount: '-1' is not an amount"),
        ({"amount": "1e3"}, "amount:"),
        ({"amount": 12.5}, "amount:"),
        ({"amount": DUE}, "more decimals than USD has: write at most 2"),
        ({"amount": "1.00", "currency": "EUR"}, "kept in USD"),
        ({"amount": "1.00", "remark": "two\nlines"}, "remark:"),
        ({"amount": 5}, 'amount: an amount is a decimal in quotes: write it as "5.00"'),
        ({"amonut": "1.00"}, "there is no field"),
    ],
)
async def test_a_payment_that_means_nothing_is_refused_in_words(
    web: WebSite, staff: Visitor, body: object, words: str
) -> None:
    assert words in (await staff.send(PAY, body, status=422))["detail"]
    assert paid_micros(web) == 0


async def test_a_payment_takes_the_reason_of_a_bar_away(web: WebSite, staff: Visitor) -> None:
    ada = f"{ADA},Ada Lovelace,,USD,America/New_York,1.00,standard,,1"
    await web.store.import_accounts(accounts_csv(ada), web.now)
    await with_switches(web)
    over = {"measure": "charges", "above_credit_limit": True}
    await call(staff, "POST", EVENTS, EVENT | {"when": over}, status=201)
    one = f"/api/v1/accounts/{ADA}"
    assert [row["service"] for row in (await staff.json(one))["barred"]] == ["long-distance"]
    await staff.send(PAY, {"amount": "1.00"}, status=202)
    assert len((await staff.json(one))["barred"]) == 1, "it is over the limit still"
    await staff.send(PAY, {"amount": "0.62"}, status=202)
    assert (await staff.json(one))["barred"] == []


async def test_an_account_that_is_acted_on_has_one_of_each(web: WebSite, staff: Visitor) -> None:
    await acted_on(web)
    for path in (EVENTS, "/api/v1/firings", "/api/v1/access-orders", "/api/v1/alerts", PAY):
        assert len((await staff.json(path))["items"]) == 1, path
