"""Money is read and printed as plain decimals, and never goes through a float."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.money import format_micros, parse_micros, rounded_micros, shown_micros


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0", 0),
        ("0.000001", 1),
        ("0.1", 100_000),
        ("1.20", 1_200_000),
        ("2500.00", 2_500_000_000),
        ("007", 7_000_000),
        ("999999999999.999999", 999_999_999_999_999_999),  # beyond what a float tells apart
    ],
)
def test_a_plain_decimal_is_read_exactly(text: str, micros: int) -> None:
    assert parse_micros(text) == micros


@pytest.mark.parametrize("text", ["1000000000000", "9" * 26, "1000000000000.000001"])
def test_what_is_too_large_is_said_to_be(text: str) -> None:
    with pytest.raises(ValueError, match="is too large: write at most 12 digits before the point"):
        parse_micros(text)


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "-1", "+1", "1.", ".5", "1,000", "1_000", "1e3", "0x10", "1.0000001", "٣", "²",
     "NaN", "inf", "$5", "1.2.3", "1\n"],
)  # fmt: skip
def test_anything_else_is_refused_with_words(text: str) -> None:
    with pytest.raises(ValueError, match="is not an amount: write a plain decimal"):
        parse_micros(text)


@pytest.mark.parametrize(
    ("micros", "decimals", "text"),
    [
        (0, 0, "0"),
        (0, 4, "0.0000"),
        (1_400_000, 4, "1.4000"),
        (1_400_000, 1, "1.4"),
        (3_000_000, 0, "3"),
        (1, 6, "0.000001"),
        (-1_400_000, 4, "-1.4000"),
        (-500_000, 2, "-0.50"),
        (9_223_372_036_854_775_807, 6, "9223372036854.775807"),
    ],
)
def test_money_is_printed_with_exactly_its_decimals(micros: int, decimals: int, text: str) -> None:
    assert format_micros(micros, decimals) == text


@pytest.mark.parametrize(("micros", "decimals"), [(1, 5), (1_450_000, 1), (-500_000, 0)])
def test_digits_that_would_be_lost_are_a_programmers_error(micros: int, decimals: int) -> None:
    with pytest.raises(AssertionError, match="do not fit"):
        format_micros(micros, decimals)


@settings(deadline=None)
@given(st.integers(0, 10**18 - 1))
def test_what_was_printed_is_read_back(micros: int) -> None:
    assert parse_micros(format_micros(micros, 6)) == micros


@pytest.mark.parametrize(
    ("micros", "shown"),
    [
        (0, "0.00"),
        (6_050_000, "6.05"),
        (6_500_000, "6.50"),
        (-98_000_000, "-98.00"),
        (123_400, "0.1234"),
        (1, "0.000001"),
    ],
)
def test_people_are_told_two_places_or_as_many_as_it_needs(micros: int, shown: str) -> None:
    assert shown_micros(micros) == shown


@pytest.mark.parametrize(
    ("amount", "decimals", "up", "down", "half_up", "half_even"),
    [
        ("0", 4, 0, 0, 0, 0),
        ("1/3", 2, 340_000, 330_000, 330_000, 330_000),
        ("2/3", 2, 670_000, 660_000, 670_000, 670_000),
        ("0.125", 2, 130_000, 120_000, 130_000, 120_000),
        ("0.135", 2, 140_000, 130_000, 140_000, 140_000),
        ("1.5", 0, 2_000_000, 1_000_000, 2_000_000, 2_000_000),
        ("0.0000001", 6, 1, 0, 0, 0),
    ],
)
def test_an_exact_amount_is_rounded_as_the_tariff_says(
    amount: str, decimals: int, up: int, down: int, half_up: int, half_even: int
) -> None:
    ways = {"up": up, "down": down, "half-up": half_up, "half-even": half_even}
    assert {way: rounded_micros(Fraction(amount), decimals, way) for way in ways} == ways
