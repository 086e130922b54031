"""Decks as carriers send them, made into the contract's CSV: what the store keeps, and charges are explained from."""

import csv
import io
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import date
from operator import itemgetter
from typing import Any, Final, NamedTuple

from rating.deck import COLUMNS, OPTIONAL_COLUMNS, complain_of, read_deck
from rating.deck_cells import BadCell, Column
from rating.deck_foreign_cells import ForeignCells
from rating.deck_format import DeckFormat
from rating.deck_lines import decoded, text_rows
from rating.deck_prefixes import codes_in, prefixes_in
from rating.deck_sheet import is_workbook, sheet_rows
from rating.refusal import Complaints, refusal, shown

MAX_ROWS: Final = 4_000_000
"""Most rows that the lists and ranges of a deck may come to."""

_TAIL: Final = COLUMNS[1:]
_SET: Final = tuple(_TAIL.index(column) for column in ("period", "provider", "service", "type"))


class _Row(NamedTuple):
    """A row of the contract's, and where it came from."""

    place: int
    """Line or row of the carrier's file."""
    day: int
    """Ordinal of the day from which it holds; 0 is from the beginning."""
    prefix: str
    tail: tuple[str, ...]
    """The other cells, in the order of `COLUMNS`."""


class DeckVersion(NamedTuple):
    """The deck that holds from a day on."""

    valid_from: date | None
    """None for the tariff's own validity."""
    text: str
    """In the contract's form."""


def convert(
    content: bytes, name: str, form: DeckFormat, periods: Collection[str], valid_from: date | None
) -> tuple[DeckVersion, ...]:
    """The decks that a file holds, checked: the one of the tariff's own validity first, then one for each later day on
    which rows come into force. Rows with the same prefix, filters and period are one price, whatever steps it has: of
    several the latest that is not after the day counts.

    TariffError, in the words of the file: its rows and headers. `name` is the file's.
    """
    if form.effective is not None and valid_from is None:
        what = "the tariff has no valid_from"
        raise refusal(f"{name}: {form.effective}", what, "say in its TOML from when the rows in force then hold")
    complaints = Complaints()
    is_sheet = is_workbook(content)
    cells = ForeignCells(form, periods, is_sheet=is_sheet)
    if is_sheet:
        table, place = sheet_rows(content, name, form), "row {}".format
    else:
        table, place = text_rows(decoded(content, name, form.encoding), name, form), "line {}".format
    rows = list(_Reading(form, cells, complaints, name, place).rows(table))
    complaints.end(name)
    today = 0 if valid_from is None else valid_from.toordinal()
    later = sorted({row.day for row in rows if row.day > today})
    if rows and not any(row.day <= today for row in rows):
        what = f"no row is in force on {valid_from}, the first are on {date.fromordinal(later[0])}"
        raise refusal(f"{name}: {form.effective}", what, "say that day in valid_from")
    versions = []
    for day in (today, *later):
        text, places = _written(_in_force(rows, day) if form.effective else rows)
        read_deck(text, name, periods, _placed(places, place))
        versions.append(DeckVersion(date.fromordinal(day) if day > today else None, text))
    return tuple(versions)


