"""The API on a real store: who may see what, paging, refusals in words, and calls that are sent again."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from control.users import Role
from tests.builders import accounts_csv, cdr_json
from tests.integration.web_site import ADA, ADAS_LINE, BOB, POP_TOKEN, STRANGER, Visitor, WebSite, opened


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[WebSite]:
    async with opened(tmp_path) as site:
        yield site


@pytest.fixture
async def staff(web: WebSite) -> Visitor:
    return await web.program(Role.STAFF)


@pytest.fixture
async def ada(web: WebSite) -> Visitor:
    """A customer's program."""
    return await web.program(Role.CUSTOMER, ADA)


def ids(page: Any) -> list[str]:
    return [item["id"] for item in page["items"]]


ALL_UNKNOWN = {"reason": "unknown-line"}


@pytest.mark.parametrize(
    ("path", "roles"),
    [
        ("/api/v1/session", set(Role)),
        ("/api/v1/transactions", {Role.STAFF, Role.CUSTOMER}),
        ("/api/v1/accounts", {Role.STAFF}),
        (f"/api/v1/accounts/{ADA}", {Role.STAFF, Role.CUSTOMER}),
        (f"/api/v1/accounts/{ADA}/lines", {Role.STAFF, Role.CUSTOMER}),
        ("/api/v1/suspense", {Role.STAFF}),
        ("/api/v1/suspense/1", {Role.STAFF}),
        ("/api/v1/feeds", {Role.STAFF, Role.OPERATOR}),
        ("/api/v1/users", {Role.STAFF}),
        ("/api/v1/audit", {Role.STAFF, Role.AUDITOR}),
    ],
)
async def test_a_role_that_may_not_use_a_route_is_told_so(web: WebSite, path: str, roles: set[Role]) -> None:
    for role in Role:
        program = await web.program(role, ADA if role is Role.CUSTOMER else None)
        await program.json(path, status=200 if role in roles else 403)


async def test_a_token_that_nobody_has_is_refused(web: WebSite) -> None:
    visitor = await web.visitor(Authorization="Bearer tk_none")
    answer = await visitor.client.get("/api/v1/session")
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


async def test_a_page_in_a_browser_may_call_it_with_its_session(web: WebSite) -> None:
    stella = await web.visitor("stella")
    assert (await stella.json("/api/v1/session"))["via"] == "session"
    await stella.send("/api/v1/suspense/recycle", ALL_UNKNOWN)
    stella.csrf = "forged"
    await stella.send("/api/v1/suspense/recycle", ALL_UNKNOWN, status=403)


async def test_somebody_elses_account_and_calls_do_not_exist(ada: Visitor) -> None:
    await ada.json(f"/api/v1/accounts/{BOB}", status=404)
    await ada.json(f"/api/v1/accounts/{BOB}/lines", status=404)
    await ada.json("/api/v1/transactions/3", status=404)
    assert (await ada.json("/api/v1/transactions/1"))["transaction"]["id"] == "ada-1"
    assert sorted(ids(await ada.json("/api/v1/transactions"))) == ["ada-1", "ada-2"]


async def test_an_account_has_its_money_as_decimals(ada: Visitor, staff: Visitor) -> None:
    account = await ada.json(f"/api/v1/accounts/{ADA}")
    keys = ("credit_limit", "exposure", "unbilled", "balance_due", "left", "barred")
    assert [account[key] for key in keys] == ["2500.00", "2.618", "2.618", "0.00", "2497.382", []]
    bob = await staff.json(f"/api/v1/accounts/{BOB}")
    assert (bob["credit_limit"], bob["left"]) == (None, None)


async def test_a_search_answers_rows_totals_and_a_sentence(staff: Visitor) -> None:
    page = await staff.json("/api/v1/transactions?column=charge&op=%3E&value=1")
    assert ids(page) == ["bob-1", "ada-1"]
    assert page["items"][0]["charge"] == "2.6000"
    assert page["totals"] == {"count": 2, "duration_s": "122.000000", "charges": {"USD": "5.200000"}}
    assert "2 calls" in page["sentence"]


