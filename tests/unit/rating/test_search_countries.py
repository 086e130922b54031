"""Which country a called number belongs to, and what a person may call it."""

import phonenumbers
import pytest

from rating.search.countries import country_of, country_words, find_country
from rating.search.country_names import ALSO_CALLED, NAMES, WITH_ARTICLE

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
TOLD_BY_NO_PREFIX = {"BL", "MF"}


def example(region: str, kind: int) -> phonenumbers.PhoneNumber:
    number = phonenumbers.example_number_for_type(region, kind)
    assert number is not None
    return number


def told(number: phonenumbers.PhoneNumber) -> str | None:
    return country_of(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:])


@pytest.mark.parametrize("region", REGIONS)
def test_a_fixed_line_belongs_to_its_country(region: str) -> None:
    expected = "GP" if region in TOLD_BY_NO_PREFIX else region
    assert told(example(region, phonenumbers.PhoneNumberType.FIXED_LINE)) == expected


@pytest.mark.parametrize("region", sorted({*REGIONS} - TOLD_BY_NO_PREFIX - {"TA"}))
def test_a_mobile_belongs_to_its_country_or_where_the_numbering_plans_cannot_tell_to_the_larger_one(
    region: str,
) -> None:
    number = example(region, phonenumbers.PhoneNumberType.MOBILE)
    assert told(number) in {region, phonenumbers.region_code_for_number(number)}


@pytest.mark.parametrize(
    ("called", "country"),
    [
        ("12125550142", "US"),
        ("15005550006", "US"),  # an area that is not assigned
        ("1212", "US"),
        ("14165550100", "CA"),
        ("12425551234", "BS"),
        ("447911123456", "GG"),
        ("447912123456", "GB"),
        ("44", "GB"),
        ("999123", None),
        ("883510001234", None),
        ("80012345678", None),
        ("sip:44@voip.example", None),
        ("ip:44.1.1.1", None),
        ("", None),
    ],
)
def test_a_number_that_nobody_has_counts_where_it_would_lie(called: str, country: str | None) -> None:
    assert country_of(called) == country


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("GB", "the United Kingdom"),
        ("gb", "the United Kingdom"),
        ("united kingdom", "the United Kingdom"),
        ("UK", "the United Kingdom"),
        ("France", "France"),
        ("+44", "+44"),
        ("44", "+44"),
    ],
)
def test_a_country_goes_by_several_names(text: str, words: str) -> None:
    found = find_country(text)
    assert found is not None
    assert found[0] == words


@pytest.mark.parametrize("text", ["", "+", "ZZ", "Atlantis", "4420", "999", "800", "0", "٤٤"])
def test_what_is_no_country_is_not_found(text: str) -> None:
    assert find_country(text) is None


def test_a_calling_code_holds_all_its_countries() -> None:
    code, main, within = (find_country(text) for text in ("44", "GB", "JE"))
    assert code is not None
    assert main is not None
    assert within is not None
    assert (code[1].begins, code[1].but_not) == (("44",), ())
    assert main[1].begins == ("44",)
    assert set(within[1].begins) <= set(main[1].but_not)


def test_every_country_with_a_calling_code_has_a_name_and_prefixes_but_two() -> None:
    assert set(NAMES) == set(REGIONS)
    without = {country for country in NAMES if not (find_country(country) or ("", None))[1].begins}
    assert without == TOLD_BY_NO_PREFIX
    assert {*ALSO_CALLED.values(), *WITH_ARTICLE} <= set(NAMES)
    assert country_words("NL") == "the Netherlands"
