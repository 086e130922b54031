"""The SQL of sessions. What changes them runs in a store transaction of the caller's."""

import sqlite3
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from access.sessions import LiveSession, SessionKey

_LIVE: Final = (
    "source, nas, session, line, username, nas_identifier, nas_address, peer, client, started_at, seen_at, called"
)
_KEY: Final = "source = ? AND nas = ? AND session = ?"


class StoredSession(msgspec.Struct, frozen=True):
    """A session as the table has it, ended or not."""

    session: LiveSession
    start_digest: bytes | None
    """Of the Start's content; None: the Start was never seen."""
    ended_at: int | None
    """When it ended, µs UTC; None: it is live."""
    stop_digest: bytes | None
    """Of the Stop's content; None: it is live, or ended without one."""
    record: bytes | None
    """The call record that was made of it."""


def all_live(cx: sqlite3.Connection) -> list[LiveSession]:
    """Every session that has not ended, the oldest first."""
    query = f"SELECT {_LIVE} FROM access_sessions WHERE ended_at IS NULL ORDER BY started_at"  # noqa: S608  # names of columns, no values
    return [_live(row) for row in cx.execute(query)]


def find(cx: sqlite3.Connection, key: SessionKey) -> StoredSession | None:
    """The session of a key, ended or not; None: nothing is known of it."""
    query = f"SELECT {_LIVE}, start_digest, ended_at, stop_digest, record FROM access_sessions WHERE {_KEY}"  # noqa: S608  # names of columns, no values
    row = cx.execute(query, key).fetchone()
    return StoredSession(_live(row[:12]), *row[12:]) if row else None


def last_records(cx: sqlite3.Connection, within_us: int) -> dict[str, list[bytes]]:
    """By source the call records that were made last, `within_us` before the very last report."""
    rows = cx.execute(
        "SELECT source, record FROM access_sessions WHERE ended_at IS NOT NULL AND record IS NOT NULL"
        " AND seen_at >= (SELECT max(seen_at) FROM access_sessions) - ? ORDER BY seen_at",
        (within_us,),
    )
    records: dict[str, list[bytes]] = {}
    for source, record in rows:
        records.setdefault(source, []).append(record)
    return records


def put_live(cx: sqlite3.Connection, session: LiveSession, start_digest: bytes | None) -> None:
    """A session is live; what was known of its key before is replaced."""
    _forget(cx, session.key)
    cx.execute(
        f"INSERT INTO access_sessions ({_LIVE}, start_digest) VALUES ({', '.join('?' * 13)})",  # noqa: S608  # names of columns, no values
        (*_columns(session), start_digest),
    )


def put_ended(cx: sqlite3.Connection, stored: StoredSession) -> None:
    """A session has ended, whether or not its beginning was known."""
    _forget(cx, stored.session.key)
    cx.execute(
        f"INSERT INTO access_sessions ({_LIVE}, start_digest, ended_at, stop_digest, record)"  # noqa: S608  # names of columns, no values
        f" VALUES ({', '.join('?' * 16)})",
        (*_columns(stored.session), stored.start_digest, stored.ended_at, stored.stop_digest, stored.record),
    )


def seen(cx: sqlite3.Connection, key: SessionKey, seen_at: int) -> None:
    """Something was heard of a session."""
    cx.execute(f"UPDATE access_sessions SET seen_at = ? WHERE {_KEY}", (seen_at, *key))  # noqa: S608  # names of columns, no values


def end_denied(cx: sqlite3.Connection, denied: Mapping[SessionKey, int], ended_at: int) -> list[SessionKey]:
    """Sessions have ended, and their Stops were not seen: should one come, it still makes a record. With each comes the
    last that was heard of it when it was denied; which were not heard of since, and have ended."""
    query = f"UPDATE access_sessions SET ended_at = ? WHERE {_KEY} AND ended_at IS NULL AND seen_at <= ?"  # noqa: S608  # names of columns, no values
    return [key for key, seen_at in denied.items() if cx.execute(query, (ended_at, *key, seen_at)).rowcount]


def end_of_nas(cx: sqlite3.Connection, source: str, nas: str, ended_at: int) -> list[SessionKey]:
    """Every session of a NAS that began before `ended_at` has ended: it starts or stops; which they were."""
    rows = cx.execute(
        "UPDATE access_sessions SET ended_at = ?"
        " WHERE source = ? AND nas = ? AND ended_at IS NULL AND started_at < ? RETURNING source, nas, session",
        (ended_at, source, nas, ended_at),
    )
    return [SessionKey(*row) for row in rows.fetchall()]


def expire(cx: sqlite3.Connection, stale_at: int, forget_at: int, now: int) -> list[SessionKey]:
    """End the sessions of which nothing was heard since `stale_at`, and forget those that ended before `forget_at`;
    which have ended."""
    rows = cx.execute(
        "UPDATE access_sessions SET ended_at = ? WHERE ended_at IS NULL AND seen_at < ? RETURNING source, nas, session",
        (now, stale_at),
    ).fetchall()
    cx.execute("DELETE FROM access_sessions WHERE ended_at < ?", (forget_at,))
    return [SessionKey(*row) for row in rows]


def _forget(cx: sqlite3.Connection, key: SessionKey) -> None:
    cx.execute(f"DELETE FROM access_sessions WHERE {_KEY}", key)  # noqa: S608  # names of columns, no values


def _live(row: tuple[Any, ...]) -> LiveSession:
    return LiveSession(SessionKey(*row[:3]), *row[3:])


def _columns(session: LiveSession) -> tuple[Any, ...]:
    return (
        *session.key, session.line, session.username, session.nas_identifier, session.nas_address, session.peer,
        session.client, session.started_at, session.seen_at, session.called,
    )  # fmt: skip
