"""The rate deck: reads the CSV text into checked, frozen rows. Which row a call gets is not decided here."""

import csv
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Final

import msgspec

from rating.deck_cells import BadCell, Column, columns_of
from rating.refusal import Complaints, refusal, shown

REQUIRED_COLUMNS: Final = (
    "prefix",
    "destination",
    "period",
    "after_s",
    "connect_fee",
    "rate",
    "per_s",
    "increments",
)
OPTIONAL_COLUMNS: Final = ("place", "max_charge", "min_charge", "provider", "service", "type")
COLUMNS: Final = REQUIRED_COLUMNS + OPTIONAL_COLUMNS


class DeckRow(msgspec.Struct, frozen=True, gc=False):
    """One line of the deck: the price of a destination in one period, from one step onwards.

    A msgspec struct and not a dataclass: it is built in a twentieth of the time, which is a quarter of a second for
    200,000 rows, and the garbage collector passes it by. The fields stand in the order of `COLUMNS`.
    """

    prefix: str
    """First digits of the E.164 number without `+`, or of the text of a sip:/ip: address; empty is the fallback."""
    destination: str | None
    period: str
    """Name of a `[[period]]`, or `ANY_PERIOD`."""
    after_s: int
    """Seconds (units) consumed from which this step holds, ≥ 0."""
    connect_fee: Decimal
    """Charged once if the first increment is of this row; units of the currency, ≥ 0."""
    rate: Decimal
    """Price of `per_s` seconds, in units of the currency, ≥ 0."""
    per_s: int
    increments: tuple[int, int]
    """Length of the call's first increment and of every later one, in seconds, each ≥ 1."""
    place: str | None = None
    """The place called, for a call whose switch does not name it."""
    max_charge: Decimal | None = None
    min_charge: Decimal | None = None
    provider: str | None = None
    """This and the next two are filters: the row holds only for calls with that value, None for all."""
    service: str | None = None
    type: str | None = None
    line: int = 0
    """Line of the deck file that it stands on, from 1."""


Place = Callable[[int], str]
"""Says where a line of the deck stands, as "line 3"."""


def read_deck(text: str, name: str, periods: Collection[str], place: Place = "line {}".format) -> tuple[DeckRow, ...]:
    """The rows of a deck, in the order of the file. `name` is the file's, for messages; `periods` are those defined;
    `place` tells a person where a line of `text` came from, where that is another file's row.

    Raises TariffError with the first `MAX_TOLD` things that are wrong; nothing of a wrong deck is used. What is wrong
    between rows is looked for when each is right by itself.
    """
    complaints = Complaints()
    file = _DeckFile(text, name, complaints)
    try:
        rows = tuple(file.rows(periods))
    except csv.Error as error:
        complaints.add(file.where(), f"is not CSV ({error})", "mend its quotes and line ends")
    complaints.end(name)
    if not rows:
        raise refusal(name, "a deck without rows", "add a row for each destination, or one with an empty prefix")
    _check_together(rows, complaints, name, place)
    complaints.end(name)
    return rows