class _Reading:
    """A carrier's file while it is read."""

    def __init__(
        self, form: DeckFormat, cells: ForeignCells, complaints: Complaints, name: str, place: Callable[[int], str]
    ) -> None:
        self._form, self._cells, self._complaints, self._name, self._place = form, cells, complaints, name, place
        self._headers: dict[str, int] = {}

    def rows(self, table: Iterable[tuple[int, list[str]]]) -> Iterator[_Row]:
        """The rows that are right by themselves, of the table with its header first."""
        lines = iter(table)
        number, header = next(lines, (self._form.header_row, []))
        self._where = f"{self._name}: {self._place(number)}"
        for index, cell in enumerate(header):
            self._headers.setdefault(_plain(cell), index)
        take, columns = self._arrangement(header)
        self._complaints.end(self._name)
        in_order = sorted(columns, key=itemgetter(1))
        many = 0
        for number, cells in lines:
            if not any(map(str.strip, cells)):
                continue
            if len(cells) > len(header) and any(map(str.strip, cells[len(header) :])):
                where = f"{self._name}: {self._place(number)}"
                what = f"{len(cells)} cells under {len(header)} columns"
                self._complaints.add(where, what, "quote a cell that has the delimiter, or mind the delimiter")
                continue
            cells += [""] * (len(header) - len(cells))
            try:
                found = [column[cells[index]] for column, index in columns]
            except BadCell:
                where = f"{self._name}: {self._place(number)}"
                complain_of(((column, cells[index]) for column, index in in_order), where, self._complaints)
                continue
            day, prefixes, tail = take(found)
            many += len(prefixes)
            if many > MAX_ROWS:
                raise refusal(self._name, f"comes to more than {MAX_ROWS} prefixes", "split it into several tariffs")
            for prefix in prefixes:
                yield _Row(number, day, prefix, tail)

    def _arrangement(self, header: Sequence[str]) -> tuple["_Take", list[tuple[Column, int]]]:
        """Which cells are read, by which columns, and what makes a row of what they hold."""
        form, cells = self._form, self._cells
        self._check_defaults()
        take = _Take()
        columns: list[tuple[Column, int]] = []

        def read(header_name: str, index: int, reader: Callable[[str], object]) -> int:
            columns.append((Column(" ".join(header_name.split()), reader), index))
            return len(columns) - 1

        prefix = self._index("prefix", form.columns.get("prefix"))
        if prefix is not None:
            take.prefix = read(header[prefix], prefix, self._country if form.destination_code else self._prefixes)
        for key, named in (("destination_code", form.destination_code), ("effective", form.effective)):
            index = self._index(key, named) if named else None
            if index is not None:
                reader = codes_in if key == "destination_code" else cells.day
                setattr(take, key, read(header[index], index, reader))
        two = [self._index(key, named) for key, named in (("first", form.first), ("next", form.next)) if named]
        for column in _TAIL:
            if column == "increments" and two:
                pair = [read(header[index], index, cells.one_of_two) for index in two if index is not None]
                take.tail.append((tuple(pair), None))
                continue
            index = self._index(column, form.columns.get(column))
            if index is None:
                take.tail.append(((), self._default(column)))
            else:
                take.tail.append(((read(header[index], index, cells.column(column)),), None))
        return take, columns

    def _index(self, key: str, named: str | None) -> int | None:
        """Where a column is; None where the file does not have it, of which it complains if it must."""
        if named == "":
            return None
        index = self._headers.get(_plain(named or key))
        if index is None and (named or key == "prefix"):
            has = ", ".join(map(repr, list(self._headers)[:20]))
            self._complaints.add(
                self._where, f"there is no column {shown(named or key)} for {key}",
                f"name it in [deck_format] as the header does, which has {has}; or say header_row",
            )  # fmt: skip
        return index

    def _check_defaults(self) -> None:
        for column in self._form.defaults:
            try:
                self._cells.default(column)
            except BadCell as bad:
                where = f"{self._name}: deck_format: defaults: {column}"
                self._complaints.add(where, f"{shown(bad.text)} {bad.what}", bad.remedy)
        self._complaints.end(self._name)

    def _default(self, column: str) -> str:
        """What stands for a column that the file does not have."""
        default = self._cells.default(column)
        if default is None and column not in OPTIONAL_COLUMNS:
            remedy = f"name it in [deck_format] columns, or say what holds in defaults = {{ {column} = … }}"
            self._complaints.add(self._where, f"there is no column {column}", remedy)
        return default or ""

    def _prefixes(self, text: str) -> tuple[str, ...]:
        if not text and self._form.defaults.get("prefix") != "":
            remedy = 'write the prefix, or say defaults = { prefix = "" } where it is the rate of all other numbers'
            raise BadCell("is no prefix", remedy)
        return prefixes_in(text) or ("",)

    def _country(self, text: str) -> tuple[str, ...]:
        found = prefixes_in(text)
        if len(found) != 1:
            raise BadCell("is not one country code", "write one, and the codes that follow it in the other column")
        return found


class _Take:
    """Makes a row of the cells that were read: where each of its parts is among them."""

    def __init__(self) -> None:
        self.prefix = 0
        self.destination_code: int | None = None
        self.effective: int | None = None
        self.tail: list[tuple[tuple[int, ...], str | None]] = []
        """For each column the cells that make it, or what stands for it."""
        self._tails: dict[tuple[str, ...], tuple[str, ...]] = {}

    def __call__(self, found: list[Any]) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
        """Day, prefixes and the other cells of a row."""
        prefixes = found[self.prefix]
        if self.destination_code is not None and found[self.destination_code]:
            prefixes = tuple(prefixes[0] + code for code in found[self.destination_code])
        parts = ("/".join(found[place] for place in places) if text is None else text for places, text in self.tail)
        tail = tuple(parts)
        day = 0 if self.effective is None else found[self.effective]
        return day, prefixes, self._tails.setdefault(tail, tail)  # decks repeat themselves: one tuple for equal ones


def _in_force(rows: list[_Row], day: int) -> Iterator[_Row]:
    """The rows that hold on a day: of a prefix, its filters and its period those of the latest day not after it."""
    latest: dict[tuple[str, ...], int] = {}
    for row in rows:
        if row.day <= day:
            key = _set_of(row)
            latest[key] = max(latest.get(key, 0), row.day)
    return (row for row in rows if row.day <= day and row.day == latest[_set_of(row)])


def _set_of(row: _Row) -> tuple[str, ...]:
    return (row.prefix, *(row.tail[index] for index in _SET))


def _written(rows: Iterable[_Row]) -> tuple[str, "array[int]"]:
    """The contract's CSV, and for each of its rows the place in the carrier's file."""
    text, places = io.StringIO(), array("L")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        places.append(row.place)
        writer.writerow((row.prefix, *row.tail))
    return text.getvalue(), places


def _placed(places: "array[int]", place: Callable[[int], str]) -> Callable[[int], str]:
    """Where a line of the written deck, of which the first is the header, came from."""
    return lambda line: place(places[line - 2])


def _plain(header: str) -> str:
    return " ".join(header.split()).casefold()
