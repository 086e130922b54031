"""Invoices as pages: who sees them, what stands on them, and what a customer is told who pays or cannot."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from control.currency import rounded, shown
from control.users import Role
from rating.cdr import MICROS
from tests.integration.invoice_site import InvoiceSite, with_invoices
from tests.integration.web_site import ADA, Visitor, opened

PAY = "/invoices/2/pay"
DAY_US = 86_400 * MICROS
NOT_THERE = 404
ONLY_READ = {"stella": Role.STAFF, "agnes": Role.AGENT, "axel": Role.AUDITOR}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[InvoiceSite]:
    async with with_invoices(tmp_path) as site:
        yield site


@pytest.fixture
async def ada(site: InvoiceSite) -> Visitor:
    return await site.web.visitor("ada")


def plain(page: str) -> str:
    """A page as it is read: no tags, single blanks; an amount has its currency directly after it."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).strip()


def title(page: str) -> str:
    found = re.findall(r"<h1[^>]*>([^<]+)</h1>", page)
    assert len(found) == 1, found
    return str(found[0])


def amounts(page: str, selector: str) -> dict[str, str]:
    """Rows of the sums: what each is called, and its amount."""
    rows = re.findall(rf"<tr{selector}><th scope=\"row\">(.+?)</th><td class=\"amount\">([^<]+)</td></tr>", page)
    return {plain(name): amount for name, amount in rows}


def micros(amount: str) -> int:
    return round(float(amount.replace(",", "").replace("−", "-")) * MICROS)


async def form_of(who: Visitor, path: str = PAY) -> dict[str, str]:
    """The fields of the payment form, as they come."""
    page = await who.get(path)
    names = ("key", "amount")
    found = {name: re.search(rf'<input[^>]* name="{name}"[^>]* value="([^"]*)"', page) for name in names}
    return {name: match[1] for name, match in found.items() if match}


async def refused(who: Visitor, path: str = PAY, **form: str) -> str:
    """The page that says why nothing was paid."""
    answer = await who.post(path, **form)
    assert answer.status == 200
    return not_available(await answer.text())


def not_available(page: str) -> str:
    """Its text; there is no way to pay on it."""
    assert title(page) == "Payment Not Available"
    main = page[page.index("<main") :]
    assert "<form" not in main
    assert "<button" not in main
    assert not re.search(r'href="(/pay|/invoices/\d+/pay)"', page)
    assert "Pay invoice" not in page
    assert "Pay now" not in page
    return plain(main)


class TestWhoSees:
    async def test_the_customer_the_agent_staff_and_auditors_see_it_and_only_the_customer_can_pay(
        self, site: InvoiceSite, ada: Visitor
    ) -> None:
        page = await ada.get("/invoices/2")
        assert title(page) == "Invoice 2"
        assert f'href="{PAY}">Pay now</a>' in page
        for name in ONLY_READ:
            who = await site.web.visitor(name)
            page = await who.get("/invoices/2")
            assert title(page) == "Invoice 2"
            assert "Pay now" not in page
            await who.get(PAY, status=NOT_THERE)
            assert (await who.post(PAY, amount="1.00", key="k")).status == NOT_THERE
        assert site.rows("SELECT * FROM payments") == []

    @pytest.mark.parametrize(("name", "path"), [("bob", "/invoices/2"), ("bob", PAY), ("agnes", "/invoices/3"),
                                                ("olga", "/invoices/2"), ("ada", "/invoices/4")])  # fmt: skip
    async def test_what_is_not_theirs_is_not_there(self, site: InvoiceSite, name: str, path: str) -> None:
        page = await (await site.web.visitor(name)).get(path, status=NOT_THERE)
        assert "Ada" not in page

    async def test_who_is_not_enrolled_is_led_to_the_payment_options(self, site: InvoiceSite, ada: Visitor) -> None:
        await site.cancel(ADA)
        for path in ("/statements", "/invoices/2", PAY, "/pay"):
            page = await ada.get(path)
            assert title(page) == "Your bills come on paper"
            assert 'href="/payment-options"' in page
            assert "150.00" not in page
        await ada.get("/invoices/3", status=NOT_THERE)
        assert title(await (await ada.post(PAY, amount="1.00", key="k")).text()) == "Your bills come on paper"
        assert site.due == 150 * MICROS
        for name in ONLY_READ:
            assert title(await (await site.web.visitor(name)).get("/invoices/2")) == "Invoice 2"

    async def test_the_menu_bar_leads_to_statements_and_payment(self, ada: Visitor) -> None:
        page = await ada.get("/home")
        assert 'href="/statements">Statements</a>' in page
        assert 'href="/pay">Pay invoice</a>' in page


