"""What stored transactions would have cost under another tariff, in sums. Pure: rows go in, nothing is written."""

from collections.abc import Mapping
from typing import Final

import msgspec

from rating.rater import Rater
from rating.store.batch import COLUMN, Row
from rating.store.reading import cdr_of
from rating.tariff import Tariff

NO_CONVERSION: Final = "no-conversion"
"""Reason: the charge was in a currency to which the other tariff states no conversion."""

_PROVIDER, _SERVICE, _CHARGE, _TARIFF, _DESTINATION = (
    COLUMN[name] for name in ("provider", "service", "charge_micros", "tariff", "destination")
)


class Sums(msgspec.Struct):
    """Charges before allowances and discounts, in micro-units."""

    calls: int = 0
    old_micros: int = 0
    new_micros: int = 0

    def add(self, old_micros: int, new_micros: int) -> None:
        """One more call."""
        self.calls += 1
        self.old_micros += old_micros
        self.new_micros += new_micros


class InCurrency(msgspec.Struct):
    """The calls whose charges are in one currency."""

    charged: Sums = msgspec.field(default_factory=Sums)
    """Those that the other tariff charges."""
    destinations: dict[str | None, Sums] = msgspec.field(default_factory=dict)
    """The same by the destination that they were charged for."""
    suspended: dict[str, Sums] = msgspec.field(default_factory=dict)
    """Those that it does not, by reason: `no-rate`, `out-of-range` or `no-conversion`; there is no new charge."""

    def greatest(self, number: int) -> list[tuple[str | None, Sums]]:
        """The destinations whose sums change most, in money."""
        found = sorted(
            self.destinations.items(), key=lambda item: (-abs(item[1].new_micros - item[1].old_micros), item[0] or "")
        )
        return found[:number]


class TrafficComparison:
    """Sums up transactions as they are given, by currency."""

    def __init__(self, tariff: Tariff, currencies: Mapping[int, str]) -> None:
        """`currencies` are those of all stored versions of tariffs, by number."""
        self.by_currency: dict[str, InCurrency] = {}
        self._currencies = currencies
        stated = (tariff.currency, *(currency for currency, _ in tariff.conversion))
        self._raters = {currency: Rater(tariff, currency) for currency in set(currencies.values()) & set(stated)}

    def add(self, row: Row, gross_micros: int | None) -> None:
        """A transaction's `COLUMNS`; what it cost before something was taken off, if something was. Calls that were
        not answered cost nothing by any tariff, and are left out."""
        cdr = cdr_of(row, "")
        if not cdr.quantity_us:
            return
        currency = self._currencies[row[_TARIFF]]
        sums = self.by_currency.setdefault(currency, InCurrency())
        old = row[_CHARGE] if gross_micros is None else gross_micros
        rater = self._raters.get(currency)
        charge = NO_CONVERSION if rater is None else rater.charge(cdr, row[_PROVIDER], row[_SERVICE])
        if isinstance(charge, str):
            sums.suspended.setdefault(charge, Sums()).add(old, 0)
        else:
            sums.charged.add(old, charge.charge_micros)
            sums.destinations.setdefault(row[_DESTINATION], Sums()).add(old, charge.charge_micros)
