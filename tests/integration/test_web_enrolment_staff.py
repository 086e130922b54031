"""Enrolment by staff and by programs: with a reason, written down, and the agent told as by the customer's own way."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from control import audit
from control.alerts import alert_rows
from control.enrolment import BankDetails, Method, Scheme
from control.users import Role
from rating.store.reading import instant_text
from tests.integration.test_web_enrolment import address, mails
from tests.integration.test_web_invoice_pages import plain
from tests.integration.web_site import ADA, BOB, Visitor, WebSite, opened

PAGE: Final = f"/accounts/{ADA}/enrolment"
CALL: Final = f"/api/v1/accounts/{ADA}/enrolment"


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[WebSite]:
    async with opened(tmp_path) as site:
        await address(site, "agnes", "agnes@sales.example")
        yield site


@pytest.fixture
async def stella(web: WebSite) -> Visitor:
    return await web.visitor("stella")


async def noted(web: WebSite) -> list[tuple[str, str, str]]:
    """What the audit log says of enrolments, the oldest first."""
    found = await web.store.read(lambda cx: audit.entries(cx, limit=100))
    done = [(one.actor, one.action, one.detail) for one in reversed(found) if one.subject == f"account {ADA}"]
    return [entry for entry in done if "enrol" in entry[1] or "method" in entry[1]]


async def put(who: Visitor, body: object, status: int = 200, path: str = CALL, **headers: str) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await who.client.put(path, data=data, headers={"X-CSRF-Token": who.csrf} | headers)
    assert answer.status == status, await answer.text()
    return json.loads(await answer.read())


class TestPage:
    async def test_staff_enrol_and_cancel_with_a_reason_and_the_agent_is_told(
        self, web: WebSite, stella: Visitor
    ) -> None:
        assert "come on paper." in await stella.get(PAGE)
        assert "never been enrolled" in await stella.get(PAGE)
        page = await stella.follow(await stella.post(PAGE, choice="web", reason="on the telephone"))
        assert "The account is enrolled" in page
        assert web.site.enrolments.is_enrolled(ADA)
        page = await stella.follow(await stella.post(PAGE, choice="paper", reason="a letter of 3 May"))
        assert "The enrolment is cancelled" in page
        assert "come on paper since 20 Nov 2026, by stella" in plain(page)
        assert not web.site.enrolments.is_enrolled(ADA)
        assert await noted(web) == [
            ("stella", "enrol", "payment method web: on the telephone"),
            ("stella", "cancel enrolment", "a letter of 3 May"),
        ]
        assert await mails(web) == ["enrolled", "enrolment-cancelled"]
        words = plain(page)
        assert words.index("✕ cancelled stella agnes") < words.index("✓ enrolled stella agnes")

    @pytest.mark.parametrize(
        ("choice", "reason", "field", "words"),
        [
            ("web", "", "reason", "say why"),
            ("web", "  ", "reason", "say why"),
            ("cash", "why not", "choice", "choose one of these"),
            ("automatic", "wants it", "choice", "no bank account to collect from"),
            ("web", "x" * 501, "choice", "at most 500 printable characters"),
        ],
    )
    async def test_what_cannot_be_is_refused_in_place_and_kept(
        self, web: WebSite, stella: Visitor, choice: str, reason: str, field: str, words: str
    ) -> None:
        answer = await stella.post(PAGE, choice=choice, reason=reason)
        page = await answer.text()
        assert answer.status == 200
        assert f'id="wrong-{field}" role="alert"' in page
        assert words in page
        assert f'name="reason" value="{reason.strip()}"' in page.replace("  ", "")
        assert not web.site.enrolments.is_enrolled(ADA)
        assert await noted(web) == []

    async def test_the_account_says_how_its_bills_come(self, web: WebSite, stella: Visitor) -> None:
        assert "Bills on paper" in plain(await stella.get(f"/accounts/{ADA}"))
        await web.site.enrolments.enrol(ADA, "ada")
        page = await stella.get(f"/accounts/{ADA}")
        assert "Bills online" in plain(page)
        assert f'href="{PAGE}"' in page

    async def test_paying_another_way_is_no_enrolment(self, web: WebSite, stella: Visitor) -> None:
        await web.site.enrolments.keep_bank_details(ADA, BankDetails(Scheme.ACH, "Ada", "021000021", "6789"), "ada")
        await stella.post(PAGE, choice="web", reason="r")
        page = await stella.follow(await stella.post(PAGE, choice="automatic", reason="wants it"))
        assert "Saved." in page
        assert "•••• 6789" in page
        assert (await noted(web))[-1] == ("stella", "change payment method", "from web to automatic: wants it")
        assert await mails(web) == ["enrolled"]


class TestCalls:
    async def test_staff_agent_and_customer_read_it(self, web: WebSite) -> None:
        staff, ada = await web.program(Role.STAFF), await web.program(Role.CUSTOMER, ADA)
        agnes = await web.visitor("agnes")
        never = {"account": ADA, "enrolled": False, "payment_method": None, "since": None, "by": None}
        assert await staff.json(CALL) == await ada.json(CALL) == never
        await web.site.enrolments.enrol(ADA, "ada", Method.WEB)
        told = never | {"enrolled": True, "payment_method": "web", "since": instant_text(web.now)}
        assert await ada.json(CALL) == await agnes.json(CALL) == told
        assert await staff.json(CALL) == told | {"by": "ada"}

    async def test_they_change_it(self, web: WebSite) -> None:
        staff, ada = await web.program(Role.STAFF), await web.program(Role.CUSTOMER, ADA)
        assert (await put(ada, {"enrolled": True}))["payment_method"] == "web"
        assert web.site.enrolments.is_enrolled(ADA)
        assert not (await put(staff, {"enrolled": False, "reason": "a letter"}))["enrolled"]
        assert not web.site.enrolments.is_enrolled(ADA)
        assert [entry[1:] for entry in await noted(web)] == [
            ("enrol", "payment method web"), ("cancel enrolment", "a letter")
        ]  # fmt: skip
        assert await mails(web) == ["enrolled", "enrolment-cancelled"]

    async def test_who_pays_automatically_goes_on_doing_so_unless_it_is_said(self, web: WebSite) -> None:
        ada = await web.program(Role.CUSTOMER, ADA)
        await web.site.enrolments.keep_bank_details(ADA, BankDetails(Scheme.ACH, "Ada", "021000021", "6789"), "ada")
        await put(ada, {"enrolled": True, "payment_method": "automatic"})
        assert (await put(ada, {"enrolled": True}))["payment_method"] == "automatic"
        assert (await put(ada, {"enrolled": True, "payment_method": "web"}))["payment_method"] == "web"
        assert await mails(web) == ["enrolled"]

    @pytest.mark.parametrize(
        ("body", "status", "words"),
        [
            ({"enrolled": True}, 422, "reason: say why"),
            ({"enrolled": True, "payment_method": "automatic", "reason": "r"}, 409, "no bank account"),
            ({"enrolled": False, "payment_method": "web", "reason": "r"}, 422, "payment_method: an account on paper"),
            ({"enrolled": True, "payment_method": "cash", "reason": "r"}, 422, "payment_method: "),
            ({"reason": "r"}, 422, "enrolled"),
            ({"enrolled": True, "reason": "two\nlines"}, 409, "in one line"),
            (b"{", 400, "not JSON"),
        ],
    )
    async def test_what_cannot_be_changed_is_refused_in_words(
        self, web: WebSite, body: object, status: int, words: str
    ) -> None:
        staff = await web.program(Role.STAFF)
        assert words in (await put(staff, body, status))["detail"]
        assert await noted(web) == []

    async def test_a_call_that_is_sent_again_is_answered_again(self, web: WebSite) -> None:
        staff = await web.program(Role.STAFF)
        body = {"enrolled": True, "reason": "r"}
        first = await put(staff, body, **{"Idempotency-Key": "k"})
        await web.site.enrolments.cancel(ADA, "ada")
        assert await put(staff, body, **{"Idempotency-Key": "k"}) == first
        assert not web.site.enrolments.is_enrolled(ADA)

    async def test_nobody_changes_what_is_anothers(self, web: WebSite) -> None:
        ada, agnes = await web.program(Role.CUSTOMER, ADA), await web.visitor("agnes")
        bobs = CALL.replace(ADA, BOB)
        await put(ada, {"enrolled": True}, 404, bobs)
        await put(agnes, {"enrolled": True, "reason": "r"}, 403)
        await agnes.json(bobs, 404)
        assert await web.store.read(lambda cx: alert_rows.alerts(cx, limit=1)) == []

    async def test_its_description_shows_examples(self, web: WebSite) -> None:
        said = (await (await web.visitor()).json("/api/v1/openapi.json"))["paths"][CALL.replace(ADA, "{account}")]
        takes = said["put"]["requestBody"]["content"]["application/json"]["schema"]
        staff = await web.program(Role.STAFF)
        for example in takes["examples"]:
            assert (await put(staff, example))["enrolled"] == example["enrolled"]
        shown = said["get"]["responses"]["200"]["content"]["application/json"]["schema"]["examples"]
        assert shown[0].keys() == (await staff.json(CALL)).keys()
