"""Customers' payments on a real store: accepted or refused in one transaction, once for a key, and what follows."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from control import audit, bars
from control.events.definition_json import parse_event
from control.ledger import EntryRefused, Kind, Why
from control.ledger.entry import Book, Owed
from control.ledger.payments import Recorded
from control.payments import payment_rows
from control.payments.payment import PENDING, Payment, Pending, Refused, State
from control.payments.rules import Rules
from control.payments.service import KeyTaken, NoSuchInvoice, NotPossible
from rating.cdr import MICROS
from tests.bills_by_hand import issue_bill, some_charges
from tests.builders import ACCOUNT, micros
from tests.integration.till import CUSTOMER, EVENT, ISSUED, TWO_PERCENT, Till, opened_till


@pytest.fixture
async def till(tmp_path: Path) -> AsyncIterator[Till]:
    async with opened_till(tmp_path) as till:
        yield till


class TestAcceptance:
    async def test_what_is_accepted_is_in_transit_and_owed_no_more(self, till: Till) -> None:
        await till.bill(100)
        paid = await till.pay()
        assert (paid.id, paid.account, paid.invoice, paid.state) == (1, ACCOUNT, 1, State.REQUESTED)
        assert (paid.amount_micros, paid.discount_micros, paid.reason) == (100 * MICROS, 0, None)
        assert (paid.requested_at, paid.actor, paid.discount_entry) == (ISSUED, CUSTOMER, None)
        assert await till.books() == {Book.REVENUE: -100, Book.IN_TRANSIT: 100}
        assert (till.due, await till.pending(), till.woken) == (0, Pending(100 * MICROS, 0), 1)
        (entry, _) = await till.ledger.entries(ACCOUNT, limit=10)
        assert (entry.id, entry.kind, entry.amount_micros, entry.remark) == (
            paid.entry, Kind.PAYMENT, 100 * MICROS, "invoice 1",
        )  # fmt: skip
        assert (await till.store.read(lambda cx: audit.entries(cx, limit=1)))[0].actor == CUSTOMER
        assert [one.id for one in await till.payments.waiting()] == [1]

    async def test_less_may_be_paid_and_the_rest_later_and_no_more(self, till: Till) -> None:
        await till.bill(100)
        await till.pay(60)
        refused = await till.pay(41, "k2")
        assert (refused.state, refused.reason, refused.entry) == (State.REFUSED, "payment-pending", None)
        assert (await till.pay(101, "k3")).reason == "over-amount"
        assert (await till.pay(None, "k4")).amount_micros == 40 * MICROS
        assert (await till.pay(None, "k5")).reason == "payment-pending"
        assert await till.attempts() == [
            "requested", "refused payment-pending", "refused over-amount", "requested", "refused payment-pending",
        ]  # fmt: skip
        assert till.due == 0

    async def test_what_was_refused_is_flagged_on_the_invoice_the_newest_first(self, till: Till) -> None:
        await till.bill(100)
        await till.pay()
        await till.pay(None, "k2")
        await till.move(State.BATCHED, State.SUBMITTED, State.SETTLED)
        await till.pay(7, "k3")
        flags = await till.store.read(payment_rows.flags_of, 1)
        assert [(flag.reason, flag.amount_micros) for flag in flags] == [
            ("zero-balance", 7 * MICROS), ("payment-pending", None),
        ]  # fmt: skip
        assert all(flag.words for flag in flags)
        assert await till.store.read(payment_rows.flags_of, 2) == []

    async def test_a_credit_is_refused_with_its_amount(self, till: Till) -> None:
        await till.bill(100)
        await till.ledger.credit(ACCOUNT, 103 * MICROS, "USD", actor="stella", key="goodwill")
        refused = await till.pay()
        assert (refused.reason, "3.00 to its credit" in refused.words) == ("credit-balance", True)
        asked = await till.payments.payable(1)
        assert isinstance(asked, Refused)
        assert asked.words == refused.words

    async def test_a_payment_on_an_older_invoice_pays_the_account(self, till: Till) -> None:
        await till.bill(100)
        till.now = micros("2026-12-03T12:00:00-05:00")
        await till.bill(50, follows=1, period="2026-11")
        paid = await till.pay(None, invoice=1)
        assert (paid.amount_micros, paid.invoice, till.due) == (150 * MICROS, 1, 0)
        assert (await till.pay(None, "k2", invoice=2)).reason == "payment-pending"

    async def test_too_small_a_balance_is_not_collected(self, till: Till) -> None:
        await till.rules(Rules("standard", below_micros=5 * MICROS))
        await till.bill(5)
        assert (await till.pay()).reason == "zero-balance"
        assert await till.attempts() == ["refused zero-balance"]

    async def test_what_is_no_payment_is_not_written_down(self, till: Till) -> None:
        await till.bill(100)
        for why, amount, values in (
            (Why.AMOUNT, 0, {}),
            (Why.AMOUNT, -1, {}),
            (Why.CURRENCY, 1, {"currency": "EUR"}),
            (Why.KEY, 1, {"key": ""}),
            (Why.KEY, 1, {"key": "\tpayment 1 accepted"}),
        ):
            with pytest.raises(EntryRefused) as refused:
                await till.payments.pay(1, amount, **{"actor": CUSTOMER, "key": "k", **values})
            assert refused.value.why is why
        with pytest.raises(NoSuchInvoice):
            await till.pay(invoice=2)
        with pytest.raises(NoSuchInvoice):
            await till.payments.payable(2)
        assert (await till.attempts(), till.due, till.woken) == ([], 100, 0)

    async def test_what_fails_on_the_way_leaves_nothing(self, till: Till) -> None:
        await till.rules()
        await till.bill(100)
        till.watching = False
        with pytest.raises(RuntimeError):
            await till.pay()
        assert (await till.attempts(), till.due, till.woken) == ([], 100, 0)
        till.watching = True
        assert (await till.pay()).id == 1


class TestKeys:
    async def test_the_same_request_is_answered_as_the_first_time(self, till: Till) -> None:
        await till.bill(100)
        first = await till.tried()
        again = await till.tried()
        assert (first.is_new, again.is_new) == (True, False)
        assert again.payment == first.payment
        assert (await till.attempts(), till.woken) == (["requested"], 1)

    async def test_a_refusal_is_answered_again_even_if_it_would_be_accepted_now(self, till: Till) -> None:
        await till.bill(100)
        await till.pay()
        refused = await till.pay(None, "k2")
        await till.move(State.CANCELLED)
        assert till.due == 100
        assert await till.pay(None, "k2") == refused
        assert (await till.pay(None, "k3")).is_accepted

    async def test_another_request_under_a_key_is_none(self, till: Till) -> None:
        await till.bill(100)
        till.now = micros("2026-12-03T12:00:00-05:00")
        await till.bill(100, follows=1, period="2026-11")
        await till.pay(10)
        for units, invoice in ((11, 1), (None, 1), (10, 2)):
            with pytest.raises(KeyTaken, match="a key of its own"):
                await till.pay(units, invoice=invoice)
        assert till.due == 190

    async def test_a_key_of_somebody_elses_entry_is_no_hindrance(self, till: Till) -> None:
        """Staff's keys are the ledger's own, customers' those of payments."""
        await till.bill(100)
        for key in ("payment 1 accepted", "k1"):
            await till.ledger.pay(ACCOUNT, MICROS, "USD", actor="stella", key=key)
        assert (await till.pay()).amount_micros == 98 * MICROS


