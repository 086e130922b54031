"""Charges calls by one tariff. The hot path of the product: whole numbers, dictionaries and one division a call."""

from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Final

import msgspec

from rating.allowances.rules import Rules
from rating.cdr import CDR, MICROS, UNIT_TYPES
from rating.explanation import Conversion, Explanation, Run
from rating.periods import TariffCalendar
from rating.prefixes import PrefixTable
from rating.pricing import NEVER, Pricing, RowSet, Step
from rating.stretches import NO_RATE, OUT_OF_RANGE, Stretch, billed_s_of, consume, price_of
from rating.tariff import Tariff

_MAX_64_BIT: Final = 2**63 - 1


class Charge(msgspec.Struct, frozen=True, gc=False):
    """What one call costs. A msgspec struct and not a dataclass: one is built for every record."""

    charge_micros: int
    """Millionths of the currency's unit, ≥ 0, a multiple of 10 ** -decimals of the tariff."""
    billed_s: int
    """Sum of the increments, in seconds; in units for messages and data."""
    destination: str | None
    place_called: str | None
    """As the switch names it, else as the deck does."""


class Rater:
    """Charges calls by one tariff, whatever its `valid_from`: which version is in force is for others to choose.

    The answer to a call depends on nothing but the tariff and the call; what is kept between calls is the calendar
    of recent days and the prepared rows of prefixes that were called.
    """

    tariff: Tariff
    currency: str
    """Of the charges."""
    rules: Rules | None
    """Those that depend on use, if there are any: what `charge` answers is before them."""

    def __init__(self, tariff: Tariff, currency: str | None = None) -> None:
        """`currency`: one to which the tariff states a conversion, instead of its own."""
        self.tariff = tariff
        self.currency = currency or tariff.currency
        self._conversion = tariff.conversion_to(self.currency)
        self.rules = tariff.rules.converted(Fraction(self._conversion)) if tariff.rules else None
        self._calendar = TariffCalendar(tariff.timezone, tariff.periods)
        pricing = Pricing(self._calendar.names, tariff.decimals, tariff.rounding, self._conversion)
        self._prefixes = PrefixTable(tariff.rows, pricing.prepare)

    def charge(self, cdr: CDR, provider: str | None, service: str | None) -> Charge | str:
        """The charge of a call served by `provider` as `service`, or the reason why it has none.

        Reasons: `no-rate`; `out-of-range` when the charge in micro-units or the billed seconds do not fit into a
        signed 64-bit number, or the price changes more often than `MAX_STRETCHES`.
        """
        rows = self._prefixes.find(cdr.rated_number, provider, service, cdr.type)
        quantity_us = cdr.quantity_us
        if quantity_us == 0:
            return self._unanswered(cdr, rows)
        if rows is None:
            return NO_RATE
        if rows.any_time:
            first, left_s = rows.firsts[0], NEVER
        else:
            answer_s = cdr.answer_at // MICROS
            period, end_s = self._calendar.at(answer_s)
            first, left_s = rows.firsts[period], end_s - answer_s
        if first is None:
            return NO_RATE
        # Nearly every call lies in one step and one period: its increments are one product.
        quantity_s = -(-quantity_us // MICROS)
        billed_s = first.first_s
        if quantity_s > billed_s:
            next_s = first.next_s
            last_begins_s = billed_s + (quantity_s - billed_s - 1) // next_s * next_s
            if last_begins_s >= left_s or last_begins_s >= first.until_s:
                stretches = self._stretches(cdr, rows)
                if isinstance(stretches, str):
                    return stretches
                return _settled(cdr, first, billed_s_of(stretches), price_of(stretches))
            billed_s = last_begins_s + next_s
        return _settled(cdr, first, billed_s, billed_s * first.per_second)

    def explain(self, cdr: CDR, provider: str | None, service: str | None) -> Explanation | str:
        """The same charge, or the same reason, with the runs of increments that it is the sum of."""
        charge, stretches = self.charge_in_parts(cdr, provider, service)
        if isinstance(charge, str):
            return charge
        connect_fee, capped, exact = Decimal(0), False, Fraction(0)
        runs: tuple[Run, ...] = ()
        if stretches:
            first = stretches[0].step
            price = price_of(stretches)
            connect_fee, capped = first.row.connect_fee, first.caps(price)
            exact = Fraction(first.limited(price), first.scale.per_unit)
            runs = _runs(cdr, stretches)
        return Explanation(
            charge_micros=charge.charge_micros,
            currency=self.currency,
            decimals=self.tariff.decimals,
            timezone=self.tariff.timezone,
            destination=charge.destination,
            place_called=charge.place_called,
            billed_s=charge.billed_s,
            connect_fee=connect_fee,
            capped=capped,
            runs=runs,
            exact=exact,
            conversion=None
            if self.currency == self.tariff.currency
            else Conversion(self.tariff.currency, self.currency, self._conversion),
        )

    def charge_in_parts(
        self, cdr: CDR, provider: str | None, service: str | None
    ) -> tuple[Charge | str, list[Stretch]]:
        """The same charge, or the same reason, with the stretches that it is the sum of: none without a charge, and
        for a call that was not answered."""
        rows = self._prefixes.find(cdr.rated_number, provider, service, cdr.type)
        if not cdr.quantity_us:
            return self._unanswered(cdr, rows), []
        stretches = NO_RATE if rows is None else self._stretches(cdr, rows)
        if isinstance(stretches, str):
            return stretches, []
        charge = _settled(cdr, stretches[0].step, billed_s_of(stretches), price_of(stretches))
        return charge, stretches if isinstance(charge, Charge) else []

    def _unanswered(self, cdr: CDR, rows: RowSet | None) -> Charge:
        """Nothing (rule 2), with the destination of the row that the call would have begun with, or else of any."""
        if rows is None:
            return Charge(0, 0, None, cdr.place or None)
        period, _ = self._calendar.at(cdr.answer_at // MICROS)
        row = rows.firsts[period] or rows.row
        return Charge(0, 0, row.destination, cdr.place or row.place)

    def _stretches(self, cdr: CDR, rows: RowSet) -> list[Stretch] | str:
        quantity_s = -(-cdr.quantity_us // MICROS)
        return consume(rows, self._calendar, cdr.answer_at // MICROS, quantity_s, timed=cdr.type not in UNIT_TYPES)


def _settled(cdr: CDR, first: Step, billed_s: int, price: int) -> Charge | str:
    """The charge of a call that begins with the step `first` and whose increments cost `price`."""
    charge_micros = first.charge_micros(price)
    if charge_micros > _MAX_64_BIT or billed_s > _MAX_64_BIT:
        return OUT_OF_RANGE
    return Charge(charge_micros, billed_s, first.destination, cdr.place or first.place)


def _runs(cdr: CDR, stretches: list[Stretch]) -> tuple[Run, ...]:
    """Runs of equal increments: stretches of one row are one, whichever period or midnight parts them."""
    runs = []
    for _, members in groupby(stretches, key=lambda stretch: (id(stretch.step), stretch.increment_s)):
        parts = list(members)
        row = parts[0].step.row
        seconds = sum(stretch.seconds for stretch in parts)
        runs.append(
            Run(
                from_at=cdr.answer_at + (0 if cdr.type in UNIT_TYPES else parts[0].consumed_s * MICROS),
                period=row.period,
                seconds=seconds,
                rate=row.rate,
                per_s=row.per_s,
                amount=seconds * Fraction(row.rate) / row.per_s,
            )
        )
    return tuple(runs)
