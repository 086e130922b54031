"""Bills come to what their currency can pay, what is left over goes on, and nothing is lost by it."""

from collections.abc import Iterator, Sequence

import pytest

from control.billing import bill_rows
from control.billing.bill import Bill
from control.billing.billed import Billed
from control.billing.recounting import recount_billed, recount_bills
from control.currency import decimals_of, rounded, shown, unit_of
from control.ledger import Balances
from control.ledger.entry import Book
from control.ledger.postings import postings_of, unbalanced
from rating.cdr import MICROS
from rating.store.reading import instant_text
from tests.bill_site import DAY_US, BillSite
from tests.builders import ACCOUNT, an_account, micros

BEGINS = micros("2027-01-15T12:00:00Z")


@pytest.fixture
def site() -> Iterator[BillSite]:
    site = BillSite(an_account())
    yield site
    site.cx.close()


def billed_monthly(site: BillSite, charges: Sequence[int | None]) -> list[Bill]:
    """A call a month that costs so much, or none, and a bill for each month that has one."""
    bills = []
    site.now = BEGINS
    for charge in charges:
        if charge is not None:
            site.call(site.now, charge)
        period = instant_text(site.now)[:7]
        site.now += 31 * DAY_US
        bills += site.bill_run(period)
    return bills


@pytest.mark.parametrize(
    ("currency", "decimals", "unit"),
    [("USD", 2, 10_000), ("JPY", 0, MICROS), ("KWD", 3, 1_000), ("CLF", 4, 100), ("QQQ", 2, 10_000)],
)
def test_a_currency_has_so_many_decimals(currency: str, decimals: int, unit: int) -> None:
    assert (decimals_of(currency), unit_of(currency)) == (decimals, unit)


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        (23_090_100, "USD", 23_090_000),
        (23_094_999, "USD", 23_090_000),
        (23_095_000, "USD", 23_100_000),
        (-23_095_000, "USD", -23_090_000),
        (-23_095_001, "USD", -23_100_000),
        (0, "USD", 0),
        (499_999, "JPY", 0),
        (500_000, "JPY", MICROS),
        (1_234_499, "KWD", 1_234_000),
        (1_234_500, "KWD", 1_235_000),
    ],
)
def test_amounts_are_rounded_half_up(amount: int, currency: str, expected: int) -> None:
    assert rounded(amount, currency) == expected


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (0, "USD", "0.00"),
        (2_618_000, "USD", "2.618"),
        (-1, "USD", "-0.000001"),
        (100 * MICROS, "USD", "100.00"),
        (1_500 * MICROS, "JPY", "1500"),
        (1_500_000, "JPY", "1.5"),
        (1_200_000, "KWD", "1.200"),
    ],
)
def test_amounts_are_shown_with_the_currencys_decimals_or_as_many_as_they_have(
    amount: int, currency: str, text: str
) -> None:
    assert shown(amount, currency) == text


