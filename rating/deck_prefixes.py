"""Prefixes as carriers write them in one cell: lists, ranges, groups of digits, a plus sign. Nothing is guessed."""

import re
from typing import Final

from rating.deck_cells import MAX_TEXT, BadCell

MAX_RANGE: Final = 10_000
"""Most prefixes of one range."""

_CODE: Final = re.compile(r"[0-9]+")
_BLANKS: Final = re.compile(r"[\s\u00a0]+")
_ADDRESS: Final = re.compile(r"(sip|ip):")
_REMEDY: Final = "write digits that begin with the country code, as 4420, lists as 4420,44207, ranges as 44207-44209"


def prefixes_in(text: str) -> tuple[str, ...]:
    """The prefixes of a cell, each once, in their order; none for an empty one. Raises BadCell.

    An international or national prefix of dialling (00, 0) is none of the number: it is refused, not taken off.
    """
    if _ADDRESS.match(text):
        return (text,)
    found = codes_in(text)
    for prefix in found:
        if prefix.startswith("0"):
            raise BadCell("begins with 0, as no country code does", _REMEDY)
    return found


def codes_in(text: str) -> tuple[str, ...]:
    """The same for codes that follow a country's: they may begin with 0."""
    found: dict[str, None] = {}
    for part in _BLANKS.sub("", text).replace(";", ",").replace("–", "-").split(","):
        first, dash, last = part.removeprefix("+").partition("-")
        if not part:
            if text:
                raise BadCell("has an empty place in its list", _REMEDY)
        elif not dash:
            found[_code(first)] = None
        else:
            found.update(dict.fromkeys(_range(_code(first), _code(last.removeprefix("+")))))
    return tuple(found)


def _range(first: str, last: str) -> list[str]:
    if len(first) != len(last):
        raise BadCell("has a range whose ends are not equally long", "write both ends in full, as 44207-44209")
    if first > last:
        raise BadCell("has a range that ends before it begins", "write the lower end first")
    begin, end = int(first), int(last)
    if end - begin >= MAX_RANGE:
        raise BadCell(f"has a range of more than {MAX_RANGE} prefixes", "write the shorter prefix that they share")
    return [str(number).rjust(len(first), "0") for number in range(begin, end + 1)]


def _code(text: str) -> str:
    if len(text) > MAX_TEXT or not _CODE.fullmatch(text):
        raise BadCell("is not a prefix", _REMEDY)
    return text