class TestInvoice:
    async def test_its_sums_are_the_bills(self, site: InvoiceSite, ada: Visitor) -> None:
        page = await ada.get("/invoices/2")
        rows, sums, total = (amounts(page, kind) for kind in ("", ' class="sum"', ' class="total"'))
        assert rows == {
            "Previous balance": "100.00", "Payments": "0.00", "Adjustments": "0.00",
            "Current charges, Transcontinental": "50.00",
        }  # fmt: skip
        assert sums == {"Total outstanding": "100.00", "Total charges": "50.00"}
        assert total == {"Total due, USD": "150.00"}
        assert sum(map(micros, rows.values())) == sum(map(micros, sums.values())) == 150 * MICROS
        text = plain(page)
        for words in (
            "Ada Lovelace", f"Account {ADA}", "Invoice date 20 Nov 2026", "Invoice number 2", "Payable by 20 Dec 2026",
            "Billing period 1 Oct 2026 – 31 Oct 2026 31 days", "Amount due now 150.00 USD",
            "1 Oct 2026 00:00:00", "London", "direct", "1:01 50.00", "Line +12125550142 1 call",
        ):  # fmt: skip
            assert words in text, words
        assert 'href="/invoices/2.pdf"' in page

    async def test_the_amount_due_is_what_is_due_now_and_the_rest_stays(self, site: InvoiceSite, ada: Visitor) -> None:
        before = await ada.get("/invoices/2")
        await site.payments.pay(2, 40 * MICROS, actor="ada", key="k")
        after = await ada.get("/invoices/2")
        assert "Amount due now 110.00 USD" in plain(after)
        assert "of 40.00 USD is on its way" in plain(after)
        assert amounts(after, "") == amounts(before, "")
        await site.ledger.credit(ADA, 130 * MICROS, "USD", actor="stella", key="goodwill")
        assert "To your credit now 20.00 USD" in plain(await ada.get("/invoices/2"))

    async def test_the_discount_is_there_until_its_last_day(self, site: InvoiceSite, ada: Visitor) -> None:
        words = "Early-payment discount 1.00 USD Last day: 30 Nov 2026"
        page = plain(await ada.get("/invoices/2"))
        pay = (
            "Pay 147.00 USD by then, and nothing is left to pay: that takes 3.00 USD off, the discounts of 2 invoices."
        )
        assert f"{words} {pay} ✓ available" in page
        assert f"2.00 USD Last day: 30 Nov 2026 {pay} ✓ available" in plain(await ada.get("/invoices/1"))
        site.web.now += 10 * DAY_US
        ada = await site.web.visitor("ada")
        assert f"{pay} ✓ available" in plain(await ada.get("/invoices/2"))
        for path in (PAY, "/invoices/1/pay", "/pay"):
            text = plain(await ada.get(path))
            assert "You pay 147.00 USD if you pay all of it by 30 Nov 2026: 3.00 USD less for paying early" in text
            assert "(2.00 on invoice 1, 1.00 on invoice 2)" in text
        site.web.now += DAY_US
        ada = await site.web.visitor("ada")
        assert f"{words} – ended" in plain(await ada.get("/invoices/2"))
        assert "The early-payment discount of 1.00 USD ended on 30 Nov 2026" in plain(await ada.get(PAY))
        assert (await form_of(ada))["amount"] == "150.00"

    async def test_the_discount_is_gone_of_the_invoice_of_which_a_part_was_paid(
        self, site: InvoiceSite, ada: Visitor
    ) -> None:
        await site.payments.pay(2, 40 * MICROS, actor="ada", key="k")
        first = plain(await ada.get("/invoices/1"))
        assert "30 Nov 2026 – not available any more" in first
        assert "Amount due now 110.00 USD 109.00 USD if paid by 30 Nov 2026" in first
        assert "Pay 109.00 USD by then, and nothing is left to pay. ✓ available" in plain(await ada.get("/invoices/2"))
        assert (await form_of(ada))["amount"] == "109.00"
        await site.payments.pay(1, None, actor="ada", key="k2")
        assert "1.00 USD Last day: 30 Nov 2026 ✓ taken" in plain(await ada.get("/invoices/2"))

    async def test_calls_that_are_not_billed_are_summed_and_linked(self, site: InvoiceSite, ada: Visitor) -> None:
        page = await ada.get("/invoices/2")
        unbilled = site.web.site.exposure.unbilled(ADA, site.web.now)
        assert unbilled > 0
        assert f"Calls not billed yet {shown(rounded(unbilled, 'USD'), 'USD')} USD Since 1 Nov 2026" in plain(page)
        link = re.search(r'href="(/transactions\?[^"]+)">Since', page)
        assert link
        found = await ada.get(link[1].replace("&amp;", "&"))
        assert "The search cannot be made" not in found
        assert len(re.findall(r'href="/transactions/\d+"', found)) == 2

    async def test_refused_attempts_are_flagged_for_staff_and_auditors(self, site: InvoiceSite, ada: Visitor) -> None:
        await site.payments.pay(2, 500 * MICROS, actor="ada", key="k")
        for name in ("ada", "agnes", "axel", "stella"):
            page = await (await site.web.visitor(name)).get("/invoices/2")
            assert ("Refused payment attempts" in page) == (name in ("axel", "stella")), name
        assert "ada 500.00 ! over-amount the amount is above what is due" in plain(page)