async def test_lists_go_on_by_key(staff: Visitor, ada: Visitor) -> None:
    for visitor, path, key, expected in (
        (staff, "/api/v1/transactions?", "id", ["bob-1", "ada-2", "ada-1"]),
        (ada, "/api/v1/transactions?sort=charge&", "id", ["ada-2", "ada-1"]),
        (staff, "/api/v1/accounts?", "account", [ADA, BOB]),
        (staff, "/api/v1/suspense?", "id", [1, 2, 3, 4, 5]),
        (staff, "/api/v1/users?", "name", ["ada", "agnes", "axel", "bob", "olga", "stella"]),
        (staff, f"/api/v1/accounts/{ADA}/lines?", "line", [ADAS_LINE]),
    ):
        found, after = [], ""
        for _ in expected:
            page = await visitor.json(f"{path}limit=1&after={after}")
            found += [item[key] for item in page["items"]]
            after = page["next"] or ""
        assert (found, after) == (expected, ""), path


async def test_an_account_that_was_imported_just_now_is_a_key_already(web: WebSite, staff: Visitor) -> None:
    """A page may end with one that the directory does not have yet."""
    await web.store.import_accounts(accounts_csv("4999,Nora,,USD,UTC,,,,1"), web.now)
    assert "4999" not in web.front.directory.accounts
    assert (await staff.json("/api/v1/accounts?after=4999"))["items"] == []


async def test_the_audit_log_is_read_backwards(web: WebSite) -> None:
    axel = await web.program(Role.AUDITOR)
    first = await axel.json("/api/v1/audit?limit=1")
    assert first["items"][0]["action"] == "add token"
    second = await axel.json(f"/api/v1/audit?limit=1&after={first['next']}")
    assert second["items"][0]["id"] == first["items"][0]["id"] - 1


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/api/v1/transactions?column=charge", "1 columns, 0 operators"),
        ("/api/v1/transactions?column=charge&op=%3E&value=x", "condition 1, value"),
        ("/api/v1/transactions?after=x", "no key of this search"),
        ("/api/v1/transactions?limit=0", "no number of rows"),
        ("/api/v1/transactions?colum=charge", "no parameter “colum”"),
        ("/api/v1/suspense?source=pop-lxa", "there is no source pop-lxa"),
        ("/api/v1/suspense?after=x", "no key of this list"),
        ("/api/v1/accounts?after=x", "no key of this list"),
        ("/api/v1/users?after=x", "no key of this list"),
    ],
)
async def test_a_query_that_means_nothing_is_refused_in_words(staff: Visitor, path: str, words: str) -> None:
    problem = await staff.json(path, status=422)
    assert words in problem["detail"]


async def test_suspended_records_are_filtered(staff: Visitor) -> None:
    page = await staff.json("/api/v1/suspense?reason=no-rate&source=pop-nyc")
    assert ids(page) == [3]
    assert page["reasons"] == {"malformed": 2, "no-rate": 1, "unknown-line": 2}
    assert ids(await staff.json("/api/v1/suspense?source=pop-lax")) == []
    record = await staff.json("/api/v1/suspense/3")
    assert (record["wrong"], record["understood"]["trunk_group"]) == (["called"], 7)


async def test_a_record_is_mended_and_recycled(staff: Visitor) -> None:
    answer = await staff.send("/api/v1/suspense/4/mend", {"set": {"duration": "1.5"}, "recycle": True})
    assert (answer["mended"], answer["recycled"]["recycled"]) == (1, 1)
    assert (answer["record"]["state"], answer["record"]["understood"]["duration"]) == ("recycled", 1.5)
    assert answer["record"]["history"][0]["by"] == "token:a program of staff"
    problem = await staff.send("/api/v1/suspense/4/mend", {"set": {"duration": "2"}}, status=409)
    assert "record 4 is recycled" in problem["detail"]


