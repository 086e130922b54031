"""Suspended records for pages and API: counted, listed and shown; and what may go wrong when they are worked on."""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mediation.formats import Unreadable
from mediation.formats.source_formats import SourceFormats
from mediation.pipeline.mending import understood
from mediation.pipeline.recycling import NotSelectable
from mediation.pipeline.stopping import Stopping
from mediation.pipeline.suspense_views import RecordView, view_of
from rating.store import suspense
from rating.store.errors import StoreFailed
from rating.store.sources import names_to_ids
from rating.store.suspense import Filter, SuspenseRecord
from web.refusals import NotFound, Refused
from web.site import Site

STOPPED_FOR_S: Final = 5
PAYERS: Final = {
    "collect": "called", "toll-free": "called", "calling-card": "charge_to", "third-number": "charge_to",
}  # fmt: skip
"""The field that holds the number of who pays, by type of call; of the others it is the calling one."""
_FIELDS_OF: Final = {"conflict": ("id", "start"), "future": ("start",), "too-old": ("start",)}
_SAME_FIELD: Final = {"src": "calling", "a": "calling", "dst": "called", "b": "called", "start_time": "start"}
"""What other formats call a field of the native one."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An open record in a list."""

    record: SuspenseRecord
    source: str
    fields: Mapping[str, Any]
    """As understood; numbers and start by their native names."""


@dataclass(frozen=True, slots=True)
class SuspensePage:
    """Some open records, in the order of their arrival."""

    rows: list[Listed]
    next: str | None


async def count_by_reason(site: Site) -> dict[str, int]:
    """Open records by reason."""
    return await site.readers.read(suspense.count_by_reason)


async def list_open(site: Site, reason: str | None, source: str | None, after: int, limit: int) -> SuspensePage:
    """The first `limit` open records with an id above `after`. Raises Refused for a source that there is not."""
    return await site.readers.read(_list_open, site.recycler.formats, reason, source, after, limit)


def _list_open(
    cx: sqlite3.Connection, formats: SourceFormats, reason: str | None, source: str | None, after: int, limit: int
) -> SuspensePage:
    numbers = names_to_ids(cx)
    if source is not None and source not in numbers:
        raise Refused(422, f"there is no source {source[:100]}: there are {', '.join(sorted(numbers))}")
    which = Filter(reason, None if source is None else numbers[source])
    found = suspense.select(cx, which, after, suspense.last_id(cx), limit + 1)
    names = {number: name for name, number in numbers.items()}
    rows = []
    for record in found[:limit]:
        parse = formats.parser(record.line_format, names[record.source])
        fields = understood(record, names[record.source], parse).fields
        same = {_SAME_FIELD[name]: value for name, value in fields.items() if name in _SAME_FIELD}
        rows.append(Listed(record, names[record.source], same | fields))
    return SuspensePage(rows, str(rows[-1].record.id) if len(found) > limit else None)


async def view_record(site: Site, number: int) -> RecordView:
    """Everything that is to be said of a record, whatever has become of it. Raises NotFound."""
    found = await site.readers.read(_view, site.recycler.formats, number)
    if found is None:
        raise NotFound
    return found


def _view(cx: sqlite3.Connection, formats: SourceFormats, number: int) -> RecordView | None:
    found = suspense.get_many(cx, [number])
    if not found:
        return None
    names = {id_: name for name, id_ in names_to_ids(cx).items()}
    return view_of(found[0], names[found[0].source], suspense.changes_of(cx, number), formats)


def wrong_fields(reason: str, fields: Mapping[str, Any], refused: Unreadable | None) -> tuple[str, ...]:
    """The fields in which a record's reason lies, by the names that `fields` have or, for one that is missing, should
    have. None where it is the line as a whole, or nothing in the record."""
    if refused is not None:
        # A detail begins with the field that it is about.
        name = refused.detail.partition(" ")[0]
        return (name,) if name in fields or refused.detail == f"{name} is missing" else ()
    type_ = str(fields.get("type", "direct"))
    if reason == "unknown-line":
        return (PAYERS.get(type_, "calling"),)
    if reason == "no-rate":
        return ("calling" if type_ == "toll-free" else "called",)
    return _FIELDS_OF.get(reason, ())


@contextlib.contextmanager
def in_words() -> Iterator[None]:
    """Make what can happen while suspended records are worked on a refusal."""
    try:
        yield
    except NotSelectable as refused:
        raise Refused(422, str(refused)) from None
    except Stopping:
        raise Refused(
            503,
            "the daemon is stopping: what was not done yet stays in suspense, order it again",
            {"Retry-After": str(STOPPED_FOR_S)},
        ) from None
    except StoreFailed as failed:
        raise Refused(503, f"{failed}; what was not done yet stays in suspense") from None
