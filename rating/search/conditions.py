"""Conditions of a search as they come from a form or the API: read and typed, or refused in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from rating.cdr import CALL_TYPES
from rating.search.columns import KINDS, OPERATORS, ORDERED, Kind, operators_of
from rating.search.values import (
    Operand,
    ValueRefused,
    read_country,
    read_duration,
    read_instant,
    read_money,
    read_number,
    read_number_part,
)

MOST_CONDITIONS: Final = 20
MOST_CHARACTERS: Final = 1_000
"""Of one value, with all that `in` lists."""
MOST_LISTED: Final = 100


class SearchError(Exception):
    """A search that is refused: where (`row` counts conditions from 0; None is none of them), what, and what to do.

    `field` is column, op or value of the row; without a row it is sort, after or conditions.
    """

    def __init__(self, row: int | None, field: str, what: str, remedy: str) -> None:
        where = field if row is None else f"condition {row + 1}, {field}"
        super().__init__(f"{where}: {what}; {remedy}")
        self.row, self.field, self.what, self.remedy = row, field, what, remedy


@dataclass(frozen=True, slots=True)
class Condition:
    """One typed condition. A transaction is shown if all of them hold."""

    column: str
    op: str
    value: str
    """As it was typed, without blanks around it."""
    operands: tuple[Operand, ...] = ()
    """One; two for `between`; one or more for `in`; none for `empty`."""


def parse_conditions(
    triples: Sequence[tuple[str, str, str]], zone: ZoneInfo, currency: str | None
) -> tuple[Condition, ...]:
    """The conditions of (column, op, value) rows, for somebody in `zone` whose money is in `currency`.

    A row without column and value is an empty row of the form, and left out. Raises SearchError for the first that
    cannot be read.
    """
    given = [
        (row, column.strip(), op.strip(), value.strip())
        for row, (column, op, value) in enumerate(triples)
        if column.strip() or value.strip()
    ]
    if len(given) > MOST_CONDITIONS:
        raise SearchError(None, "conditions", f"{len(given)} are more than {MOST_CONDITIONS}", "leave some out")
    return tuple(_parse(row, column, op, value, zone, currency) for row, column, op, value in given)


def _parse(row: int, column: str, op: str, value: str, zone: ZoneInfo, currency: str | None) -> Condition:
    if column not in KINDS:
        what = f"“{column[:40]}” is no column" if column else "no column is chosen"
        raise SearchError(row, "column", what, f"choose one of {', '.join(KINDS)}")
    allowed = operators_of(column)
    if op not in allowed:
        what = f"“{op}” does not go with {column}" if op in OPERATORS else f"“{op[:40]}” is no operator"
        raise SearchError(row, "op", what, f"choose one of {', '.join(allowed)}")
    try:
        texts = _split(op, _checked(value, op))
        operands = tuple(_read(column, op, text, zone, currency) for text in texts)
        if op == "between" and operands[0].first > operands[1].first:
            raise ValueRefused(f"{texts[0]} comes after {texts[1]}", "write the smaller one first")
    except ValueRefused as refused:
        raise SearchError(row, "value", refused.what, refused.remedy) from None
    return Condition(column, op, value, operands)


def _checked(value: str, op: str) -> str:
    if op == "empty" and value:
        raise ValueRefused("“empty” takes no value", "leave the value empty")
    if op != "empty" and not value:
        raise ValueRefused("there is no value", "type one, or choose the operator “empty” where nothing is meant")
    if len(value) > MOST_CHARACTERS:
        raise ValueRefused(f"it has {len(value)} characters", f"use at most {MOST_CHARACTERS}")
    if any(c < " " or c == "\x7f" or "\ud800" <= c <= "\udfff" for c in value):
        raise ValueRefused("it holds characters that cannot be printed", "type it again")
    return value


def _split(op: str, value: str) -> list[str]:
    if op == "empty":
        return []
    if op == "between":
        first, dots, last = (part.strip() for part in value.partition(".."))
        if not (dots and first and last):
            raise ValueRefused("it does not name two ends", "write them as A..B")
        return [first, last]
    if op == "in":
        listed = [part.strip() for part in value.split(",")]
        if not all(listed):
            raise ValueRefused("one of the values is empty", "write them as A,B,C")
        if len(listed) > MOST_LISTED:
            raise ValueRefused(f"it lists {len(listed)} values", f"use at most {MOST_LISTED}")
        return listed
    return [value]


def _read(column: str, op: str, text: str, zone: ZoneInfo, currency: str | None) -> Operand:
    kind = KINDS[column]
    part = op in ("begins", "contains")
    if kind in ORDERED:
        if kind is Kind.INSTANT:
            return read_instant(text, zone)
        return read_duration(text) if kind is Kind.DURATION else read_money(text, currency)
    if kind is Kind.NUMBER:
        return read_number_part(text, op == "begins") if part else read_number(text)
    if kind is Kind.COUNTRY:
        return read_country(text)
    if column == "type" and not part and text.lower() not in CALL_TYPES:
        raise ValueRefused(f"“{text[:40]}” is no type of call", f"use one of {', '.join(sorted(CALL_TYPES))}")
    return Operand(text, text=text if kind is Kind.EXACT else text.lower())