class TestPaying:
    async def test_all_that_is_due_is_offered_and_accepted_not_paid(self, site: InvoiceSite, ada: Visitor) -> None:
        form = await form_of(ada)
        assert form["amount"] == "147.00"
        answer = await ada.post(PAY, **form)
        page = await ada.follow(answer)
        assert title(page) == "Payment accepted"
        ((entry, amount),) = site.rows("SELECT entry, amount_micros FROM payments")
        assert f"Payment number {entry} " in plain(page)
        assert amount == 147 * MICROS
        assert site.due == 0
        assert " paid" not in title(page)
        again = await ada.post(PAY, **form)
        assert again.headers["Location"] == answer.headers["Location"]
        assert len(site.rows("SELECT * FROM payments")) == 1

    async def test_every_form_has_a_key_of_its_own(self, ada: Visitor) -> None:
        assert (await form_of(ada))["key"] != (await form_of(ada))["key"]
        assert (await form_of(ada, "/pay"))["amount"] == (await form_of(ada))["amount"]

    async def test_pay_invoice_in_the_menu_is_about_the_latest_invoice(self, ada: Visitor) -> None:
        page = await ada.get("/pay")
        assert title(page) == "Pay invoice 2"
        assert f'action="{PAY}"' in page

    @pytest.mark.parametrize("amount", ["40", "1,049.00"])
    async def test_another_amount_is_taken_as_it_is_typed(self, site: InvoiceSite, ada: Visitor, amount: str) -> None:
        form = await form_of(ada) | {"amount": amount}
        if amount == "40":
            await ada.follow(await ada.post(PAY, **form))
            assert site.due == 110 * MICROS
        else:
            assert "above what is due" in await refused(ada, **form)

    @pytest.mark.parametrize(
        ("amount", "words"),
        [
            ("0", "must be above zero"),
            ("-5", "is not an amount"),
            ("much", "is not an amount"),
            ("23.0901", "more decimals than USD has"),
        ],
    )
    async def test_what_is_no_amount_is_said_in_place_and_kept(
        self, site: InvoiceSite, ada: Visitor, amount: str, words: str
    ) -> None:
        answer = await ada.post(PAY, **(await form_of(ada) | {"amount": amount}))
        page = await answer.text()
        assert title(page) == "Pay invoice 2"
        assert words in plain(page)
        assert f'value="{amount}"' in page
        assert site.rows("SELECT * FROM payments") == []

    async def test_an_amount_that_was_emptied_is_asked_for_again(self, site: InvoiceSite, ada: Visitor) -> None:
        page = await (await ada.post(PAY, **(await form_of(ada) | {"amount": " "}))).text()
        assert "no amount was given: all that is due is filled in, or write less" in plain(page)
        assert 'value="147.00"' in page
        assert site.rows("SELECT * FROM payments") == []

    async def test_a_form_that_was_sent_with_another_amount_pays_nothing(self, site: InvoiceSite, ada: Visitor) -> None:
        form = await form_of(ada)
        await ada.follow(await ada.post(PAY, **(form | {"amount": "40"})))
        page = await (await ada.post(PAY, **(form | {"amount": "50"}))).text()
        assert "was sent before with another amount" in page
        assert form["key"] not in page
        assert site.due == 110 * MICROS

    async def test_the_page_of_an_accepted_payment_is_of_its_own_invoice(self, site: InvoiceSite, ada: Visitor) -> None:
        answer = await ada.post(PAY, **await form_of(ada))
        bob = await site.web.visitor("bob")
        number = answer.headers["Location"].partition("=")[2]
        assert title(await bob.get(f"/invoices/3/pay?accepted={number}")) == "Pay invoice 3"
        assert title(await ada.get(f"/invoices/1/pay?accepted={number}")) == "Payment Not Available"