class TestTakingBack:
    """Staff take an entry back that a customer's payment made."""

    async def take_back(self, till: Till, entry: int | None, key: str = "mistake") -> Recorded:
        assert entry is not None
        return await till.payments.take_back(ACCOUNT, entry, actor="stella", key=key, remark="the wrong account")

    @pytest.mark.parametrize(
        ("way", "state"),
        [([], State.CANCELLED), ([State.BATCHED, State.SUBMITTED, State.SETTLED], State.RETURNED)],
    )
    async def test_the_payment_comes_to_nothing_with_its_discount(
        self, till: Till, way: list[State], state: State
    ) -> None:
        await till.rules()
        await till.bill(100)
        paid = await till.pay()
        if way:
            await till.move(*way)
        woken = till.woken
        recorded = await self.take_back(till, paid.entry)
        assert (recorded.entry.reverses, recorded.entry.remark, till.due) == (paid.entry, "the wrong account", 100)
        assert await till.books() == {Book.REVENUE: -100, Book.RECEIVABLE: 100}
        assert (await till.attempts(), till.woken) == ([str(state)], woken + 1)
        again = await self.take_back(till, paid.entry)
        assert (again.entry, again.is_new) == (recorded.entry, False)
        with pytest.raises(EntryRefused, match="has been taken back already"):
            await self.take_back(till, paid.entry, "another")
        assert (await till.pay(None, "k2")).discount_micros == 2 * MICROS
        logged = [entry.action for entry in await till.store.read(lambda cx: audit.entries(cx, limit=100))]
        assert ("cancel payment" if state is State.CANCELLED else "return payment") in logged

    async def test_what_the_bank_has_is_left_to_the_bank(self, till: Till) -> None:
        await till.bill(100)
        paid = await till.pay()
        for state in (State.BATCHED, State.SUBMITTED, State.UNKNOWN):
            await till.move(state)
            with pytest.raises(EntryRefused, match=f"is payment 1, which is {state}: it comes back when the bank"):
                await self.take_back(till, paid.entry)
        assert (till.due, await till.attempts()) == (0, ["unknown"])

    async def test_a_settlement_is_not_taken_back_alone(self, till: Till) -> None:
        await till.bill(100)
        await till.pay()
        settled = await till.move(State.BATCHED, State.SUBMITTED, State.SETTLED)
        with pytest.raises(EntryRefused, match="take back the entry of the payment instead"):
            await self.take_back(till, settled.settlement_entry)

    async def test_what_staff_entered_is_taken_back_too_and_a_bill_is_not(self, till: Till) -> None:
        bill = await till.bill(100)
        cheque = await till.ledger.pay(ACCOUNT, 10 * MICROS, "USD", actor="stella", key="cheque")
        await self.take_back(till, cheque.entry.id)
        assert till.due == 100
        with pytest.raises(EntryRefused, match="is a bill, which stays as it is"):
            await self.take_back(till, bill.entry, "another")


