"""How things stand when an alert is sent, read in the transaction that marks it: its text says what is true then."""

import sqlite3
from collections.abc import Callable, Iterable

import msgspec

from control.alerts.alert import Alert
from rating.account import Account
from rating.store.provisioning import ACCOUNT_COLUMNS


class OrderNow(msgspec.Struct, frozen=True):
    """An access order that a firing called for, as it stands."""

    do: str
    """bar or restore."""
    service: str
    line: str
    state: str
    """planned, held, sent, acknowledged, refused, unknown, confirmed, cancelled or failed."""
    until: str = ""
    """Of a bar: what gives the service back: cleared, period-end or restored; empty if nothing bars it any more."""


class Situation(msgspec.Struct, frozen=True):
    """What a text is made of besides the alert's own facts."""

    account: Account
    orders: tuple[OrderNow, ...] = ()


OrdersOf = Callable[[sqlite3.Connection, Alert], Iterable[OrderNow]]
"""The access orders that belong to an alert's firing."""


def situation_of(cx: sqlite3.Connection, alert: Alert, orders_of: OrdersOf) -> Situation:
    """How things stand for an alert's account."""
    row = cx.execute(
        f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE shard = 0 AND account = ?",  # noqa: S608  # names of columns, no values
        (alert.account,),
    ).fetchone()
    return Situation(Account.of(*row), tuple(orders_of(cx, alert)))
