"""The SQL of account events and firings. What changes them runs in a store transaction of the caller's."""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from control.events.definition import EventDefinition, as_json
from control.events.definition_json import parse_event
from control.events.evaluation import instant_text
from control.events.firings import Fired, Firings, Mark
from rating.account import Account
from rating.cdr import MICROS

State = Literal["active", "paused", "deleted"]

_EVENT: Final = "id, definition, state, created_by, created_at, changed_at, last_checked_at, checked_id, next_check_at"
_FIRING: Final = "id, event, account, period_start, period_end, threshold, fired_at, transaction_id, late, trace"


class StoredEvent(msgspec.Struct, frozen=True):
    """An account event with what became of it."""

    id: int
    definition: EventDefinition
    state: State
    created_by: str
    created_at: int
    changed_at: int
    last_checked_at: int | None = None
    """Of one that is not checked continuously."""
    checked_id: int = 0
    """The last transaction that a check has seen."""
    next_check_at: int | None = None


class StoredFiring(msgspec.Struct, frozen=True):
    """A firing as it was written."""

    id: int
    event: int
    account: str
    period_start: int
    period_end: int
    threshold: str
    fired_at: int
    transaction: int | None
    late: bool
    trace: str
    """JSON."""


def next_check(definition: EventDefinition, now: int, default_s: int) -> int | None:
    """When an event is checked next (µs UTC), if it was just made or checked; None if it is looked at continuously.
    `default_s` is the site's interval. One that is checked once has its own instant, past or not."""
    check = definition.check
    match check.how:
        case "every":
            return now + (check.every_s or default_s) * MICROS
        case "once":
            return check.once_at
    return None


def insert_event(
    cx: sqlite3.Connection, definition: EventDefinition, actor: str, now: int, default_s: int
) -> StoredEvent:
    """Add an event, active from now on."""
    (last,) = cx.execute("SELECT coalesce(max(id), 0) FROM account_events").fetchone()
    event = StoredEvent(
        last + 1, definition, "active", actor, now, now, next_check_at=next_check(definition, now, default_s)
    )
    cx.execute(
        "INSERT INTO account_events (id, name, definition, state, created_by, created_at, changed_at, next_check_at)"
        " VALUES (?, ?, ?, 'active', ?, ?, ?, ?)",
        (event.id, definition.name, _text(definition), actor, now, now, event.next_check_at),
    )
    return event


def change_event(
    cx: sqlite3.Connection, event: int, definition: EventDefinition, now: int, default_s: int
) -> StoredEvent:
    """Prescribe something else. Firings stay: it does not fire again for a threshold that it has fired for."""
    cx.execute(
        "UPDATE account_events SET name = ?, definition = ?, changed_at = ?, checked_id = 0, next_check_at = ?"
        " WHERE id = ?",
        (definition.name, _text(definition), now, next_check(definition, now, default_s), event),
    )
    changed = event_by_id(cx, event)
    assert changed is not None
    return changed


def set_state(cx: sqlite3.Connection, event: int, state: State, now: int) -> None:
    """Pause an event, take it up again, or delete it (its firings stay)."""
    cx.execute("UPDATE account_events SET state = ?, changed_at = ? WHERE id = ?", (state, now, event))


def set_checked(cx: sqlite3.Connection, event: int, now: int, checked_id: int, next_check_at: int | None) -> None:
    """Note that a check has seen every transaction up to `checked_id`."""
    cx.execute(
        "UPDATE account_events SET last_checked_at = ?, checked_id = ?, next_check_at = ? WHERE id = ?",
        (now, checked_id, next_check_at, event),
    )


def event_by_id(cx: sqlite3.Connection, event: int) -> StoredEvent | None:
    """An event, deleted or not."""
    row = cx.execute(f"SELECT {_EVENT} FROM account_events WHERE id = ?", (event,)).fetchone()  # noqa: S608  # names of columns, no values
    return _event(row) if row else None


def list_events(cx: sqlite3.Connection, *, after: int = 0, limit: int = -1) -> list[StoredEvent]:
    """The events that are not deleted, by id."""
    rows = cx.execute(
        f"SELECT {_EVENT} FROM account_events WHERE state <> 'deleted' AND id > ? ORDER BY id LIMIT ?",  # noqa: S608  # names of columns, no values
        (after, limit),
    )
    return [_event(row) for row in rows]


def active_events(cx: sqlite3.Connection) -> list[StoredEvent]:
    """The events in force, by id."""
    return [event for event in list_events(cx) if event.state == "active"]


