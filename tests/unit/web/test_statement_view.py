"""How an account's bills stand, and what became of the discounts on them."""

from datetime import date

import msgspec
import pytest

from control.payments.settling import spread
from rating.cdr import MICROS
from tests.unit.web.test_invoice_view import a_bill
from web.statement_view import BillState, DiscountState, stated


@pytest.mark.parametrize(
    ("due", "pending", "day", "states"),
    [
        (150, 0, 20, [BillState.OPEN, BillState.OPEN]),
        (150, 0, 21, [BillState.PAST_DUE, BillState.PAST_DUE]),
        (50, 0, 20, [BillState.OPEN, BillState.PAID]),
        (51, 0, 20, [BillState.OPEN, BillState.OPEN]),
        (50, 100, 20, [BillState.OPEN, BillState.COMING]),
        (0, 150, 20, [BillState.COMING, BillState.COMING]),
        (0, 50, 20, [BillState.COMING, BillState.PAID]),
        (0, 0, 21, [BillState.PAID, BillState.PAID]),
        (-5, 0, 21, [BillState.PAID, BillState.PAID]),
    ],
)
def test_payments_pay_the_oldest_bill_first(due: int, pending: int, day: int, states: list[BillState]) -> None:
    bills = [a_bill(adjustments=0, payments=0), a_bill(0, 100, number=1, adjustments=0, payments=0)]
    found = stated(bills, due * MICROS, pending * MICROS, date(2026, 12, day), {})
    assert [one.state for one in found] == states


def test_a_payment_that_came_back_leaves_its_bill_unpaid() -> None:
    bills = [a_bill(adjustments=100, payments=100), a_bill(0, 100, number=1, adjustments=0, payments=0)]
    found = stated(bills, bills[0].total_due_micros, 0, date(2026, 12, 21), {})
    assert [one.state for one in found] == [BillState.PAST_DUE, BillState.PAST_DUE]


def test_a_bill_that_a_credit_covered_was_never_paid() -> None:
    bill = a_bill(adjustments=-500, payments=0)
    assert bill.total_due_micros < 0
    assert [one.state for one in stated([bill], -1, 0, date(2026, 12, 21), {})] == [BillState.NOTHING_DUE]


@pytest.mark.parametrize(
    ("day", "due", "taken", "touched", "state"),
    [
        (30, 50, {}, (), DiscountState.OFFERED),
        (31, 50, {}, (), DiscountState.NOT_TAKEN),
        (30, 50, {2: MICROS}, (), DiscountState.TAKEN),
        (31, 50, {2: MICROS}, (), DiscountState.TAKEN),
        (31, 50, {1: MICROS}, (), DiscountState.NOT_TAKEN),
        (30, 50, {}, (1,), DiscountState.OFFERED),
        (30, 50, {}, (2,), DiscountState.NOT_TAKEN),
        # It makes a payment less, never needless.
        (30, 2, {}, (), DiscountState.OFFERED),
        (30, 1, {}, (), DiscountState.NOT_TAKEN),
    ],
)
def test_a_discount_is_offered_until_its_last_day_or_was_taken(
    day: int, due: int, taken: dict[int, int], touched: tuple[int, ...], state: DiscountState
) -> None:
    today = date(2026, 11, 30) if day == 30 else date(2026, 12, 1)
    assert [one.discount for one in stated([a_bill()], due * MICROS, 0, today, taken, touched)] == [state]


@pytest.mark.parametrize(
    ("due", "pending", "states"),
    [
        (120, 0, "open open open"),
        (60, 0, "open open open"),
        # What the second takes back is not left of the first once that is paid.
        (50, 0, "open paid paid"),
        (50, 10, "open payment on its way payment on its way"),
        (20, 0, "open paid paid"),
        (20, 30, "open paid paid"),
    ],
)
def test_a_bill_that_takes_charges_back_leaves_nothing_of_older_ones_that_are_paid(
    due: int, pending: int, states: str
) -> None:
    """Bills of 100, −30 and 50."""
    plain = {"adjustments": 0, "payments": 0}
    bills = [a_bill(70, 50, number=3, **plain), a_bill(100, -30, number=2, **plain), a_bill(0, 100, number=1, **plain)]
    found = stated(bills, due * MICROS, pending * MICROS, date(2026, 12, 1), {})
    assert " ".join(one.state for one in found) == states
    charged = [(bill.number, bill.charged_micros, None) for bill in bills]
    owed = {one.invoice for one in spread(due * MICROS, charged)}
    assert {one.bill.number for one in found if one.state is BillState.OPEN} >= owed


@pytest.mark.parametrize("pending", [0, 1])
def test_a_discount_is_not_offered_on_a_bill_that_nothing_is_left_of(pending: int) -> None:
    (one,) = stated([a_bill()], 0, pending * MICROS, date(2026, 11, 30), {})
    assert one.state is (BillState.COMING if pending else BillState.PAID)
    assert one.discount is DiscountState.NOT_TAKEN


@pytest.mark.parametrize(
    ("due", "carried"), [(250, [None, 2, 1]), (150, [None, 2, None]), (50, [None, None, None]), (0, [None, None, None])]
)
def test_what_is_left_of_a_bill_is_carried_to_the_one_after_it(due: int, carried: list[int | None]) -> None:
    plain = {"adjustments": 0, "payments": 0}
    bills = [a_bill(number=2, **plain), a_bill(0, 100, number=1, **plain), a_bill(0, 100, number=0, **plain)]
    found = stated(bills, due * MICROS, 0, date(2026, 12, 20), {})
    assert [one.carried_to for one in found] == carried


def test_a_bill_without_a_discount_has_none_to_tell_of() -> None:
    bill = msgspec.structs.replace(a_bill(), discount=None)
    assert [one.discount for one in stated([bill], 0, 0, date(2026, 12, 1), {})] == [None]
