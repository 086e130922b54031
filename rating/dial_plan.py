"""A source's dial plan: national and dialled numbers brought to E.164, and the type that a called number gives a call.

A number with `+` is E.164 already, and no plan touches it. What a plan cannot place it leaves alone: a record in
suspense can be mended, a call to the wrong country cannot.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import msgspec

from rating.country_numbers import CountryNumbers, is_assigned, is_possible, numbers_of
from rating.numbering import ADDRESS_SCHEMES, MAX_ADDRESS, to_e164

REMEMBERED: Final = 65_536
"""Numbers of a source whose E.164 is kept at hand."""
UNIVERSAL_FREEPHONE: Final = "800"
"""Its country code (ITU-T E.169.1)."""
INTERNATIONAL_PREMIUM: Final = "979"
"""ITU-T E.169.2."""
_SEPARATORS: Final = str.maketrans("", "", " -.()")
"""Between digits they mean nothing (RFC 3966, 5.1.1)."""


class DialPlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How numbers are dialled at a source. What is None is the country's way.

    Prefixes are digits, in which X stands for any one; of several the first counts whose rest can be placed.
    """

    country: str | None = None
    """ISO 3166-1 alpha-2."""
    country_code: str | None = None
    trunk_prefix: str | None = None
    """Empty: none is dialled."""
    international_prefixes: tuple[str, ...] | None = None
    carrier_prefixes: tuple[str, ...] = ()
    """Dialled before all others, and cut off; they may have `*` and `#` in them."""
    area_code: str | None = None
    """Of numbers of `local_digits` digits."""
    local_digits: tuple[int, ...] = ()
    short_numbers: tuple[tuple[str, str | None], ...] = ()
    """Short numbers, and the E.164 digits of each; None: the country code and the number itself."""
    toll_free: tuple[str, ...] = ()
    """What toll-free numbers begin with, after the country code."""
    premium: tuple[str, ...] = ()
    classify: bool = False
    """Calls to the country's toll-free and premium numbers are of that type."""


