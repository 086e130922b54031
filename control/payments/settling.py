"""Which invoices a payment settles: what an account owes is of its newest invoices, and payments pay the oldest of them
first, each with its discount for paying early if the payment clears it in time. Pure."""

from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

from control.payments.discount import Offer


class OpenInvoice(msgspec.Struct, frozen=True):
    """An invoice that is not paid, or not wholly."""

    invoice: int
    left_micros: int
    """What is left of what it added to what the account owes; above zero."""
    offer: Offer | None
    """Its discount, unless that is gone."""

    def discount(self, today: date, unit: int) -> int:
        """What is let go of if it is cleared today."""
        if self.offer is None or not self.offer.is_in_time(today):
            return 0
        # It makes a payment less, never needless: what is left of the invoice may be less than its discount by now.
        return self.offer.amount_micros if self.offer.amount_micros + unit <= self.left_micros else 0


class Share(msgspec.Struct, frozen=True):
    """What a payment does to one invoice."""

    invoice: int
    paid_micros: int
    discount_micros: int
    """Let go of; what is left of the invoice falls by both."""


def spread(owed_micros: int, charged: Iterable[tuple[int, int, Offer | None]]) -> list[OpenInvoice]:
    """What is owed as what is left of invoices, the oldest first. `charged` are an account's, the newest first: number,
    what each added to what it owes, discount."""
    found: list[OpenInvoice] = []
    for invoice, charged_micros, offer in charged:
        if owed_micros <= 0:
            break
        if charged_micros > 0:
            found.append(OpenInvoice(invoice, min(charged_micros, owed_micros), offer))
            owed_micros -= found[-1].left_micros
    return found[::-1]


def settle(paid_micros: int, invoices: Sequence[OpenInvoice], today: date, unit: int) -> tuple[Share, ...]:
    """What a payment does to the open invoices, the oldest first: an invoice that it clears with the discount taken off
    gets that, a part of one gets none. `paid_micros` is at most what is left of all, less what is let go of; what is
    left may have parts of a `unit` (on bills from before these were rounded), which nobody has to pay.
    """
    upto_micros = let_go_micros = 0
    discounts: dict[int, int] = {}
    for one in invoices:
        upto_micros += one.left_micros
        discount_micros = one.discount(today, unit)
        if paid_micros + let_go_micros + discount_micros < upto_micros - upto_micros % unit:
            break
        discounts[one.invoice] = discount_micros
        let_go_micros += discount_micros
    shares: list[Share] = []
    rest_micros = paid_micros + let_go_micros
    for one in invoices:
        if rest_micros <= 0:
            break
        settled_micros, discount_micros = min(one.left_micros, rest_micros), discounts.get(one.invoice, 0)
        shares.append(Share(one.invoice, settled_micros - discount_micros, discount_micros))
        rest_micros -= settled_micros
    return tuple(shares)
