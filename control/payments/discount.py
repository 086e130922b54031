"""The early-payment discount: what it comes to, and on which days it may be had."""

from datetime import date, timedelta
from typing import Final

import msgspec

from control.payments.rules import Rules
from rating.cdr import MICROS

PLACES: Final = 6
"""Decimal places of a micro-unit."""
_HUNDRED_PERCENT: Final = 100 * MICROS


class Offer(msgspec.Struct, frozen=True):
    """A discount as it goes on an invoice."""

    rule: int
    """The version of the rules that grants it."""
    amount_micros: int
    first_on: date
    last_on: date
    """Local days of the account, both included."""

    def is_in_time(self, today: date) -> bool:
        """Whether a payment that is asked for today is early enough."""
        return self.first_on <= today <= self.last_on


def offer(rules: Rules, *, base_micros: int, issued_on: date, decimals: int, is_past_due: bool = False) -> Offer | None:
    """The discount of an invoice by the rules in force on its date; None where there is none.

    `base_micros` are the invoice's current charges alone, `issued_on` its date in the account's zone. Who owed
    something past its due date when the invoice was issued has forfeited it (`is_past_due`). Rounded once, half up, to
    the invoice's decimals.
    """
    early = rules.early
    if early is None or is_past_due or base_micros <= 0:
        return None
    amount_micros = _half_up(base_micros * early.percent_micros, _HUNDRED_PERCENT, 10 ** (PLACES - decimals))
    if amount_micros == 0:
        return None
    return Offer(rules.version, amount_micros, issued_on, issued_on + timedelta(days=early.days))


def _half_up(numerator: int, denominator: int, unit: int) -> int:
    """A fraction ≥ 0 as a multiple of a unit."""
    denominator *= unit
    return (2 * numerator + denominator) // (2 * denominator) * unit
