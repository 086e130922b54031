"""Applies a tariff's rules to one call: allowances first, then favourite numbers, then discounts on what is left.

Pure and exact: the charge is rounded once, after the last rule. It is never less than nothing, and never more than
without the rules.
"""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

import msgspec

from rating.allowances.parts import Parts
from rating.allowances.rules import ONCE, Allowance, Call, Discount, Favourites, Kind, Measure, Per, Rules
from rating.money import rounded_ratio

_HUNDRED: Final = 100
_NOT_REACHED: Final = Decimal(0)
_NOTHING: Final = Fraction(0)


class Key(NamedTuple):
    """What the use of a rule is kept by, besides the account and the tariff's name."""

    kind: Kind
    rule: str
    measure: Measure
    window_at: int
    """First instant of the month or bill cycle, µs UTC; `ONCE` without one."""


Used = Callable[[Key], int]
"""How much of a rule was used before, in its measure."""


class Reduction(msgspec.Struct, frozen=True, gc=False):
    """What one rule did to a charge. A msgspec struct, as is the next: several are built for a record."""

    key: Key
    used: int
    """By how much its use grows, ≥ 0."""
    percent: Decimal | None
    """Of a favourite number, or of the discount's step that was reached; 0 before the first one."""
    amount: Fraction
    """What it took off, exactly, in units of the currency, ≥ 0."""


class Applied(msgspec.Struct, frozen=True, gc=False):
    """A charge after the rules, and what each did, in their order."""

    charge_micros: int
    reductions: tuple[Reduction, ...]


class _Bill:
    """A call's charge while rules take off it. Its `left` is in parts of the scale, before rounding: a whole number
    until a percentage goes off, because most of the time goes into making fractions."""

    __slots__ = ("_connect", "_is_touched", "_least", "_most", "_per_unit", "_stretches", "left")

    def __init__(self, parts: Parts) -> None:
        self._per_unit, self._connect, self._least, self._most, *rest = map(int, parts.amounts)
        self._stretches = [[seconds, price] for seconds, price in zip(rest[::2], rest[1::2], strict=True)]
        self._is_touched = False
        self.left: int | Fraction = self._limited()

    def cover(self, seconds: int | None, *, waive: bool) -> int:
        """Take seconds off, from the call's beginning, to the second (None: all); how many there were. What costs
        nothing is not covered. With `waive` the connect fee goes along, unless another rule has covered the beginning.
        """
        covered = 0
        for stretch in self._stretches:
            if stretch[1] and seconds != covered:
                taken = stretch[0] if seconds is None else min(stretch[0], seconds - covered)
                stretch[0] -= taken
                covered += taken
        if waive and (seconds is None or (covered and not self._is_touched)):
            self._connect = 0
        self._is_touched = self._is_touched or covered > 0 or seconds is None
        return covered

    def settle(self) -> Fraction:
        """After covering: what went off, in units of the currency."""
        return self._take(self.left - self._limited())

    def discount(self, percent: Decimal) -> Fraction:
        """Take a percentage off; how much that is, in units of the currency."""
        times, over = percent.as_integer_ratio()
        return self._take(Fraction(self.left * times, _HUNDRED * over))

    def rounded_micros(self, decimals: int, rounding: str) -> int:
        """What is left, rounded: the charge."""
        left = self.left
        if type(left) is int:
            return rounded_ratio(left, self._per_unit, decimals, rounding)
        return rounded_ratio(left.numerator, left.denominator * self._per_unit, decimals, rounding)

    def _take(self, parts: int | Fraction) -> Fraction:
        self.left -= parts
        return Fraction(parts, self._per_unit)

    def _limited(self) -> int:
        """Rule 4 of a tariff, of what is not covered. A call that is covered wholly has no least charge."""
        price = 0
        for seconds, price_of_one in self._stretches:
            price += seconds * price_of_one
        amount = self._connect + price
        if amount < self._least and (price or not self._is_touched):
            return self._least
        return self._most if amount > self._most >= 0 else amount


def apply(parts: Parts, call: Call, rules: Rules, used: Used) -> Applied:
    """The charge of a call with these parts by the rules, given what was used before."""
    bill = _Bill(parts)
    reductions = [
        *(done for rule in rules.allowances if (done := _allow(bill, parts, call, rule, used))),
        *(done for rule in rules.favourites if (done := _favour(bill, parts, call, rule))),
    ]
    steps = [done for rule in rules.discounts if (done := _step_down(bill, parts, call, rule, used))]
    charge_micros = bill.rounded_micros(rules.decimals, rules.rounding)
    for step in steps:
        moves = {"charges": charge_micros, "seconds": call.billed_s, "calls": 1}[step.key.measure]
        reductions.append(Reduction(step.key, moves, step.percent, step.amount))
    return Applied(charge_micros, tuple(reductions))


def _allow(bill: _Bill, parts: Parts, call: Call, rule: Allowance, used: Used) -> Reduction | None:
    if call.is_timed is (rule.measure == "units") or not rule.filters.hold(call) or not bill.left:
        return None
    key = Key("allowance", rule.name, rule.measure, _window(parts, rule.per))
    left = rule.quantity - used(key)
    if left <= 0:
        return None
    if rule.measure == "calls":
        bill.cover(None, waive=rule.waives_connect_fee)
        amount = bill.settle()
        return Reduction(key, 1, None, amount) if amount else None  # a fee that is not waived may be all there is
    covered = bill.cover(left, waive=rule.waives_connect_fee)
    return Reduction(key, covered, None, bill.settle()) if covered else None


def _favour(bill: _Bill, parts: Parts, call: Call, rule: Favourites) -> Reduction | None:
    if rule.name not in parts.favourites or not rule.filters.hold(call) or not bill.left:
        return None
    key = Key("favourites", rule.name, "calls", ONCE)
    return Reduction(key, 1, rule.percent, bill.discount(rule.percent))


def _step_down(bill: _Bill, parts: Parts, call: Call, rule: Discount, used: Used) -> Reduction | None:
    """A discount's part in a call that it is about, also where nothing is taken off: it counts."""
    if not rule.filters.hold(call) or not (call.is_timed or rule.measure == "charges"):
        return None
    key = Key("discount", rule.name, rule.measure, _window(parts, rule.per))
    before = used(key)
    for step in reversed(rule.steps):
        if before > step.above:
            return Reduction(key, 0, step.percent, bill.discount(step.percent))
    return Reduction(key, 0, _NOT_REACHED, _NOTHING)


def _window(parts: Parts, per: Per) -> int:
    return parts.month_at if per == "month" else parts.cycle_at
