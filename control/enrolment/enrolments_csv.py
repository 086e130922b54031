"""Reading enrolments.csv: all rows, or the errors of each."""

import csv
import io
from collections.abc import Callable, Iterator
from typing import Final

from rating.provisioning import ERRORS_KEPT, ProvisioningError, RowError

COLUMNS: Final = ("account", "enrolled")
_WORDS: Final = {"true": True, "false": False}
"""In small letters or capitals: spreadsheets write TRUE."""


def read_enrolments(text: str, is_account: Callable[[str], bool]) -> dict[str, bool]:
    """Whether each account of the file shall be enrolled, in its order. Raises ProvisioningError."""
    errors: list[RowError] = []
    found: dict[str, bool] = {}
    for row, account, word in _rows(text, errors):
        problem = None
        if not account:
            problem = RowError(row, "account", "is empty: give a value")
        elif not is_account(account):
            problem = RowError(row, "account", f"there is no account {account}: import accounts first")
        elif account in found:
            problem = RowError(row, "account", f"{account} stands twice in the file: keep one row")
        elif word.lower() not in _WORDS:
            problem = RowError(row, "enrolled", f"{word!r} is neither: write true or false")
        if problem is not None:
            errors.append(problem)
            if len(errors) >= ERRORS_KEPT:
                break
        found[account] = _WORDS.get(word.lower(), False)
    if errors:
        raise ProvisioningError(errors)
    return found


def _rows(text: str, errors: list[RowError]) -> Iterator[tuple[int, str, str]]:
    """Line of the file, account and word of each row."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if sorted(header) != sorted(COLUMNS):
            errors.append(RowError(1, "header", f"is not that of this file: write {','.join(COLUMNS)}"))
            return
        places = [header.index(column) for column in COLUMNS]
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                problem = f"has {len(cells)} cells, the header {len(header)}: mind commas and quotes"
                errors.append(RowError(reader.line_num, "row", problem))
                continue
            account, word = (cells[place].strip() for place in places)
            yield reader.line_num, account, word
    except csv.Error as error:
        errors.append(RowError(reader.line_num, "row", f"is not CSV ({error}): quote cells that hold quotes or commas"))
