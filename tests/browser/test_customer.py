"""A customer finds calls, has a charge explained, and takes them along: in a real browser, with scripts and without."""

import csv
import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.browser.pages_site import LONG_LONDON
from tests.browser.visitor import Visitor
from tests.small_site import account, london_charge

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.peers("chromium")]

PAGE = 50
DEAREST, CHEAPEST = london_charge(200 + LONG_LONDON - 1), london_charge(200)


async def search(visitor: Visitor, *rows: tuple[str, str, str]) -> None:
    """By the form's rows of column, operator and value."""
    await visitor.page.goto("/transactions")
    for n, (column, op, value) in enumerate(rows):
        await visitor.page.get_by_label("Column").nth(n).select_option(label=column)
        await visitor.page.get_by_label("Operator").nth(n).select_option(label=op)
        await visitor.page.get_by_label("Value").nth(n).fill(value)
    await visitor.page.get_by_role("button", name="Search").click()


async def dear_calls_to_london(visitor: Visitor) -> None:
    await visitor.sign_in("carol")
    await search(visitor, ("Charge", "over", "2"), ("Place called", "contains", "London"))


async def charges(visitor: Visitor) -> list[Decimal]:
    rows = visitor.page.locator("tbody tr")
    return [Decimal((await visitor.cell(rows.nth(n), "Charge")).split()[0]) for n in range(await rows.count())]


async def test_a_search_by_rows_says_what_it_shows(visitor: Visitor) -> None:
    await dear_calls_to_london(visitor)
    assert f"{LONG_LONDON} calls over $2" in await visitor.page.locator(".fresh").inner_text()
    assert await visitor.figure("Calls") == str(LONG_LONDON)
    assert await visitor.page.get_by_label("Value").nth(0).input_value() == "2"
    assert await visitor.page.get_by_label("Column").nth(1).input_value() == "place"
    shown = await charges(visitor)
    assert len(shown) == PAGE
    assert min(shown) > 2
    assert await visitor.row("Boston").count() == 0


async def test_a_heading_sorts_and_the_next_page_goes_on(visitor: Visitor) -> None:
    await dear_calls_to_london(visitor)
    heading = visitor.page.get_by_role("columnheader", name="Charge")
    await heading.get_by_role("link").click()
    assert await heading.get_attribute("aria-sort") == "descending"
    first = await charges(visitor)
    assert str(first[0]) == DEAREST
    await visitor.page.get_by_role("link", name="Next page").click()
    rest = await charges(visitor)
    assert len(first) + len(rest) == LONG_LONDON
    assert [*first, *rest] == sorted([*first, *rest], reverse=True)
    assert str(rest[-1]) == CHEAPEST
    assert await visitor.page.get_by_role("link", name="Next page").count() == 0
    assert f"{LONG_LONDON} calls over $2" in await visitor.page.locator(".fresh").inner_text()
    await heading.get_by_role("link").click()
    assert await heading.get_attribute("aria-sort") == "ascending"
    assert str((await charges(visitor))[0]) == CHEAPEST


async def test_a_charge_is_explained(visitor: Visitor) -> None:
    await dear_calls_to_london(visitor)
    row = visitor.page.locator("tbody tr").first
    charge = (await visitor.cell(row, "Charge")).split()[0]
    await row.get_by_role("link").click()
    assert await visitor.heading() == "Call to London"
    assert await visitor.figure("Charge, USD") == charge
    parts = visitor.page.get_by_role("region", name="Parts of the charge")
    fee, talk, total = [line.split("\t") for line in (await parts.inner_text()).splitlines()[-3:]]
    assert Decimal(fee[-1]) == Decimal("0.05")
    assert Decimal(fee[-1]) + Decimal(talk[-1]) == Decimal(total[-1]) == Decimal(charge)
    assert await visitor.page.get_by_text("Its id there").count() == 0  # a source's own words are for staff


async def test_the_view_is_downloaded_whole(visitor: Visitor, tmp_path: Path) -> None:
    await dear_calls_to_london(visitor)
    for kind in ("CSV", "JSON"):
        async with visitor.page.expect_download() as begun:
            await visitor.page.get_by_role("link", name=kind, exact=True).click()
        download = await begun.value
        file = tmp_path / download.suggested_filename
        await download.save_as(file)
    with (tmp_path / "calls.csv").open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert len(rows) == LONG_LONDON  # not the page alone
    assert {row["account"] for row in rows} == {account(0)}
    assert {row["place_called"] for row in rows} == {"London"}
    assert min(Decimal(row["charge"]) for row in rows) > 2
    told = [json.loads(line) for line in (tmp_path / "calls.ndjson").read_text().splitlines()]
    assert [row["transaction"] for row in told] == [int(row["transaction"]) for row in rows]


async def test_what_cannot_be_searched_is_told_in_place_and_kept(visitor: Visitor) -> None:
    await visitor.sign_in("carol")
    await search(visitor, ("Charge", "over", "much"))
    value = visitor.page.get_by_label("Value").nth(0)
    assert await value.input_value() == "much"
    assert await value.get_attribute("aria-invalid") == "true"
    said = await visitor.page.get_by_role("alert").inner_text()
    assert "much" in said
    assert await visitor.page.locator(f"#{await value.get_attribute('aria-describedby')}").inner_text() == said


async def test_nothing_found_is_told_from_nothing_there(visitor: Visitor) -> None:
    await visitor.sign_in("carol")
    await search(visitor, ("Place called", "is", "Atlantis"))
    assert "No call matches" in await visitor.page.locator("td.empty").inner_text()


async def test_the_overview_says_what_is_used_and_left(visitor: Visitor) -> None:
    await visitor.sign_in("carol")
    unbilled, left = [Decimal((await visitor.figure(name)).split()[0].replace(",", "")) for name in ("Owed", "Left")]
    assert unbilled > 2 * LONG_LONDON
    assert unbilled + left == 2500
    assert "within the limit" in await visitor.page.locator("main").inner_text()
    assert await visitor.page.get_by_role("img", name="Charges of the last 30 days").is_visible()
    links = await visitor.page.get_by_role("navigation").get_by_role("link").all_inner_texts()
    assert links[:2] == ["Overview", "Calls"]


async def test_anothers_call_is_not_there(visitor: Visitor) -> None:
    await visitor.sign_in("stella")
    await visitor.page.goto(f"/transactions?column=account&op=%3D&value={account(2)}")
    link = await visitor.page.locator("tbody tr a").first.get_attribute("href")
    assert link
    await visitor.sign_out()
    await visitor.sign_in("carol")
    answer = await visitor.page.context.request.get(link)
    assert answer.status == 404
