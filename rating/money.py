"""Money as whole micro-units: reading and printing decimals, never a float."""

import re
from fractions import Fraction
from typing import Final

from rating.cdr import MICROS

_PLAIN: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))?", re.ASCII)

_TOO_LARGE: Final = re.compile(r"[0-9]{13,}(?:\.[0-9]{1,6})?", re.ASCII)


def parse_micros(text: str) -> int:
    """Micro-units of a plain decimal ≥ 0 with at most 6 places and 12 digits before the point.

    Raises ValueError, with words for the person who typed it.
    """
    match = _PLAIN.fullmatch(text)
    if match is None and _TOO_LARGE.fullmatch(text):
        raise ValueError(f"{text[:40]} is too large: write at most 12 digits before the point")
    if match is None:
        raise ValueError(f"{text!r} is not an amount: write a plain decimal such as 2500.00, at most 6 places, no sign")
    whole, places = match.groups()
    return int(whole) * MICROS + int((places or "").ljust(6, "0"))


def rounded_micros(amount: Fraction, decimals: int, rounding: str) -> int:
    """Micro-units of an exact amount ≥ 0, rounded to `decimals` places (0 to 6) as a tariff says: up, down, half-up or
    half-even."""
    return rounded_ratio(amount.numerator, amount.denominator, decimals, rounding)


def rounded_ratio(numerator: int, denominator: int, decimals: int, rounding: str) -> int:
    """The same of numerator ÷ denominator, which need not be in lowest terms: to make a fraction takes longer."""
    per_unit: int = 10**decimals
    quanta, rest = divmod(numerator * per_unit, denominator)
    to_next = 2 * rest - denominator
    if (
        (rounding == "up" and rest)
        or (rounding == "half-up" and to_next >= 0)
        or (rounding == "half-even" and (to_next > 0 or (to_next == 0 and quanta & 1)))
    ):
        quanta += 1
    return quanta * (MICROS // per_unit)


def format_micros(micros: int, decimals: int) -> str:
    """`micros` with exactly `decimals` places (0 to 6); the digits cut off must be zeros."""
    sign = "-" if micros < 0 else ""
    whole, rest = divmod(abs(micros), MICROS)
    places = f"{rest:06d}"
    assert not places[decimals:].strip("0"), f"{micros} micro-units do not fit {decimals} decimals"
    return f"{sign}{whole}.{places[:decimals]}" if decimals else f"{sign}{whole}"


def shown_micros(micros: int) -> str:
    """`micros` as people are told it: with two places, or as many more as it needs."""
    text = format_micros(micros, 6)
    return text[: max(len(text.rstrip("0")), len(text) - 4)]