async def test_records_are_recycled_and_discarded_by_selection(web: WebSite, staff: Visitor) -> None:
    await web.import_stranger()
    answer = await staff.send("/api/v1/suspense/recycle", {"ids": [1, 3]})
    assert answer == {
        "tried": 2, "recycled": 1, "duplicates": 0, "still_open": 1,
        "by_reason_before": {"no-rate": 1, "unknown-line": 1}, "by_reason_after": {"no-rate": 1},
    }  # fmt: skip
    gone = {"line": "19995550100", "remark": "tests"}
    assert await staff.send("/api/v1/suspense/discard", gone) == {"discarded": 1}
    later = {"arrived_from": "2026-11-20T15:00:00.000001Z", "remark": "tests"}
    assert await staff.send("/api/v1/suspense/discard", later) == {"discarded": 0}
    assert await staff.send("/api/v1/suspense/discard", {"all": True, "remark": "tests"}) == {"discarded": 3}


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("recycle", b"{", 400, "not JSON"),
        ("recycle", b"", 400, "not JSON"),
        ("recycle", b'{"reason": "\xff"}', 400, "not JSON"),
        ("recycle", [], 422, "a list in brackets cannot stand here: write an object in braces"),
        ("recycle", {}, 422, "nothing is chosen"),
        ("recycle", {"idz": [1]}, 422, "there is no field idz"),
        ("recycle", {"ids": ["1"]}, 422, "ids[0]: a text in quotes cannot stand here: write a whole number"),
        ("recycle", {"ids": [10**18]}, 422, "ids[0]: Expected int <="),
        ("recycle", {"ids": [1], "reason": "no-rate"}, 422, "chosen one by one"),
        ("recycle", {"source": "pop-lxa"}, 422, "there is no source pop-lxa"),
        ("recycle", {"arrived_from": "yesterday"}, 422, "arrived_from: “yesterday” is not an RFC 3339 instant"),
        ("discard", {"ids": [1]}, 422, "this field is missing: remark"),
        ("discard", {"ids": [1], "remark": " "}, 422, "remark"),
        ("discard", {"remark": "all of them"}, 422, "nothing is chosen"),
        ("1/mend", {}, 422, "nothing to mend"),
        ("1/mend", {"set": {"calling": 1}}, 422, "set[...]: a whole number cannot stand here: write a text in quotes"),
        ("1/mend", {"set": {"calling": "x"}}, 422, "bad-number: calling 'x'"),
        ("1/mend", {"line": "{}", "set": {"id": "1"}}, 422, "leave set and replace out"),
        ("1/mend", {"line": "{}\n{}"}, 422, "one line"),
        ("99/mend", {"set": {"id": "1"}}, 404, "no such page"),
    ],
)
async def test_a_body_that_means_nothing_is_refused_in_words(
    staff: Visitor, path: str, body: object, status: int, words: str
) -> None:
    before = await staff.json("/api/v1/suspense")
    problem = await staff.send(f"/api/v1/suspense/{path}", body, status=status)
    assert words in problem["detail"]
    assert await staff.json("/api/v1/suspense") == before


async def test_a_call_that_is_sent_again_is_answered_again_and_not_done_again(web: WebSite, staff: Visitor) -> None:
    key = {"Idempotency-Key": "k-1"}
    body = {"reason": "unknown-line", "remark": "tests"}
    first = await staff.send("/api/v1/suspense/discard", body, **key)
    assert first == {"discarded": 2}
    await web.receive(cdr_json(id="s-9", calling=STRANGER))
    assert await staff.send("/api/v1/suspense/discard", body, **key) == first
    assert (await staff.json("/api/v1/suspense"))["reasons"]["unknown-line"] == 1
    assert await staff.send("/api/v1/suspense/discard", body) == {"discarded": 1}


async def test_a_key_belongs_to_one_call_of_one_caller(web: WebSite, staff: Visitor) -> None:
    key = {"Idempotency-Key": "k-1"}
    await staff.send("/api/v1/suspense/recycle", ALL_UNKNOWN, **key)
    problem = await staff.send("/api/v1/suspense/recycle", {"reason": "no-rate"}, status=422, **key)
    assert "another call" in problem["detail"]
    await staff.send("/api/v1/suspense/discard", ALL_UNKNOWN | {"remark": "x"}, status=422, **key)
    stella = await web.visitor("stella")
    answer = await stella.send("/api/v1/suspense/recycle", {"reason": "no-rate"}, **key)
    assert answer["tried"] == 1
    await staff.send("/api/v1/suspense/recycle", ALL_UNKNOWN, status=422, **{"Idempotency-Key": "k" * 256})