class TestToTheCent:
    """Of a bill of 100.0001, and of amounts that nobody can pay."""

    @pytest.fixture(autouse=True)
    async def bill(self, till: Till) -> None:
        await till.rules()
        await issue_bill(till.store, till.ledger, till.now, some_charges(100_000_100))

    async def pays(self, till: Till, micros_: int | None, key: str = "k1") -> Payment:
        return (await till.payments.pay(1, micros_, actor=CUSTOMER, key=key)).payment

    async def test_what_is_due_can_be_paid_and_nothing_is_left(self, till: Till) -> None:
        paid = await self.pays(till, None)
        assert (paid.amount_micros, paid.discount_micros) == (98 * MICROS, 2 * MICROS)
        assert till.ledger.balances.owed(ACCOUNT) == 0
        assert (await self.pays(till, None, "k2")).reason == "payment-pending"

    async def test_the_total_less_the_discount_is_all_of_it_and_a_cent_more_or_less_is_not(self, till: Till) -> None:
        over = await self.pays(till, 98_010_000, "over")
        assert (over.reason, over.words) == (
            "over-amount", "the amount is above what is due, 98.00 (2.00 less for paying early): pay that, or less",
        )  # fmt: skip
        exactly = await self.pays(till, 98_000_000, "exactly")
        assert exactly.discount_micros == 2 * MICROS
        await till.move(State.CANCELLED, number=exactly.id)
        less = await self.pays(till, 97_990_000, "less")
        assert (less.discount_micros, till.ledger.balances.owed(ACCOUNT)) == (0, 2_010_000)

    @pytest.mark.parametrize("micros_", [1, 100, 97_999_999, 98_000_001, 98_005_000, 100_000_100])
    async def test_more_decimals_than_the_currency_has_are_no_payment_at_all(self, till: Till, micros_: int) -> None:
        with pytest.raises(EntryRefused, match="more decimals than USD has: write at most 2"):
            await self.pays(till, micros_)
        assert await till.attempts() == []
        for enter in (till.ledger.pay, till.ledger.credit):
            with pytest.raises(EntryRefused, match="more decimals than USD has: write at most 2"):
                await enter(ACCOUNT, micros_, "USD", actor="stella", key="k")

    @pytest.mark.parametrize(
        ("owed", "paid"), [(12_345_600, 12_350_000), (12_344_900, 12_340_000), (4_900, None), (-4_900, None)]
    )
    async def test_staff_receives_what_a_bill_of_today_would_come_to(
        self, till: Till, owed: int, paid: int | None
    ) -> None:
        async def receive() -> int:
            recorded = await till.ledger.pay(ACCOUNT, None, "USD", actor="stella", key="all", due=lambda: Owed(owed))
            return recorded.entry.amount_micros

        if paid is not None:
            assert await receive() == paid
        else:
            with pytest.raises(EntryRefused, match="nothing is due"):
                await receive()

    @pytest.mark.parametrize(
        ("charges", "total", "reason"),
        [
            (-100_000_100, 0, "zero-balance"),
            (-112_345_600, -12_350_000, "credit-balance"),
            (-99_999_900, 0, "zero-balance"),
            (-99_994_000, 10_000, None),
        ],
    )
    async def test_what_is_due_may_be_nothing_or_a_credit(
        self, till: Till, charges: int, total: int, reason: str | None
    ) -> None:
        await till.rules(TWO_PERCENT)
        charged = some_charges(charges, follows=1, period="2026-11")
        bill = await issue_bill(till.store, till.ledger, till.now, charged)
        assert (bill.total_due_micros, bill.discount) == (total, None)
        assert till.ledger.balances.owed(ACCOUNT) == total
        said = (await till.payments.pay(2, None, actor=CUSTOMER, key="k")).payment
        assert (said.reason, said.amount_micros) == (reason, None if reason else total)


