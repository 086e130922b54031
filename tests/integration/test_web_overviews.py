"""First pages and those of operations: what is due, which feeds are counted together, and what is not done with."""

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import pytest

from mediation.feeds.status import FeedStatus, SourceStatus
from mediation.pipeline.activity import SourceActivity
from rating.cdr import MICROS
from tests.builders import NOW, cdr_json
from tests.integration.invoice_site import InvoiceSite, with_invoices
from tests.integration.web_site import ADA, Visitor, WebSite, opened


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[InvoiceSite]:
    async with with_invoices(tmp_path) as site:
        yield site


@pytest.fixture
async def ada(site: InvoiceSite) -> Visitor:
    return await site.web.visitor("ada")


def seen(page: str) -> str:
    """What a page says, without its marks."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


async def test_a_customers_first_page_says_what_is_due_and_leads_to_paying_it(site: InvoiceSite, ada: Visitor) -> None:
    page = await ada.get("/home")
    assert "Due now, USD 150.00 Pay now" in seen(page)
    assert 'href="/pay">Pay now' in page
    await site.ledger.credit(ADA, 151 * MICROS, "USD", actor="stella", key="k")
    credited = seen(await ada.get("/home"))
    assert "To your credit, USD 1.00" in credited
    assert "Pay now" not in credited


async def test_who_has_no_invoices_online_is_not_sent_to_pay(site: InvoiceSite, ada: Visitor) -> None:
    await site.cancel(ADA)
    said = seen(await ada.get("/home"))
    assert "Due now, USD 150.00" in said
    assert "Pay now" not in said


async def test_messages_are_told_in_units_wherever_calls_are(site: InvoiceSite, ada: Visitor) -> None:
    await site.web.receive(cdr_json(id="sms", type="message", duration=0, units=2))
    for path in ("/home", "/transactions"):
        assert " 2 units " in seen(await ada.get(path))
    links = re.findall(r"/transactions/\d+", await ada.get("/transactions"))
    (said,) = [page for link in links if "Used" in (page := seen(await ada.get(link)))]
    assert "Used 2 units Billed 60 units" in said
    assert "Duration" not in said
    assert "Period Units Rate" in said


@pytest.mark.parametrize(("name", "zone"), [("stella", "UTC"), ("ada", "America/New_York")])
async def test_every_page_says_whose_clock_its_times_are_of(site: InvoiceSite, name: str, zone: str) -> None:
    visitor = await site.web.visitor(name)
    for path in ("/account", "/transactions"):
        assert f", times in {zone}" in seen(await visitor.get(path))


async def test_a_statement_tells_periods_by_the_clock_of_its_bill(site: InvoiceSite, ada: Visitor) -> None:
    accounts = site.web.front.directory.accounts
    assert isinstance(accounts, dict)
    accounts[ADA] = accounts[ADA].with_terms(timezone="Pacific/Kiritimati")
    said = seen(await ada.get("/statements"))
    assert "1 Oct – 31 Oct 2026" in said
    assert "calls since 1 Nov 2026" in said


def source_of(name: str, streams: int = 0, connects: int = 0) -> SourceStatus:
    activity = SourceActivity(name, accepted=3_079, last_arrived_at=NOW)
    return SourceStatus(name, "live", activity, 7, streams=streams, connects=connects)


FEEDS = [
    FeedStatus("pops", "pop", "http://127.0.0.1:1", "open", [source_of("pop-chi", streams=1, connects=3)]),
    FeedStatus("radius", "radius-accounting", "127.0.0.1:2", "open", [source_of("pop-chi")], live_sessions=1),
    FeedStatus("spool", "files", "in", "open", [source_of("exchange")], ["2 files wait"]),
]


class TestOperations:
    async def test_what_is_normal_is_no_warning_and_one_source_is_counted_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def feeds(_web: WebSite) -> list[FeedStatus]:
            return FEEDS

        monkeypatch.setattr(WebSite, "_feeds", feeds)
        async with opened(tmp_path) as web:
            page = await (await web.visitor("olga")).get("/feeds")
        said = seen(page)
        assert [said.count(f" {n} ") for n in ("3,079", "7")] == [2, 2], "once a source"
        assert "counted above, with what pop-chi sends by pops 1 live session" in said
        assert "1 open of 3 since the start" in said
        assert [seen(words).strip() for words in re.findall(r'class="message warn">(.*?)</p>', page)] == [
            "! spool: 2 files wait."
        ]

    async def test_health_counts_orders_and_mails_that_are_not_done_with(self, site: InvoiceSite) -> None:
        olga = await site.web.visitor("olga")
        said = seen(await olga.get("/health"))
        assert "Commits since the start" in said
        assert "planned 0 sent 0 acknowledged 0 unknown 0 held 0 failed 0" in said
        assert "waiting 0 sending 0 unknown 0 failed 0" in said
