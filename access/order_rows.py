"""The SQL of access orders: reading them in the ways that are needed, and writing one."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from access.orders import NOT_SENT, OPEN, Action, Order, State
from access.target import Target

_TARGET: Final = Target.__struct_fields__
_OWN: Final = tuple(name for name in Order.__struct_fields__ if name != "target")
_COLUMNS: Final = ", ".join((*_OWN, *_TARGET))
_MARKS: Final = ", ".join("?" for _ in (*_OWN, *_TARGET))
_FIXED: Final = frozenset({"id", "account", "action", "reason", "cause", "planned_at", "due_at", "supersedes"})
_CHANGING: Final = tuple(name for name in _OWN if name not in _FIXED)
"""What is not named in an UPDATE is in no index that has to be written again."""
_ASSIGNMENTS: Final = ", ".join(f"{name} = ?" for name in _CHANGING)
_SELECT: Final = f"SELECT {_COLUMNS} FROM access_orders AS o WHERE shard = 0"  # noqa: S608  # names of columns, as below
_SAME_TARGET: Final = "line = ? AND service = ? AND switch = ?"
_IN_FORCE: Final = OPEN - {State.HELD}
_MARKS_AT_ONCE: Final = 32


def _one_of(states: Iterable[State]) -> str:
    return "(" + ", ".join(f"'{state}'" for state in sorted(states)) + ")"


# A newer opposite order that is due comes first, and cancels this one when it is sent. Not before: it may still turn
# out not to be wanted, and then this one is.
_NEWER_OPPOSITE: Final = (
    "EXISTS (SELECT 1 FROM access_orders AS n WHERE n.shard = 0 AND n.line = o.line AND n.service = o.service"  # noqa: S608  # constants
    " AND n.switch = o.switch AND n.id > o.id AND n.action <> o.action AND n.due_at <= ?"
    f" AND n.state IN {_one_of(_IN_FORCE)})"
)


_TO_GO: Final = _one_of({State.PLANNED, State.SENT})  # of what was sent, that which was sent ahead has a next_at


def next_id(cx: sqlite3.Connection) -> int:
    """The number of the next order."""
    (last,) = cx.execute("SELECT coalesce(max(id), 0) FROM access_orders WHERE shard = 0").fetchone()
    return int(last) + 1


def insert(cx: sqlite3.Connection, order: Order) -> None:
    """Write a new order."""
    values = (*(getattr(order, name) for name in _OWN), *(getattr(order.target, name) for name in _TARGET))
    cx.execute(f"INSERT INTO access_orders (shard, {_COLUMNS}) VALUES (0, {_MARKS})", values)  # noqa: S608  # names of columns


def update(cx: sqlite3.Connection, order: Order) -> Order:
    """Write what became of an order."""
    values = (*(getattr(order, name) for name in _CHANGING), order.id)
    cx.execute(f"UPDATE access_orders SET {_ASSIGNMENTS} WHERE shard = 0 AND id = ?", values)  # noqa: S608  # names of columns
    return order


def order_of(cx: sqlite3.Connection, number: int) -> Order | None:
    """The order of a number."""
    found = _orders(cx, "AND id = ?", number)
    return found[0] if found else None


def listed(
    cx: sqlite3.Connection,
    *,
    account: str | None = None,
    states: Sequence[State] = (),
    before: int | None = None,
    limit: int = 100,
) -> list[Order]:
    """Orders of an account (None: of all) in some states (none: in any), the newest first, older than an id."""
    where, values = "", list[str | int]()
    if account is not None:
        where += " AND account = ?"
        values.append(account)
    if before is not None:
        where += " AND id < ?"
        values.append(before)
    if states:
        where += f" AND state IN {_one_of(states)}"
    return _orders(cx, f"{where} ORDER BY id DESC LIMIT ?", *values, limit)


def latest_of(cx: sqlite3.Connection, account: str, target: Target) -> Order | None:
    """The newest order of an account's target that is not cancelled."""
    sql = f"AND {_SAME_TARGET} AND account = ? AND state <> '{State.CANCELLED}' ORDER BY id DESC LIMIT 1"
    found = _orders(cx, sql, *_place(target), account)
    return found[0] if found else None


def not_sent(cx: sqlite3.Connection, account: str, target: Target) -> list[Order]:
    """The orders of an account's target that wait to be sent for the first time, the oldest first."""
    sql = f"AND {_SAME_TARGET} AND account = ? AND state IN {_one_of(NOT_SENT)} ORDER BY id"
    return _orders(cx, sql, *_place(target), account)


def may_bar(cx: sqlite3.Connection, account: str, target: Target, now: int) -> Order | None:
    """The bar that may have reached the switch of an account's target, unless a restore went after it or is due: what
    has to be restored for the target to be free."""
    sql = f"AND {_SAME_TARGET} AND account = ? AND sent_at IS NOT NULL ORDER BY sent_at DESC, id DESC LIMIT 1"
    found = _orders(cx, sql, *_place(target), account)
    is_bar = bool(found) and found[0].action is Action.BAR
    return found[0] if is_bar and not in_force(cx, target, Action.RESTORE, now) else None


