"""Money is read and printed as plain decimals, and never goes through a float."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.money import format_micros, parse_micros, shown_micros


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


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "-1", "+1", "1.", ".5", "1,000", "1_000", "1e3", "0x10", "1.0000001", "1000000000000", "٣", "²",
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
