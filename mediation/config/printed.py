"""Readers of what is printed at the head of invoices: single lines of text, and a few of them."""

from dataclasses import dataclass
from typing import Final

from mediation.config.tables import Reader, Table, Unfit
from mediation.config.values import take, take_text
from mediation.config.words import quoted

LONGEST: Final = 70
"""Characters of a line: it stands in half the width of a sheet."""
MOST_LINES: Final = 8


@dataclass(frozen=True, slots=True)
class PrintedLine(Reader[str]):
    """One line of printable text."""

    example: str = '"Transcontinental Telephone, Inc."'

    def read(self, table: Table, key: str) -> str:
        return _line(take_text(table.values[key]))


@dataclass(frozen=True, slots=True)
class PrintedLines(Reader[tuple[str, ...]]):
    """A few such lines, one below the other."""

    example: str = '["12 Harbour Street", "New York, NY 10004"]'

    def read(self, table: Table, key: str) -> tuple[str, ...]:
        lines = take(table.values[key], list, "an array of lines")
        if len(lines) > MOST_LINES:
            raise Unfit(f"has {len(lines)} lines", f"write {MOST_LINES} at most")
        return tuple(_line(take_text(line)) for line in lines)


def _line(text: str) -> str:
    """One that fits on an invoice."""
    if not text.isprintable():
        raise Unfit(f"{quoted(text)} is not one line of printable text", "give each line a string of its own")
    if len(text) > LONGEST:
        raise Unfit(f"{quoted(text)} has {len(text)} characters", f"write {LONGEST} at most, or break the line in two")
    return text.strip()
