"""What `[deck_format]` of a tariff says: how a deck is written that is not the contract's CSV."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from rating.deck import COLUMNS
from rating.refusal import refusal, shown
from rating.toml_keys import TomlKeys

ENCODINGS: Final = ("utf-8", "utf-16", "latin-1", "cp1250", "cp1251", "cp1252")
DELIMITERS: Final = (",", ";", "|", "\t")
MAX_HEADER_ROW: Final = 10_000

_A_DAY: Final = date(2026, 12, 31)


@dataclass(frozen=True, slots=True)
class DeckFormat:
    """How a deck is written. Columns go by their header, which is compared without regard to case and blanks."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Headers by the contract's column; "" for one that the file's column of that name is not."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """By the contract's column, in the contract's form: for a column that is not there, and for empty cells."""
    delimiter: str = ","
    decimal: str = "."
    """The sign before the decimal places, a point or a comma; there is no other in an amount."""
    encoding: str = "utf-8"
    sheet: str | None = None
    """Of a workbook; None is the first."""
    header_row: int = 1
    """Line or row of the header; what is above it is passed over."""
    first: str | None = None
    """With `next`, the headers of two columns in place of `increments`."""
    next: str | None = None
    destination_code: str | None = None
    """Header of the column whose codes follow the country's, which is in the column of `prefix` then."""
    effective: str | None = None
    """Header of the column with the day from which a row holds."""
    date_format: str | None = None
    """Of the days in texts, as `strptime` has it; None is ISO 8601."""


def read_deck_format(table: object, file_name: str) -> DeckFormat | None:
    """What TOML has under `deck_format`, or None where it is absent. TariffError, by file and key."""
    if table is None:
        return None
    where = f"{file_name}: deck_format"
    if not isinstance(table, dict):
        raise refusal(where, f"{shown(table)} is not a table", "write [deck_format]")
    keys = TomlKeys(table, where)
    first, next_, columns = keys.text("first"), keys.text("next"), _columns(keys)
    if (first is None) != (next_ is None):
        raise keys.refusal("first", "first and next go together", "name both columns, or neither")
    if first is not None and columns.get("increments"):
        raise keys.refusal("first", "the increments are in columns.increments already", "name the one or the other")
    header_row = keys.whole("header_row", 1, MAX_HEADER_ROW)
    form = DeckFormat(
        columns=columns,
        defaults=_defaults(keys),
        delimiter=_choice(keys, "delimiter", DELIMITERS),
        decimal=_choice(keys, "decimal", (".", ",")),
        encoding=_choice(keys, "encoding", ENCODINGS),
        sheet=keys.text("sheet"),
        header_row=1 if header_row is None else header_row,
        first=first,
        next=next_,
        destination_code=keys.text("destination_code"),
        effective=keys.text("effective"),
        date_format=_date_format(keys),
    )
    if form.date_format is not None and form.effective is None:
        raise keys.refusal("date_format", "there is no column of dates", "name it: effective = …")
    keys.end()
    return form


def _columns(keys: TomlKeys) -> dict[str, str]:
    table = keys.table("columns")
    if table is None:
        return {}
    columns: dict[str, str] = {}
    for column in COLUMNS:
        header = table.value(column)
        if header == "":
            columns[column] = ""
        elif header is not None:
            if not isinstance(header, str) or not header.strip():
                raise table.refusal(
                    column, f"{shown(header)} is not a header", "write it in quotes, as the file has it"
                )
            columns[column] = header
    table.end()
    return columns


def _defaults(keys: TomlKeys) -> dict[str, str]:
    table = keys.table("defaults")
    if table is None:
        return {}
    defaults = {}
    for column in COLUMNS:
        value = table.value(column)
        if value is not None:
            if type(value) not in (str, int, Decimal):
                raise table.refusal(column, f"{shown(value)} is not a cell", "write a text or a number")
            defaults[column] = f"{value:f}" if isinstance(value, Decimal) else str(value)
    if defaults.get("prefix"):
        raise table.refusal("prefix", "may only be empty", 'write prefix = "" where an empty cell is the fallback')
    table.end()
    return defaults


def _choice(keys: TomlKeys, key: str, choices: tuple[str, ...]) -> str:
    """One of some texts, the first where the key is absent."""
    value = keys.value(key)
    if value is None:
        return choices[0]
    if value not in choices:
        raise keys.refusal(key, f"{shown(value)} is unknown", f"use one of {', '.join(map(repr, choices))}")
    return str(value)


def _date_format(keys: TomlKeys) -> str | None:
    text = keys.text("date_format")
    if text is not None:
        try:
            read = datetime.strptime(_A_DAY.strftime(text), text).date()  # noqa: DTZ007  # a day has no zone
        except ValueError:
            read = None
        if read != _A_DAY:
            remedy = "write it with %Y, %m and %d, as %d.%m.%Y"
            raise keys.refusal("date_format", f"{shown(text)} does not say year, month and day", remedy)
    return text
