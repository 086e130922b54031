"""A call that was charged again, on its page and in the API: linked, explained, and counted once."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from control.users import Role
from mediation.writer_rerating import Part, post
from rating.store.rerating import Correction, Replaced, Run
from tests.integration.web_site import ADA, Visitor, WebSite, opened

RUN = Run("command:ann", "a wrong deck", "{}")


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[WebSite]:
    async with opened(tmp_path) as site:
        yield site


@pytest.fixture
async def staff(web: WebSite) -> Visitor:
    return await web.program(Role.STAFF)


async def charged_again(web: WebSite, staff: Visitor) -> tuple[Replaced, str]:
    """Ada's call, which costs a dollar now; and what it cost before."""
    page = await staff.json(f"/api/v1/transactions?column=account&op==&value={ADA}")
    (call,) = (item for item in page["items"] if item["id"] == "ada-1")
    correction = Correction(call["transaction"], 202611, 1_000_000, 1, call["billed_s"], call["destination"], None)
    posted = await post(web.store, web.owner.in_between, Part(RUN, [correction]), web.now)
    (replaced,) = posted.replaced
    return replaced, call["charge"]


async def test_the_page_of_each_of_the_three_leads_to_the_others(web: WebSite, staff: Visitor) -> None:
    one, cost = await charged_again(web, staff)
    stella, ada = await web.visitor("stella"), await web.visitor("ada")
    original = await stella.get(f"/transactions/{one.original}")
    assert f'Taken back by</dt><dd><a href="/transactions/{one.reversal}">' in original
    assert f'Charged again by</dt><dd><a href="/transactions/{one.replacement}">' in original
    assert "a wrong deck" in original
    reversal = await ada.get(f"/transactions/{one.reversal}")
    assert f'takes back the charge of <a href="/transactions/{one.original}">' in reversal
    assert f"-{cost}" in reversal
    assert "a wrong deck" not in reversal
    assert "command:ann" not in reversal
    assert "Connect fee" not in reversal


async def test_a_search_counts_the_call_once_with_its_latest_charge(web: WebSite, staff: Visitor) -> None:
    search = f"/api/v1/transactions?column=account&op==&value={ADA}"
    before = (await staff.json(search))["totals"]
    one, cost = await charged_again(web, staff)
    page = await staff.json(search)
    assert page["totals"]["count"] == before["count"]
    assert page["totals"]["duration_s"] == before["duration_s"]
    after, was = (Decimal(totals["charges"]["USD"]) for totals in (page["totals"], before))
    assert after - was == 1 - Decimal(cost)
    assert [item["reverses"] for item in page["items"] if item["transaction"] > one.original][:2] == [
        None,
        one.original,
    ]


async def test_the_api_tells_customers_what_is_tied_together_and_staff_why_too(web: WebSite, staff: Visitor) -> None:
    one, _ = await charged_again(web, staff)
    told = {}
    for role, program in ((Role.STAFF, staff), (Role.CUSTOMER, await web.program(Role.CUSTOMER, ADA))):
        told[role] = (await program.json(f"/api/v1/transactions/{one.reversal}"))["correction"]
    common = {"reverses": one.original, "replaces": None, "reversed_by": None, "replaced_by": one.replacement, "run": 1}
    assert told[Role.STAFF] == common | {"at": "2026-11-20T15:00:00Z", "by": "command:ann", "reason": "a wrong deck"}
    assert told[Role.CUSTOMER] == told[Role.STAFF] | {"by": None, "reason": None}
