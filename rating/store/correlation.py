"""Records of one call that several feeds of a source report: known by session and leg, and the first complete one
charges (the contract's "The POP feed", natural key)."""

import sqlite3
from typing import Final

import msgspec

from rating.cdr import MICROS
from rating.store.batch import COLUMN, Row

APART_US: Final = 86_400 * MICROS
"""Switches use session ids again: starts that are further apart are of two calls."""

_SOURCE, _START_AT, _DETAIL = COLUMN["source"], COLUMN["start_at"], COLUMN["detail"]


class _Told(msgspec.Struct):
    """What a record's detail says of its call."""

    session: str | None = None
    leg: str | None = None
    partial: int | None = None
    last: bool | None = None


_decode: Final = msgspec.json.Decoder(_Told).decode


def claim(cx: sqlite3.Connection, feed: str, row: Row) -> bool:
    """Whether a row of a feed may become a transaction: False if another feed has reported the call already. A record
    without a session, and an intermediate one, is nobody else's."""
    if row[_DETAIL] is None:
        return True
    told = _decode(row[_DETAIL])
    if not told.session or (told.partial is not None and not told.last):
        return True
    key = row[_SOURCE], told.session, told.leg or ""
    found = cx.execute(
        "SELECT feed, start_at FROM call_sessions WHERE source = ? AND session = ? AND leg = ?", key
    ).fetchone()
    if found is not None and found[0] != feed and abs(found[1] - row[_START_AT]) <= APART_US:
        return False
    if found is None or found[0] != feed or found[1] != row[_START_AT]:
        cx.execute(
            "INSERT INTO call_sessions VALUES (?, ?, ?, ?, ?) ON CONFLICT (source, session, leg) DO UPDATE SET"
            " feed = excluded.feed, start_at = excluded.start_at",
            (*key, feed, row[_START_AT]),
        )
    return True
