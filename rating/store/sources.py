"""The SQL of sources: a small number for each name, since every transaction carries it."""

import sqlite3
from collections.abc import Iterable

import msgspec


def register(cx: sqlite3.Connection, names: Iterable[str]) -> dict[str, int]:
    """The numbers of all sources by name; new names are given one."""
    for name in sorted(names):
        cx.execute("INSERT INTO sources (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
    return names_to_ids(cx)


def names_to_ids(cx: sqlite3.Connection) -> dict[str, int]:
    """The numbers of all sources by name."""
    (names,) = cx.execute("SELECT json_group_object(name, id) FROM sources").fetchone()
    return msgspec.json.decode(names, type=dict[str, int])
