"""The [dial_plans.SOURCE] sections: how a source's national and dialled numbers become E.164."""

import json
import re
from dataclasses import dataclass
from typing import Annotated, Final

from mediation.config.tables import Reader, Table, Unfit
from mediation.config.values import Flag, take
from mediation.config.words import kind_of, quoted, suggestion
from rating.country_numbers import COUNTRIES, numbers_of
from rating.dial_plan import DialPlan
from rating.numbering import MAX_DIGITS, MIN_DIGITS, to_e164

MOST_DIGITS: Final = 14
"""Of a prefix or an area code: with a country code it must leave room for a number."""
_DIGITS: Final = re.compile(rf"[0-9]{{1,{MOST_DIGITS}}}")
_DIALLED: Final = re.compile(rf"[0-9X]{{1,{MOST_DIGITS}}}")
_CARRIER: Final = re.compile(rf"[0-9X*#]{{1,{MOST_DIGITS}}}")
_CODE: Final = re.compile(r"[1-9][0-9]{0,2}")


@dataclass(frozen=True, slots=True)
class Country(Reader[str]):
    """A country that has numbers of its own, by its two letters of ISO 3166-1."""

    example: str = '"US"'

    def read(self, table: Table, key: str) -> str:
        country = take(table.values[key], str, "a string")
        if country not in COUNTRIES:
            close = suggestion(country, sorted(COUNTRIES)).partition(" it is one of")[0]
            remedy = close if close.startswith("did you mean") else f"write {self.how(key)}, two letters of ISO 3166-1"
            raise Unfit(f"unknown country {quoted(country)}", remedy)
        return country


@dataclass(frozen=True, slots=True)
class Digits(Reader[str]):
    """Some digits, of a form."""

    form: "re.Pattern[str]"
    example: str
    may_be_empty: bool = False

    def read(self, table: Table, key: str) -> str:
        text = take(table.values[key], str, "a string")
        if text or not self.may_be_empty:
            _check_form(text, self.form)
        return text


@dataclass(frozen=True, slots=True)
class DigitsList(Reader[tuple[str, ...]]):
    """Some prefixes, or one alone."""

    form: "re.Pattern[str]"
    example: str

    def read(self, table: Table, key: str) -> tuple[str, ...]:
        value = table.values[key]
        texts = [value] if isinstance(value, str) else take(value, list, "a string or a list of them")
        for text in texts:
            _check_form(take(text, str, "a list of strings"), self.form)
        return tuple(texts)


@dataclass(frozen=True, slots=True)
class Lengths(Reader[tuple[int, ...]]):
    """A number of digits, or several."""

    example: str = "7"

    def read(self, table: Table, key: str) -> tuple[int, ...]:
        value = table.values[key]
        lengths = value if isinstance(value, list) else [value]
        for length in lengths:
            if not 2 <= take(length, int, "a whole number or a list of them") < MAX_DIGITS:
                raise Unfit(f"must be from 2 to {MAX_DIGITS - 1}, not {length}")
        return tuple(lengths)


