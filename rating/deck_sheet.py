"""Decks that are a sheet of an XLSX workbook: its cells as text, each number as the decimal that it stands for."""

import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any, Final

from rating.deck_format import DeckFormat
from rating.refusal import TariffError, refusal, shown

MAX_PLACES: Final = 10
"""Most decimal places of an amount in a sheet."""
MAX_UNPACKED_BYTES: Final = 1 << 30
MAX_ROW: Final = 1 << 20
"""The last row of a sheet, as Excel has them."""

_ZIP: Final = b"PK\x03\x04"


def is_workbook(content: bytes) -> bool:
    """Whether a file is an XLSX workbook, going by its first bytes: it is a ZIP archive, as no CSV is."""
    return content.startswith(_ZIP)


def sheet_rows(content: bytes, name: str, form: DeckFormat) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each row from the header on. TariffError: it is not a workbook, or has not the sheet.

    The rows are read one by one; the shared texts of the workbook are held in memory.
    """
    with _in_words(name), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles and extensions, which a deck does not use
        with zipfile.ZipFile(BytesIO(content)) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
        if unpacked > MAX_UNPACKED_BYTES:
            raise refusal(name, f"unpacks to more than {MAX_UNPACKED_BYTES} bytes", "save the sheet as CSV")
        for number, cells in enumerate(_sheet(content, name, form.sheet).iter_rows(values_only=True), start=1):
            if number > MAX_ROW:
                raise refusal(name, f"has rows after {MAX_ROW}", "save the sheet as CSV")
            if number >= form.header_row:
                yield number, [_text(value, form) for value in cells]


@contextmanager
def _in_words(name: str) -> Iterator[None]:
    """Whatever is wrong with the inside of a file that people made: the reader of workbooks has no error of its own."""
    try:
        yield
    except TariffError:
        raise
    except Exception as error:
        what = f"is not a workbook that can be read ({type(error).__name__}: {error})"
        raise refusal(name, what, "save it as Excel workbook (.xlsx) without a password, or as CSV") from None


def _sheet(content: bytes, name: str, title: str | None) -> Any:
    # Here and not above: it costs a fifth of a second, and few decks are workbooks.
    from openpyxl import load_workbook

    book = load_workbook(BytesIO(content), read_only=True, data_only=True, keep_links=False)
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    if title is not None and title not in sheets:
        raise refusal(name, f"has no sheet {shown(title)}", f"name one of {', '.join(map(repr, sheets))}")
    if not sheets:
        raise refusal(name, "has no sheet with cells", "put the deck into one")
    sheet = sheets[title] if title is not None else next(iter(sheets.values()))
    sheet.reset_dimensions()  # some programs write wrong ones, and cells beyond them would be missed
    return sheet


def _text(value: object, form: DeckFormat) -> str:
    """A cell as the same deck would have it in text."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{_decimal(value):f}".replace(".", form.decimal)
    if isinstance(value, datetime) and value.time() == datetime.min.time():
        value = value.date()
    if isinstance(value, date) and form.date_format is not None:
        return value.strftime(form.date_format)
    return str(value)


def _decimal(value: float) -> Decimal:
    """The decimal that a person entered: a sheet stores binary fractions, of which 15 digits mean something (so Excel
    itself shows 0.1 + 0.2 as 0.3 in every format). What has more than `MAX_PLACES` places then stays as it is."""
    exact = Decimal(repr(value))
    if value.is_integer():
        return exact.to_integral_value()
    if _places(exact) > MAX_PLACES:
        rounded = Decimal(f"{value:.15g}")
        return rounded if _places(rounded) <= MAX_PLACES else exact
    return exact


def _places(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0
