"""How many decimals a currency has (ISO 4217, minor units)."""

from typing import Final

_NONE: Final = frozenset(
    (
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    )
)
_THREE: Final = frozenset(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"))
USUAL: Final = 2
MOST: Final = 6
"""An amount is kept in millionths."""


def decimals_of(currency: str) -> int:
    """The decimals of a currency; 2 for one that is not known."""
    if currency in _NONE:
        return 0
    return 3 if currency in _THREE else USUAL


def places_for(decimals: int, *amounts_micros: int) -> int:
    """At least so many places, and as many as it takes to write all amounts exactly."""
    while decimals < MOST and any(amount % 10 ** (MOST - decimals) for amount in amounts_micros):
        decimals += 1
    return decimals
