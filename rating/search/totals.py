"""What a search's transactions come to."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Totals:
    """Over all matches, not only the page's."""

    count: int = 0
    """Calls: what takes one back takes one away."""
    charge_micros: dict[str, int] = field(default_factory=dict)
    """By currency. A transaction without a tariff has none, and charges nothing."""
    duration_us: int = 0


CALLS: Final = "CASE WHEN reverses IS NULL THEN 1 ELSE -1 END"
"""How many calls a transaction is."""

SUMS: Final = (
    "(SELECT json_group_array(json_array(currency, calls, charge, duration)) FROM"
    " (SELECT tariffs.currency AS currency, sum(matches.calls) AS calls, sum(matches.charge) AS charge,"
    " sum(matches.duration) AS duration FROM matches LEFT JOIN tariffs ON tariffs.id = matches.tariff"
    " WHERE matches.hit GROUP BY tariffs.currency))"
)
"""The sums of the table `matches`, by currency, as JSON."""


def add_sums(totals: Totals, sums: Iterable[list[Any]]) -> Totals:
    """Totals with what `SUMS` answered added."""
    count, charges, duration_us = totals.count, dict(totals.charge_micros), totals.duration_us
    for currency, calls, charge, duration in sums:
        count += calls
        duration_us += duration
        if currency is not None:
            charges[currency] = charges.get(currency, 0) + charge
    return Totals(count, charges, duration_us)
