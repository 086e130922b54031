"""Conditions as SQL: constants of ours around values that are bound, never text that somebody typed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from rating.search.columns import KINDS, ORDERED, STORED_IN, Kind
from rating.search.conditions import Condition
from rating.search.countries import calling_codes
from rating.search.values import Operand

ALWAYS: Final = (-(2**63), 2**63 - 1)

_LETTERS: Final = 50
"""Letters beyond ASCII of which one condition looks at capitals, too."""


@dataclass(frozen=True, slots=True)
class Where:
    """A condition on one transaction's columns."""

    sql: str
    values: dict[str, int | str]
    """By name, so that one statement over many partitions binds each once."""
    starts: tuple[int, int]
    """No transaction outside from ≤ start < to fulfils it (µs UTC): only these partitions are read."""


def compile_conditions(conditions: Sequence[Condition]) -> Where:
    """What holds where all of them do."""
    made = _Maker()
    terms = [f"({made.term(condition)})" for condition in conditions]
    starts = [_reach(condition) for condition in conditions if condition.column == "start"]
    first = max((first for first, _ in starts), default=ALWAYS[0])
    end = min((end for _, end in starts), default=ALWAYS[1])
    return Where(" AND ".join(terms) or "1", made.values, (first, end))


class _Maker:
    """Gathers what is bound while the terms are made."""

    def __init__(self) -> None:
        self.values: dict[str, int | str] = {}

    def term(self, condition: Condition) -> str:
        column, op, operands = STORED_IN[condition.column], condition.op, condition.operands
        kind = KINDS[condition.column]
        if kind in ORDERED:
            return self._ordered(column, op, operands)
        if kind is Kind.COUNTRY:
            return self._country(op, operands)
        if op == "empty":
            return f"coalesce({column}, '') = ''"
        return self._texts(column if kind is not Kind.TEXT else self._lowered(column, operands), op, operands)

    def _bind(self, value: int | str) -> str:
        name = f"c{len(self.values)}"
        self.values[name] = value
        return ":" + name

    def _listed(self, texts: Sequence[str]) -> str:
        bound = self._bind(msgspec.json.encode(texts).decode())
        return f"(SELECT value FROM json_each({bound}))"  # noqa: S608  # the name of what is bound

    def _lowered(self, column: str, operands: Sequence[Operand]) -> str:
        # SQLite's lower() knows ASCII only, and a function of Python's would fight for the interpreter lock at each
        # row. Of other letters only those that are sought have to be made small.
        small = sorted({c for operand in operands for c in operand.text if not c.isascii() and len(c.upper()) == 1})
        for letter in small[:_LETTERS]:
            if letter.upper() != letter:
                column = f"replace({column}, {self._bind(letter.upper())}, {self._bind(letter)})"
        return f"lower({column})"

    def _texts(self, expression: str, op: str, operands: Sequence[Operand]) -> str:
        if op == "in":
            return f"{expression} IN {self._listed([operand.text for operand in operands])}"
        text = operands[0].text
        if op == "begins":
            return f"substr({expression}, 1, {self._bind(len(text))}) = {self._bind(text)}"
        if op == "contains":
            return f"instr({expression}, {self._bind(text)}) > 0"
        return f"{expression} {'IS' if op == '=' else 'IS NOT'} {self._bind(text)}"

    def _ordered(self, column: str, op: str, operands: Sequence[Operand]) -> str:
        if op == "empty":
            return "0"  # every transaction has these
        spans = " OR ".join(
            f"({column} >= {self._bind(first)} AND {column} < {self._bind(end)})" for first, end in _spans(op, operands)
        )
        return f"NOT ({spans})" if op == "!=" else spans

    def _country(self, op: str, operands: Sequence[Operand]) -> str:
        if op == "empty":
            return f"NOT ({self._begins(tuple(calling_codes()))})"
        terms = []
        for operand in operands:
            assert operand.country is not None
            terms.append(
                f"(({self._begins(operand.country.begins)}) AND NOT ({self._begins(operand.country.but_not)}))"
            )
        holds = " OR ".join(terms)
        return f"NOT ({holds})" if op == "!=" else holds

    def _begins(self, prefixes: Sequence[str]) -> str:
        lengths = sorted({len(prefix) for prefix in prefixes})
        terms = [
            f"substr(called, 1, {length}) IN {self._listed([p for p in prefixes if len(p) == length])}"
            for length in lengths
        ]
        return " OR ".join(terms) or "0"


def _spans(op: str, operands: Sequence[Operand]) -> list[tuple[int, int]]:
    """The stretches of values, first ≤ value < end, that an ordered operator means (of `!=`, those it does not)."""
    one = operands[0]
    match op:
        case "<":
            return [(ALWAYS[0], one.first)]
        case "<=":
            return [(ALWAYS[0], one.end)]
        case ">":
            return [(one.end, ALWAYS[1])]
        case ">=":
            return [(one.first, ALWAYS[1])]
        case "between":
            return [(one.first, operands[1].end)]
    return [(operand.first, operand.end) for operand in operands]


def _reach(condition: Condition) -> tuple[int, int]:
    if condition.op == "empty":
        return 0, 0
    if condition.op == "!=":
        return ALWAYS
    spans = _spans(condition.op, condition.operands)
    return min(first for first, _ in spans), max(end for _, end in spans)
