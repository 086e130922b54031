"""Amounts brought to what can be paid in their currency, and shown so."""

from typing import Final

from rating.currencies import DECIMALS, USUAL
from rating.money import format_micros

MOST: Final = 6
"""An amount is kept in millionths."""


def decimals_of(currency: str) -> int:
    """The decimals of a currency; 2 for one that is not known."""
    return DECIMALS.get(currency, USUAL)


def unit_of(currency: str) -> int:
    """The smallest amount of a currency that can be paid, in micro-units."""
    unit: int = 10 ** (MOST - decimals_of(currency))
    return unit


def rounded(micros: int, currency: str) -> int:
    """An amount brought to what can be paid, half up: a half goes towards plus infinity, so that an amount and the same
    amount with something payable added are rounded alike."""
    unit = unit_of(currency)
    return (micros + unit // 2) // unit * unit


def shown(micros: int, currency: str) -> str:
    """An amount as people are told it: with the currency's decimals, or as many more as it has."""
    whole, _, places = format_micros(micros, MOST).partition(".")
    places = places.rstrip("0").ljust(decimals_of(currency), "0")
    return f"{whole}.{places}" if places else whole
