"""The rules of a tariff that depend on use: allowances, favourite numbers, discounts by volume.

Each has a name, by which its use is kept, and filters that say which calls it is about.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

import msgspec

Kind = Literal["allowance", "favourites", "discount"]
Measure = Literal["seconds", "calls", "units", "charges"]
"""What the use of a rule is counted in; charges in micro-units."""
Per = Literal["bill-cycle", "month"]

ONCE: Final = 0
"""The window of a rule that is about no period."""


class Call(msgspec.Struct, frozen=True, gc=False):
    """What the rules look at of a call. A msgspec struct and not a dataclass: one is built for every record."""

    service: str
    destination: str | None
    type: str
    is_timed: bool
    """False for messages and data, which have units in the place of seconds."""
    billed_s: int


@dataclass(frozen=True, slots=True)
class Filters:
    """Which calls a rule is about: those for which all that is given holds; none given: all."""

    services: frozenset[str] = frozenset()
    destinations: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()

    def hold(self, call: Call) -> bool:
        """Whether they hold for a call."""
        return (
            (not self.services or call.service in self.services)
            and (not self.destinations or call.destination in self.destinations)
            and (not self.types or call.type in self.types)
        )


@dataclass(frozen=True, slots=True)
class Allowance:
    """So much a period is covered: it costs nothing."""

    name: str
    per: Per
    measure: Measure
    """seconds of calls, whole calls, or units of messages and data"""
    quantity: int
    """In the measure, ≥ 1."""
    waives_connect_fee: bool
    filters: Filters = Filters()


@dataclass(frozen=True, slots=True)
class Favourites:
    """Calls between a line and its account's favourite numbers cost less."""

    name: str
    numbers: int
    """How many of an account's list count: its first ones."""
    percent: Decimal
    filters: Filters = Filters()


@dataclass(frozen=True, slots=True)
class Step:
    """A discount's percentage from an amount of use on."""

    above: int
    """The use before the call is greater; in the discount's measure, ≥ 0. A use is whole: so is what it is above."""
    percent: Decimal
    """Greater than 0, at most 100."""


@dataclass(frozen=True, slots=True)
class Discount:
    """The more is used in a period, the less the next call costs."""

    name: str
    per: Per
    measure: Measure
    """charges, seconds or calls"""
    steps: tuple[Step, ...]
    """By `above`, ascending."""
    filters: Filters = Filters()


@dataclass(frozen=True, slots=True)
class Rules:
    """All of a tariff, in the order of its file, with how it rounds."""

    decimals: int
    rounding: str
    allowances: tuple[Allowance, ...] = ()
    favourites: tuple[Favourites, ...] = ()
    discounts: tuple[Discount, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.allowances or self.favourites or self.discounts)

    @property
    def destinations(self) -> frozenset[str]:
        """Those that filters name."""
        filters = [rule.filters for rule in self.allowances]
        filters += [rule.filters for rule in self.favourites]
        filters += [rule.filters for rule in self.discounts]
        return frozenset(name for one in filters for name in one.destinations)

    def converted(self, rate: Fraction) -> "Rules":
        """The same for charges in a currency of which one unit of the tariff's is `rate`."""
        return replace(self, discounts=tuple(_converted(discount, rate) for discount in self.discounts))


def _converted(discount: Discount, rate: Fraction) -> Discount:
    if discount.measure != "charges":
        return discount
    return replace(discount, steps=tuple(Step(int(step.above * rate), step.percent) for step in discount.steps))
