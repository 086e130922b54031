"""The configuration's dial plans: what a section says, and every refusal in words."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mediation.config import Config, ConfigError, read_config
from rating.dial_plan import DialPlan

SITE = """
[store]
url = "sqlite:///tollkeeper.db"
[feeds.kamailio]
type = "http"
source = "kam1"
listen = "127.0.0.1:18081"
path = "/cdr"
format = "kamailio-json"
"""

Read = Callable[[str], Config]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(keys: str) -> Config:
        file = tmp_path / "site.toml"
        file.write_text(f"{SITE}[dial_plans.kam1]\n{keys}\n")
        return read_config(file, {})

    return read


def test_without_a_section_no_source_has_a_plan(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(SITE)
    assert read_config(file, {}).plans == {}


@pytest.mark.parametrize(
    ("keys", "plan"),
    [
        ('country = "US"', DialPlan(country="US")),
        ('country_code = "881"\ntrunk_prefix = ""', DialPlan(country_code="881", trunk_prefix="")),
        (
            'country = "BR"\ninternational_prefix = ["00XX", "00"]\ncarrier_prefixes = ["0XX", "*67"]',
            DialPlan(country="BR", international_prefixes=("00XX", "00"), carrier_prefixes=("0XX", "*67")),
        ),
        ('country = "GB"\ninternational_prefix = "00"', DialPlan(country="GB", international_prefixes=("00",))),
        (
            'country = "US"\narea_code = "212"\nlocal_digits = 7',
            DialPlan(country="US", area_code="212", local_digits=(7,)),
        ),
        (
            'country = "DE"\narea_code = "30"\nlocal_digits = [6, 7, 8]',
            DialPlan(country="DE", area_code="30", local_digits=(6, 7, 8)),
        ),
        (
            'country = "US"\nshort_numbers = ["911", "4XX"]',
            DialPlan(country="US", short_numbers=(("911", None), ("4XX", None))),
        ),
        (
            'country = "US"\nshort_numbers = { "911" = "+12125550199" }',
            DialPlan(country="US", short_numbers=(("911", "12125550199"),)),
        ),
        (
            'country = "US"\ntoll_free = ["800", "888"]\npremium = "900"\nclassify = true',
            DialPlan(country="US", toll_free=("800", "888"), premium=("900",), classify=True),
        ),
    ],
)
def test_a_section_is_a_plan(read: Read, keys: str, plan: DialPlan) -> None:
    assert read(keys).plans == {"kam1": plan}


@pytest.mark.parametrize(
    ("keys", "key", "words"),
    [
        ("", "country", 'is missing; add country = "US"'),
        ('country = "us"', "country", 'unknown country "us"; did you mean "US"?'),
        ('country = "Utopia"', "country", 'unknown country "Utopia"; write country = "US"'),
        ("country = 1", "country", "must be a string, not an integer"),
        ('countri = "US"', "countri", "unknown key; did you mean country?"),
        ('country_code = "+1"', "country_code", '"+1" is not 1 to 3 digits, the first not 0; write country_code = "1"'),
        ('country_code = "0"', "country_code", "the first not 0"),
        ('country = "US"\ntrunk_prefix = "1X"', "trunk_prefix", '"1X" is not 1 to 14 digits; write'),
        ('country = "US"\ninternational_prefix = "+"', "international_prefix", "X for any of them; write"),
        ('country = "US"\ninternational_prefix = ""', "international_prefix", '"" is not 1 to 14 digits'),
        ('country = "US"\ninternational_prefix = [11]', "international_prefix", "a list of strings, not an integer"),
        ('country = "US"\ncarrier_prefixes = ["10x"]', "carrier_prefixes", '"10x" is not 1 to 14 digits, X for any'),
        ('country = "US"\ncarrier_prefixes = 10', "carrier_prefixes", "must be a string or a list of them"),
        ('country = "US"\narea_code = "212"', "local_digits", "is missing; add local_digits, or remove area_code"),
        ('country = "US"\nlocal_digits = 7', "area_code", "is missing; add area_code, or remove local_digits"),
        ('country = "US"\narea_code = "212"\nlocal_digits = 1', "local_digits", "must be from 2 to 14, not 1"),
        ('country = "US"\narea_code = "212"\nlocal_digits = "7"', "local_digits", "must be a whole number or a list"),
        ('country = "US"\narea_code = "212"\nlocal_digits = [7, true]', "local_digits", "not a boolean"),
        ('country = "US"\narea_code = "212"\nlocal_digits = 12', "local_digits", "with 1 and 212 before it"),
        ('country = "US"\nshort_numbers = "911"', "short_numbers", "must be a list or a table, not a string"),
        ('country = "US"\nshort_numbers = ["nine"]', "short_numbers", '"nine" is not 1 to 14 digits'),
        ('country = "US"\nshort_numbers = ["9"]', "short_numbers", '1 and 9 are not 3 to 15 digits; give its number'),
        ('country = "US"\nshort_numbers = { 911 = "12125550199" }', "short_numbers", 'of 911, "12125550199", is not'),
        ('country = "US"\nshort_numbers = { 911 = 1 }', "short_numbers", "of 911, an integer, is not E.164"),
        ('country = "US"\ntoll_free = ["8XX"]', "toll_free", '"8XX" is not 1 to 14 digits; write'),
        ('country_code = "1"\nclassify = true', "classify", "needs to know the country; add country"),
        ('country = "US"\nclassify = 1', "classify", "must be true or false"),
        ('country = "US"\n[dial_plans.kam2]\ncountry = "US"', None, 'a source that no feed has; did you mean "kam1"?'),
    ],
)  # fmt: skip
def test_a_wrong_plan_is_refused_in_words(read: Read, keys: str, key: str | None, words: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        read(keys)
    assert refusal.value.key == ("dial_plans.kam2" if key is None else f"dial_plans.kam1.{key}")
    assert words in str(refusal.value)
    assert "; " in str(refusal.value)
    assert "\n" not in str(refusal.value)
