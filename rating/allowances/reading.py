"""Reads a tariff's `[[allowance]]`, `[[favourites]]`, `[[discount]]` tables, or refuses them by file, table and key."""

import re
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final, Literal, cast, get_args

from rating.allowances.rules import Allowance, Discount, Favourites, Filters, Measure, Per, Rules, Step
from rating.cdr import CALL_TYPES, MICROS, UNIT_TYPES
from rating.refusal import refusal, shown
from rating.toml_keys import TomlKeys

MAX_RULES: Final = 1_000
"""Most tables of one kind; most steps of one discount."""
MAX_QUANTITY: Final = 10**12
MAX_FAVOURITES: Final = 100
"""Most favourite numbers of one account."""

_MEASURES: Final[dict[str, Measure]] = {"charges": "charges", "minutes": "seconds", "calls": "calls"}
"""What a discount is `on`, and what that is counted in."""
_PLAIN: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)


def read_rules(keys: TomlKeys, file_name: str, decimals: int, rounding: str) -> Rules:
    """The rules that a tariff's table has; none is fine. Raises TariffError."""
    rules = Rules(
        decimals,
        rounding,
        allowances=tuple(_allowance(*table) for table in _tables(keys, "allowance", file_name)),
        favourites=tuple(_favourites(*table) for table in _tables(keys, "favourites", file_name)),
        discounts=tuple(_discount(*table) for table in _tables(keys, "discount", file_name)),
    )
    for key, some in (
        ("allowance", rules.allowances), ("favourites", rules.favourites), ("discount", rules.discounts),
    ):  # fmt: skip
        names = [rule.name for rule in some]
        for name in names:
            if names.count(name) > 1:
                raise keys.refusal(
                    key, f"two are called {shown(name)}", "give each a name of its own: its use is kept by it"
                )
    return rules


