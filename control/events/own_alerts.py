"""The alerts that customers prescribe for themselves: account events on the own account that tell its contact, and do
nothing else."""

import sqlite3
from typing import Final

import msgspec

from control.alerts.alert import State
from control.events import event_rows
from control.events.definition import Condition, EventDefinition, Fixed
from control.events.event_rows import StoredEvent
from control.users.roles import Role

MOST: Final = 20
"""Of one account: each is looked at with every call."""


class OwnAlert(msgspec.Struct, frozen=True):
    """One of them, with what became of it."""

    event: StoredEvent
    fired_at: int | None
    """When it came true last, µs UTC."""
    sent_at: int | None
    """When the account's contact was told of it last."""


def is_own(definition: EventDefinition, account: str) -> bool:
    """Whether an account event has one fixed threshold on this account alone, and tells nobody but its contact. What
    staff have made more of is theirs."""
    return (
        type(definition.when) is Condition
        and type(definition.when.threshold) is Fixed
        and definition.accounts.numbers == (account,)
        and not definition.respond
        and all(alert.to is None for alert in definition.alert)
    )


def of_account(cx: sqlite3.Connection, account: str) -> list[OwnAlert]:
    """What the customers of an account have prescribed and not deleted, by id."""
    rows = cx.execute(
        "SELECT id FROM account_events WHERE state <> 'deleted' AND created_by IN"
        " (SELECT name FROM users WHERE role = ? AND account = ?) ORDER BY id",
        (Role.CUSTOMER, account),
    )
    events = [event for (number,) in rows.fetchall() if (event := event_rows.event_by_id(cx, number)) is not None]
    sent = _last_sent(cx, account)
    return [
        OwnAlert(event, _last_fired(cx, event.id), sent.get(event.id))
        for event in events
        if is_own(event.definition, account)
    ]


def _last_fired(cx: sqlite3.Connection, event: int) -> int | None:
    sql = "SELECT max(fired_at) FROM firings WHERE shard = 0 AND event = ?"
    at: int | None = cx.execute(sql, (event,)).fetchone()[0]
    return at


def _last_sent(cx: sqlite3.Connection, account: str) -> dict[int, int]:
    rows = cx.execute(
        "SELECT event, max(sent_at) FROM alerts JOIN firings ON firings.shard = 0 AND firings.id = alerts.firing"
        " WHERE alerts.shard = 0 AND alerts.account = ? AND alerts.state = ? GROUP BY event",
        (account, State.SENT),
    )
    return dict(rows.fetchall())
