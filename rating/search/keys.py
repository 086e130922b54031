"""What a page is sorted by, and the opaque key by which the next one begins where it ended."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from rating.search.columns import KINDS, ORDERED, STORED_IN, Kind
from rating.search.conditions import SearchError

SORTED_BY: Final = tuple(column for column, kind in KINDS.items() if kind is not Kind.COUNTRY)


@dataclass(frozen=True, slots=True)
class Sort:
    """A column, and which way; calls with equal values follow by their ids, the same way."""

    column: str = "start"
    descending: bool = True

    @property
    def sql(self) -> str:
        """What is compared: never null, and texts without regard to capitals."""
        stored, kind = STORED_IN[self.column], KINDS[self.column]
        return f"lower(coalesce({stored}, ''))" if kind is Kind.TEXT else stored


def parse_sort(text: str) -> Sort:
    """`charge`, or `-charge` for the greatest first; empty is the newest call first. Raises SearchError."""
    column = text.removeprefix("-")
    if not text:
        return Sort()
    if column not in SORTED_BY:
        raise SearchError(None, "sort", f"“{column[:40]}” cannot be sorted by", f"use one of {', '.join(SORTED_BY)}")
    return Sort(column, text.startswith("-"))


def sort_key(sort: Sort, value: int | str, transaction: int) -> str:
    """The key of the page after the call with this value and id."""
    return _text([sort.column, sort.descending, value, transaction])


def read_sort_key(sort: Sort, text: str) -> tuple[int | str, int]:
    """Value and id of the last call of the page before. Raises SearchError for a key that is not of this sort."""
    match _content(text):
        case [sort.column, sort.descending, int() | str() as value, int(transaction)]:
            if isinstance(value, int) == (KINDS[sort.column] in ORDERED) and _fit(value, transaction):
                return value, transaction
    raise _refused()


def id_key(transaction: int) -> str:
    """The key of the page that goes on below an id."""
    return _text([transaction])


def read_id_key(text: str) -> int:
    """The id below which to go on. Raises SearchError."""
    match _content(text):
        case [int(transaction)] if _fit(transaction):
            return transaction
    raise _refused()


def _text(content: list[Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(content)).decode().rstrip("=")


def _content(text: str) -> Any:
    try:
        return msgspec.json.decode(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise _refused() from None


def _fit(*values: int | str) -> bool:
    return all(
        isinstance(value, str) or (-(2**63) <= value < 2**63 and not isinstance(value, bool)) for value in values
    )


def _refused() -> SearchError:
    return SearchError(None, "after", "it is no key of this search", "begin with its first page")