class TestRefusals:
    async def test_a_payment_that_is_on_its_way(self, site: InvoiceSite, ada: Visitor) -> None:
        first, second = await form_of(ada), await form_of(ada)
        await ada.post(PAY, **first)
        assert "on its way" in await refused(ada, **second)
        for path in (PAY, "/pay"):
            text = plain(not_available(await ada.get(path)))
            assert "What is due is being paid already" in text
            assert "Being paid already 147.00 USD and 3.00 USD discount for paying early" in text
        assert "Being paid, USD 147.00 and 3.00 discount" in plain(await ada.get("/statements"))
        assert f'href="{PAY}">Pay now</a>' in await ada.get("/invoices/2")
        # One that was sent, and that somebody wanted to pay, however often.
        assert len(site.rows("SELECT * FROM payments WHERE state = 'refused'")) == 2

    async def test_a_balance_of_zero(self, site: InvoiceSite, ada: Visitor) -> None:
        form = await form_of(ada)
        await site.ledger.credit(ADA, 150 * MICROS, "USD", actor="stella", key="goodwill")
        assert "Nothing is due: the balance is zero" in await refused(ada, **form)
        assert "the balance is zero" in not_available(await ada.get("/pay"))

    async def test_a_credit_with_its_amount(self, site: InvoiceSite, ada: Visitor) -> None:
        form = await form_of(ada)
        await site.ledger.credit(ADA, 162 * MICROS, "USD", actor="stella", key="goodwill")
        text = await refused(ada, **form)
        assert "the account has 12.00 to its credit" in text
        assert "To your credit 12.00 USD" in text
        assert "12.00" in not_available(await ada.get(PAY))

    async def test_more_than_is_due(self, site: InvoiceSite, ada: Visitor) -> None:
        text = await refused(ada, **(await form_of(ada) | {"amount": "150.01"}))
        assert "The amount is above what is due, 147.00 (3.00 less for paying early)" in text
        assert 'href="/invoices/2"' in await (await ada.post(PAY, amount="200", key="another")).text()
        assert site.due == 150 * MICROS

    async def test_who_has_no_invoice_yet_is_told_so(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as web:
            await web.site.enrolments.enrol(ADA, "test")
            ada = await web.visitor("ada")
            assert "There is no invoice yet" in not_available(await ada.get("/pay"))
            assert "No statements yet" in await ada.get("/statements")
