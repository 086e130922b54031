"""What reports do to the table of sessions, in one store transaction: they begin, are heard of, end. A Stop's record is
made here, once, and kept before it is sent on: whatever is sent again afterwards finds it."""

import sqlite3
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from access import session_rows
from access.session_rows import StoredSession
from access.sessions import LiveSession, SessionKey
from mediation.feeds.accounting import Event, Status, call_record
from rating.cdr import MICROS

LATE_US: Final = 3_600 * MICROS
"""A Start that is sent again comes within it after the end; later it is another session with an id used again."""
SAME_STOP_US: Final = 60 * MICROS
"""A further Stop within it is of the session that has just ended: no NAS gives an id again so soon."""


class Entered(msgspec.Struct):
    """What became of one report."""

    live: LiveSession | None = None
    """It is live, as told now."""
    ended: list[SessionKey] = msgspec.field(default_factory=list)
    record: bytes | None = None
    """The call record to be sent on, new or as it was made before."""


def enter(cx: sqlite3.Connection, reports: Iterable[tuple[Event, bool]]) -> list[Entered]:
    """Take some reports into the table, in their order. With each comes whether several NASes share its source."""
    return [_enter(cx, event, shared=shared) for event, shared in reports]


def _enter(cx: sqlite3.Connection, event: Event, *, shared: bool) -> Entered:
    match event.status:
        case Status.START:
            return _begin(cx, event)
        case Status.INTERIM:
            return _hear(cx, event)
        case Status.STOP | Status.FAILED:
            return _end(cx, event, shared=shared)
        case Status.ON | Status.OFF:
            key = event.session.key
            return Entered(ended=session_rows.end_of_nas(cx, key.source, key.nas, event.at))
        case Status.OTHER:
            return Entered()


def _begin(cx: sqlite3.Connection, event: Event) -> Entered:
    known = session_rows.find(cx, event.session.key)
    if known is not None:
        ended_at = known.ended_at
        if known.start_digest == event.digest and (ended_at is None or event.at <= ended_at + LATE_US):
            return _heard(cx, known, event) if ended_at is None else Entered()
        if ended_at is not None and event.at <= ended_at:
            return Entered()  # it was overtaken by its Stop
    session_rows.put_live(cx, event.session, event.digest)
    return Entered(live=event.session)


def _hear(cx: sqlite3.Connection, event: Event) -> Entered:
    known = session_rows.find(cx, event.session.key)
    if known is None:
        session_rows.put_live(cx, event.session, None)
        return Entered(live=event.session)
    if known.ended_at is None:
        return _heard(cx, known, event)
    if known.stop_digest is not None or event.at <= known.ended_at:
        return Entered()  # it was overtaken by its Stop
    session = msgspec.structs.replace(known.session, seen_at=event.session.seen_at)
    session_rows.put_live(cx, session, known.start_digest)  # it was taken for ended, and is not
    return Entered(live=session)


def _heard(cx: sqlite3.Connection, known: StoredSession, event: Event) -> Entered:
    seen_at = max(known.session.seen_at, event.session.seen_at)
    session_rows.seen(cx, known.session.key, seen_at)
    return Entered(live=msgspec.structs.replace(known.session, seen_at=seen_at))


def _end(cx: sqlite3.Connection, event: Event, *, shared: bool) -> Entered:
    key = event.session.key
    if event.status is Status.FAILED:  # an attempt; the session of the same name may still begin
        key = key._replace(session=f"{key.session} failed")
    known = session_rows.find(cx, key)
    if known is not None and known.record is not None and known.ended_at is not None:
        if known.stop_digest == event.digest:
            return Entered(record=known.record)
        if abs(event.at - known.ended_at) <= SAME_STOP_US:
            return Entered(record=_told_otherwise(known.record, event))
        known = None
    record = call_record(event, known.session if known else None, shared=shared)
    session = msgspec.structs.replace(known.session if known else event.session, key=key, seen_at=event.session.seen_at)
    ended = StoredSession(session, known.start_digest if known else None, event.at, event.digest, record)
    session_rows.put_ended(cx, ended)
    return Entered(ended=[key], record=record)


def _told_otherwise(record: bytes, event: Event) -> bytes:
    """A second Stop of one session. Without another duration it says nothing new (both ends may hang up at once); with
    one it contradicts the first, and is suspended as a conflict: the key is the same."""
    fields: dict[str, Any] = msgspec.json.decode(record)
    if event.duration_s is None or event.duration_s == fields.get("duration"):
        return record
    return msgspec.json.Encoder(order="sorted").encode(fields | {"duration": event.duration_s})
