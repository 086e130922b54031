"""How an account's bills stand, and what became of the discounts on them. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from control.billing.bill import Bill
from control.currency import unit_of
from control.payments.settling import OpenInvoice, spread


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
    """It cannot be had any more: its last day is past, its bill is paid without it, also in part, or no more is left of
    it than the discount."""


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

    Payments pay what is oldest: `settling` says of which bills it is what is owed now. Of older ones nothing is owed,
    and newer ones have it in their total due.
    """
    charged = [(one.number, one.charged_micros, None if one.number in touched else one.discount) for one in bills]
    owed = {one.invoice: one for one in spread(due_micros, charged)}
    coming = {one.invoice for one in spread(due_micros + pending_micros, charged)}
    later: int | None = None
    found = []
    for bill in bills:
        if bill.total_due_micros <= 0:
            state = BillState.NOTHING_DUE
        elif owed and bill.number >= min(owed):
            state = BillState.PAST_DUE if today > bill.due_on else BillState.OPEN
        else:
            state = BillState.COMING if coming and bill.number >= min(coming) else BillState.PAID
        is_owed = state in (BillState.OPEN, BillState.PAST_DUE)
        discount = _discount(bill, owed.get(bill.number), today, taken)
        found.append(Stated(bill, state, discount, later if is_owed else None))
        later = bill.number
    return found


def _discount(bill: Bill, owed: OpenInvoice | None, today: date, taken: Mapping[int, int]) -> DiscountState | None:
    if bill.number in taken:
        return DiscountState.TAKEN
    if bill.discount is None:
        return None
    can_be_had = owed is not None and owed.discount(today, unit_of(bill.currency)) > 0
    return DiscountState.OFFERED if can_be_had else DiscountState.NOT_TAKEN