class Dialling:
    """A plan at work, for any thread."""

    def __init__(self, plan: DialPlan) -> None:
        """Of a plan with a country, or a country code at least."""
        self._plan = plan
        self._country = numbers_of(plan.country) if plan.country else None
        self._code = plan.country_code or (self._country.code if self._country else "")
        self._carriers = [_prefix(text) for text in plan.carrier_prefixes]
        self._short = [(_prefix(text), to) for text, to in plan.short_numbers]
        self._international = _international(plan, self._country)
        self._toll_free, self._premium = _beginnings(self._code, plan.toll_free), _beginnings(self._code, plan.premium)
        self._classified = self._country if plan.classify else None
        self._bring = lru_cache(maxsize=REMEMBERED)(self._brought)

    def to_e164(self, text: str) -> str | None:
        """The key of a number as `numbering.to_e164` has it; None for what the plan cannot place."""
        if text[:1] == "+" and text[1:].isdecimal():
            return to_e164(text)
        return self._bring(text) if len(text) <= MAX_ADDRESS else None

    def call_type(self, called: str) -> str:
        """The type of a call to this key where the record names none."""
        if called.startswith(self._toll_free):
            return "toll-free"
        if called.startswith(self._premium):
            return "premium"
        return self._type_by_country(called) if self._classified is not None else "direct"

    def why_not(self, text: str) -> str:
        """What was tried in vain with a number, and what would help: the end of a sentence that begins with it."""
        plan = self._plan
        digits = digits_of(text)
        if digits is None:
            return f"is no number: it has other characters than digits (plan of {self._name()})"
        abroad = " or ".join(plan.international_prefixes or ()) or "the international prefix"
        trunk = self._trunk_prefix()
        tried = [
            f"neither + or {abroad} and a number abroad" if self._international else "neither + and a number abroad",
            f"nor {trunk} and a national number" if trunk else "nor a national number",
            *([f"nor a local one of area {plan.area_code}"] if plan.area_code else []),
            *(["nor a short number"] if plan.short_numbers else []),
        ]
        local = "" if plan.area_code else "area_code and local_digits for local numbers, "
        return (
            f"cannot be brought to E.164 by the dial plan of {self._name()}: it is {', '.join(tried)};"
            f" give the plan what it needs ({local}short_numbers, carrier_prefixes), and recycle"
        )

    def _name(self) -> str:
        return ", ".join(filter(None, (self._plan.country, f"+{self._code}")))

    def _trunk_prefix(self) -> str | None:
        if self._plan.trunk_prefix is not None:
            return self._plan.trunk_prefix or None
        return self._country.trunk_prefix if self._country else None

    def _type_by_country(self, called: str) -> str:
        country = self._classified
        assert country is not None
        for type_, world, pattern in (
            ("toll-free", UNIVERSAL_FREEPHONE, country.toll_free),
            ("premium", INTERNATIONAL_PREMIUM, country.premium),
        ):
            own = called.startswith(self._code) and pattern is not None and pattern.fullmatch(called, len(self._code))
            if own or called.startswith(world):
                return type_
        return "direct"

    def _brought(self, text: str) -> str | None:
        if text.startswith(ADDRESS_SCHEMES):
            return to_e164(text)
        dialled = _written(text)
        if dialled[:1] == "+":
            return to_e164(dialled)
        for pattern, number in self._short:
            if pattern.fullmatch(dialled):
                return to_e164(number or self._code + dialled)
        behind = list(self._behind_carriers(dialled)) if self._carriers else []
        # A code such as 0XX may be the beginning of a number, too: what is in use behind it decides.
        return next(filter(is_assigned, behind), None) or self._placed(dialled) or next(iter(behind), None)

    def _behind_carriers(self, dialled: str) -> Iterator[str]:
        """Keys of what follows a carrier's code: a number abroad, or a national one."""
        for carrier in self._carriers:
            found = carrier.match(dialled)
            if found and _are_digits(digits := dialled[found.end() :]):
                keys = (self._abroad(digits), *(self._code + text for text in self._national(digits)))
                yield from (key for key in keys if key and to_e164(key) == key)

    def _placed(self, digits: str) -> str | None:
        """The first place that fits: abroad, in the area, in the country, or E.164 without its `+`."""
        if not _are_digits(digits):
            return None
        abroad = self._abroad(digits)
        if abroad is not None:
            return abroad
        plan, trunk = self._plan, self._trunk_prefix()
        if plan.area_code and len(digits) in plan.local_digits and not (trunk and digits.startswith(trunk)):
            return to_e164(self._code + plan.area_code + digits)
        return next((key for key in self._in_order(digits) if to_e164(key) == key), None)

    def _abroad(self, digits: str) -> str | None:
        """What follows the international prefix."""
        rests = [rest for prefix in self._international if (rest := _after(prefix, digits)) and to_e164(rest)]
        if len(rests) < 2:
            return rests[0] if rests else None
        fits = (rest for is_so in (is_assigned, is_possible) for rest in rests if is_so(rest))
        return next(fits, rests[0])

    def _national(self, digits: str) -> Iterator[str]:
        """The national number that digits are with a trunk prefix, or without one."""
        texts = [text for text in (self._without_trunk(digits), digits) if text]
        yield from filter(self._fits, texts)
        yield from filter(self._is_as_long, texts)

    def _in_order(self, digits: str) -> Iterator[str]:
        """Keys that digits can stand for, the likeliest first."""
        trunk, code = self._trunk_prefix(), self._code
        after_trunk = self._without_trunk(digits)
        if after_trunk is not None and self._fits(after_trunk):
            yield code + after_trunk
        as_national = code + digits
        rest = digits.removeprefix(code) if digits.startswith(code) else ""
        # National numbers are written without a prefix; elsewhere digits that have none are E.164 rather.
        is_bare = trunk is None or trunk == code
        if is_bare:
            has_rival = trunk is None or self._fits(rest)
            if self._fits(digits):
                yield digits if has_rival and is_assigned(digits) and not is_assigned(as_national) else as_national
        if self._fits(rest) and (is_bare or is_assigned(digits) or not is_assigned(as_national)):
            yield digits
        if not is_bare:
            yield from filter(is_assigned, (as_national, digits))
        if after_trunk is not None and self._is_as_long(after_trunk):
            yield code + after_trunk
        if self._is_as_long(rest):
            yield digits
        if is_bare and self._is_as_long(digits):
            yield as_national
        if is_possible(digits):
            yield digits

    def _without_trunk(self, digits: str) -> str | None:
        """The national number behind the trunk prefix; None: there is no such prefix."""
        own = self._plan.trunk_prefix
        if own is not None:
            return digits[len(own) :] if own and digits.startswith(own) else None
        country = self._country
        found = country.trunk.match(digits) if country and country.trunk else None
        if country is None or found is None or not found.end():
            return None
        if country.rewritten and found.lastindex and found[found.lastindex]:
            return found.expand(country.rewritten) + digits[found.end() :]
        return digits[found.end() :]

    def _fits(self, national: str) -> bool:
        """Whether it looks like a national number of the country."""
        country = self._country
        return country is not None and self._is_as_long(national) and bool(country.numbers.fullmatch(national))

    def _is_as_long(self, national: str) -> bool:
        return bool(national) if self._country is None else len(national) in self._country.lengths


def digits_of(text: str) -> str | None:
    """The digits of a number as switches and people write it, without `+`, `tel:` and separators; None: it has other
    characters."""
    digits = _written(text).removeprefix("+")
    return digits if _are_digits(digits) else None


def _are_digits(text: str) -> bool:
    return text.isdecimal() and text.isascii()


def _written(text: str) -> str:
    """Without the frame of a tel: URI and separators."""
    return text.removeprefix("tel:").partition(";")[0].translate(_SEPARATORS)


def _prefix(text: str) -> "re.Pattern[str]":
    return re.compile(re.escape(text).replace("X", "[0-9]"))


def _after(prefix: "re.Pattern[str]", digits: str) -> str | None:
    found = prefix.match(digits)
    return digits[found.end() :] if found and found.end() else None


def _international(plan: DialPlan, country: CountryNumbers | None) -> list["re.Pattern[str]"]:
    if plan.international_prefixes is not None:
        return [_prefix(text) for text in plan.international_prefixes]
    return [country.international] if country else []


def _beginnings(code: str, national: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(code + text for text in national)
