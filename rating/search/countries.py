"""The country of a called number, and the prefixes that a country condition looks for.

A calling code of one country decides by itself (ITU-T E.164). Of the codes that several share, +1 is told by the area
code, the others by what the smaller countries' numbers begin with. So a number that nobody has counts where it would
lie, and a condition is prefixes alone, which the store compares without asking Python.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneNumber, region_code_for_number

from rating.search.country_names import ALSO_CALLED, NAMES, WITH_ARTICLE

_NOT_A_COUNTRY: Final = "001"
"""What phonenumbers says of codes of services and networks, as +800 and +883."""
_NORTH_AMERICA: Final = "1"
_SUBSCRIBER: Final = 2_345_678
"""A number that every area of North America could have."""

_WITHIN: Final = {
    "AX": ("35818",),
    "BQ": ("5993", "5994", "5997"),
    "CC": ("6189162",),
    "CX": ("6189164",),
    "EH": ("2125288", "2125289"),
    "GG": ("441481", "447781", "447839", "447911"),
    "IM": ("441624", "4474576", "447524", "447624", "447924"),
    "JE": ("441534", "447509", "4477003", "4477007", "4477008", "447797", "447829", "447937"),
    "KZ": ("76", "77"),
    "SJ": ("4779",),
    "TA": ("2908",),
    "VA": ("3906698",),
    "YT": ("262269", "262639"),
}
"""Countries within another's calling code, by the national numbering plans. Saint Barthélemy and Saint Martin cannot be
told from Guadeloupe by a prefix, and count there."""
_LONGEST: Final = 7


@dataclass(frozen=True, slots=True)
class CountryPrefixes:
    """What the called numbers of a country, or of a whole calling code, begin with."""

    begins: tuple[str, ...]
    but_not: tuple[str, ...] = ()
    """Longer prefixes, which are other countries'."""


def country_of(called: str) -> str | None:
    """ISO alpha-2 of a number in the store's form; None for an address, and for a code that belongs to no country."""
    by_prefix = _by_prefix()
    for length in range(min(_LONGEST, len(called)), 0, -1):
        country = by_prefix.get(called[:length])
        if country is not None:
            return country
    return None


def find_country(text: str) -> tuple[str, CountryPrefixes] | None:
    """What a person means by `GB`, `United Kingdom`, `+44` or `44`: its name for a sentence, and the prefixes."""
    digits = text.removeprefix("+")
    if digits.isascii() and digits.isdecimal():
        return ("+" + digits, CountryPrefixes((digits,))) if digits in calling_codes() else None
    country = text.upper() if text.upper() in NAMES else _by_name().get(text.casefold())
    return (country_words(country), _prefixes_of(country)) if country else None


def country_words(country: str) -> str:
    """The name of an ISO alpha-2 code as it stands in a sentence: the United Kingdom, France."""
    return ("the " if country in WITH_ARTICLE else "") + NAMES.get(country, country)


@lru_cache(maxsize=1)
def calling_codes() -> dict[str, str]:
    """The calling codes that belong to countries, with the country that has what no other within it has."""
    return {str(code): c[0] for code, c in COUNTRY_CODE_TO_REGION_CODE.items() if c[0] != _NOT_A_COUNTRY}


@lru_cache(maxsize=1)
def _by_prefix() -> dict[str, str]:
    """The country of each prefix that decides; the longest counts."""
    main = calling_codes()
    areas = {}
    for area in range(1000):
        number = PhoneNumber(country_code=1, national_number=area * 10**7 + _SUBSCRIBER)
        areas[f"{_NORTH_AMERICA}{area:03d}"] = region_code_for_number(number) or main[_NORTH_AMERICA]
    return main | areas | {prefix: country for country, prefixes in _WITHIN.items() for prefix in prefixes}


@lru_cache(maxsize=512)
def _prefixes_of(country: str) -> CountryPrefixes:
    by_prefix = _by_prefix()
    own = tuple(prefix for prefix, has_it in by_prefix.items() if has_it == country)
    others = tuple(p for p, has_it in by_prefix.items() if has_it != country and p.startswith(own))
    shortest = tuple(p for p in own if not any(p.startswith(q) for q in own if q != p))
    return CountryPrefixes(shortest, others)


@lru_cache(maxsize=1)
def _by_name() -> dict[str, str]:
    return {name.casefold(): country for country, name in NAMES.items()} | ALSO_CALLED
