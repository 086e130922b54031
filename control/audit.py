"""The audit log: who changed what, when and why. Written in the transaction of the change itself, and never altered."""

import sqlite3

import msgspec


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


def record(cx: sqlite3.Connection, at: int, actor: str, action: str, subject: str, detail: str = "") -> None:
    """Write an entry, in the transaction that makes the change."""
    (last,) = cx.execute("SELECT coalesce(max(id), 0) FROM audit_log").fetchone()
    cx.execute("INSERT INTO audit_log VALUES (?, ?, ?, ?, ?, ?)", (last + 1, at, actor, action, subject, detail))


def entries(cx: sqlite3.Connection, *, limit: int, before: int | None = None) -> list[Entry]:
    """The newest entries first, at most `limit` of them; of those before the entry `before`, if it is given."""
    where, values = ("", ()) if before is None else ("WHERE id < ?", (before,))
    columns = ", ".join(Entry.__struct_fields__)
    rows = cx.execute(f"SELECT {columns} FROM audit_log {where} ORDER BY id DESC LIMIT ?", (*values, limit))  # noqa: S608  # names of columns, no values
    return [Entry(*row) for row in rows]
