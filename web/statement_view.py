"""How an account's bills stand, and what became of the discounts on them. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from control.billing.bill import Bill


class BillState(StrEnum):
    """How a bill stands now."""

    PAID = "paid"
    COMING = "payment on its way"
    OPEN = "open"
    PAST_DUE = "past due"
    NOTHING_DUE = "nothing due"
    """From the beginning: a credit covered it."""


class DiscountState(StrEnum):
    """What became of a discount for paying early."""

    TAKEN = "taken"
    OFFERED = "offered"
    NOT_TAKEN = "not taken"
    """It cannot be had any more: its last day is past, or its bill is paid without it, also in part."""


@dataclass(frozen=True, slots=True)
class Stated:
    """A bill, and how it stands."""

    bill: Bill
    state: BillState
    discount: DiscountState | None
    """None for a bill without one."""
    carried_to: int | None = None
    """The bill after it, whose total due has what is left of this one; None where nothing is, or none came after."""


def stated(
    bills: Sequence[Bill],
    due_micros: int,
    pending_micros: int,
    today: date,
    taken: Mapping[int, int],
    touched: Collection[int] = (),
) -> list[Stated]:
    """How each of an account's bills stands, the newest first, when it owes so much, and so much is on its way; `taken`
    are the discounts that were granted, by the bills' numbers, `touched` the bills of which a customer has paid some.

    Payments pay what is oldest: what is left of a bill's total due is what is owed now, less what came after it.
    """
    later: int | None = None
    found, left_micros = [], due_micros
    for bill in bills:
        if bill.total_due_micros <= 0:
            state = BillState.NOTHING_DUE
        elif left_micros > 0:
            state = BillState.PAST_DUE if today > bill.due_on else BillState.OPEN
        else:
            state = BillState.COMING if left_micros + pending_micros > 0 else BillState.PAID
        is_owed = state in (BillState.OPEN, BillState.PAST_DUE)
        in_time = bill.discount is not None and today <= bill.discount.last_on
        discount = _discount(bill, is_owed and in_time and bill.number not in touched, taken)
        found.append(Stated(bill, state, discount, later if is_owed else None))
        left_micros, later = left_micros - bill.charged_micros, bill.number
    return found


def _discount(bill: Bill, can_be_had: bool, taken: Mapping[int, int]) -> DiscountState | None:
    if bill.number in taken:
        return DiscountState.TAKEN
    if bill.discount is None:
        return None
    return DiscountState.OFFERED if can_be_had else DiscountState.NOT_TAKEN
