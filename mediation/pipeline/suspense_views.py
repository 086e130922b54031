"""Suspended records as people and programs look at them. Pure."""

from typing import Any, Final

import msgspec

from mediation.formats.source_formats import SourceFormats
from mediation.pipeline.mending import Understood, understood
from rating.store.reading import instant_text
from rating.store.suspense import Change, SuspenseRecord

REASONS: Final = {
    "malformed": "the line cannot be read as a record",
    "bad-number": "a number cannot be brought to E.164",
    "bad-time": "an instant cannot be read, or the answer is before the start",
    "conflict": "another record has the same id and start, and says something else",
    "future": "it starts in the future",
    "too-old": "it is older than what is kept",
    "unknown-line": "no account has the line that pays",
    "no-rate": "no rate holds for the called number at the time",
    "no-conversion": "the tariff is in another currency than the account",
}
"""In words; a record's detail says more."""


class RecordView(msgspec.Struct, frozen=True):
    """A record, and everything that is to be said of it."""

    record: SuspenseRecord
    source: str
    understood: Understood
    changes: list[Change]
    """Oldest first."""

    @property
    def why(self) -> str:
        """Its reason in words."""
        return REASONS.get(self.record.reason, self.record.reason)


def view_of(record: SuspenseRecord, source: str, changes: list[Change], formats: SourceFormats) -> RecordView:
    """The view of a record of a source, read by the format that it came in or was mended to."""
    parse = formats.parser(record.line_format, source)
    return RecordView(record, source, understood(record, source, parse), changes)


def line_text(line: bytes) -> str:
    """A line as text, whatever its bytes."""
    return line.decode("utf-8", "backslashreplace")


def record_json(record: SuspenseRecord, source: str) -> dict[str, Any]:
    """A record as it is stored."""
    return {
        "id": record.id,
        "source": source,
        "record_id": record.record_id,
        "start": _instant(record.start_at),
        "reason": record.reason,
        "detail": record.detail,
        "state": record.state,
        "arrived_at": _instant(record.arrived_at),
        "format": record.format,
        "raw": line_text(record.raw),
        "mended": None if record.mended is None else line_text(record.mended),
        "mended_format": record.mended_format,
        "changed_at": _instant(record.changed_at),
        "changed_by": record.changed_by,
        "remark": record.remark,
        "transaction": record.transaction_id,
    }


def view_json(view: RecordView) -> dict[str, Any]:
    """Everything that is to be said of a record."""
    refused = view.understood.refused
    return record_json(view.record, view.source) | {
        "why": view.why,
        "understood": view.understood.fields,
        "unreadable": None if refused is None else f"{refused.reason}: {refused.detail}",
        "history": [
            {"at": _instant(one.changed_at), "by": one.changed_by, "change": one.change, "remark": one.remark}
            for one in view.changes
        ],
    }


def _instant(at: int | None) -> str | None:
    return None if at is None else instant_text(at)
