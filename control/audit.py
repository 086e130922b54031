"""The audit log: who changed what, when and why. Written in the transaction of the change itself, and never altered."""

import sqlite3
from dataclasses import dataclass
from typing import Final

import msgspec

_EVERY_ID: Final = 1 << 62


class Entry(msgspec.Struct, frozen=True):
    """One change."""

    id: int
    at: int
    """µs since 1970 UTC."""
    actor: str
    """A user's name, or `token:NAME`, or `command:NAME` with the name that the operating system knows."""
    action: str
    """A word or two in the infinitive: `add user`."""
    subject: str
    """What was changed: `user alice`."""
    detail: str
    """What it was changed to, or why; may be empty. Never a secret."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries; what is empty leaves all."""

    actor: str = ""
    """Who, exactly."""
    words: tuple[str, ...] = ()
    """Each is in what was done, to what, or why; letters large or small."""
    begins_at: int | None = None
    """µs UTC, as the end, which is outside."""
    ends_at: int | None = None


EVERYTHING: Final = Filter()


def record(cx: sqlite3.Connection, at: int, actor: str, action: str, subject: str, detail: str = "") -> None:
    """Write an entry, in the transaction that makes the change."""
    (last,) = cx.execute("SELECT coalesce(max(id), 0) FROM audit_log").fetchone()
    cx.execute("INSERT INTO audit_log VALUES (?, ?, ?, ?, ?, ?)", (last + 1, at, actor, action, subject, detail))


def entries(
    cx: sqlite3.Connection, *, limit: int, before: int | None = None, wanted: Filter = EVERYTHING
) -> list[Entry]:
    """The newest entries first that a filter leaves, at most `limit` of them; of those before the entry `before`, if it
    is given."""
    where, values = ["id < ?"], list[str | int]([_EVERY_ID if before is None else before])
    if wanted.actor:
        where.append("actor = ?")
        values.append(wanted.actor)
    for word in wanted.words:
        where.append("instr(lower(action || ' ' || subject || ' ' || detail), lower(?)) > 0")
        values.append(word)
    for condition, at in (("at >= ?", wanted.begins_at), ("at < ?", wanted.ends_at)):
        if at is not None:
            where.append(condition)
            values.append(at)
    sql = f"SELECT {', '.join(Entry.__struct_fields__)} FROM audit_log WHERE {' AND '.join(where)}"  # noqa: S608  # names of columns and constants; values are bound
    return [Entry(*row) for row in cx.execute(f"{sql} ORDER BY id DESC LIMIT ?", (*values, limit))]