class TestStates:
    async def test_settled_the_money_is_cash_and_nothing_is_owed_or_pending(self, till: Till) -> None:
        await till.rules()
        await till.bill(100)
        await till.pay()
        till.now += 5
        settled = await till.move(State.BATCHED, State.SUBMITTED, State.SETTLED)
        assert (settled.state, settled.changed_at) == (State.SETTLED, till.now)
        assert await till.books() == {Book.REVENUE: -100, Book.CASH: 98, Book.DISCOUNTS_GRANTED: 2}
        assert (till.due, await till.pending()) == (0, Pending(0, 0))
        assert (await till.pay(None, "k2")).reason == "zero-balance"

    @pytest.mark.parametrize(
        "way",
        [
            [State.CANCELLED],
            [State.BATCHED, State.REJECTED],
            [State.BATCHED, State.UNKNOWN, State.REJECTED],
            [State.BATCHED, State.SUBMITTED, State.RETURNED],
            [State.BATCHED, State.SUBMITTED, State.SETTLED, State.RETURNED],
        ],
    )
    async def test_what_comes_to_nothing_is_owed_again(self, till: Till, way: list[State]) -> None:
        await till.rules()
        await till.bill(100)
        await till.pay()
        for state in way[:-1]:
            await till.move(state)
            assert till.due == 0
            assert (await till.pending()).micros == (100 * MICROS if state in PENDING else 0)
        moved = await till.payments.move(1, way[-1], actor="the bank", reason="R01", words="insufficient funds")
        assert (moved.state, moved.reason, moved.words) == (way[-1], "R01", "insufficient funds")
        assert await till.books() == {Book.REVENUE: -100, Book.RECEIVABLE: 100}
        assert await till.payments.move(1, way[-1], actor="the bank") == moved
        assert await till.pay() == moved, "its key is answered with what became of it"

    async def test_what_a_person_took_back_is_not_taken_back_twice(self, till: Till) -> None:
        await till.bill(100)
        paid = await till.pay()
        await till.ledger.reverse(ACCOUNT, paid.entry or 0, actor="stella", key="by hand")
        await till.move(State.CANCELLED)
        assert till.due == 100

    async def test_a_state_that_does_not_follow_is_refused(self, till: Till) -> None:
        await till.bill(100)
        await till.pay(10)
        await till.pay(500, "k2")
        for number, state in ((1, State.SETTLED), (1, State.RETURNED), (2, State.BATCHED), (3, State.BATCHED)):
            with pytest.raises(NotPossible, match=f"payment {number}"):
                await till.move(state, number=number)
        await till.move(State.BATCHED)
        with pytest.raises(NotPossible, match="payment 1 is batched: it cannot be cancelled"):
            await till.move(State.CANCELLED)
        assert (await till.attempts(), till.due) == (["batched", "refused over-amount"], 90)

    async def test_every_change_is_in_the_audit_log(self, till: Till) -> None:
        await till.bill(100)
        await till.pay()
        await till.move(State.BATCHED, State.SUBMITTED, State.SETTLED, State.RETURNED)
        logged = [entry.action for entry in await till.store.read(lambda cx: audit.entries(cx, limit=100))][::-1]
        assert logged[-8:] == [
            "record payment", "batch payment", "submit payment", "record settlement", "settle payment",
            "record reversal", "record reversal", "return payment",
        ]  # fmt: skip


