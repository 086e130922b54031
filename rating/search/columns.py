"""The columns that can be searched, the operators that make sense for each, and where both stand in the store."""

from enum import Enum
from typing import Final


class Kind(Enum):
    """How the values of a column are read and compared."""

    EXACT = "exact"
    NUMBER = "number"
    TEXT = "text"
    COUNTRY = "country"
    INSTANT = "instant"
    DURATION = "duration"
    MONEY = "money"


KINDS: Final = {
    "account": Kind.EXACT,
    "line": Kind.NUMBER,
    "called": Kind.NUMBER,
    "place": Kind.TEXT,
    "destination": Kind.TEXT,
    "country": Kind.COUNTRY,
    "service": Kind.TEXT,
    "type": Kind.TEXT,
    "provider": Kind.TEXT,
    "start": Kind.INSTANT,
    "duration": Kind.DURATION,
    "charge": Kind.MONEY,
    "device": Kind.TEXT,
}
"""Every column, in the order in which pages offer them."""

ORDERED: Final = frozenset({Kind.INSTANT, Kind.DURATION, Kind.MONEY})

OPERATORS: Final = ("=", "!=", "<", "<=", ">", ">=", "between", "in", "begins", "contains", "empty")

_OF_TEXTS: Final = ("=", "!=", "in", "begins", "contains", "empty")
_OF_ORDERED: Final = ("=", "!=", "<", "<=", ">", ">=", "between", "in", "empty")
_OF_COUNTRIES: Final = ("=", "!=", "in", "empty")

STORED_IN: Final = {
    "account": "account",
    "line": "line",
    "called": "called",
    "place": "place_called",
    "destination": "destination",
    "country": "called",
    "service": "service",
    "type": "type",
    "provider": "provider",
    "start": "start_at",
    "duration": "duration_us",
    "charge": "charge_micros",
    "device": "device",
}
"""The store's column that each is read from. Statements are made of these constants; everything typed is bound."""


def operators_of(column: str) -> tuple[str, ...]:
    """The operators that make sense for a column, in the order in which pages offer them."""
    kind = KINDS[column]
    if kind in ORDERED:
        return _OF_ORDERED
    return _OF_COUNTRIES if kind is Kind.COUNTRY else _OF_TEXTS
