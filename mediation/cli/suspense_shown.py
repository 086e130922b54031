"""Suspended records on a terminal: counts, lists, one record."""

import sqlite3
from typing import Any

import msgspec

from mediation.cli.options import print_json
from mediation.failure import Failure
from mediation.formats.source_formats import SourceFormats
from mediation.pipeline.recycling import Recycled
from mediation.pipeline.suspense_views import REASONS, RecordView, line_text, record_json, view_json, view_of
from rating.store import suspense
from rating.store.reading import instant_text
from rating.store.sources import names_to_ids

_SHOWN = 100
"""Characters of a line in a list."""


def print_reasons(cx: sqlite3.Connection, as_json: bool) -> None:
    """How many open records there are, by reason."""
    counts = suspense.count_by_reason(cx)
    if as_json:
        print_json({"open": sum(counts.values()), "reasons": counts})
        return
    for reason, count in counts.items():
        print(f"{count:>10}  {reason:<14} {REASONS.get(reason, '')}".rstrip())
    print(f"{sum(counts.values()):>10}  in suspense")


def print_records(
    cx: sqlite3.Connection, reason: str | None, source: str | None, after: int, limit: int, as_json: bool
) -> None:
    """Open records, by their numbers."""
    sources = names_to_ids(cx)
    if source is not None and source not in sources:
        raise Failure(f"there is no source {source}: there are {', '.join(sorted(sources))}")
    which = suspense.Filter(reason, None if source is None else sources[source])
    found = suspense.select(cx, which, after, suspense.last_id(cx), limit + 1)
    records, more = found[:limit], len(found) > limit
    names = {number: name for name, number in sources.items()}
    if as_json:
        items = [record_json(record, names[record.source]) for record in records]
        print_json({"items": items, "next": records[-1].id if more else None})
        return
    for record in records:
        mark = " (mended)" if record.mended is not None else ""
        print(
            f"{record.id:>10}  {names[record.source]}  {instant_text(record.arrived_at)}  {record.reason}{mark}:"
            f" {record.detail}\n{'':12}{line_text(record.line)[:_SHOWN]}"
        )
    if more:
        print(f"more: --after {records[-1].id}")


def print_record(cx: sqlite3.Connection, formats: SourceFormats, id_: int, as_json: bool) -> None:
    """One record: as it arrived, what was understood, why it is here, what was done to it."""
    found = suspense.get_many(cx, [id_])
    if not found:
        raise Failure(f"there is no record {id_} in suspense: suspense list --reason R shows their numbers")
    view = _view(cx, formats, found[0])
    if as_json:
        print_json(view_json(view))
    else:
        _print_view(view)


def print_origin(cx: sqlite3.Connection, formats: SourceFormats, transaction: int, as_json: bool) -> None:
    """The records that were recycled into a transaction."""
    views = [_view(cx, formats, record) for record in suspense.of_transaction(cx, transaction)]
    if as_json:
        print_json({"transaction": transaction, "records": [view_json(view) for view in views]})
        return
    if not views:
        print(f"transaction {transaction} did not come out of suspense")
    for view in views:
        _print_view(view)


def print_recycled(done: Recycled) -> None:
    """What became of records, and their reasons before and after."""
    print(f"{done.recycled} recycled, {done.duplicates} duplicates, {done.still_open} still in suspense")
    reasons = sorted(done.by_reason_before.keys() | done.by_reason_after.keys())
    if reasons:
        print(f"{'':2}{'reason':<14} {'before':>10} {'after':>10}")
    for reason in reasons:
        print(
            f"{'':2}{reason:<14} {done.by_reason_before.get(reason, 0):>10} {done.by_reason_after.get(reason, 0):>10}"
        )


def _view(cx: sqlite3.Connection, formats: SourceFormats, record: suspense.SuspenseRecord) -> RecordView:
    names = {number: name for name, number in names_to_ids(cx).items()}
    return view_of(record, names[record.source], suspense.changes_of(cx, record.id), formats)


def _print_view(view: RecordView) -> None:
    record = view.record
    print(f"record {record.id} of {view.source}, arrived {instant_text(record.arrived_at)}: {record.state}")
    print(f"  reason      {record.reason}: {view.why}\n              {record.detail}")
    if record.transaction_id is not None:
        print(f"  transaction {record.transaction_id}{f' ({record.remark})' if record.remark else ''}")
    elif record.remark:
        print(f"  remark      {record.remark}")
    print(f"  as it came  {line_text(record.raw)}  ({record.format})")
    if record.mended is not None:
        print(f"  mended      {line_text(record.mended)}  ({record.mended_format})")
    print("  understood")
    for name, value in view.understood.fields.items():
        print(f"    {name:<12} {_text(value)}")
    refused = view.understood.refused
    if refused is not None:
        print(f"    not all of it: {refused.reason}: {refused.detail}")
    for one in view.changes:
        print(f"  {instant_text(one.changed_at)}  {one.change} by {one.changed_by}: {one.remark}")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.Encoder(decimal_format="number").encode(value).decode()
