"""Random lives of accounts: whatever they use, pay and are credited, whenever they are billed, every transaction is on
one bill or unbilled, and lines, bills and ledger agree."""

from collections import Counter
from itertools import pairwise

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from control.billing import bill_rows
from control.billing.bill import Bill, total_due
from control.billing.billed import Billed
from control.billing.recounting import recount_billed, recount_bills
from control.currency import unit_of
from control.ledger import Balances, ledger_differences
from control.ledger.postings import unbalanced
from rating.cdr import MICROS
from rating.store.reading import instant_text
from tests.bill_site import DAY_US, BillSite
from tests.builders import an_account, micros

NUMBERS = ("4000000001", "4000000002")
CURRENCIES = ("USD", "USD", "JPY", "KWD")
ZONES = ("UTC", "America/New_York", "Asia/Tokyo", "America/St_Johns", "Pacific/Kiritimati")
BEGINS = micros("2027-01-20T07:00:00Z")

Call = tuple[str, int, int, str, str]
"""Account, how long ago it was answered, charge, provider and line."""
CALL = st.tuples(
    st.sampled_from(NUMBERS),
    st.one_of(st.integers(0, 3 * DAY_US), st.integers(0, 70 * DAY_US)),
    st.one_of(st.just(0), st.integers(-5, 50), st.integers(-5 * MICROS, 900 * MICROS)),
    st.sampled_from(("A", "B")),
    st.sampled_from(("12125550142", "12125550143")),
)


class Lives(RuleBasedStateMachine):
    @initialize(
        days=st.lists(st.sampled_from((1, 15, 28, 29, 30, 31)), min_size=2, max_size=2),
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
        self.charged: dict[int, tuple[str, int]] = {}
        self.entered: list[tuple[str, int]] = []
        self.bills: list[Bill] = []
        self.answered: dict[int, int] = {}

    def teardown(self) -> None:
        if hasattr(self, "site"):
            self.site.cx.close()

    @rule(used=st.lists(CALL, min_size=1, max_size=8))
    def use(self, used: list[Call]) -> None:
        for account, back_us, micros_, provider, line in used:
            at = self.site.now - back_us
            number = self.site.call(at, micros_, account, provider=provider, line=line)
            self.charged[number], self.answered[number] = (account, micros_), at

    @rule(account=st.sampled_from(NUMBERS), units=st.integers(1, 500), credit=st.booleans())
    def enter(self, account: str, units: int, credit: bool) -> None:
        entry = (self.site.credit if credit else self.site.pay)(units, account)
        self.entered.append((account, entry))

    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        if self.entered:
            account, entry = self.entered.pop(data.draw(st.integers(0, len(self.entered) - 1)))
            self.site.take_back(entry, account)

    @rule(hours=st.integers(1, 24 * 40))
    def time_goes_on(self, hours: int) -> None:
        self.site.now += hours * 3_600 * MICROS

    @rule(months=st.integers(0, 2), one=st.sampled_from((*NUMBERS, None)))
    def bill(self, months: int, one: str | None) -> None:
        """The cycles that begin so many months ago, of one account or all."""
        year, month = map(int, instant_text(self.site.now)[:7].split("-"))
        index = year * 12 + month - 1 - months
        accounts = [account for number, account in self.site.accounts.items() if one in (None, number)]
        bills = self.site.bill_run(f"{index // 12}-{index % 12 + 1:02}", accounts)
        owed = Balances.load(self.site.cx)
        for bill in bills:
            assert bill.cycle_end <= self.site.now
            assert bill.total_due_micros == owed.owed(bill.account)
        self.bills += bills

    @rule(before=st.lists(CALL, max_size=5), after=st.lists(CALL, max_size=5))
    def a_month_goes_by_and_all_are_billed(self, before: list[Call], after: list[Call]) -> None:
        self.use(used=before)
        self.time_goes_on(hours=24 * 31)
        self.use(used=after)
        self.bill(months=2, one=None)
        self.bill(months=1, one=None)

    @invariant()
    def it_all_agrees(self) -> None:
        if not hasattr(self, "site"):
            return
        cx = self.site.cx
        assert [bill.number for bill in self.bills] == list(range(1, bill_rows.last_number(cx) + 1))
        on_bills: Counter[int] = Counter()
        for bill in self.bills:
            assert bill_rows.bill(cx, bill.number) == bill
            document = self.site.document(bill)
            itemised = self.site.itemised(bill)
            on_bills.update(itemised)
            assert {self.charged[number][0] for number in itemised} <= {bill.account}
            charges = sum(self.charged[number][1] for number in itemised)
            assert charges == bill.current_charges_micros == document.charges_micros
            assert len(itemised) == bill.calls
            assert bill.payments_micros >= 0
            assert bill.rounding_micros is not None
            assert bill.total_due_micros - bill.rounding_micros == total_due(
                bill.previous_balance_micros, bill.payments_micros, bill.adjustments_micros, charges
            )
            assert bill.total_due_micros % unit_of(bill.currency) == 0, "nobody can pay it"
        assert set(on_bills.values()) <= {1}
        billed = Billed.load(cx)
        assert unbalanced(cx) == []
        assert ledger_differences(cx, Balances.load(cx).all()) == []
        assert recount_bills(cx, len(self.bills)) == (len(self.bills), [])
        assert recount_billed(cx, billed.all(), len(self.bills)) == []
        for number in NUMBERS:
            own = [bill for bill in self.bills if bill.account == number]
            assert all(after.previous_balance_micros == before.total_due_micros for before, after in pairwise(own))
            carried = -sum(bill.rounding_micros or 0 for bill in own)
            assert own == [] or own[-1].carried_micros == carried
            assert 2 * abs(carried) <= unit_of(self.site.currency(number))
            charged = sum(micros_ for account, micros_ in self.charged.values() if account == number)
            unbilled = sum(
                micros_ for id_, (account, micros_) in self.charged.items() if account == number and id_ not in on_bills
            )
            assert charged - billed.charged(number) == unbilled + carried
            # What a bill covers is on it, or on one before it: nothing is passed over.
            assert not any(
                account == number and id_ <= bill.covers_id and self.answered[id_] < bill.cycle_end
                for bill in own
                for id_, (account, _) in self.charged.items()
                if id_ not in on_bills
            )


TestLives = Lives.TestCase
TestLives.settings = settings(
    max_examples=40, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
