"""What other engines and carriers publish about the price of a call; where they are off, by how much and why."""

import tomllib
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import Any

import pytest

from rating.cdr import CDR, MICROS
from rating.explanation import Explanation, as_json
from rating.rater import Rater
from rating.tariff import TariffText, parse_tariff

CASES: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "cases/published.toml").read_text())["case"]
KEYS = {"name", "source", "rounding", "steps", "duration", "charge", "billed_s", "theirs", "fault", "each", "worked"}
FRIDAY_AT = 1_795_183_655 * MICROS


def rater_of(case: dict[str, Any]) -> Rater:
    toml = f'name = "theirs"\ncurrency = "USD"\ndeck = "theirs.csv"\nrounding = "{case.get("rounding", "half-up")}"\n'
    header = "prefix,destination,period,after_s,connect_fee,rate,per_s,increments"
    deck = "\n".join([header, *(f",Anywhere,,{step}" for step in case["steps"])])
    return Rater(parse_tariff(TariffText(toml, deck, "theirs.toml", "theirs.csv")))


def explained(case: dict[str, Any]) -> Explanation:
    duration_us = int(Fraction(case["duration"]) * MICROS)
    cdr = CDR("pop", "x", "12125550142", "442079460018", FRIDAY_AT, 0, FRIDAY_AT, duration_us)
    explanation = rater_of(case).explain(cdr, None, None)
    assert isinstance(explanation, Explanation)
    return explanation


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_charge_is_exact(case: dict[str, Any]) -> None:
    assert case.keys() <= KEYS
    assert case["source"]
    printed = as_json("x", explained(case))
    assert (printed["charge"], printed["billed_s"]) == (case["charge"], case["billed_s"])


@pytest.mark.parametrize("case", [case for case in CASES if "theirs" in case], ids=lambda case: case["name"])
def test_theirs_is_off_and_it_is_said_why(case: dict[str, Any]) -> None:
    assert case["fault"]
    assert Fraction(case["theirs"]) != Fraction(case["charge"])


@pytest.mark.parametrize("case", [case for case in CASES if "each" in case], ids=lambda case: case["name"])
def test_rounding_each_increment_gives_their_charge(case: dict[str, Any]) -> None:
    """The fault is where it is said to be: the same increments, each rounded, sum to what they charge."""
    places, rounding = case["each"]
    first_s, next_s = map(int, case["steps"][0].rpartition(",")[2].split("/"))
    explanation = explained(case)
    total = Fraction(explanation.connect_fee)
    for place, run in enumerate(explanation.runs):
        increment_s = next_s if place else first_s
        scaled = increment_s * run.amount / run.seconds * 10**places
        rounded = ceil(scaled) if rounding == "up" else floor(scaled + Fraction(1, 2))
        total += Fraction(rounded, 10**places) * (run.seconds // increment_s)
    assert total == Fraction(case["theirs"])
