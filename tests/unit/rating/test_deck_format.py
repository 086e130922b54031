"""What `[deck_format]` may say, and the reasons for which it is refused."""

import tomllib
from decimal import Decimal

import pytest

from rating.deck_format import DeckFormat, read_deck_format
from rating.refusal import TariffError

ALL = r"""
columns = { prefix = "Dial Code", type = "" }
defaults = { per_s = 60, increments = "1/1", connect_fee = 0.05, period = "" }
delimiter = ";"
decimal = ","
encoding = "cp1252"
sheet = "Rates"
header_row = 3
first = "Min"
next = "Inc"
destination_code = "Code"
effective = "Valid From"
date_format = "%d.%m.%Y"
"""


def read(toml: str) -> DeckFormat | None:
    return read_deck_format(tomllib.loads(toml, parse_float=Decimal), "standard.toml")


def test_without_the_table_there_is_none_and_an_empty_one_is_the_contracts() -> None:
    assert read_deck_format(None, "standard.toml") is None
    assert read("") == DeckFormat()


def test_a_format_says_what_its_keys_say() -> None:
    assert read(ALL) == DeckFormat(
        columns={"prefix": "Dial Code", "type": ""},
        defaults={"per_s": "60", "increments": "1/1", "connect_fee": "0.05", "period": ""},
        delimiter=";",
        decimal=",",
        encoding="cp1252",
        sheet="Rates",
        header_row=3,
        first="Min",
        next="Inc",
        destination_code="Code",
        effective="Valid From",
        date_format="%d.%m.%Y",
    )


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("colour = 1", "deck_format: 'colour': unknown key"),
        ("columns = 1", "deck_format: columns: 1 is not a table"),
        ('columns = { price = "x" }', "deck_format: columns: 'price': unknown key"),
        ("columns = { rate = 1 }", "deck_format: columns: rate: 1 is not a header"),
        ('columns = { rate = " " }', "deck_format: columns: rate: ' ' is not a header"),
        ('defaults = { colour = "x" }', "deck_format: defaults: 'colour': unknown key"),
        ("defaults = { per_s = true }", "deck_format: defaults: per_s: True is not a cell"),
        ('defaults = { prefix = "44" }', "deck_format: defaults: prefix: may only be empty"),
        ('delimiter = "x"', "deck_format: delimiter: 'x' is unknown"),
        ('delimiter = ""', "deck_format: delimiter: '' is unknown"),
        ("delimiter = [1]", "deck_format: delimiter: [1] is unknown"),
        ('decimal = "·"', "deck_format: decimal: '·' is unknown"),
        ('encoding = "utf-7"', "deck_format: encoding: 'utf-7' is unknown"),
        ("header_row = 0", "deck_format: header_row: 0 is not in range"),
        ('first = "Min"', "deck_format: first: first and next go together"),
        ('next = "Inc"', "deck_format: first: first and next go together"),
        ('first = "a"\nnext = "b"\ncolumns = { increments = "c" }', "deck_format: first: the increments are in"),
        ('date_format = "%d.%m.%Y"', "deck_format: date_format: there is no column of dates"),
        ('effective = "a"\ndate_format = "%d.%m."', "deck_format: date_format: '%d.%m.' does not say year"),
        ('effective = "a"\ndate_format = "%Q"', "deck_format: date_format: '%Q' does not say year"),
    ],
)
def test_a_format_is_refused_by_key(toml: str, words: str) -> None:
    with pytest.raises(TariffError) as refused:
        read(toml)
    assert str(refused.value).startswith(f"standard.toml: {words}")
    assert "; " in str(refused.value)


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(TariffError, match=r"standard\.toml: deck_format: 'x' is not a table"):
        read_deck_format("x", "standard.toml")