@pytest.mark.parametrize(
    ("currency", "charges", "totals", "carried"),
    [
        ("USD", [23_090_100], [23_090_000], [100]),
        ("USD", [23_095_000], [23_100_000], [-5_000]),
        ("USD", [4_900, 4_900, 4_900], [0, 10_000, 10_000], [4_900, -200, 4_700]),
        ("USD", [3_333_300] * 3, [3_330_000, 6_670_000, 10_000_000], [3_300, -3_400, -100]),
        ("USD", [-23_090_100], [-23_090_000], [-100]),
        ("USD", [10_000, -10_100], [10_000, 0], [0, -100]),
        ("JPY", [1_234_567_890], [1_235 * MICROS], [-432_110]),
        ("KWD", [1_234_400, 1_234_400], [1_234_000, 2_469_000], [400, -200]),
        # Nothing is billed only to carry something on, and a half that was rounded up stays so.
        ("USD", [4_900, None, 4_900], [0, 10_000], [4_900, -200]),
        ("USD", [5_000, None], [10_000, 10_000], [-5_000, -5_000]),
    ],
)
def test_a_bill_comes_to_what_can_be_paid_and_the_rest_goes_on(
    currency: str, charges: list[int | None], totals: list[int], carried: list[int]
) -> None:
    site = BillSite(an_account(currency=currency))
    bills = billed_monthly(site, charges)
    assert [bill.total_due_micros for bill in bills] == totals
    assert [bill.carried_micros for bill in bills] == carried
    assert sum(filter(None, charges)) == totals[-1] + carried[-1], "nothing is lost"
    assert [bill_rows.bill(site.cx, bill.number) for bill in bills] == bills
    assert Balances.load(site.cx).owed(ACCOUNT) == Billed.load(site.cx).charged(ACCOUNT) == totals[-1]
    for bill in bills:
        books = {half.book: half.amount_micros for half in postings_of(site.cx, bill.entry)}
        assert books[Book.REVENUE] == -bill.current_charges_micros == -site.document(bill).charges_micros
        assert books[Book.RECEIVABLE] == bill.charged_micros
        assert books.get(Book.ROUNDING, 0) == -(bill.rounding_micros or 0)
    assert unbalanced(site.cx) == []
    assert recount_bills(site.cx, len(bills)) == (len(bills), [])


def test_what_was_owed_before_bills_were_rounded_is_rounded_with_the_next(site: BillSite) -> None:
    site.call("2026-10-15T12:00:00Z", 23_090_100)
    old = site.bill("2026-10")
    before_rounding(site, old)
    assert recount_bills(site.cx, 1) == (1, [])
    assert recount_billed(site.cx, {ACCOUNT: 23_090_100}, 1) == []
    site.pay(20)
    site.call("2026-11-15T12:00:00Z", 1_000_000)
    site.now = micros("2026-12-02T00:00:00Z")
    bill = site.bill("2026-11")
    assert (bill.previous_balance_micros, bill.total_due_micros) == (23_090_100, 4_090_000)
    assert (bill.rounding_micros, bill.carried_micros) == (-100, 100)
    assert Balances.load(site.cx).owed(ACCOUNT) == 4_090_000
    assert recount_bills(site.cx, 2) == (2, [])


def before_rounding(site: BillSite, bill: Bill) -> None:
    """Make a bill what it would have been when none was rounded."""
    site.cx.execute(
        "UPDATE bills SET rounding_micros = NULL, carried_micros = 0, decimals = 4,"
        " total_due_micros = total_due_micros - ? WHERE number = ?",
        (bill.rounding_micros, bill.number),
    )
    site.cx.execute("DELETE FROM ledger_postings WHERE entry = ? AND book = 'rounding'", (bill.entry,))
    site.cx.execute(
        "UPDATE ledger_postings SET amount_micros = ? WHERE entry = ? AND book = 'receivable'",
        (bill.current_charges_micros, bill.entry),
    )
    assert unbalanced(site.cx) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("rounding_micros = rounding_micros + 1", "total due 23090000, its parts sum to 23090001"),
        ("carried_micros = 0", "carries over 0, should be 100"),
        (
            "rounding_micros = 9900, total_due_micros = 23100000, carried_micros = -9900",
            "is rounded to 23100000, should be 23090000",
        ),
        ("rounding_micros = NULL, total_due_micros = 23090100, carried_micros = 0", "posted to receivable"),
    ],
)
def test_a_recount_finds_what_is_rounded_wrongly(site: BillSite, change: str, words: str) -> None:
    site.call("2026-10-15T12:00:00Z", 23_090_100)
    site.bill("2026-10")
    site.cx.execute(f"UPDATE bills SET {change}")
    _, wrong = recount_bills(site.cx, 1)
    assert any(words in said for said in wrong), wrong


def test_a_recount_finds_a_bill_that_was_not_rounded_after_one_that_was(site: BillSite) -> None:
    first, second = billed_monthly(site, [23_090_100, 1_000_100])
    assert (first.carried_micros, second.carried_micros) == (100, 200)
    before_rounding(site, second)
    assert any("one before it is" in said for said in recount_bills(site.cx, 2)[1])
