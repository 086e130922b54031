"""What is known of the numbers of countries, by the metadata of the package `phonenumbers`: how they are dialled, how
long they are, and which are free to the caller or premium."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberDesc

COUNTRIES: Final = frozenset(phonenumbers.SUPPORTED_REGIONS)
"""ISO 3166-1 alpha-2 of the countries that have numbers of their own."""


@dataclass(frozen=True, slots=True)
class CountryNumbers:
    """The numbering of one country; patterns are of national numbers, without what is dialled before them."""

    code: str
    """ITU-T E.164 country code."""
    trunk_prefix: str | None
    """What is dialled before a national number; None: nothing."""
    trunk: "re.Pattern[str] | None"
    """The same as a pattern, with what else stands there (carrier codes)."""
    rewritten: str | None
    """The national number, of the groups of `trunk`, where that is not simply the rest."""
    international: "re.Pattern[str]"
    """What is dialled before a country code."""
    numbers: "re.Pattern[str]"
    lengths: frozenset[int]
    toll_free: "re.Pattern[str] | None"
    premium: "re.Pattern[str] | None"


@lru_cache(maxsize=64)
def numbers_of(country: str) -> CountryNumbers:
    """The numbering of one of `COUNTRIES`."""
    known = PhoneMetadata.metadata_for_region(country)
    assert known is not None
    assert known.general_desc is not None
    trunk = known.national_prefix_for_parsing
    return CountryNumbers(
        code=str(known.country_code),
        trunk_prefix=known.national_prefix,
        trunk=re.compile(trunk) if trunk else None,
        rewritten=known.national_prefix_transform_rule,
        international=re.compile(known.international_prefix or "00"),
        numbers=re.compile(known.general_desc.national_number_pattern or "[0-9]+"),
        lengths=frozenset(known.general_desc.possible_length),
        toll_free=_pattern(known.toll_free),
        premium=_pattern(known.premium_rate),
    )


def _pattern(kind: PhoneNumberDesc | None) -> "re.Pattern[str] | None":
    return re.compile(kind.national_number_pattern) if kind is not None and kind.national_number_pattern else None


def is_assigned(number: str) -> bool:
    """Whether E.164 digits are in a range that is in use."""
    parsed = _parsed(number)
    return parsed is not None and phonenumbers.is_valid_number(parsed)


def is_possible(number: str) -> bool:
    """Whether E.164 digits have a country code, and as many digits after it as numbers there have."""
    parsed = _parsed(number)
    if parsed is None:
        return False
    return phonenumbers.is_possible_number_with_reason(parsed) == phonenumbers.ValidationResult.IS_POSSIBLE


def _parsed(number: str) -> phonenumbers.PhoneNumber | None:
    try:
        parsed = phonenumbers.parse("+" + number)
    except phonenumbers.NumberParseException:
        return None
    # The package mends numbers such as +44 0 20…: what is asked here is whether they are right as they stand.
    whole = f"{parsed.country_code}{phonenumbers.national_significant_number(parsed)}"
    return parsed if whole == number else None
