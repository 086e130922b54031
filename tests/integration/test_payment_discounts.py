"""Early-payment discounts: offered, taken, given back, of one invoice and of several."""

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest

from control.ledger import Kind
from control.ledger.entry import Book
from control.payments import payment_rows
from control.payments.payment import Accepted, Pending, State
from control.payments.settling import Share
from rating.cdr import MICROS
from tests.bills_by_hand import issue_bill, some_charges
from tests.builders import ACCOUNT, micros
from tests.integration.till import LAST_DAY_ENDS, Till, opened_till


@pytest.fixture
async def till(tmp_path: Path) -> AsyncIterator[Till]:
    async with opened_till(tmp_path) as till:
        yield till


class TestDiscount:
    async def test_it_is_let_go_of_with_a_payment_in_full_and_in_time(self, till: Till) -> None:
        await till.rules()
        bill = await till.bill(100)
        assert bill.discount is not None
        shares = (Share(1, 98 * MICROS, 2 * MICROS),)
        assert await till.payments.payable(1) == Accepted(98 * MICROS, 2 * MICROS, shares, date(2026, 11, 13))
        till.now = LAST_DAY_ENDS - 1
        paid = await till.pay()
        assert (paid.amount_micros, paid.discount_micros) == (98 * MICROS, 2 * MICROS)
        assert await till.books() == {Book.REVENUE: -100, Book.IN_TRANSIT: 98, Book.DISCOUNTS_GRANTED: 2}
        assert await till.pending() == Pending(98 * MICROS, 2 * MICROS)

    async def test_it_is_gone_when_its_last_day_is_over_where_the_account_is(self, till: Till) -> None:
        await till.rules()
        await till.bill(100)
        till.now = LAST_DAY_ENDS
        assert (await till.pay()).discount_micros == 0

    async def test_what_is_asked_for_must_leave_it_out(self, till: Till) -> None:
        await till.rules()
        await till.bill(100)
        refused = await till.pay(100)
        assert (refused.reason, "98.00 (2.00 less" in refused.words) == ("over-amount", True)
        paid = await till.pay(98, "k2")
        assert (paid.discount_micros, till.due) == (2 * MICROS, 0)

    async def test_parts_get_none_neither_the_first_nor_the_last(self, till: Till) -> None:
        await till.rules()
        await till.bill(100)
        assert (await till.pay(60)).discount_micros == 0
        paid = await till.pay(None, "k2")
        assert (paid.amount_micros, paid.discount_micros) == (40 * MICROS, 0)

    async def test_a_part_that_came_to_nothing_does_not_forfeit_it(self, till: Till) -> None:
        await till.rules()
        await till.bill(100)
        await till.pay(60)
        await till.move(State.CANCELLED)
        assert (await till.pay(None, "k2")).discount_micros == 2 * MICROS

    async def test_it_is_had_once_and_back_with_its_payment(self, till: Till) -> None:
        await till.rules()
        await till.bill(100)
        await till.pay()
        await till.move(State.BATCHED, State.SUBMITTED, State.RETURNED)
        assert await till.books() == {Book.REVENUE: -100, Book.RECEIVABLE: 100}
        again = await till.pay(None, "k2")
        assert (again.discount_micros, till.due) == (2 * MICROS, 0)
        await till.ledger.reverse(ACCOUNT, again.discount_entry or 0, actor="stella", key="by hand")
        assert (await till.pay(None, "k3")).discount_micros == 0, "a payment on the invoice is on its way"

    async def test_what_staff_received_makes_what_is_left_less(self, till: Till) -> None:
        await till.rules()
        await till.bill(100)
        await till.ledger.pay(ACCOUNT, 97 * MICROS, "USD", actor="stella", key="cheque")
        paid = await till.pay()
        assert (paid.amount_micros, paid.discount_micros) == (MICROS, 2 * MICROS)

    async def test_an_invoice_is_paid_early_though_there_is_a_newer_one(self, till: Till) -> None:
        await till.rules()
        await till.bill(100)
        bill = await issue_bill(
            till.store, till.ledger, till.now, some_charges(50 * MICROS, follows=1, period="2026-11")
        )
        assert bill.discount is not None
        assert (await till.pay(98, "k1", invoice=1)).discount_micros == 2 * MICROS
        rest = await till.pay(None, "k2", invoice=2)
        assert (rest.amount_micros, rest.discount_micros, till.due) == (49 * MICROS, MICROS, 0)