async def test_a_call_that_was_refused_may_be_put_right_under_its_key(staff: Visitor) -> None:
    key = {"Idempotency-Key": "k-1"}
    await staff.send("/api/v1/suspense/discard", ALL_UNKNOWN, status=422, **key)
    assert await staff.send("/api/v1/suspense/discard", ALL_UNKNOWN | {"remark": "x"}, **key) == {"discarded": 2}


async def test_the_same_call_twice_at_once_is_done_once(staff: Visitor) -> None:
    body = {"reason": "unknown-line", "remark": "tests"}
    calls = [staff.send("/api/v1/suspense/discard", body, **{"Idempotency-Key": "k-1"}) for _ in range(4)]
    assert await asyncio.gather(*calls) == [{"discarded": 2}] * 4


SEARCH = {"kind": "search", "where": [["charge", ">", "1"]]}


async def told(web: WebSite, token: str, message: object) -> tuple[int, Any]:
    """Status and answer of a message on the POP feed's listener."""
    pop = await web.pop()
    answer = await pop.post(
        "/v1/messages", data=json.dumps(message).encode(), headers={"Authorization": f"Bearer {token}"}
    )
    return answer.status, json.loads(await answer.read())


async def test_staff_and_customers_search_by_message(web: WebSite) -> None:
    staff = await web.users.add_token("s", Role.STAFF, None, "test")
    ada = await web.users.add_token("a", Role.CUSTOMER, ADA, "test")
    status, page = await told(web, staff, SEARCH)
    assert (status, ids(page), page["next"]) == (200, ["bob-1", "ada-1"], None)
    status, page = await told(web, ada, SEARCH)
    assert (status, ids(page)) == (200, ["ada-1"])
    status, page = await told(web, staff, SEARCH | {"limit": 1})
    status, page = await told(web, staff, SEARCH | {"limit": 1, "after": page["next"]})
    assert (status, ids(page)) == (200, ["ada-1"])


@pytest.mark.parametrize(
    ("role", "message", "status"),
    [
        (Role.AUDITOR, SEARCH, 403),
        (Role.OPERATOR, SEARCH, 403),
        (Role.CUSTOMER, {"kind": "batch", "period": "2026-11"}, 403),
        (Role.STAFF, {"kind": "batch"}, 422),
        (Role.STAFF, {"kind": "batch", "period": "20x"}, 422),
        (Role.STAFF, {"kind": "batch", "period": 202611}, 422),
        (Role.STAFF, {"kind": "batch", "period": "2026-10", "account": "4999999999"}, 422),
        (Role.STAFF, {"kind": "transaction", "records": []}, 403),
        (Role.STAFF, {"kind": "surprise"}, 422),
        (Role.STAFF, {"kind": "search"}, 422),
        (Role.STAFF, {"kind": "search", "where": [["charge", ">"]]}, 422),
        (Role.STAFF, {"kind": "search", "where": [["charge", ">", "x"]]}, 422),
        (Role.STAFF, SEARCH | {"limit": 0}, 422),
        (Role.STAFF, SEARCH | {"after": "x"}, 422),
        (None, SEARCH, 403),
    ],
)
async def test_messages_that_are_not_taken(web: WebSite, role: Role | None, message: object, status: int) -> None:
    account = ADA if role is Role.CUSTOMER else None
    token = POP_TOKEN if role is None else await web.users.add_token("x", role, account, "test")
    answered, problem = await told(web, token, message)
    assert answered == problem["status"] == status
    assert problem["detail"]


async def test_staff_order_a_bill_run_by_message(web: WebSite) -> None:
    token = await web.users.add_token("s", Role.STAFF, None, "test")
    for account in (None, ADA, int(ADA)):
        status, told_of = await told(web, token, {"kind": "batch", "period": "2026-10", "account": account})
        assert (status, told_of["state"], told_of["period"]) == (202, "accepted", "2026-10")
        assert told_of["id"] == f"2026-10-{account}"
    assert web.ordered == [("2026-10", account, "token:s") for account in (None, ADA, ADA)]
    assert (await told(web, token, {"kind": "batch", "period": "2026-10"}))[0] == 503


async def test_a_message_of_nobody_is_not_read(web: WebSite) -> None:
    token = await web.users.add_token("x", Role.STAFF, None, "test")
    await web.users.revoke_token("x", "test")
    assert (await told(web, token, SEARCH))[0] == 401
