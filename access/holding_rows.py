"""The SQL of the bars that hold their targets, and of what an order's own row tells no longer."""

import sqlite3
from collections.abc import Collection, Iterable
from typing import Any, Final

import msgspec

from access.orders import Order
from access.target import Target

REMEMBERED: Final = 100
"""Remarks of one order; older ones go."""
_SELECT: Final = "SELECT id, switch, line, service, username FROM access_orders WHERE holds_since IS NOT NULL"


class Held(msgspec.Struct, frozen=True):
    """A confirmed bar that is what its target was told last."""

    id: int
    target: Target


class Remark(msgspec.Struct, frozen=True):
    """Something that happened to an order."""

    at: int
    words: str


def of_switch(cx: sqlite3.Connection, switch: str, after: int, limit: int) -> list[Held]:
    """The bars that hold at a switch, by id, those after one id."""
    return _held(cx.execute(f"{_SELECT} AND switch = ? AND id > ? ORDER BY id LIMIT ?", (switch, after, limit)))


def of_users(cx: sqlite3.Connection, lines: Collection[str], usernames: Collection[str]) -> list[Held]:
    """The bars that hold of some lines or user names, at whatever switch, each once."""
    found = {held.id: held for held in _among(cx, "line", lines)}
    return list((found | {held.id: held for held in _among(cx, "username", usernames)}).values())


def give_way(cx: sqlite3.Connection, order: Order) -> None:
    """From now on it is this order that says how its target stands: no earlier bar is looked after any more."""
    target = order.target
    cx.execute(
        "UPDATE access_orders SET holds_since = NULL WHERE shard = 0 AND line = ? AND service = ? AND switch = ?"
        " AND id <> ? AND holds_since IS NOT NULL",
        (target.line, target.service, target.switch, order.id),
    )


def remark(cx: sqlite3.Connection, order: int, words: str, at: int) -> None:
    """Write down something of an order that its row will not tell."""
    (last,) = cx.execute(
        "SELECT coalesce(max(number), 0) FROM access_order_history WHERE shard = 0 AND order_id = ?", (order,)
    ).fetchone()
    cx.execute("INSERT INTO access_order_history VALUES (0, ?, ?, ?, ?)", (order, last + 1, at, words))
    oldest = last + 1 - REMEMBERED
    cx.execute("DELETE FROM access_order_history WHERE shard = 0 AND order_id = ? AND number <= ?", (order, oldest))


def history(cx: sqlite3.Connection, order: int) -> list[Remark]:
    """What was written down of an order, the oldest first."""
    rows = cx.execute(
        "SELECT at, words FROM access_order_history WHERE shard = 0 AND order_id = ? ORDER BY number", (order,)
    )
    return [Remark(*row) for row in rows]


def _among(cx: sqlite3.Connection, column: str, values: Collection[str]) -> list[Held]:
    marks = ", ".join("?" for _ in values)
    return _held(cx.execute(f"{_SELECT} AND {column} IN ({marks})", tuple(values))) if values else []


def _held(rows: Iterable[tuple[Any, ...]]) -> list[Held]:
    return [Held(row[0], Target(*row[1:])) for row in rows]
