"""Statements and the search of invoices: what customers see of their own, and staff and auditors of everybody's."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from control.billing.bill import pack, unpack
from control.billing.letterhead import Letterhead
from control.payments.payment import State
from rating.cdr import MICROS
from tests.bills_by_hand import issue_bill, some_charges
from tests.integration.invoice_site import InvoiceSite, with_invoices
from tests.integration.test_web_invoice_pages import DAY_US, plain, title
from tests.integration.web_site import ADA, BOB, Visitor

ADAS: Final = f"/accounts/{ADA}/invoices"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[InvoiceSite]:
    async with with_invoices(tmp_path) as site:
        yield site


@pytest.fixture
async def ada(site: InvoiceSite) -> Visitor:
    return await site.web.visitor("ada")


@pytest.fixture
async def stella(site: InvoiceSite) -> Visitor:
    return await site.web.visitor("stella")


def rows(page: str, table: str) -> list[list[str]]:
    """The rows of a table, by its label: the text of each cell."""
    found = re.search(rf'aria-label="{table}">.*?<tbody>(.*?)</tbody>', page, re.DOTALL)
    assert found, table
    return [[plain(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]
            for row in found[1].split("</tr>") if "<td" in row]  # fmt: skip


def listed(page: str) -> list[str]:
    """The numbers of the invoices that a search shows."""
    return [row[0] for row in rows(page, "Invoices") if len(row) > 1]


class TestBillsAsTheyStand:
    async def test_each_cycle_says_what_its_total_came_from(self, site: InvoiceSite, ada: Visitor) -> None:
        assert rows(await ada.get("/statements"), "Statements") == [
            [
                "2", "! open", "20 Nov 2026", "1 Oct – 31 Oct 2026", "100.00", "0.00", "0.00", "50.00", "150.00",
                "1.00 until 30 Nov", "20 Dec 2026",
            ],
            [
                "1", "→ carried to 2", "20 Nov 2026", "1 Sep – 30 Sep 2026", "0.00", "0.00", "0.00", "100.00", "100.00",
                "2.00 until 30 Nov", "20 Dec 2026",
            ],
        ]  # fmt: skip
        assert "calls since 1 Nov 2026" in plain(await ada.get("/statements"))

    async def test_a_discount_was_taken_or_not(self, site: InvoiceSite, ada: Visitor) -> None:
        await site.payments.pay(2, None, actor="ada", key="k")
        site.web.now += 11 * DAY_US
        ada = await site.web.visitor("ada")
        told = [row[9] for row in rows(await ada.get("/statements"), "Statements")]
        assert told == ["1.00 ✓ taken", "2.00 ✓ taken"]

    async def test_a_discount_is_gone_of_the_bill_of_which_a_part_was_paid(
        self, site: InvoiceSite, ada: Visitor
    ) -> None:
        await site.payments.pay(2, 40 * MICROS, actor="ada", key="k")
        told = [row[9] for row in rows(await ada.get("/statements"), "Statements")]
        assert told == ["1.00 until 30 Nov", "2.00 not taken"]

    async def test_a_bill_is_open_past_due_on_its_way_or_paid(self, site: InvoiceSite, ada: Visitor) -> None:
        async def states() -> list[str]:
            return [row[1][2:] for row in rows(await ada.get("/statements"), "Statements")]

        assert await states() == ["open", "carried to 2"]
        site.web.now += 31 * DAY_US
        ada = await site.web.visitor("ada")
        assert await states() == ["past due", "past due carried to 2"]
        paid = (await site.payments.pay(1, 100 * MICROS, actor="ada", key="k")).payment
        assert await states() == ["past due", "payment on its way"]
        await site.move(paid.id, State.BATCHED, State.SUBMITTED, State.SETTLED)
        assert await states() == ["past due", "paid"]
        paid = (await site.payments.pay(2, None, actor="ada", key="k2")).payment
        assert await states() == ["payment on its way", "paid"]
        await site.move(paid.id, State.BATCHED, State.SUBMITTED, State.SETTLED)
        assert await states() == ["paid", "paid"]


class TestBalance:
    async def test_it_goes_from_entry_to_entry_the_newest_first(self, site: InvoiceSite, ada: Visitor) -> None:
        await site.payments.pay(2, 40 * MICROS, actor="ada", key="k")
        await site.ledger.credit(ADA, 5 * MICROS, "USD", actor="stella", key="g", remark="<for the trouble>")
        await site.ledger.reverse(ADA, 5, actor="stella", key="r")
        found = [row[2:] for row in rows(await ada.get("/statements"), "The balance as it went")]
        assert found == [
            ["Entry 5 taken back", "5.00", "110.00"],
            ["Credit: &lt;for the trouble&gt;", "−5.00", "105.00"],
            ["Payment on invoice 2 → on its way", "−40.00", "110.00"],
            ["Invoice 2", "50.00", "150.00"],
            ["Invoice 1", "100.00", "100.00"],
        ]

    async def test_a_long_one_goes_on_where_the_page_ended(self, site: InvoiceSite, ada: Visitor) -> None:
        for n in range(60):
            await site.ledger.credit(ADA, MICROS, "USD", actor="stella", key=f"k{n}")
        first = await ada.get("/statements")
        assert rows(first, "The balance as it went")[0][-1] == "90.00"
        onwards = re.search(r'rel="next" href="([^"#]+)', first)
        assert onwards
        second = rows(await ada.get(onwards[1]), "The balance as it went")
        assert len(second) == 12
        assert int(second[0][0]) == int(rows(first, "The balance as it went")[-1][0]) - 1
        assert [row[-1] for row in second][:2] == ["140.00", "141.00"]
        assert [row[-1] for row in second][-2:] == ["150.00", "100.00"]

    async def test_what_came_back_says_so(self, site: InvoiceSite, stella: Visitor) -> None:
        paid = (await site.payments.pay(2, 40 * MICROS, actor="ada", key="k")).payment
        await site.move(paid.id, State.BATCHED, State.SUBMITTED, State.RETURNED)
        found = [row[2:] for row in rows(await stella.get(ADAS), "The balance as it went")]
        assert found[0][1].startswith("Entry 4 taken back: payment 1 returned")
        assert found[1] == ["ada", "Payment on invoice 2 ✕ returned", "−40.00", "110.00"]


class TestStaffAndAuditors:
    async def test_they_see_an_accounts_statements_also_when_its_bills_come_on_paper(self, site: InvoiceSite) -> None:
        await site.cancel(ADA)
        await site.payments.pay(2, 500 * MICROS, actor="ada", key="k")
        for name in ("stella", "axel"):
            page = await (await site.web.visitor(name)).get(ADAS)
            assert title(page) == "Statements"
            assert [row[0] for row in rows(page, "Statements")] == ["2", "1"]
            ((_, invoice, by, amount, reason, _),) = rows(page, "Refused payment attempts")
            assert (invoice, by, amount, reason) == ("2", "ada", "500.00", "! over-amount")
            assert "America/New_York" in plain(page)

    async def test_customers_see_neither_who_entered_something_nor_flags(self, site: InvoiceSite, ada: Visitor) -> None:
        await site.payments.pay(2, 500 * MICROS, actor="ada", key="k")
        await site.ledger.credit(ADA, MICROS, "USD", actor="stella", key="g")
        page = await ada.get("/statements")
        assert "Refused payment attempts" not in page
        assert "stella" not in page

    @pytest.mark.parametrize("name", ["ada", "bob", "agnes", "olga"])
    async def test_for_others_they_are_not_there(self, site: InvoiceSite, name: str) -> None:
        who = await site.web.visitor(name)
        for path in (ADAS, "/invoices", "/accounts/4999/invoices"):
            await who.get(path, status=404)

    async def test_the_ways_lead_from_the_account_to_its_invoices_and_back(self, stella: Visitor) -> None:
        assert f'href="{ADAS}"' in await stella.get(f"/accounts/{ADA}")
        assert 'href="/invoices/2"' in await stella.get(ADAS)
        assert f'href="{ADAS}"' in await stella.get("/invoices/2")
        assert 'href="/invoices">Invoices</a>' in await stella.get("/live")


class TestLetterhead:
    async def test_it_stands_on_the_invoice_as_it_was_when_the_bill_was_made(
        self, site: InvoiceSite, ada: Visitor
    ) -> None:
        charges = some_charges(MICROS, ADA, period="2026-11", follows=2)
        head = Letterhead("Trans & Co", ("12 Harbour Street", "<b>New York</b>"))
        document = pack(msgspec.structs.replace(unpack(charges.document), letterhead=head))
        charges = msgspec.structs.replace(charges, document=document)
        bill = await issue_bill(site.web.store, site.ledger, site.web.now, charges)
        page = await ada.get(f"/invoices/{bill.number}")
        assert "<strong>Trans &amp; Co</strong><br>12 Harbour Street<br>&lt;b&gt;New York" in page
        assert "<address" not in await ada.get("/invoices/2")


class TestSearch:
    @pytest.mark.parametrize(
        ("query", "wanted"),
        [
            ("", ["3", "2", "1"]),
            ("number=2", ["2"]),
            ("number=9", []),
            (f"account={ADA}", ["2", "1"]),
            ("account=4999", []),
            ("period=2026-10", ["3", "2"]),
            ("period=2026-09&name=LOVE+ada", ["1"]),
            ("name=nobody", []),
            (f"account={BOB}&period=2026-09", []),
            ("refused=yes", ["1"]),
            ("before=3", ["2", "1"]),
        ],
    )
    async def test_invoices_are_found(self, site: InvoiceSite, query: str, wanted: list[str]) -> None:
        await site.payments.pay(1, 500 * MICROS, actor="ada", key="k")
        axel = await site.web.visitor("axel")
        page = await axel.get(f"/invoices?{query}")
        assert listed(page) == wanted
        if not wanted:
            assert ("no such account" in page) == ("4999" in query)
            assert ("No invoice matches" in page) == ("4999" not in query)

    async def test_a_row_says_what_was_refused_on_it(self, site: InvoiceSite, stella: Visitor) -> None:
        for n in range(2):
            await site.payments.pay(1, 500 * MICROS, actor="ada", key=f"k{n}")
        found = {row[0]: row[-1] for row in rows(await stella.get("/invoices"), "Invoices")}
        assert found == {"3": "–", "2": "–", "1": "! 2 refused"}

    @pytest.mark.parametrize(
        ("name", "text", "words"),
        [("number", "two", "is no invoice’s number"), ("period", "October", "is not a period")],
    )
    async def test_what_means_nothing_is_refused_in_place(
        self, stella: Visitor, name: str, text: str, words: str
    ) -> None:
        page = await stella.get(f"/invoices?{name}={text}")
        assert words in plain(page)
        assert re.search(rf'name="{name}"[^>]* value="{text}"[^>]* aria-invalid="true"', page)
        assert listed(page) == []