class _DeckFile:
    """A deck while it is read, and the place in it."""

    def __init__(self, text: str, name: str, complaints: Complaints) -> None:
        self._name = name
        self._complaints = complaints
        self._reader = csv.reader(lines_of(text.removeprefix("\ufeff")), strict=True)

    def where(self) -> str:
        return f"{self._name}: line {self._reader.line_num}"

    def rows(self, periods: Collection[str]) -> Iterator[DeckRow]:
        """Each row that is right by itself, in the order of the file."""
        header = next(self._reader, None)
        if header is None:
            raise refusal(self._name, "the deck is empty", f"begin it with the header {','.join(REQUIRED_COLUMNS)}")
        pick, width = self._arrangement(header)
        columns = columns_of(COLUMNS, periods)
        for cells in self._reader:
            if not cells:
                continue  # a blank line
            if len(cells) != width:
                remedy = "give every column one cell, and quote a cell that has a comma"
                self._complaints.add(self.where(), f"{len(cells)} cells under {width} columns", remedy)
                continue
            cells.append("")  # where `pick` finds the columns that the deck does not have
            try:
                values = [column[cell] for column, cell in zip(columns, pick(cells), strict=True)]
            except BadCell:
                complain_of(zip(columns, pick(cells), strict=True), self.where(), self._complaints)
                continue
            values.append(self._reader.line_num)
            yield DeckRow(*values)

    def _arrangement(self, header: list[str]) -> tuple[Callable[[list[str]], tuple[str, ...]], int]:
        """What takes a line's cells into the order of `COLUMNS`, and how many cells a line has."""
        names = [cell.strip() for cell in header]
        for column in dict.fromkeys(names):
            if column not in COLUMNS:
                remedy = f"remove it; a deck has {', '.join(COLUMNS)}"
                self._complaints.add(self.where(), f"unknown column {shown(column)}", remedy)
            elif names.count(column) > 1:
                self._complaints.add(self.where(), f"column {column} stands twice", "remove one of the two")
        self._complaints.end(self._name)  # a column that is misspelt is not missing too
        missing = [column for column in REQUIRED_COLUMNS if column not in names]
        if missing:
            what = (
                f"column {missing[0]} is missing" if len(missing) == 1 else f"columns {', '.join(missing)} are missing"
            )
            raise refusal(self.where(), what, "add it to the header and to every row")
        places = (names.index(column) if column in names else len(names) for column in COLUMNS)
        return itemgetter(*places), len(names)


def complain_of(cells: Iterable[tuple[Column, str]], where: str, complaints: Complaints) -> None:
    """Complains of every cell of a row that its column refuses."""
    for column, cell in cells:
        try:
            column[cell]
        except BadCell as bad:
            complaints.add(f"{where}, {bad.column}", f"{shown(bad.text)} {bad.what}", bad.remedy)


def lines_of(text: str) -> Iterator[str]:
    """Line by line without a copy of the whole: StringIO would take four bytes for each character."""
    begin = 0
    while end := text.find("\n", begin) + 1:
        yield text[begin:end]
        begin = end
    if begin < len(text):
        yield text[begin:]


def by_prefix(rows: Iterable[DeckRow]) -> dict[str, DeckRow | list[DeckRow]]:
    """The rows of each prefix. One that is alone has no list around it: that takes more than a third of the memory of a
    deck with a row a prefix."""
    found: dict[str, DeckRow | list[DeckRow]] = {}
    for row in rows:
        known = found.setdefault(row.prefix, row)
        if known is row:
            continue
        if isinstance(known, list):
            known.append(row)
        else:
            found[row.prefix] = [known, row]
    return found


def _check_together(rows: Sequence[DeckRow], complaints: Complaints, name: str, place: Place) -> None:
    """What no cell shows alone: rows that contradict each other, and calls that would begin without a row."""
    for members in by_prefix(rows).values():
        for row, what, remedy in _contradictions(members if isinstance(members, list) else (members,), place):
            complaints.add(f"{name}: {place(row.line)}", what, remedy)


def _contradictions(rows: Sequence[DeckRow], place: Place) -> Iterator[tuple[DeckRow, str, str]]:
    """What is wrong between the rows of one prefix: the row, what, and the remedy."""
    lines: dict[tuple[str | int | None, ...], int] = {}
    for row in rows:
        other = lines.setdefault((row.provider, row.service, row.type, row.period, row.after_s), row.line)
        if other != row.line:
            yield row, f"its prefix, filters, period and after_s are those of {place(other)}", "remove one of the two"
        if row.min_charge is not None and row.max_charge is not None and row.min_charge > row.max_charge:
            yield row, "min_charge is above max_charge", "lower one or raise the other"
    for row in rows:
        if row.after_s and (row.provider, row.service, row.type, row.period, 0) not in lines:
            yield (
                row,
                "its prefix, filters and period have no row at after_s 0",
                "add the row that a call begins with",
            )
