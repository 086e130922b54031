"""What staff enter in an account's ledger, by pages and API: credits, entries taken back, and payments received."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from control import audit
from control.payments.payment import State
from control.users import Role
from rating.cdr import MICROS
from tests.integration.invoice_site import InvoiceSite, with_invoices
from tests.integration.test_web_invoice_pages import plain
from tests.integration.web_site import ADA, BOB, Visitor

ENTRIES: Final = f"/accounts/{ADA}/entries"
CREDITS: Final = f"/accounts/{ADA}/credits"
PAYMENTS: Final = f"/accounts/{ADA}/payments"
API: Final = f"/api/v1/accounts/{ADA}"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[InvoiceSite]:
    async with with_invoices(tmp_path) as site:
        yield site


@pytest.fixture
async def stella(site: InvoiceSite) -> Visitor:
    return await site.web.visitor("stella")


@pytest.fixture
async def staff(site: InvoiceSite) -> Visitor:
    return await site.program(Role.STAFF)


async def cheque(site: InvoiceSite, units: int = 40) -> int:
    """The entry of a payment that was received."""
    recorded = await site.ledger.pay(ADA, units * MICROS, "USD", actor="stella", key=f"cheque {units}")
    return recorded.entry.id


def fields(page: str) -> dict[str, str]:
    """What a form sends as it stands."""
    inputs = re.findall(r"<input[^>]*>", page)
    found = {
        name[1]: value for text in inputs if (name := re.search(r'name="(\w+)"', text)) for value in [_value(text)]
    }
    del found["csrf"]
    return found


def _value(text: str) -> str:
    found = re.search(r'value="([^"]*)"', text)
    return found[1] if found else ""


async def noted(site: InvoiceSite) -> list[tuple[str, str]]:
    """What the audit log says, the newest first."""
    found = await site.web.store.read(lambda cx: audit.entries(cx, limit=3))
    return [(one.action, one.detail) for one in found]


class TestTakingBack:
    async def test_an_entry_is_taken_back_once_confirmed_with_a_reason(
        self, site: InvoiceSite, stella: Visitor
    ) -> None:
        entry = await cheque(site)
        assert f'href="{ENTRIES}"' in await stella.get(f"/accounts/{ADA}")
        link = f"{ENTRIES}?take_back={entry}"
        assert f'href="{link}"' in await stella.get(ENTRIES)
        page = await stella.get(link)
        assert "the account owes 40.00 USD more" in plain(page)
        form = fields(page)
        without = await (await stella.post(ENTRIES, **form)).text()
        assert "say why: it goes into the audit log" in plain(without)
        assert fields(without) == form
        assert site.due == 110 * MICROS
        form |= {"reason": "the cheque bounced"}
        page = plain(await stella.follow(await stella.post(ENTRIES, **form)))
        assert re.search(rf"Entry \d+ takes entry {entry} back: 40\.00 USD is owed again\.", page)
        assert f"taken back by {entry + 1}" in page
        assert site.due == 150 * MICROS
        await stella.follow(await stella.post(ENTRIES, **form))
        assert site.due == 150 * MICROS, "sent again, it is not taken back again"
        (action, detail), *_ = await noted(site)
        assert (action, detail.endswith(f"takes back entry {entry}, 40.00 USD: the cheque bounced")) == (
            "record reversal", True,
        )  # fmt: skip
        assert "taken back: the cheque bounced" in plain(await (await site.web.visitor("ada")).get("/statements"))

    async def test_a_customers_payment_comes_to_nothing_with_its_discount(
        self, site: InvoiceSite, stella: Visitor
    ) -> None:
        paid = (await site.payments.pay(2, None, actor="ada", key="k")).payment
        assert (paid.discount_micros, site.due) == (3 * MICROS, 0)
        form = fields(await stella.get(f"{ENTRIES}?take_back={paid.entry}")) | {"reason": "of another customer"}
        page = plain(await stella.follow(await stella.post(ENTRIES, **form)))
        assert "147.00 USD is owed again" in page
        assert "Due now: 150.00 USD" in page
        assert site.rows("SELECT state, words FROM payments") == [("cancelled", "of another customer")]

    async def test_what_cannot_be_taken_back_is_said_and_stays(self, site: InvoiceSite, stella: Visitor) -> None:
        paid = (await site.payments.pay(2, None, actor="ada", key="k")).payment
        page = await stella.get(f"{ENTRIES}?take_back={paid.entry}")
        await site.move(paid.id, State.BATCHED)
        text = plain(await (await stella.post(ENTRIES, **(fields(page) | {"reason": "x"}))).text())
        assert "Nothing was taken back: entry" in text
        assert "is batched: it comes back when the bank says so" in text
        assert site.due == 0
        ((bill,),) = site.rows("SELECT entry FROM bills WHERE number = 2")
        for number in (bill, 999):
            await stella.get(f"{ENTRIES}?take_back={number}", status=404)
        await stella.get(f"/accounts/{BOB}/entries?take_back={paid.entry}", status=404)

    async def test_it_is_done_by_programs_too_once_for_a_key(self, site: InvoiceSite, staff: Visitor) -> None:
        entry = await cheque(site)
        path, key = f"{API}/entries/{entry}/reversal", {"Idempotency-Key": "k"}
        made = await staff.send(path, {"reason": "the cheque bounced"}, status=201, **key)
        assert made == {
            "id": entry + 1, "kind": "reversal", "amount": "-40.00", "currency": "USD", "reverses": entry,
            "balance_due": "150.00",
        }  # fmt: skip
        other = await site.web.visitor("stella")
        assert await other.send(path, {"reason": "the cheque bounced"}, status=201, **key) == made
        assert "already" in (await staff.send(path, {"reason": "again"}, status=409))["detail"]
        ((bill,),) = site.rows("SELECT entry FROM bills WHERE number = 2")
        said = await staff.send(f"{API}/entries/{bill}/reversal", {"reason": "x"}, status=409)
        assert "is a bill, which stays as it is" in said["detail"]

    @pytest.mark.parametrize(
        ("path", "body", "words"),
        [
            ("entries/999/reversal", {"reason": "x"}, "has no entry 999"),
            ("entries/1/reversal", {}, "reason"),
            ("entries/1/reversal", {"reason": ""}, "reason"),
            ("credits", {"amount": "0", "reason": "x"}, "must be above zero"),
            ("credits", {"amount": "1.005", "reason": "x"}, "more decimals than USD has"),
            ("credits", {"amount": "1.00"}, "reason"),
            ("credits", {"amount": "1.00", "reason": "x", "currency": "EUR"}, "kept in USD"),
            ("credits", {"amount": "1.00", "reason": "two\nlines"}, "remark:"),
        ],
    )
    async def test_what_means_nothing_is_refused_in_words(
        self, site: InvoiceSite, staff: Visitor, path: str, body: object, words: str
    ) -> None:
        assert words in (await staff.send(f"{API}/{path}", body, status=422))["detail"]
        assert site.due == 150 * MICROS


class TestCredits:
    async def test_a_credit_is_granted_with_a_reason_once_for_a_form(self, site: InvoiceSite, stella: Visitor) -> None:
        form = fields(await stella.get(CREDITS)) | {"amount": "5.00", "reason": "for the trouble"}
        page = plain(await stella.follow(await stella.post(CREDITS, **form)))
        assert "a credit of 5.00 USD is recorded" in page
        await stella.follow(await stella.post(CREDITS, **form))
        assert site.due == 145 * MICROS
        text = plain(await (await stella.post(CREDITS, **(form | {"amount": "6.00"}))).text())
        assert "this form has granted another credit already" in text
        assert site.due == 145 * MICROS

    @pytest.mark.parametrize(
        ("typed", "words"),
        [
            ({"amount": "", "reason": "x"}, "write how much is granted"),
            ({"amount": "0", "reason": "x"}, "must be above zero"),
            ({"amount": "much", "reason": "x"}, "is not an amount"),
            ({"amount": "1.00", "reason": " "}, "say why"),
        ],
    )
    async def test_what_is_missing_or_wrong_is_said_in_place_and_kept(
        self, site: InvoiceSite, stella: Visitor, typed: dict[str, str], words: str
    ) -> None:
        form = fields(await stella.get(CREDITS)) | typed
        page = await (await stella.post(CREDITS, **form)).text()
        assert words in plain(page)
        assert fields(page) == form
        assert site.due == 150 * MICROS

    async def test_it_is_granted_by_programs_too_once_for_a_key(self, site: InvoiceSite, staff: Visitor) -> None:
        body, key = {"amount": "5", "reason": "for the trouble"}, {"Idempotency-Key": "k"}
        made = await staff.send(f"{API}/credits", body, status=201, **key)
        assert (made["kind"], made["amount"], made["balance_due"]) == ("credit", "5.00", "145.00")
        other = await site.web.visitor("stella")
        assert (await other.send(f"{API}/credits", body, status=201, **key))["id"] == made["id"]
        await other.send(f"{API}/credits", body | {"amount": "6"}, status=422, **key)
        assert site.due == 145 * MICROS


class TestPaymentReceived:
    """Of an account with 150.00 billed and due, and calls that are not billed yet."""

    async def received(self, site: InvoiceSite) -> list[Any]:
        return site.rows(
            "SELECT -p.amount_micros FROM ledger_entries e JOIN ledger_postings p ON p.entry = e.id"
            " WHERE e.kind = 'payment' AND p.book = 'receivable'"
        )

    async def test_without_an_amount_what_is_billed_and_due_is_paid(self, site: InvoiceSite, staff: Visitor) -> None:
        await staff.send(f"{API}/payments", {}, status=202)
        assert await self.received(site) == [(150 * MICROS,)]
        unbilled = (await staff.json(API))["unbilled"]
        await staff.send(f"{API}/payments", {}, status=202)
        ((_,), (rest,)) = await self.received(site)
        assert abs(rest - float(unbilled) * MICROS) <= 5_000, "nothing is due: all that is owed"

    async def test_more_is_taken_where_it_is_asked_for(self, site: InvoiceSite, staff: Visitor) -> None:
        await staff.send(f"{API}/payments", {"amount": "151.00"}, status=202)
        assert site.due == -MICROS

    async def test_the_form_says_what_an_empty_amount_means(self, site: InvoiceSite, stella: Visitor) -> None:
        page = await stella.get(PAYMENTS)
        assert "Billed and due: 150.00 USD; owed with calls that are not billed yet: 15" in plain(page)
        assert "(empty: all that is billed and due)" in plain(page)
        await stella.follow(await stella.post(PAYMENTS, **fields(page)))
        assert site.due == 0
        assert "(empty: all that is owed)" in plain(await stella.get(PAYMENTS))