def _tables(keys: TomlKeys, key: str, file_name: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Each table with where it stands."""
    tables = keys.value(key)
    if tables is None:
        return
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise refusal(f"{file_name}: {key}", "is not a list of tables", f"begin each with [[{key}]]")
    if len(tables) > MAX_RULES:
        raise refusal(f"{file_name}: {key}", f"{len(tables)} are more than {MAX_RULES}", "name several things in one")
    for place, table in enumerate(tables, start=1):
        yield table, f"{file_name}: {key} {place}"


def _allowance(table: dict[str, Any], where: str) -> Allowance:
    keys = TomlKeys(table, where)
    name, per = keys.required_text("name"), _per(keys)
    value = keys.value("minutes")
    minutes = _decimal(keys, "minutes", value)
    calls = keys.whole("calls", 1, MAX_QUANTITY)
    units = keys.whole("units", 1, MAX_QUANTITY)
    if sum(quantity is not None for quantity in (minutes, calls, units)) != 1:
        raise keys.refusal("minutes", "an allowance is of minutes, calls or units", "give one of the three")
    connect_fee = keys.text("connect_fee") or "charged"
    if connect_fee not in ("charged", "free"):
        raise keys.refusal("connect_fee", f"{shown(connect_fee)} is unknown", "write free or charged")
    filters = _filters(keys)
    keys.end()
    free = connect_fee == "free"
    if minutes is not None:
        seconds = minutes * 60
        if seconds < 1 or seconds.denominator != 1:
            raise keys.refusal(
                "minutes", f"{shown(str(value))} are no whole seconds", 'write them so, as "100" or "0.5"'
            )
        return Allowance(name, per, "seconds", int(seconds), free, filters)
    if units is not None:
        if filters.types - UNIT_TYPES:
            raise keys.refusal("types", "units are those of messages and data", "name message or data alone")
        return Allowance(name, per, "units", units, free, filters)
    assert calls is not None
    return Allowance(name, per, "calls", calls, free, filters)


def _favourites(table: dict[str, Any], where: str) -> Favourites:
    keys = TomlKeys(table, where)
    name = keys.required_text("name")
    numbers = keys.whole("numbers", 1, MAX_FAVOURITES)
    if numbers is None:
        raise keys.refusal("numbers", "is missing", "say how many favourite numbers an account may have, as 5")
    percent = _percent(keys)
    filters = _filters(keys)
    keys.end()
    return Favourites(name, numbers, percent, filters)


def _discount(table: dict[str, Any], where: str) -> Discount:
    keys = TomlKeys(table, where)
    name, per = keys.required_text("name"), _per(keys)
    measure = _MEASURES[_one_of(keys, "on", tuple(_MEASURES))]
    filters = _filters(keys)
    tables = keys.value("steps")
    remedy = 'write them as steps = [{above = "50.00", percent = "5"}]'
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise keys.refusal("steps", "is missing" if tables is None else "is not a list of steps", remedy)
    if len(tables) > MAX_RULES:
        raise keys.refusal("steps", f"{len(tables)} are more than {MAX_RULES}", "leave some out")
    steps = [_step(table, f"{where}: steps {place}") for place, table in enumerate(tables, start=1)]
    if any(after <= before for (before, _), (after, _) in pairwise(steps)):
        raise keys.refusal("steps", "above does not ascend", "write the steps from the lowest to the highest")
    keys.end()
    unit = {"charges": MICROS, "seconds": 60}.get(measure, 1)
    return Discount(name, per, measure, tuple(Step(int(above * unit), percent) for above, percent in steps), filters)


def _step(table: dict[str, Any], where: str) -> tuple[Fraction, Decimal]:
    """Above how much, as it is written, and the percentage."""
    keys = TomlKeys(table, where)
    above = _decimal(keys, "above", keys.value("above"))
    if above is None:
        raise keys.refusal("above", "is missing", "say from how much use on the step holds")
    percent = _percent(keys)
    keys.end()
    return above, percent


def _percent(keys: TomlKeys) -> Decimal:
    value = keys.value("percent")
    percent = _decimal(keys, "percent", value)
    if percent is None or not 0 < percent <= 100:
        what = "is missing" if value is None else f"{shown(str(value))} is not in range"
        raise keys.refusal("percent", what, 'write what is taken off, above 0 and at most 100, as "12.5"')
    return Decimal(str(value))


def _decimal(keys: TomlKeys, key: str, value: object) -> Fraction | None:
    """A plain decimal ≥ 0, in quotes or not."""
    if value is None:
        return None
    text = str(value) if type(value) in (int, str, Decimal) else ""
    if not _PLAIN.fullmatch(text):
        raise keys.refusal(
            key, f"{shown(value)} is not a plain decimal", 'write it as "12.5", at most 6 places, no sign'
        )
    return Fraction(text)


def _per(keys: TomlKeys) -> Per:
    return cast(Per, _one_of(keys, "per", get_args(Per)))


def _one_of(keys: TomlKeys, key: str, words: tuple[str, ...]) -> str:
    text = keys.required_text(key)
    if text not in words:
        raise keys.refusal(key, f"{shown(text)} is unknown", f"write {', '.join(words[:-1])} or {words[-1]}")
    return text


def _filters(keys: TomlKeys) -> Filters:
    types = _names(keys, "types")
    for unknown in sorted(types - CALL_TYPES):
        raise keys.refusal("types", f"{shown(unknown)} is unknown", f"use some of {', '.join(sorted(CALL_TYPES))}")
    return Filters(_names(keys, "services"), _names(keys, "destinations"), types)


def _names(keys: TomlKeys, key: Literal["services", "destinations", "types"]) -> frozenset[str]:
    value = keys.value(key)
    if value is None:
        return frozenset()
    if not isinstance(value, list) or not value or not all(isinstance(name, str) and name.strip() for name in value):
        raise keys.refusal(key, f"{shown(value)} is not a list of names", f'write {key} = ["…"], or remove the key')
    return frozenset(value)
