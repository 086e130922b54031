"""A call whose charge depends on use, as its page and the API tell it."""

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import pytest

from mediation.directory_builder import DirectoryBuilder
from rating.provisioning import read_accounts
from rating.store.provisioning import put_accounts
from rating.tariff import parse_tariff
from tests.builders import NOW, a_tariff_text, accounts_csv, cdr_json
from tests.integration.web_site import ADA, WebSite, opened

RULES = """
[conversion]
EUR = "0.5"
[[allowance]]
name = "first minute"
per = "month"
minutes = 1
[[discount]]
name = "volume"
per = "month"
on = "calls"
steps = [{ above = 0, percent = 10 }]
"""


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[WebSite]:
    """Two calls by these rules, the second in euros."""
    async with opened(tmp_path) as site:
        text = a_tariff_text("standard", "4420,London,,0,0.20,1.20,60,60/60", toml=RULES)
        await site.store.import_tariff(text, parse_tariff(text), NOW)
        for name, currency in (("in dollars", "USD"), ("in euros", "EUR")):
            row = f"{ADA},Ada Lovelace,ada@customers.example,{currency},America/New_York,2500.00,standard,agnes,1"
            # Not imported: an account that is charged keeps its currency.
            await site.store.transact(put_accounts, read_accounts(accounts_csv(row)), NOW)
            site.front.directory = DirectoryBuilder(None).build(await site.store.provisioned())
            await site.receive(cdr_json(id=name))
        yield site


async def test_a_page_says_what_every_rule_took_off_and_the_rate(web: WebSite) -> None:
    stella = await web.visitor("stella")
    found = {call["id"]: call["transaction"] for call in (await stella.json("/api/v1/transactions"))["items"]}
    explained = (await stella.json(f"/api/v1/transactions/{found['in dollars']}"))["explanation"]
    assert (explained["gross"], explained["charge"]) == ("2.6000", "1.4000")
    page = unescape(re.sub(r"<[^>]+>", " ", await stella.get(f"/transactions/{found['in dollars']}")))
    said = re.sub(r"\s+", " ", page)
    assert "Without allowances and discounts 2.6000 Allowance first minute 60 seconds −1.2" in said
    assert "Discount volume not reached before 0 Charge 1.4000" in said
    page = unescape(re.sub(r"<[^>]+>", " ", await stella.get(f"/transactions/{found['in euros']}")))
    said = re.sub(r"\s+", " ", page)
    assert "Charge, EUR 1.1700" in said
    assert "Amounts above are in USD: 1 USD is 0.5 EUR Without allowances and discounts 1.3000" in said
    assert "Discount volume 10 % −0.13 Charge 1.1700" in said


async def test_an_ordinary_charge_says_nothing_of_it(web: WebSite) -> None:
    stella = await web.visitor("stella")
    explained = await stella.json("/api/v1/transactions/1")
    assert explained["agrees"]
    assert not explained["explanation"].keys() & {"gross", "reductions", "conversion"}
    assert "Without allowances" not in await stella.get("/transactions/1")
