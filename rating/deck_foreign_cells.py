"""The cells of a carrier's deck, each read into the text that the contract's column has for it, and checked there."""

import re
from collections.abc import Callable, Collection
from datetime import date, datetime
from typing import Final

from rating.deck import COLUMNS
from rating.deck_cells import BadCell, columns_of
from rating.deck_format import DeckFormat
from rating.deck_sheet import MAX_PLACES
from rating.periods import ANY_PERIOD

IF_NOT_THERE: Final = {"destination": "", "period": "", "after_s": "0", "connect_fee": "0"}
"""What a deck without such a column means; the other columns have to be there, or be given by `defaults`."""

_AMOUNTS: Final = ("connect_fee", "rate", "max_charge", "min_charge")
_INCREMENTS: Final = re.compile(r"([0-9]+)(?:\s*[/+]\s*([0-9]+))?")
_ISO: Final = "%Y-%m-%d"

Read = Callable[[str], str]


class ForeignCells:
    """How the cells of one deck are read. Each method gives a reader, which raises BadCell."""

    def __init__(self, form: DeckFormat, periods: Collection[str], *, is_sheet: bool) -> None:
        self._form = form
        self._is_sheet = is_sheet
        self._checks = dict(zip(COLUMNS, columns_of(COLUMNS, periods), strict=True))

    def column(self, column: str) -> Read:
        """For a column of the contract's, all but `prefix`: its text there."""
        check, ours = self._checks[column], self._ours(column)
        default = self.default(column) if column in self._form.defaults else None

        def read(text: str) -> str:
            if not text and default is not None:
                return default
            told = ours(text)
            return "" if check[told] == ANY_PERIOD and column == "period" else told

        return read

    def default(self, column: str) -> str | None:
        """What stands for a column that the deck does not have, if it may be absent. Raises BadCell."""
        given = self._form.defaults.get(column)
        if given is None:
            return IF_NOT_THERE.get(column)
        if column == "increments":
            given = _increments(given)
        self._checks[column][given]
        return given

    def one_of_two(self, text: str) -> str:
        """The first increment or the later ones, where each has a column of its own."""
        return str(self._checks["per_s"][text])

    def day(self, text: str) -> int:
        """A day as its ordinal; 0 for an empty cell: the row holds from the beginning."""
        if not text:
            return 0
        form = self._form.date_format or _ISO
        try:
            if form == _ISO:
                return date.fromisoformat(text).toordinal()
            return datetime.strptime(text, form).toordinal()  # noqa: DTZ007  # a day has no zone
        except ValueError:
            remedy = "write it so, or say in date_format how the days are written"
            raise BadCell(f"is not a day in the form {form}", remedy) from None

    def _ours(self, column: str) -> Read:
        if column in _AMOUNTS:
            return self._amount
        return _increments if column == "increments" else _as_it_is

    def _amount(self, text: str) -> str:
        if self._form.decimal == ",":
            if "." in text:
                raise BadCell("has a point, where the decimal sign is a comma", "write amounts without separators")
            text = text.replace(",", ".")
        elif "," in text:
            remedy = 'write a point and no separators, or say decimal = "," in [deck_format]'
            raise BadCell("has a comma, where the decimal sign is a point", remedy)
        if self._is_sheet and len(text.partition(".")[2]) > MAX_PLACES:
            remedy = "round it there, as with ROUND, or save the sheet as CSV"
            raise BadCell(f"has more than {MAX_PLACES} decimal places, which a sheet does not hold exactly", remedy)
        return text


def _as_it_is(text: str) -> str:
    return text


def _increments(text: str) -> str:
    """The contract's form of 60/6, 60+6, or 60 for both."""
    match = _INCREMENTS.fullmatch(text)
    return text if match is None else f"{match[1]}/{match[2] or match[1]}"
