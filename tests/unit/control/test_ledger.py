"""The ledger: it sums to zero whatever happens, every entry is made once, and the balances say what it says."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from control import audit
from control.ledger import MOST_MICROS, Balances, EntryRefused, Exposure, Kind, Why, ledger_differences
from control.ledger.entry import Book, Entry, Posting
from control.ledger.payments import Recorded, record_credit, record_payment, reverse
from control.ledger.postings import add, entries, postings_of, unbalanced
from mediation.schema import all_migrations
from rating.cdr import MICROS
from rating.store.migrations import migrate
from rating.store.provisioning import put_accounts
from tests.builders import ACCOUNT, NOW, an_account

OTHER = "4000099999"
CENT = 10_000
HUNDRED = 100 * MICROS


def a_store() -> sqlite3.Connection:
    """A store in memory with two accounts."""
    cx = sqlite3.connect(":memory:", isolation_level=None)
    migrate(cx, all_migrations(), NOW)
    put_accounts(cx, [an_account(), an_account(OTHER)], NOW)
    return cx


@pytest.fixture
def cx() -> Iterator[sqlite3.Connection]:
    with closing(a_store()) as cx:
        yield cx


def pay(cx: sqlite3.Connection, amount_micros: int = HUNDRED, *, key: str = "k1", **values: str) -> Recorded:
    account, currency = values.pop("account", ACCOUNT), values.pop("currency", "USD")
    return record_payment(cx, account, amount_micros, currency, actor="stella", key=key, now=NOW, **values)


def give_back(cx: sqlite3.Connection, entry: Entry, key: str = "r1", account: str = ACCOUNT) -> Recorded:
    return reverse(cx, account, entry.id, actor="stella", key=key, now=NOW)


def paid(cx: sqlite3.Connection, account: str = ACCOUNT) -> int:
    return -Balances.load(cx).owed(account)


def test_a_payment_stands_in_two_books_and_in_the_audit_log(cx: sqlite3.Connection) -> None:
    entry = pay(cx, remark="cheque 17").entry
    assert postings_of(cx, entry.id) == [
        Posting(Book.CASH, ACCOUNT, HUNDRED, "USD"),
        Posting(Book.RECEIVABLE, ACCOUNT, -HUNDRED, "USD"),
    ]
    assert entries(cx, ACCOUNT, limit=10) == [entry]
    assert (entry.kind, entry.amount_micros, entry.remark) == (Kind.PAYMENT, HUNDRED, "cheque 17")
    (logged,) = audit.entries(cx, limit=10)
    assert (logged.actor, logged.action, logged.subject) == ("stella", "record payment", f"account {ACCOUNT}")
    assert logged.detail == "entry 1, 100.00 USD: cheque 17"
    assert (paid(cx), paid(cx, OTHER)) == (HUNDRED, 0)


def test_a_request_that_comes_again_is_answered_with_the_first_entry(cx: sqlite3.Connection) -> None:
    first = pay(cx)
    again = pay(cx)
    assert (first.is_new, again.is_new) == (True, False)
    assert again.entry == first.entry
    assert paid(cx) == HUNDRED
    assert len(audit.entries(cx, limit=10)) == 1


def test_a_reversal_that_comes_again_is_answered_with_the_first_one(cx: sqlite3.Connection) -> None:
    entry = pay(cx).entry
    first = give_back(cx, entry)
    assert give_back(cx, entry) == Recorded(first.entry, is_new=False)
    assert (first.entry.reverses, first.entry.amount_micros) == (entry.id, -HUNDRED)
    assert paid(cx) == 0


def test_a_key_is_one_accounts_own(cx: sqlite3.Connection) -> None:
    assert pay(cx).is_new
    assert pay(cx, account=OTHER).is_new


@pytest.mark.parametrize(
    ("why", "amount_micros", "values"),
    [
        (Why.KEY, HUNDRED + 1, {}),
        (Why.KEY, HUNDRED, {"remark": "another"}),
        (Why.KEY, HUNDRED, {"key": ""}),
        (Why.KEY, HUNDRED, {"key": "k" * 256}),
        (Why.KEY, HUNDRED, {"key": "a\nb"}),
        (Why.AMOUNT, 0, {"key": "k2"}),
        (Why.AMOUNT, -1, {"key": "k2"}),
        (Why.AMOUNT, MOST_MICROS + 1, {"key": "k2"}),
        (Why.CURRENCY, HUNDRED, {"key": "k2", "currency": "EUR"}),
        (Why.UNKNOWN_ACCOUNT, HUNDRED, {"key": "k2", "account": "nobody"}),
        (Why.REMARK, HUNDRED, {"key": "k2", "remark": "x" * 501}),
        (Why.REMARK, HUNDRED, {"key": "k2", "remark": "two\nlines"}),
    ],
)
def test_what_is_no_payment_changes_nothing(
    cx: sqlite3.Connection, why: Why, amount_micros: int, values: dict[str, str]
) -> None:
    pay(cx)
    with pytest.raises(EntryRefused) as refused:
        pay(cx, amount_micros, **values)
    assert refused.value.why is why
    assert len(entries(cx, ACCOUNT, limit=10)) == 1


def test_an_entry_is_taken_back_once_and_a_reversal_never(cx: sqlite3.Connection) -> None:
    entry = pay(cx).entry
    reversal = give_back(cx, entry).entry
    for number, words in ((entry.id, "taken back already, by entry 2"), (reversal.id, "takes another one back")):
        with pytest.raises(EntryRefused, match=words) as refused:
            reverse(cx, ACCOUNT, number, actor="stella", key="r2", now=NOW)
        assert refused.value.why is Why.REVERSED
    assert paid(cx) == 0


def test_an_entry_is_taken_back_for_its_own_account_only(cx: sqlite3.Connection) -> None:
    entry = pay(cx).entry
    with pytest.raises(EntryRefused, match="no entry 1") as refused:
        give_back(cx, entry, account=OTHER)
    assert refused.value.why is Why.UNKNOWN_ENTRY


def test_postings_that_do_not_sum_to_zero_are_not_written(cx: sqlite3.Connection) -> None:
    entry = Entry(1, Kind.PAYMENT, ACCOUNT, NOW, "stella", "", "k", None, 2, "USD")
    for halves in (
        [Posting(Book.CASH, ACCOUNT, 2, "USD"), Posting(Book.RECEIVABLE, ACCOUNT, -1, "USD")],
        [Posting(Book.CASH, ACCOUNT, 2, "EUR"), Posting(Book.RECEIVABLE, ACCOUNT, -2, "USD")],
    ):
        with pytest.raises(AssertionError):
            add(cx, entry, b"", halves)
    assert cx.execute("SELECT count(*) FROM ledger_entries").fetchone() == (0,)


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("UPDATE ledger_postings SET amount_micros = amount_micros + 1 WHERE entry = 1 AND book = 'cash'", [(1, 1)]),
        ("UPDATE ledger_postings SET currency = 'EUR' WHERE entry = 1 AND book = 'cash'", [(1, 0)]),
        ("DELETE FROM ledger_postings WHERE entry = 1", [(1, 0)]),
        ("DELETE FROM ledger_entries WHERE id = 1", [(1, 0)]),
    ],
)
def test_tampering_shows(cx: sqlite3.Connection, tampering: str, found: list[tuple[int, int]]) -> None:
    pay(cx)
    pay(cx, key="k2")
    assert unbalanced(cx) == []
    cx.execute(tampering)
    assert unbalanced(cx) == found


def test_balances_that_are_wrong_show(cx: sqlite3.Connection) -> None:
    entry = pay(cx).entry
    balances = Balances.load(cx)
    assert ledger_differences(cx, balances.all()) == []
    balances.apply(entry)
    assert ledger_differences(cx, balances.all()) == [(ACCOUNT, -2 * HUNDRED, -HUNDRED)]
    balances.undo(entry)
    assert ledger_differences(cx, balances.all()) == []
    assert ledger_differences(cx, {}) == [(ACCOUNT, 0, -HUNDRED)]
    assert ledger_differences(cx, {ACCOUNT: -HUNDRED, OTHER: 5}) == [(OTHER, 5, 0)]


def test_balances_are_compared_as_of_an_entry(cx: sqlite3.Connection) -> None:
    first = pay(cx).entry
    then = Balances.load(cx).all()
    pay(cx, key="k2")
    assert ledger_differences(cx, then, first.id) == []
    assert ledger_differences(cx, then) == [(ACCOUNT, -HUNDRED, -2 * HUNDRED)]


def test_great_sums_are_exact(cx: sqlite3.Connection) -> None:
    cx.executemany(
        "INSERT INTO ledger_postings VALUES (0, ?, ?, 'receivable', ?, ?, 'USD')",
        ((n, n, ACCOUNT, -(1 << 62) - 1) for n in range(1, 6)),
    )
    assert paid(cx) == 5 * ((1 << 62) + 1)


def test_exposure_is_what_is_owed_less_what_was_paid() -> None:
    balances = Balances({ACCOUNT: -23})
    asked = []

    def unbilled(account: str, at: int) -> int:
        asked.append((account, at))
        return 100

    exposure = Exposure(unbilled, balances)
    assert (exposure.of(ACCOUNT, NOW), exposure.of(OTHER, NOW)) == (77, 100)
    assert (exposure.balance_due(ACCOUNT), exposure.unbilled(ACCOUNT, NOW)) == (-23, 100)
    assert asked == [(ACCOUNT, NOW), (OTHER, NOW), (ACCOUNT, NOW)]


class LedgerMachine(RuleBasedStateMachine):
    """Payments, credits and reversals in any order, repeated or not, against a list that is simply added up."""

    @initialize()
    def begin(self) -> None:
        self.cx = a_store()
        self.balances = Balances.load(self.cx)
        self.made: list[tuple[str, str, int, Entry]] = []
        self.reversed: set[int] = set()
        self.key = 0

    def teardown(self) -> None:
        if hasattr(self, "cx"):
            self.cx.close()

    def take(self, recorded: Recorded) -> None:
        assert recorded.is_new
        self.balances.apply(recorded.entry)

    @rule(
        account=st.sampled_from((ACCOUNT, OTHER)),
        amount_micros=st.one_of(st.integers(1, 5), st.integers(1, MOST_MICROS // CENT)).map(lambda cents: CENT * cents),
        credit=st.booleans(),
    )
    def enter(self, account: str, amount_micros: int, credit: bool) -> None:
        self.key += 1
        key = f"k{self.key}"
        record = record_credit if credit else record_payment
        recorded = record(self.cx, account, amount_micros, "USD", actor="stella", key=key, now=NOW)
        self.take(recorded)
        self.made.append((account, key, amount_micros, recorded.entry))

    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        if not self.made:
            return
        account, _, amount_micros, entry = data.draw(st.sampled_from(self.made))
        self.key += 1
        key = f"k{self.key}"
        if entry.id in self.reversed or entry.kind is Kind.REVERSAL:
            with pytest.raises(EntryRefused):
                reverse(self.cx, account, entry.id, actor="stella", key=key, now=NOW)
            return
        recorded = reverse(self.cx, account, entry.id, actor="stella", key=key, now=NOW)
        self.take(recorded)
        self.reversed.add(entry.id)
        self.made.append((account, key, -amount_micros, recorded.entry))

    @rule(data=st.data(), changed=st.booleans())
    def repeat(self, data: st.DataObject, changed: bool) -> None:
        if not self.made:
            return
        account, key, amount_micros, entry = data.draw(st.sampled_from(self.made))
        if changed:
            with pytest.raises(EntryRefused):
                record_payment(self.cx, account, 6_000_000_001, "USD", actor="stella", key=key, now=NOW)
            return
        if entry.reverses is not None:
            again = reverse(self.cx, account, entry.reverses, actor="other", key=key, now=NOW + 1)
        else:
            record = record_credit if entry.kind is Kind.CREDIT else record_payment
            again = record(self.cx, account, amount_micros, "USD", actor="other", key=key, now=NOW + 1)
        assert again == Recorded(entry, is_new=False)

    @rule()
    def restart(self) -> None:
        self.balances = Balances.load(self.cx)

    @invariant()
    def it_sums_to_zero_and_the_balances_are_right(self) -> None:
        if not hasattr(self, "cx"):
            return
        assert unbalanced(self.cx) == []
        assert self.cx.execute("SELECT coalesce(sum(amount_micros), 0) FROM ledger_postings").fetchone() == (0,)
        assert ledger_differences(self.cx, self.balances.all()) == []
        for account in (ACCOUNT, OTHER):
            assert -self.balances.owed(account) == sum(amount for of, _, amount, _ in self.made if of == account)


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
