"""Decks that are text with a delimiter: decoded, and cut into rows of cells."""

import csv
from collections.abc import Iterator
from typing import Final

from rating.deck import lines_of
from rating.deck_format import DeckFormat
from rating.refusal import refusal

_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def decoded(content: bytes, name: str, encoding: str) -> str:
    """The text of a file; a byte order mark says more than `encoding`. TariffError: it is not of that encoding."""
    encoding = next((marked for mark, marked in _MARKS if content.startswith(mark)), encoding)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        what = f"is not {encoding.removesuffix('-sig').upper()} at byte {error.start}"
        raise refusal(name, what, "save it as UTF-8, or name its encoding in [deck_format]") from None


def text_rows(text: str, name: str, form: DeckFormat) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of each row from the header on. TariffError where it is no CSV any more."""
    lines = lines_of(text)
    for _ in range(form.header_row - 1):
        next(lines, None)
    reader = csv.reader(lines, delimiter=form.delimiter, strict=True)
    try:
        for cells in reader:
            yield form.header_row - 1 + reader.line_num, cells
    except csv.Error as error:
        where = f"{name}: line {form.header_row - 1 + reader.line_num}"
        raise refusal(where, f"is not CSV ({error})", "mend its quotes and line ends") from None
