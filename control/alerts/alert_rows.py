"""The SQL of the outbox. What changes it runs in a store transaction of the caller's; every change of state is here,
and says from which states it may come."""

import sqlite3
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from control.alerts.alert import CONTACTS, NOT_SENT_YET, PROVIDER, Alert, Medium, Occasion, State, contact_of, key_of
from rating.account import Account

_COLUMNS: Final = ", ".join(Alert.__struct_fields__)
_TO_MAIL: Final = f"state = '{State.WAITING}' AND medium = '{Medium.EMAIL}' AND (? OR recipient <> '{PROVIDER}')"

_facts: Final = msgspec.json.Decoder(Occasion)
_encode: Final = msgspec.json.Encoder().encode


def queue(
    cx: sqlite3.Connection,
    account: Account,
    occasion: Occasion,
    *,
    by: Medium,
    to: str | None,
    cause: str,
    now: int,
    firing: int | None = None,
) -> int | None:
    """Put an alert into the outbox, in the transaction of what it tells; its id, or None if it is there already.

    `to` is an address, `PROVIDER`, or None for the account's own contact. `cause` is what calls for it, see `key_of`.
    """
    recipient = to if to is not None else contact_of(account, by) or ""
    key = key_of(cause, occasion, by, recipient)
    state, words = State.WAITING, "" if by is Medium.EMAIL else NOT_SENT_YET
    if not recipient:
        state, words = State.DROPPED, _nobody(account, by)
    (last,) = cx.execute("SELECT coalesce(max(id), 0) FROM alerts").fetchone()
    added = cx.execute(
        "INSERT INTO alerts"
        " (shard, tries, id, key, medium, recipient, account, firing, facts, state, at, due_at, words)"
        " VALUES (0, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (shard, key) DO NOTHING",
        (last + 1, key, by, recipient, account.account, firing, _encode(occasion).decode(), state, now, now, words),
    ).rowcount
    return int(last) + 1 if added else None


def due(cx: sqlite3.Connection, now: int, limit: int, *, provider: bool) -> list[Alert]:
    """Alerts to be sent by mail now, the longest due first; the provider's only if it is known where those go."""
    rows = cx.execute(
        f"SELECT {_COLUMNS} FROM alerts WHERE {_TO_MAIL} AND due_at <= ? ORDER BY due_at, id LIMIT ?",  # noqa: S608  # names of columns, no values
        (provider, now, limit),
    )
    return _alerts(rows)


def next_due_at(cx: sqlite3.Connection, *, provider: bool) -> int | None:
    """When the next alert is to be sent by mail; None if none waits."""
    (due_at,) = cx.execute(f"SELECT min(due_at) FROM alerts WHERE {_TO_MAIL}", (provider,)).fetchone()  # noqa: S608  # names of columns, no values
    return None if due_at is None else int(due_at)


def begin_sending(cx: sqlite3.Connection, number: int) -> Alert | None:
    """Mark an alert as being handed over: from here on it may have gone out. None if it is not to be sent any more."""
    if not _change(cx, number, (State.WAITING,), state=State.SENDING):
        return None
    return get(cx, number)


def set_sent(cx: sqlite3.Connection, number: int, now: int, words: str) -> bool:
    """The mail server has taken it."""
    return _tried(cx, number, (State.SENDING,), state=State.SENT, sent_at=now, words=words)


def set_unknown(cx: sqlite3.Connection, number: int, words: str) -> bool:
    """It was handed over, and nobody knows whether it was taken."""
    return _tried(cx, number, (State.SENDING,), state=State.UNKNOWN, words=words)


def set_failed(cx: sqlite3.Connection, number: int, words: str) -> bool:
    """It is not taken, and will not be."""
    return _tried(cx, number, (State.WAITING, State.SENDING), state=State.FAILED, words=words)


def postpone(cx: sqlite3.Connection, number: int, due_at: int, words: str) -> bool:
    """It was not taken, for certain, and is tried again at `due_at`."""
    states = (State.WAITING, State.SENDING)
    return _tried(cx, number, states, state=State.WAITING, due_at=due_at, words=words)


def set_interrupted(cx: sqlite3.Connection, words: str) -> int:
    """After a restart, before anything is sent: what was being handed over has an unknown end. How many."""
    return cx.execute(
        "UPDATE alerts SET state = ?, tries = tries + 1, words = ? WHERE state = ?",
        (State.UNKNOWN, words, State.SENDING),
    ).rowcount


def get(cx: sqlite3.Connection, number: int) -> Alert | None:
    """One alert."""
    found = _alerts(cx.execute(f"SELECT {_COLUMNS} FROM alerts WHERE id = ?", (number,)))  # noqa: S608  # names of columns, no values
    return found[0] if found else None


def alerts(
    cx: sqlite3.Connection,
    *,
    limit: int,
    before: int | None = None,
    account: str | None = None,
    state: State | None = None,
    firing: int | None = None,
) -> list[Alert]:
    """The newest alerts first, at most `limit` of them; of those before the alert `before`, if it is given."""
    given = {"id < ?": before, "account = ?": account, "state = ?": state, "firing = ?": firing}
    conditions = {condition: value for condition, value in given.items() if value is not None}
    where = " AND ".join(("shard = 0", *conditions))
    return _alerts(
        cx.execute(
            f"SELECT {_COLUMNS} FROM alerts WHERE {where} ORDER BY id DESC LIMIT ?",  # noqa: S608  # names of columns, no values
            (*conditions.values(), limit),
        )
    )


def _tried(cx: sqlite3.Connection, number: int, states: tuple[State, ...], **values: Any) -> bool:
    return _change(cx, number, states, "tries = tries + 1", **values)


def _change(cx: sqlite3.Connection, number: int, states: tuple[State, ...], *more: str, **values: Any) -> bool:
    """Set columns of an alert that is in one of some states; whether it was."""
    assignments = ", ".join((*(f"{name} = ?" for name in values), *more))
    among = ", ".join("?" * len(states))
    changed = cx.execute(
        f"UPDATE alerts SET {assignments} WHERE id = ? AND state IN ({among})",  # noqa: S608  # names of columns, no values
        (*values.values(), number, *states),
    )
    return changed.rowcount == 1


def _nobody(account: Account, medium: Medium) -> str:
    column = CONTACTS.get(medium)
    if column is None:
        return f"the account event names no address for the {medium}: give it `to`"
    return f"account {account.account} has no {column}: import accounts.csv with one"


def _alerts(rows: Iterable[tuple[Any, ...]]) -> list[Alert]:
    return [
        Alert(
            id=number,
            key=key,
            medium=Medium(medium),
            recipient=recipient,
            account=account,
            firing=firing,
            facts=_facts.decode(facts),
            state=State(state),
            tries=tries,
            at=at,
            due_at=due_at,
            sent_at=sent_at,
            words=words,
        )
        for number, key, medium, recipient, account, firing, facts, state, tries, at, due_at, sent_at, words in rows
    ]