def caused_by(cx: sqlite3.Connection, account: str, cause: str) -> list[Order]:
    """The orders of an account that one cause called for, the oldest first."""
    return _orders(cx, "AND account = ? AND cause = ? ORDER BY id", account, cause)


def open_of(cx: sqlite3.Connection, target: Target) -> list[Order]:
    """The orders of a target for which something is still to be done, the oldest first."""
    return _orders(cx, f"AND {_SAME_TARGET} AND state IN {_one_of(OPEN)} ORDER BY id", *_place(target))


def in_force(cx: sqlite3.Connection, target: Target, action: Action, now: int) -> list[Order]:
    """The orders of a target that are due or on their way, the oldest first."""
    sql = f"AND {_SAME_TARGET} AND action = ? AND due_at <= ? AND state IN {_one_of(_IN_FORCE)} ORDER BY id"
    return _orders(cx, sql, *_place(target), action, now)


def open_older(cx: sqlite3.Connection, order: Order, now: int) -> list[Order]:
    """The orders opposite to one, and older, that are due or held, the oldest first."""
    sql = f"AND {_SAME_TARGET} AND id < ? AND action = ? AND due_at <= ? AND state IN {_one_of(OPEN)} ORDER BY id"
    return _orders(cx, sql, *_place(order.target), order.id, order.action.opposite, now)


def has_newer_opposite(cx: sqlite3.Connection, order: Order, now: int) -> bool:
    """Whether a newer opposite order comes before this one."""
    return bool(_orders(cx, f"AND id = ? AND {_NEWER_OPPOSITE}", order.id, now))


def ever_sent(cx: sqlite3.Connection, target: Target) -> list[Order]:
    """Every order of a target that was sent, and every one that such an order replaced, the oldest first."""
    return _orders(
        cx, f"AND {_SAME_TARGET} AND (sent_at IS NOT NULL OR replaced_by IS NOT NULL) ORDER BY id", *_place(target)
    )


def due(
    cx: sqlite3.Connection, switch: str, now: int, begun: Collection[int], limit: int, looks: int
) -> tuple[list[Order], int | None]:
    """The orders to be acted on at a switch but those that are begun, at most so many: first what has not gone out yet,
    then at most `looks` others; of each the longest waiting first, and none that a newer opposite one comes before.
    And when the next order falls due, after now."""
    # As few different statements as will do: SQLite keeps them compiled. No order has the number 0.
    padded = [*begun, *[0] * (_MARKS_AT_ONCE - len(begun) % _MARKS_AT_ONCE)]
    marks = ", ".join("?" for _ in padded)
    where = f"AND switch = ? AND next_at <= ? AND id NOT IN ({marks}) AND NOT {_NEWER_OPPOSITE}"
    values: list[str | int] = [switch, now, *padded, now]
    sql = f"{where} AND state {{}} {_TO_GO} ORDER BY next_at, id LIMIT ?"
    found = _orders(cx, sql.format("IN"), *values, limit)
    looks = min(looks, limit - len(found))
    if looks:
        found += _orders(cx, sql.format("NOT IN"), *values, looks)
    (at,) = cx.execute(
        "SELECT min(next_at) FROM access_orders WHERE switch = ? AND next_at > ?", (switch, now)
    ).fetchone()
    return found, at


def unserved(cx: sqlite3.Connection, switches: Sequence[str], now: int, limit: int) -> list[Order]:
    """Orders that are due at other switches than these, and say nothing of it yet."""
    others = f" AND switch NOT IN ({', '.join('?' for _ in switches)})" if switches else ""
    where = f"AND next_at <= ?{others} AND words IS NULL ORDER BY next_at LIMIT ?"
    return _orders(cx, where, now, *switches, limit)


def serve(cx: sqlite3.Connection, most_sent: Mapping[str, int]) -> None:
    """From now on these switches are served, and no others; each may have so many orders in the state `sent` for a new
    one to be sent ahead."""
    cx.execute("DELETE FROM access_served")
    cx.executemany("INSERT INTO access_served VALUES (?, ?)", most_sent.items())


def has_room(cx: sqlite3.Connection, switch: str) -> bool:
    """Whether a new order of a switch may be sent ahead."""
    sql = (
        "SELECT (SELECT count(*) FROM access_orders WHERE switch = ?1 AND state = 'sent') < most_sent"
        " FROM access_served WHERE switch = ?1"
    )
    found = cx.execute(sql, (switch,)).fetchone()
    return bool(found and found[0])


def sent_unanswered(cx: sqlite3.Connection) -> list[Order]:
    """The orders in the state `sent`, the oldest first."""
    return _orders(cx, f"AND state = '{State.SENT}' ORDER BY id")


def _place(target: Target) -> tuple[str, str, str]:
    return target.line, target.service, target.switch


def _orders(cx: sqlite3.Connection, where: str, *values: str | int) -> list[Order]:
    return [_order(row) for row in cx.execute(f"{_SELECT} {where}", values)]


def _order(row: tuple[str | int | None, ...]) -> Order:
    fields = dict(zip((*_OWN, *_TARGET), row, strict=True))
    target = {name: fields.pop(name) for name in _TARGET}
    return msgspec.convert({**fields, "target": target}, Order)