class TestDiscountsOfSeveral:
    """100 on invoice 1, 50 on invoice 2, with 2 and 1 off for paying early."""

    @pytest.fixture(autouse=True)
    async def bills(self, till: Till) -> None:
        await till.rules()
        await till.bill(100)
        await till.bill(50, follows=1, period="2026-11")

    async def shares(self, till: Till, number: int) -> dict[int, tuple[int, int]]:
        found = await till.store.read(payment_rows.shares_of, number)
        return {one.invoice: (one.paid_micros // MICROS, one.discount_micros // MICROS) for one in found}

    async def taken(self, till: Till) -> dict[int, int]:
        found = await till.store.read(payment_rows.discounts_of, ACCOUNT)
        return {invoice: micros_ // MICROS for invoice, micros_ in found.items()}

    @pytest.mark.parametrize("invoice", [1, 2])
    async def test_all_that_is_due_takes_all_of_them_on_whichever_invoice(self, till: Till, invoice: int) -> None:
        assert await till.payments.payable(1) == await till.payments.payable(2)
        paid = await till.pay(None, invoice=invoice)
        assert (paid.amount_micros, paid.discount_micros, till.due) == (147 * MICROS, 3 * MICROS, 0)
        assert await self.shares(till, paid.id) == {1: (98, 2), 2: (49, 1)}
        assert await self.taken(till) == {1: 2, 2: 1}
        assert await till.books() == {Book.REVENUE: -150, Book.IN_TRANSIT: 147, Book.DISCOUNTS_GRANTED: 3}
        entries = await till.ledger.entries(ACCOUNT, limit=2)
        assert {one.kind: one.remark for one in entries} == {
            Kind.DISCOUNT: "invoices 1, 2, paid early", Kind.PAYMENT: f"invoice {invoice}",
        }  # fmt: skip

    async def test_less_pays_the_oldest_first_and_what_is_not_cleared_loses_its_own(self, till: Till) -> None:
        paid = await till.pay(100, invoice=2)
        assert (paid.discount_micros, await self.shares(till, paid.id)) == (2 * MICROS, {1: (98, 2), 2: (2, 0)})
        rest = await till.pay(None, "k2", invoice=1)
        assert (rest.amount_micros, rest.discount_micros, till.due) == (48 * MICROS, 0, 0)

    async def test_one_that_is_cleared_by_itself_leaves_the_other_its_own(self, till: Till) -> None:
        await till.pay(98, invoice=2)
        assert await self.taken(till) == {1: 2}
        rest = await till.pay(None, "k2", invoice=1)
        assert (rest.amount_micros, rest.discount_micros, till.due) == (49 * MICROS, MICROS, 0)

    async def test_they_are_back_with_their_payment_and_had_again(self, till: Till) -> None:
        await till.pay(None, invoice=2)
        await till.move(State.CANCELLED)
        assert (till.due, await self.taken(till)) == (150, {})
        assert (await till.pay(None, "k2", invoice=1)).discount_micros == 3 * MICROS

    async def test_what_was_granted_is_not_granted_again_when_the_account_owes_it_again(self, till: Till) -> None:
        cheque = await till.ledger.pay(ACCOUNT, 100 * MICROS, "USD", actor="stella", key="cheque")
        paid = await till.pay()
        assert (paid.discount_micros, await self.shares(till, paid.id)) == (MICROS, {2: (49, 1)})
        await till.ledger.reverse(ACCOUNT, cheque.entry.id, actor="stella", key="it bounced")
        again = await till.pay(None, "k2")
        assert (again.amount_micros, again.discount_micros) == (98 * MICROS, 2 * MICROS)
        assert await self.taken(till) == {1: 2, 2: 1}, "invoice 2 has had its own"

    async def test_each_is_gone_after_its_own_last_day(self, till: Till) -> None:
        till.now = micros("2026-11-10T12:00:00-05:00")
        await till.bill(200, follows=2, period="2026-12")
        till.now = LAST_DAY_ENDS
        paid = await till.pay(invoice=1)
        assert (paid.discount_micros, await self.shares(till, paid.id)) == (
            4 * MICROS, {1: (100, 0), 2: (50, 0), 3: (196, 4)},
        )  # fmt: skip
