"""Random lives of accounts that pay: usage, bills, payments, discounts, credits, reversals, payments that come back.
Lines sum to the bill, bills to the ledger, the ledger to zero, and no payment that was accepted makes a credit."""

import os
import sqlite3
from collections.abc import Callable, Coroutine
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from control.billing.bill import Bill
from control.currency import rounded, unit_of
from control.ledger import Balances, EntryRefused, Ledger, ledger_differences
from control.ledger.entry import Book
from control.ledger.postings import get, postings_of, unbalanced
from control.payments import payment_rows
from control.payments.payment import FOLLOWING, LIVE, PENDING, Payment, State
from control.payments.rule_rows import put_rules
from control.payments.rules import EarlyPayment, Rules
from control.payments.service import KeyTaken, NotPossible, Payments
from rating.cdr import MICROS
from rating.store.reading import instant_text
from tests.bill_site import DAY_US, BillSite
from tests.builders import an_account, micros

LIVES: Final = int(os.environ.get("TOLLKEEPER_LIVES", "25"))
NUMBERS: Final = ("4000000001", "4000000002")
CURRENCIES: Final = ("USD", "USD", "JPY", "KWD")
ZONES: Final = ("UTC", "America/New_York", "Pacific/Kiritimati", "America/St_Johns")
BEGINS: Final = micros("2027-01-20T07:00:00Z")
LOST: Final = (State.CANCELLED, State.REJECTED, State.RETURNED)

T = TypeVar("T")


class HeldStore:
    """A connection as the store that a ledger and payments write to; whoever waits for it does not have to."""

    def __init__(self, cx: sqlite3.Connection) -> None:
        self.cx = cx

    async def transact(self, work: Callable[..., T], *args: Any) -> T:
        self.cx.execute("BEGIN")
        try:
            done = work(self.cx, *args)
        except BaseException:
            self.cx.execute("ROLLBACK")
            raise
        self.cx.execute("COMMIT")
        return done

    async def read(self, query: Callable[..., T], *args: Any) -> T:
        return query(self.cx, *args)


def done(work: Coroutine[Any, Any, T]) -> T:
    """What comes of it, at once."""
    try:
        work.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    raise AssertionError("it waits for something")


