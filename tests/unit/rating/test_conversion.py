"""Charges in another currency than the deck's: converted exactly, capped, then rounded once."""

from decimal import Decimal

import pytest

from rating.explanation import as_json
from rating.rater import Charge, Rater
from rating.tariff import TariffError, TariffText, parse_tariff
from tests.builders import DECK_HEADER, a_cdr, a_tariff_text

EUR = '[conversion]\nEUR = "0.333333333333"\nJPY = 150\n'


def a_rater(currency: str, row: str, toml: str = EUR) -> Rater:
    head = a_tariff_text(toml=toml).toml
    deck = f"{DECK_HEADER},min_charge,max_charge\n{row}\n"
    return Rater(parse_tariff(TariffText(head, deck, "t.toml", "t.csv")), currency)


@pytest.mark.parametrize(
    ("currency", "row", "micros"),
    [
        ("USD", "44,London,,0,0.20,1.20,60,60/60,,", 2_600_000),
        ("EUR", "44,London,,0,0.20,1.20,60,60/60,,", 866_700),  # 2.6 × 0.333333333333 = 0.8666666666658
        ("JPY", "44,London,,0,0.20,1.20,60,60/60,,", 390_000_000),
        ("EUR", "44,London,,0,0,0.0004,61,1/1,,", 100),  # 0.0004 × rate = 0.000133: rounded before, it would be 0
        ("EUR", "44,London,,0,0.20,1.20,60,60/60,,0.5", 166_700),  # the cap is in the deck's currency
        ("EUR", "44,London,,0,0,0,60,60/60,3,", 1_000_000),  # and so is the least charge: 0.999999999999
    ],
)
def test_a_charge_is_converted_whole_and_rounded_once(currency: str, row: str, micros: int) -> None:
    charge = a_rater(currency, row).charge(a_cdr(), None, None)
    assert isinstance(charge, Charge)
    assert charge.charge_micros == micros


def test_the_explanation_is_in_the_decks_currency_and_says_the_rate() -> None:
    explanation = a_rater("EUR", "44,London,,0,0.20,1.20,60,60/60,,").explain(a_cdr(), None, None)
    assert not isinstance(explanation, str)
    told = as_json("x", explanation)
    assert told["currency"] == "EUR"
    assert told["charge"] == "0.8667"
    assert told["connect_fee"] == "0.20"
    assert told["conversion"] == {"from": "USD", "to": "EUR", "rate": "0.333333333333"}
    assert explanation.exact * 3 == Decimal("2.6") * 3 * Decimal("0.333333333333")


def test_without_a_conversion_nothing_is_said_of_one() -> None:
    explanation = a_rater("USD", "44,London,,0,0.20,1.20,60,60/60,,").explain(a_cdr(), None, None)
    assert not isinstance(explanation, str)
    assert "conversion" not in as_json("x", explanation)


@pytest.mark.parametrize(
    ("toml", "where", "what"),
    [
        ('conversion = "1"\n', "conversion", "not a table"),
        ('[conversion]\nUSD = "1"\n', "conversion.USD", "not another currency"),
        ('[conversion]\neur = "1"\n', "conversion.eur", "not a currency"),
        ('[conversion]\nEUR = "0"\n', "conversion.EUR", "not a rate"),
        ('[conversion]\nEUR = "-1"\n', "conversion.EUR", "not a rate"),
        ('[conversion]\nEUR = "1,08"\n', "conversion.EUR", "not a rate"),
        ("[conversion]\nEUR = true\n", "conversion.EUR", "not a rate"),
        ('[conversion]\nEUR = "1.0000000000001"\n', "conversion.EUR", "not a rate"),
    ],
)
def test_a_wrong_rate_is_refused_with_its_place(toml: str, where: str, what: str) -> None:
    with pytest.raises(TariffError, match=rf"standard\.toml: {where}: .*{what}.*; "):
        parse_tariff(a_tariff_text(toml=toml))
