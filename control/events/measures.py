"""What transactions add to a measure: which of them pass the filters, and their sums."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, Literal

import msgspec

from control.events.definition import Filters, Measure
from rating.search.countries import country_of
from rating.store.batch import COLUMN, Row

CHARGE: Final = COLUMN["charge_micros"]
DURATION: Final = COLUMN["duration_us"]
CALLED: Final = COLUMN["called"]
_PLACE: Final = COLUMN["place_called"]
_NUMBERS: Final = 16_384
"""Called numbers whose country is remembered: most are called again."""

EXACT: Final = {name: COLUMN[name] for name in ("service", "line", "called", "type", "device")}
"""The filters that compare a column as it stands."""


Counted = Measure | Literal["transactions"]
"""What can be counted of transactions: the measures, and that there were any."""


class Sums(msgspec.Struct, gc=False):
    """What some transactions come to, in every measure."""

    charge_micros: int = 0
    duration_us: int = 0
    """Not rounded."""
    calls: int = 0
    """Answered ones; a reversal takes one away."""
    largest_micros: int = 0
    """The greatest charge of a single one."""
    transactions: int = 0

    def add(self, charge_micros: int, duration_us: int) -> None:
        """Count one transaction, or with negative numbers its reversal."""
        self.charge_micros += charge_micros
        self.transactions += 1
        if charge_micros > self.largest_micros:
            self.largest_micros = charge_micros
        if duration_us:
            self.duration_us += duration_us
            self.calls += 1 if duration_us > 0 else -1

    def join(self, other: "Sums") -> None:
        """Count what another counted."""
        self.charge_micros += other.charge_micros
        self.duration_us += other.duration_us
        self.calls += other.calls
        self.largest_micros = max(self.largest_micros, other.largest_micros)
        self.transactions += other.transactions

    def of(self, measure: Counted) -> int:
        """The measure's value, in its unit: micro-units, microseconds, calls or transactions."""
        match measure:
            case "charges":
                return self.charge_micros
            case "minutes":
                return self.duration_us
            case "calls":
                return self.calls
            case "charge":
                return self.largest_micros
            case "transactions":
                return self.transactions
        raise AssertionError(f"{measure} are not counted from transactions")


def exact_filters(filters: Filters) -> list[tuple[str, str]]:
    """The columns that must hold a value as it stands, with that value."""
    return [(name, value) for name in EXACT if (value := getattr(filters, name)) is not None]


def by_called(filters: Filters) -> Callable[[str], bool] | None:
    """The part of the filters that looks at the called number's country; None if they do not."""
    if not (filters.called_country or filters.called_country_not_in):
        return None
    wanted, unwanted = frozenset(filters.called_country), frozenset(filters.called_country_not_in)

    @lru_cache(maxsize=_NUMBERS)
    def holds(called: str) -> bool:
        country = country_of(called)
        return (not wanted or country in wanted) and country not in unwanted

    return holds


def matcher(filters: Filters) -> Callable[[Row], bool] | None:
    """Whether a row of `COLUMNS` passes the filters; None if every one does."""
    if not filters:
        return None
    exact = [(EXACT[name], value) for name, value in exact_filters(filters)]
    country = by_called(filters)
    place = None if filters.place is None else filters.place.casefold()

    def holds(row: Row) -> bool:
        for column, value in exact:
            if row[column] != value:
                return False
        if place is not None and (row[_PLACE] or "").casefold() != place:
            return False
        return country is None or country(row[CALLED])

    return holds
