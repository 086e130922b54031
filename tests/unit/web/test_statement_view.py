"""How an account's bills stand, and what became of the discounts on them."""

from datetime import date

import msgspec
import pytest

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
    ("day", "taken", "state"),
    [
        (30, {}, DiscountState.OFFERED),
        (31, {}, DiscountState.NOT_TAKEN),
        (30, {2: MICROS}, DiscountState.TAKEN),
        (31, {2: MICROS}, DiscountState.TAKEN),
        (31, {1: MICROS}, DiscountState.NOT_TAKEN),
    ],
)
def test_a_discount_is_offered_until_its_last_day_or_was_taken(
    day: int, taken: dict[int, int], state: DiscountState
) -> None:
    today = date(2026, 11, 30) if day == 30 else date(2026, 12, 1)
    assert [one.discount for one in stated([a_bill()], MICROS, 0, today, taken)] == [state]


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
