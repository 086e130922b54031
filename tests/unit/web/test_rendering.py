"""How amounts of a table, durations and units are written."""

from typing import Any

import pytest

from rating.cdr import MICROS
from web.rendering import money, padded, places_of, quantity


@pytest.mark.parametrize(
    ("amounts", "least", "places"),
    [
        ([], 2, 2),
        ([MICROS, 5 * MICROS], 2, 2),
        ([MICROS, None], 4, 4),
        ([MICROS, -1_234_500], 2, 4),
        ([1], 4, 6),
        (["11.40", "0.0400"], 2, 4),
        (["-0.125000", "7"], 2, 6),
        (["7"], 0, 0),
    ],
)
def test_a_table_has_as_many_places_as_one_of_its_amounts_takes(
    amounts: list[int | str | None], least: int, places: int
) -> None:
    assert places_of(amounts, least) == places


def test_the_amounts_of_a_table_are_all_alike() -> None:
    micros = [11_400_000, -40_000, 0]
    assert [money(amount, places_of(micros, 4)) for amount in micros] == ["11.4000", "−0.0400", "0.0000"]
    texts = ["11.40", "-0.0400", "7"]
    assert [padded(text, places_of(texts)) for text in texts] == ["11.4000", "-0.0400", "7.0000"]
    assert padded("7", 0) == "7"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"duration": 95, "units": None}, "1:35"),
        ({"duration": 0, "units": 1}, "1 unit"),
        ({"duration": 0, "units": 2_000}, "2,000 units"),
        ({"duration": 0, "units": 0}, "0 units"),
    ],
)
def test_messages_and_data_are_told_in_units(call: dict[str, Any], words: str) -> None:
    assert quantity(call) == words