def due_events(cx: sqlite3.Connection, now: int) -> list[StoredEvent]:
    """The events in force whose next check has come, the longest overdue first."""
    rows = cx.execute(
        f"SELECT {_EVENT} FROM account_events WHERE state = 'active' AND next_check_at <= ?"  # noqa: S608  # names of columns, no values
        " ORDER BY next_check_at, id",
        (now,),
    )
    return [_event(row) for row in rows]


def next_due_at(cx: sqlite3.Connection) -> int | None:
    """When the next check falls due (µs UTC)."""
    sql = "SELECT min(next_check_at) FROM account_events WHERE state = 'active' AND next_check_at IS NOT NULL"
    at: int | None = cx.execute(sql).fetchone()[0]
    return at


def write_firings(cx: sqlite3.Connection, firings: Firings) -> list[tuple[int, Fired]]:
    """Write what fired; those that are new, with their ids."""
    written = []
    for fired in firings.fired:
        (number,) = cx.execute("SELECT coalesce(max(id), 0) + 1 FROM firings").fetchone()
        there = cx.execute(
            "INSERT INTO firings (id, shard, event, account, period_start, period_end, threshold, fired_at,"
            " transaction_id, late, trace) VALUES (?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                number, fired.event, fired.account, fired.period_start, fired.period_end, fired.threshold,
                fired.fired_at, fired.transaction, fired.late, msgspec.json.encode(fired.trace).decode(),
            ),
        )  # fmt: skip
        if there.rowcount:
            written.append((number, fired))
    cx.executemany(
        "INSERT INTO firing_periods (shard, event, account, period_start, threshold) VALUES (0, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        firings.marks,
    )
    return written


def list_firings(
    cx: sqlite3.Connection, account: str | None = None, *, before: int | None = None, limit: int = -1
) -> list[StoredFiring]:
    """What fired, of an account or of all, the newest first; of those with ids below `before`."""
    where, values = ["shard = 0"], list[int | str]()
    if account is not None:
        where.append("account = ?")
        values.append(account)
    if before is not None:
        where.append("id < ?")
        values.append(before)
    rows = cx.execute(
        f"SELECT {_FIRING} FROM firings WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?",  # noqa: S608  # names of columns, no values
        (*values, limit),
    )
    return [_firing(*row) for row in rows]


def marks_of(cx: sqlite3.Connection, events: Iterable[int]) -> list[Mark]:
    """Everything for which some events do not fire again, in the order in which they fired."""
    wanted = set(events)
    rows = cx.execute(
        "SELECT event, account, period_start, threshold FROM firings WHERE shard = 0 ORDER BY id"
    ).fetchall()
    rows += cx.execute("SELECT event, account, period_start, threshold FROM firing_periods WHERE shard = 0").fetchall()
    return [Mark(*row) for row in rows if row[0] in wanted]


def opened_at(cx: sqlite3.Connection, accounts: Mapping[str, Account]) -> dict[str, int]:
    """When each account was imported (µs UTC), by the texts of `accounts`; equal instants are one."""
    same: dict[int, int] = {}
    rows = cx.execute("SELECT account, opened_at FROM accounts WHERE shard = 0")
    return {known.account if (known := accounts.get(n)) else n: same.setdefault(at, at) for n, at in rows}


def event_json(event: StoredEvent) -> dict[str, object]:
    """An event as the API shows it: the contract's JSON, with what became of it."""
    return {
        "id": event.id,
        **as_json(event.definition),
        "state": event.state,
        "created_by": event.created_by,
        "created_at": instant_text(event.created_at),
        "changed_at": instant_text(event.changed_at),
        "last_checked_at": None if event.last_checked_at is None else instant_text(event.last_checked_at),
        "next_check_at": None if event.next_check_at is None else instant_text(event.next_check_at),
    }


def _text(definition: EventDefinition) -> str:
    return msgspec.json.encode(as_json(definition)).decode()


def _event(row: tuple[int, str, State, str, int, int, int | None, int, int | None]) -> StoredEvent:
    number, text, *others = row
    return StoredEvent(number, parse_event(msgspec.json.decode(text)), *others)  # type: ignore[arg-type]  # mypy loses the kinds of a starred rest


def _firing(
    number: int,
    event: int,
    account: str,
    period_start: int,
    period_end: int,
    threshold: str,
    fired_at: int,
    transaction: int | None,
    late: int,
    trace: str,
) -> StoredFiring:
    return StoredFiring(
        number, event, account, period_start, period_end, threshold, fired_at, transaction, bool(late), trace
    )
