"""The tables of a tariff that depend on use: what they say, and how a wrong one is refused."""

from decimal import Decimal
from fractions import Fraction

import pytest

from rating.allowances.rules import Allowance, Discount, Favourites, Filters, Rules, Step
from rating.tariff import TariffError, parse_tariff, rules_of
from tests.builders import a_tariff_text

ALLOWANCE = '[[allowance]]\nname = "a"\nper = "month"\n'
DISCOUNT = '[[discount]]\nname = "d"\nper = "month"\n'
FAVOURITES = '[[favourites]]\nname = "f"\n'
STEPS = 'on = "calls"\nsteps = [{above = 1, percent = 5}]\n'

EVERYTHING = """
[[allowance]]
name = "London"
per = "bill-cycle"
minutes = "100.5"
connect_fee = "free"
services = ["long-distance"]
destinations = ["London"]
types = ["direct", "operator"]
[[allowance]]
name = "texts"
per = "month"
units = 50
[[favourites]]
name = "family"
numbers = 5
percent = 12.5
[[discount]]
name = "volume"
per = "month"
on = "charges"
steps = [{above = "50.00", percent = "5"}, {above = 100, percent = 10}]
"""


def test_every_key_is_read() -> None:
    filters = Filters(frozenset({"long-distance"}), frozenset({"London"}), frozenset({"direct", "operator"}))
    steps = Step(50_000_000, Decimal(5)), Step(100_000_000, Decimal(10))
    expected = Rules(
        4,
        "half-up",
        allowances=(
            Allowance("London", "bill-cycle", "seconds", 6_030, True, filters),
            Allowance("texts", "month", "units", 50, False),
        ),
        favourites=(Favourites("family", 5, Decimal("12.5")),),
        discounts=(Discount("volume", "month", "charges", steps),),
    )
    text = a_tariff_text(toml=EVERYTHING)
    assert parse_tariff(text).rules == expected
    assert rules_of(text.toml, text.toml_name) == expected


def test_steps_in_money_are_converted_and_others_are_not() -> None:
    rules = rules_of(a_tariff_text(toml=EVERYTHING + DISCOUNT + STEPS).toml, "t.toml")
    assert rules is not None
    volume, calls = rules.converted(Fraction("0.5")).discounts
    assert [step.above for step in volume.steps] == [25_000_000, 50_000_000]
    assert [step.above for step in calls.steps] == [1]


def test_an_ordinary_tariff_has_no_rules() -> None:
    assert parse_tariff(a_tariff_text()).rules is None


@pytest.mark.parametrize(
    ("toml", "where", "what", "remedy"),
    [
        (ALLOWANCE, "allowance 1: minutes", "an allowance is of minutes, calls or units", "give one"),
        (ALLOWANCE + "minutes = 1\ncalls = 1\n", "allowance 1: minutes", "minutes, calls or units", "give one"),
        (ALLOWANCE + 'minutes = "0.001"\n', "allowance 1: minutes", "no whole seconds", "0.5"),
        (ALLOWANCE + "minutes = 0\n", "allowance 1: minutes", "no whole seconds", ""),
        (ALLOWANCE + "minutes = -1\n", "allowance 1: minutes", "not a plain decimal", ""),
        (ALLOWANCE + "minutes = true\n", "allowance 1: minutes", "not a plain decimal", ""),
        (ALLOWANCE + "calls = 0\n", "allowance 1: calls", "not in range", "from 1"),
        (ALLOWANCE + "minutes = 1\nconnect_fee = 'half'\n", "allowance 1: connect_fee", "unknown", "free or charged"),
        (ALLOWANCE + "minutes = 1\nminutes_left = 2\n", "allowance 1: 'minutes_left'", "unknown key", "remove it"),
        (ALLOWANCE + "minutes = 1\ntypes = ['fax']\n", "allowance 1: types", "'fax' is unknown", "direct"),
        (ALLOWANCE + "minutes = 1\ntypes = []\n", "allowance 1: types", "not a list of names", "remove the key"),
        (ALLOWANCE + "minutes = 1\nservices = 'fax'\n", "allowance 1: services", "not a list of names", ""),
        (ALLOWANCE + "minutes = 1\ndestinations = ['Paris']\n", "destinations", "no destination 'Paris'", "deck"),
        (ALLOWANCE + "units = 1\ntypes = ['direct']\n", "allowance 1: types", "messages and data", ""),
        ('[[allowance]]\nname = "a"\nper = "week"\ncalls = 1\n', "allowance 1: per", "'week'", "bill-cycle or month"),
        ('[[allowance]]\nper = "month"\ncalls = 1\n', "allowance 1: name", "is missing", ""),
        (2 * (ALLOWANCE + "calls = 1\n"), "allowance", "two are called 'a'", "a name of its own"),
        ('allowance = "100"\n', "allowance", "not a list of tables", "[[allowance]]"),
        (FAVOURITES + "percent = 50\n", "favourites 1: numbers", "is missing", "how many"),
        (FAVOURITES + "numbers = 5\n", "favourites 1: percent", "is missing", "12.5"),
        (FAVOURITES + "numbers = 5\npercent = 100.5\n", "favourites 1: percent", "not in range", "at most 100"),
        (FAVOURITES + "numbers = 101\npercent = 50\n", "favourites 1: numbers", "not in range", "from 1 to 100"),
        (DISCOUNT + 'on = "calls"\n', "discount 1: steps", "is missing", "above"),
        (DISCOUNT + 'on = "calls"\nsteps = []\n', "discount 1: steps", "not a list of steps", "above"),
        (DISCOUNT + STEPS.replace("calls", "money"), "discount 1: on", "'money'", "charges, minutes or calls"),
        (DISCOUNT + STEPS.replace("above", "over"), "discount 1: steps 1: above", "is missing", ""),
        (DISCOUNT + STEPS.replace("5}", "0}"), "discount 1: steps 1: percent", "'0' is not in range", ""),
        (
            DISCOUNT + STEPS.replace("]", ", {above = 1, percent = 6}]"), "discount 1: steps", "does not ascend",
            "lowest to the highest",
        ),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_refused_with_its_place_and_a_remedy(toml: str, where: str, what: str, remedy: str) -> None:
    with pytest.raises(TariffError) as refused:
        parse_tariff(a_tariff_text(toml=toml))
    message = str(refused.value)
    assert message.startswith(f"standard.toml: {where}: "), message
    assert what in message
    assert remedy in message
    assert "\n" not in message