class PayingLives(RuleBasedStateMachine):
    @initialize(
        days=st.lists(st.sampled_from((1, 15, 29, 30, 31)), min_size=2, max_size=2),
        zone=st.sampled_from(ZONES),
        currencies=st.lists(st.sampled_from(CURRENCIES), min_size=2, max_size=2),
    )
    def begin(self, days: list[int], zone: str, currencies: list[str]) -> None:
        accounts = [
            an_account(number, timezone=zone, cycle_day=day, currency=currency)
            for number, day, currency in zip(NUMBERS, days, currencies, strict=True)
        ]
        self.site = BillSite(*accounts)
        self.site.now = BEGINS
        self.zone = ZoneInfo(zone)
        self.restart()
        self.key = 0
        self.owed = dict.fromkeys(NUMBERS, 0)
        """What each owes, simply added up."""
        self.bills: dict[int, Bill] = {}
        self.below: dict[int, int] = {}
        self.entered: list[tuple[str, int, int]] = []
        """Account, entry, and what was granted by it; 0 for a payment."""
        self.cash = self.credits = 0
        self.paid: dict[int, Payment] = {}
        self.shares: dict[tuple[int, int], int] = {}
        """By payment and invoice, what was let go of."""
        self.asked: list[tuple[int, int | None, str, Payment]] = []
        self.make_rules(20_000, 10, 0)
        for account in NUMBERS:
            self.site.call(self.site.now, 100 * MICROS, account)
        self.a_month_goes_by(0)

    def restart(self) -> None:
        store: Any = HeldStore(self.site.cx)
        self.ledger = Ledger(store, lambda: self.site.now, Balances.load(self.site.cx))
        self.payments = Payments(store, self.ledger, lambda: self.site.now)

    def teardown(self) -> None:
        if hasattr(self, "site"):
            self.site.cx.close()

    def next_key(self) -> str:
        self.key += 1
        return f"k{self.key}"

    @property
    def today(self) -> date:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.site.now)
        return moment.astimezone(self.zone).date()

    @rule(days=st.integers(0, 12), hours=st.integers(0, 23))
    def time_goes_on(self, days: int, hours: int) -> None:
        self.site.now += days * DAY_US + hours * 3_600 * MICROS

    @rule(
        account=st.sampled_from(NUMBERS),
        back_us=st.integers(0, 40 * DAY_US),
        micros_=st.one_of(
            st.integers(-5 * MICROS, 50),
            st.integers(MICROS, 900 * MICROS),
            st.integers(1, 90_000).map(lambda n: 100 * n),
        ),
    )
    def use(self, account: str, back_us: int, micros_: int) -> None:
        self.site.call(self.site.now - back_us, micros_, account)

    @rule(percent=st.sampled_from((0, 1, 20_000, 990_000)), days=st.integers(0, 20), below=st.integers(0, 3))
    def make_rules(self, percent: int, days: int, below: int) -> None:
        early = EarlyPayment(percent * 100, days) if percent else None
        put_rules(self.site.cx, Rules("x", None, early, 20, below * MICROS), "", "stella", self.site.now)

    @rule(days=st.integers(0, 3))
    def a_month_goes_by(self, days: int) -> None:
        """And every cycle that has ended meanwhile is billed."""
        self.site.now += (31 + days) * DAY_US
        year, month = map(int, instant_text(self.site.now)[:7].split("-"))
        for back in (2, 1):
            index = year * 12 + month - 1 - back
            self.bill(f"{index // 12}-{index % 12 + 1:02}")

    def bill(self, period: str) -> None:
        for bill in self.site.bill_run(period):
            entry = get(self.site.cx, bill.entry)
            assert entry is not None
            self.ledger.balances.apply(entry)
            self.owed[bill.account] += bill.charged_micros
            assert bill.total_due_micros == self.owed[bill.account]
            self.bills[bill.number] = bill

    @rule(account=st.sampled_from(NUMBERS), units=st.integers(1, 60), credit=st.booleans())
    def enter(self, account: str, units: int, credit: bool) -> None:
        """What staff enters may make a credit."""
        make = self.ledger.credit if credit else self.ledger.pay
        currency = self.site.currency(account)
        amount = rounded(units * 1_234_567, currency)
        entry = done(make(account, amount, currency, actor="stella", key=self.next_key())).entry
        self.entered.append((account, entry.id, amount if credit else 0))
        self.owed[account] -= amount
        self.credits, self.cash = self.credits + amount * credit, self.cash + amount * (not credit)
        with pytest.raises(EntryRefused, match=f"more decimals than {currency} has"):
            done(make(account, amount + 1, currency, actor="stella", key=self.next_key()))

    @precondition(lambda self: self.entered)
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        account, entry, credit = self.entered.pop(data.draw(st.integers(0, len(self.entered) - 1)))
        back = done(self.ledger.reverse(account, entry, actor="stella", key=self.next_key())).entry
        self.owed[account] -= back.amount_micros
        amount = -back.amount_micros
        self.credits, self.cash = self.credits - amount * bool(credit), self.cash - amount * (not credit)

    @precondition(lambda self: self.bills)
    @rule(data=st.data(), asked=st.one_of(st.none(), st.integers(1, 300 * MICROS)), all_but=st.integers(-3, 3))
    def pay(self, data: st.DataObject, asked: int | None, all_but: int) -> None:
        bill = self.bills[data.draw(st.sampled_from(sorted(self.bills, reverse=True)))]
        if asked is None:
            bill = max((one for one in self.bills.values() if one.account == bill.account), key=lambda one: one.number)
        due, pending = self.owed[bill.account], self.pending(bill.account)
        offered = self.offered(bill.account)
        unit = unit_of(bill.currency)
        if asked is not None and asked % 4 and due + all_but * unit > 0:
            asked = due + all_but * unit  # about all of it
        elif asked is not None and asked % 8:
            asked = rounded(asked + unit, bill.currency)
        key = self.next_key()
        if (asked or 0) % unit:
            with pytest.raises(EntryRefused, match=f"more decimals than {bill.currency} has"):
                done(self.payments.pay(bill.number, asked, actor="ada", key=key))
            return
        tried = done(self.payments.pay(bill.number, asked, actor="ada", key=key))
        assert tried.is_new
        payment = tried.payment
        self.asked.append((bill.number, asked, key, payment))
        if not payment.is_accepted:
            assert payment.entry is None
            self.check_refusal(payment, asked, due, pending, offered)
            return
        assert payment.amount_micros is not None
        let_go = payment.discount_micros
        self.paid[payment.id] = payment
        self.owed[bill.account] -= payment.amount_micros + let_go
        assert self.owed[bill.account] >= 0, "a payment made a credit"
        assert asked in (None, payment.amount_micros)
        if asked is None:
            assert self.owed[bill.account] == 0
        shares = payment_rows.shares_of(self.site.cx, payment.id)
        assert sum(one.paid_micros for one in shares) == payment.amount_micros
        assert sum(one.discount_micros for one in shares) == let_go
        left = self.left(bill.account)
        for one in shares:
            self.shares[payment.id, one.invoice] = one.discount_micros
            assert not one.discount_micros or (one.discount_micros == offered[one.invoice] and one.invoice not in left)
        if self.owed[bill.account] == 0:
            assert let_go == sum(offered.values()), "who pays all of it takes all discounts"
        for number in offered.keys() - {one.invoice for one in shares if one.discount_micros}:
            assert number in left or asked == due, "an invoice that was cleared has its discount"

    def left(self, account: str) -> dict[int, int]:
        """What is left of an account's invoices, the oldest paid first."""
        bills = sorted((one for one in self.bills.values() if one.account == account), key=lambda one: one.number)
        came_in = sum(max(one.charged_micros, 0) for one in bills) - max(self.owed[account], 0)
        left = {}
        for bill in bills:
            paid = min(max(bill.charged_micros, 0), came_in)
            came_in -= paid
            left[bill.number] = max(bill.charged_micros, 0) - paid
        return {number: micros_ for number, micros_ in left.items() if micros_}

    def offered(self, account: str) -> dict[int, int]:
        """The discounts that an account can have today."""
        live = {number for number, one in self.paid.items() if one.state in LIVE}
        touched = {invoice for payment, invoice in self.shares if payment in live}
        return {
            number: bill.discount.amount_micros
            for number, micros_ in self.left(account).items()
            if (bill := self.bills[number]).discount is not None
            and number not in touched
            and bill.issued_on <= self.today <= bill.discount.last_on
            and bill.discount.amount_micros < micros_
        }

    def check_refusal(
        self, payment: Payment, asked: int | None, due: int, pending: int, offered: dict[int, int]
    ) -> None:
        match payment.reason:
            case "zero-balance":
                assert 0 <= due <= 3 * MICROS
            case "credit-balance":
                assert due < 0
            case "payment-pending":
                assert pending > 0
                assert due + pending > 0
                assert due <= 3 * MICROS or (asked or 0) > due
            case "over-amount":
                assert asked is not None
                assert asked > due - sum(offered.values())
            case _:
                raise AssertionError(payment)

    def pending(self, account: str) -> int:
        return sum(
            (one.amount_micros or 0) + one.discount_micros
            for one in self.paid.values()
            if one.account == account and one.state in PENDING
        )

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        invoice, asked, key, first = data.draw(st.sampled_from(self.asked))
        again = done(self.payments.pay(invoice, asked, actor="ada", key=key))
        assert not again.is_new
        assert again.payment == self.paid.get(first.id, first)
        with pytest.raises(KeyTaken):
            done(self.payments.pay(invoice, (asked or 0) + 1, actor="ada", key=key))

    @precondition(lambda self: self.paid)
    @rule(data=st.data(), state=st.sampled_from(State))
    def move(self, data: st.DataObject, state: State) -> None:
        payment = self.paid[data.draw(st.sampled_from(sorted(self.paid)))]
        following = sorted(FOLLOWING[payment.state])
        if following and data.draw(st.booleans()):
            state = data.draw(st.sampled_from(following))
        if state is not payment.state and state not in FOLLOWING[payment.state]:
            with pytest.raises(NotPossible):
                done(self.payments.move(payment.id, state, actor="the bank"))
            return
        self.moved(payment, state)

    def moved(self, payment: Payment, state: State) -> None:
        self.paid[payment.id] = done(self.payments.move(payment.id, state, actor="the bank"))
        if state in LOST and payment.state is not state:
            self.owed[payment.account] += (payment.amount_micros or 0) + payment.discount_micros

    @precondition(lambda self: any(one.state is State.REQUESTED for one in self.paid.values()))
    @rule(comes_back=st.booleans())
    def the_bank_answers(self, comes_back: bool) -> None:
        """All that waits is settled; some of it comes back later."""
        for payment in done(self.payments.waiting()):
            for state in (State.BATCHED, State.SUBMITTED, State.SETTLED):
                self.paid[payment.id] = done(self.payments.move(payment.id, state, actor="the bank"))
            if comes_back and payment.id % 2:
                self.moved(payment, State.RETURNED)

    @precondition(lambda self: self.bills)
    @rule(data=st.data())
    def what_is_none_changes_nothing(self, data: st.DataObject) -> None:
        invoice = data.draw(st.sampled_from(sorted(self.bills)))
        with pytest.raises(EntryRefused):
            done(self.payments.pay(invoice, 0, actor="ada", key=self.next_key()))

    @rule()
    def start_again(self) -> None:
        self.restart()

    @invariant()
    def it_all_agrees(self) -> None:
        if not hasattr(self, "site"):
            return
        cx = self.site.cx
        assert unbalanced(cx) == []
        assert ledger_differences(cx, self.ledger.balances.all()) == []
        for account in NUMBERS:
            assert self.ledger.balances.owed(account) == self.owed[account]
            assert payment_rows.pending(cx, account).micros == self.pending(account)
        stands = {one.id: one for number in self.bills for one in payment_rows.of_invoice(cx, number, limit=1_000)}
        assert {number: one for number, one in stands.items() if one.is_accepted} == self.paid
        for bill in self.bills.values():
            document = self.site.document(bill)
            lines = [line for section in document.sections for line in section.lines]
            assert bill.current_charges_micros == sum(call.charge_micros for line in lines for call in line.calls)
            posted = {one.book: one.amount_micros for one in postings_of(cx, bill.entry)}
            assert (posted[Book.RECEIVABLE], -posted[Book.REVENUE]) == (
                bill.charged_micros,
                bill.current_charges_micros,
            )
            assert posted.get(Book.ROUNDING, 0) == -(bill.rounding_micros or 0)
            assert bill.total_due_micros % unit_of(bill.currency) == 0
            assert 2 * abs(bill.carried_micros) <= unit_of(bill.currency)

    @invariant()
    def every_book_is_what_came_of_the_payments(self) -> None:
        if not hasattr(self, "site"):
            return
        rows = self.site.cx.execute("SELECT book, sum(amount_micros) FROM ledger_postings GROUP BY book").fetchall()
        books = dict.fromkeys(Book, 0) | {Book(book): total for book, total in rows}
        here = [one for one in self.paid.values() if one.state is State.SETTLED]
        on_its_way = [one for one in self.paid.values() if one.state in PENDING]
        assert books == {
            Book.RECEIVABLE: sum(self.owed.values()),
            Book.REVENUE: -sum(bill.current_charges_micros for bill in self.bills.values()),
            Book.ROUNDING: sum(
                bill.carried_micros for bill in {one.account: one for one in self.bills.values()}.values()
            ),
            Book.CASH: self.cash + sum(one.amount_micros or 0 for one in here),
            Book.IN_TRANSIT: sum(one.amount_micros or 0 for one in on_its_way),
            Book.CREDITS_GRANTED: self.credits,
            Book.DISCOUNTS_GRANTED: sum(one.discount_micros for one in [*here, *on_its_way]),
        }


TestPayingLives = PayingLives.TestCase
TestPayingLives.settings = settings(
    max_examples=LIVES, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
