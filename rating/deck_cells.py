"""What the cells of a rate deck may hold: plain decimals, whole numbers, prefixes and names, read exactly."""

import re
from collections.abc import Callable, Collection, Iterable
from decimal import Decimal
from typing import Any, Final

from rating.cdr import CALL_TYPES
from rating.periods import ANY_PERIOD

MAX_TEXT: Final = 255
"""Longest prefix, name or filter, in characters."""
MAX_DECIMAL: Final = 255
"""Longest amount of money, in characters: a rate may have any number of decimal places within it."""
MAX_WHOLE: Final = 10**18 - 1
"""Greatest `after_s`, `per_s` and increment: sums of a few stay within 64 bits."""

_DECIMAL: Final = re.compile(r"[0-9]+(\.[0-9]+)?|\.[0-9]+")
_WHOLE: Final = re.compile(r"[0-9]{1,18}")
_INCREMENTS: Final = re.compile(r"([0-9]{1,18})/([0-9]{1,18})")
_PREFIX: Final = re.compile(r"[0-9]*|(sip|ip):.*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class BadCell(Exception):
    """What is wrong with one cell, and the remedy; `Column` adds where it stands."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy
        self.column = self.text = ""


class Column(dict[str, Any]):
    """The values of one column by their text. Decks repeat themselves: each text is read once, its value shared."""

    def __init__(self, name: str, read: Callable[[str], object]) -> None:
        super().__init__()
        self._name, self._read = name, read

    def __missing__(self, text: str) -> Any:
        try:
            value = self[text] = self._read(text.strip())
        except BadCell as bad:
            bad.column, bad.text = self._name, text
            raise
        return value


def columns_of(names: Iterable[str], periods: Collection[str]) -> list[Column]:
    """A reader for each column of a deck, by its name; `periods` are those that the tariff defines."""

    def period(text: str) -> str:
        if text not in periods and text not in ("", ANY_PERIOD):
            raise BadCell("is a period that no [[period]] defines", "define it, or leave the cell empty for any")
        return text or ANY_PERIOD

    readers: dict[str, Callable[[str], object]] = {
        "prefix": _prefix,
        "period": period,
        "after_s": lambda text: _whole(text, 0),
        "connect_fee": _decimal,
        "rate": _decimal,
        "per_s": lambda text: _whole(text, 1),
        "increments": _increments,
        "max_charge": lambda text: _decimal(text) if text else None,
        "min_charge": lambda text: _decimal(text) if text else None,
        "type": _call_type,
    }
    return [Column(name, readers.get(name, _text)) for name in names]


def _text(text: str) -> str | None:
    if len(text) > MAX_TEXT or _CONTROL.search(text):
        raise BadCell("is not a name", f"use at most {MAX_TEXT} characters, on one line")
    return text or None


def _prefix(text: str) -> str:
    if len(text) > MAX_TEXT or _CONTROL.search(text) or not _PREFIX.fullmatch(text):
        raise BadCell("is not a prefix", "use digits without +, or text that begins with sip: or ip:, or nothing")
    return text


def _decimal(text: str) -> Decimal:
    if len(text) > MAX_DECIMAL or not _DECIMAL.fullmatch(text):
        raise BadCell(
            "is not a plain decimal from 0",
            f"write digits and at most one point, without sign, exponent or separators, in {MAX_DECIMAL} characters",
        )
    return Decimal(text)


def _whole(text: str, least: int) -> int:
    if not _WHOLE.fullmatch(text) or int(text) < least:
        raise BadCell(f"is not a whole number from {least} to {MAX_WHOLE}", "write whole seconds in digits alone")
    return int(text)


def _increments(text: str) -> tuple[int, int]:
    match = _INCREMENTS.fullmatch(text)
    first_s, next_s = (int(match[1]), int(match[2])) if match else (0, 0)
    if not first_s or not next_s:
        raise BadCell(f"is not two whole numbers from 1 to {MAX_WHOLE}", "write the first and the later, as 60/6")
    return first_s, next_s


def _call_type(text: str) -> str | None:
    if text and text not in CALL_TYPES:
        raise BadCell("is not a type of call", f"use one of {', '.join(sorted(CALL_TYPES))}, or nothing for all")
    return text or None