@dataclass(frozen=True, slots=True)
class ShortNumbers(Reader[tuple[tuple[str, str | None], ...]]):
    """Short numbers in a list; or in a table, each with its number in E.164."""

    example: str = '["911", "411"], or { "911" = "+12125550199" }'

    def read(self, table: Table, key: str) -> tuple[tuple[str, str | None], ...]:
        value = table.values[key]
        if not isinstance(value, dict | list):
            raise Unfit(f"must be a list or a table, not {kind_of(value)}")
        for text in value:
            _check_form(take(text, str, "a list of strings"), _DIALLED)
        if isinstance(value, list):
            return tuple((text, None) for text in value)
        for text, number in value.items():
            if not (isinstance(number, str) and number[:1] == "+" and to_e164(number)):
                shown = quoted(number) if isinstance(number, str) else kind_of(number)
                raise Unfit(f"the number of {text}, {shown}, is not E.164 with its +")
        return tuple((text, to_e164(number)) for text, number in value.items())

    def show(self, value: tuple[tuple[str, str | None], ...]) -> str:
        return json.dumps([text for text, _ in value])


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePlan:
    """[dial_plans.SOURCE]: how numbers are dialled at a source; its country says what is not given."""

    name: str
    """The source's."""
    country: Annotated[str | None, Country()] = None
    """Gives the country code, the trunk prefix and the international prefix, and tells national numbers by their
    length and ranges."""
    country_code: Annotated[str | None, Digits(_CODE, '"1"')] = None
    trunk_prefix: Annotated[str | None, Digits(_DIGITS, '"0"', may_be_empty=True)] = None
    """Dialled before national numbers; empty: nothing is."""
    international_prefix: Annotated[tuple[str, ...] | None, DigitsList(_DIALLED, '"00", or a list')] = None
    """Dialled before a country code; X is any digit."""
    carrier_prefixes: Annotated[tuple[str, ...], DigitsList(_CARRIER, '["101XXXX"]')] = ()
    """Codes that select a carrier, dialled before all else: they are cut off; X is any digit."""
    area_code: Annotated[str | None, Digits(_DIGITS, '"212"')] = None
    """Of local numbers."""
    local_digits: Annotated[tuple[int, ...], Lengths()] = ()
    """How many digits a local number has; a list where it can be several."""
    short_numbers: Annotated[tuple[tuple[str, str | None], ...], ShortNumbers()] = ()
    """Kept as country code and number; or, in a table, each brought to the number that it stands for."""
    toll_free: Annotated[tuple[str, ...], DigitsList(_DIGITS, '["800", "888"]')] = ()
    """National prefixes: a record that names no type is `toll-free` when it was called under one of them."""
    premium: Annotated[tuple[str, ...], DigitsList(_DIGITS, '["900"]')] = ()
    """The same for `premium`."""
    classify: Annotated[bool, Flag()] = False
    """Such types also by what is known of the country's numbers."""

    def __post_init__(self) -> None:
        if self.country is None and self.country_code is None:
            raise Unfit("is missing", 'add country = "US" (two letters of ISO 3166-1), or country_code', key="country")
        if self.classify and self.country is None:
            raise Unfit(
                "needs to know the country", 'add country = "US", or give toll_free and premium', key="classify"
            )
        if (self.area_code is None) != (not self.local_digits):
            missing, given = ("area_code", "local_digits") if self.local_digits else ("local_digits", "area_code")
            raise Unfit("is missing", f"add {missing}, or remove {given}: the two go together", key=missing)
        self._check_whole_numbers(self.country_code or numbers_of(self.country or "").code)

    def _check_whole_numbers(self, code: str) -> None:
        """Refuses what could never become E.164 behind the country code."""
        for text, number in self.short_numbers:
            if number is None and to_e164(code + text.replace("X", "0")) is None:
                wrong = f"{code} and {text} are not {MIN_DIGITS} to {MAX_DIGITS} digits"
                raise Unfit(wrong, f'give its number: {{ "{text}" = "+…" }}', key="short_numbers")
        if self.area_code and len(code + self.area_code) + max(self.local_digits) > MAX_DIGITS:
            wrong = f"with {code} and {self.area_code} before it a local number has over {MAX_DIGITS} digits"
            raise Unfit(wrong, "give the digits without country code and area code", key="local_digits")

    def plan(self) -> DialPlan:
        """The same for whom it concerns."""
        return DialPlan(
            country=self.country,
            country_code=self.country_code,
            trunk_prefix=self.trunk_prefix,
            international_prefixes=self.international_prefix,
            carrier_prefixes=self.carrier_prefixes,
            area_code=self.area_code,
            local_digits=self.local_digits,
            short_numbers=self.short_numbers,
            toll_free=self.toll_free,
            premium=self.premium,
            classify=self.classify,
        )


def _check_form(text: str, form: "re.Pattern[str]") -> None:
    if not form.fullmatch(text):
        signs = (
            ", X for any of them" if form is _DIALLED else ", X for any of them, * and #" if form is _CARRIER else ""
        )
        most = 3 if form is _CODE else MOST_DIGITS
        start = ", the first not 0" if form is _CODE else ""
        raise Unfit(f"{quoted(text)} is not 1 to {most} digits{start}{signs}")