class TestBars:
    async def reasons(self, till: Till) -> int:
        return len(await till.store.read(bars.open_of_account, ACCOUNT))

    async def test_a_payment_takes_the_reason_of_a_bar_away_in_its_own_transaction(self, till: Till) -> None:
        await till.store.transact(lambda cx: till.control.load(cx, till.now))
        await till.bill(100)
        await till.store.transact(lambda cx: till.control.add_event(cx, parse_event(EVENT), "stella", till.now))
        assert await self.reasons(till) == 1
        await till.pay(40)
        assert await self.reasons(till) == 1, "60 are above the limit of 50 still"
        await till.pay(10, "k2")
        assert await self.reasons(till) == 0

    async def test_a_payment_that_is_taken_back_bars_by_events_that_have_not_fired_and_no_others(
        self, till: Till
    ) -> None:
        async def prescribe(name: str) -> None:
            definition = parse_event(EVENT | {"name": name})
            await till.store.transact(lambda cx: till.control.add_event(cx, definition, "stella", till.now))

        async def take_back(paid: Payment) -> None:
            await till.payments.take_back(
                ACCOUNT, paid.entry or 0, actor="stella", key=f"back {paid.id}", remark="a mistake"
            )

        await till.store.transact(lambda cx: till.control.load(cx, till.now))
        await till.bill(100)
        await prescribe("fires at once")
        first = await till.pay()
        assert await self.reasons(till) == 0
        await take_back(first)
        assert (till.due, await self.reasons(till)) == (100, 0), "it has fired for this period and threshold"
        second = await till.pay(None, "k2")
        await prescribe("has not fired yet")
        assert await self.reasons(till) == 0
        await take_back(second)
        assert (till.due, await self.reasons(till)) == (100, 1)

    async def test_a_refused_payment_changes_nothing(self, till: Till) -> None:
        await till.store.transact(lambda cx: till.control.load(cx, till.now))
        await till.bill(100)
        await till.store.transact(lambda cx: till.control.add_event(cx, parse_event(EVENT), "stella", till.now))
        await till.pay(101)
        assert await self.reasons(till) == 1


class TestTogether:
    async def test_of_many_at_once_one_pays(self, till: Till) -> None:
        await till.bill(100)
        tried = await asyncio.gather(*(till.pay(None, f"k{n % 10}") for n in range(50)))
        accepted = {one.id for one in tried if one.is_accepted}
        assert len(accepted) == 1
        assert {one.reason for one in tried if not one.is_accepted} == {"payment-pending"}
        assert (till.due, len(await till.attempts())) == (0, 10)

    async def test_no_payment_makes_a_credit_whatever_else_happens(self, till: Till) -> None:
        await till.rules()
        chance, numbers = random.Random(5), iter(range(10_000))
        last = await till.bill(100)

        async def bill() -> None:
            nonlocal last
            period = f"{2027 + last.number // 12}-{last.number % 12 + 1:02d}"
            last = await till.bill(chance.randint(1, 99), follows=last.number, period=period)

        async def credit() -> None:
            await till.ledger.credit(
                ACCOUNT, chance.randint(1, 60) * MICROS, "USD", actor="stella", key=f"c{next(numbers)}"
            )

        async def pay() -> None:
            units = chance.choice((None, chance.randint(1, 120)))
            await till.pay(units, f"p{next(numbers)}", invoice=chance.randint(1, last.number))

        async def give_up() -> None:
            for payment in (await till.payments.waiting())[:1]:
                await till.payments.move(payment.id, State.CANCELLED, actor="stella")

        for _ in range(25):
            await asyncio.gather(bill(), *(chance.choice((pay, pay, pay, credit, give_up))() for _ in range(8)))
        rows = await till.store.read(
            lambda cx: cx.execute(
                "SELECT e.actor, e.kind, p.amount_micros FROM ledger_entries e JOIN ledger_postings p ON p.entry = e.id"
                " WHERE p.book = 'receivable' ORDER BY e.id"
            ).fetchall()
        )
        owed, paid = 0, 0
        for actor, kind, amount in rows:
            owed += amount
            if actor == CUSTOMER and kind in (Kind.PAYMENT, Kind.DISCOUNT):
                paid += 1
                assert owed >= 0
        assert paid > 20
