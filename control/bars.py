"""Why services are barred: reasons that begin and end, and the access orders that follow from them.

A target is barred as long as one of its reasons is open. What begins the first plans the bar, what ends the last plans
the restore, each in the store transaction of what caused it.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

from access import order_rows, planning
from access.orders import Action, Order, State
from access.target import Target, TargetKey
from control.alerts import alert_rows
from control.alerts.alert import BarConfirmed, Medium
from control.alerts.findings import findings_of
from control.breaker import Breaker
from control.events import event_rows
from rating.account import Account, Line
from rating.store.provisioning import ACCOUNT_COLUMNS

Until = Literal["cleared", "period-end", "restored"]
REASON_FOR_THE_SWITCH: Final = "service suspended"
"""What a switch, and so perhaps a caller, is told: never why."""

_COLUMNS: Final = "id, account, switch, line, service, event, firing, actor, words, until, look_at, began_at"


class Reason(msgspec.Struct, frozen=True):
    """An open reason for a bar."""

    id: int
    account: str
    switch: str
    line: str
    service: str
    event: int | None
    firing: int | None
    """None where a person barred."""
    actor: str
    words: str
    until: Until
    look_at: int | None
    """When it is to be looked at again, µs UTC."""
    began_at: int

    @property
    def target(self) -> Target:
        """What it bars."""
        return Target(self.switch, self.line, self.service)


class Cause(msgspec.Struct, frozen=True):
    """Who or what bars."""

    actor: str
    words: str
    event: int | None = None
    firing: int | None = None
    until: Until = "restored"
    look_at: int | None = None

    @property
    def text(self) -> str:
        """As an order names its cause."""
        return f"by {self.actor}" if self.firing is None else cause_of(self.firing)


def cause_of(firing: int) -> str:
    """As the orders of a firing name their cause."""
    return f"firing {firing}"


def targets_of(lines: Iterable[Line], services: Sequence[str]) -> list[Target]:
    """What is barred of an account's lines when some services are (none: all); a line's row without a switch cannot
    be."""
    return list(
        dict.fromkeys(
            Target(line.switch, line.line, line.service)
            for line in lines
            if line.switch and (not services or line.service in services)
        )
    )


def begin(
    cx: sqlite3.Connection, account: str, targets: Iterable[Target], cause: Cause, breaker: Breaker, now: int
) -> list[Order]:
    """Bar targets for a cause; the orders that this took. What is barred already has one reason more; what a switch
    would not bar is ordered again, and what the breaker holds goes out if a person bars it."""
    planned = []
    for target in targets:
        already = _open_of(cx, target)
        (last,) = cx.execute("SELECT coalesce(max(id), 0) FROM bar_reasons").fetchone()
        cx.execute(
            f"INSERT INTO bar_reasons (shard, {_COLUMNS}) VALUES (0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  # names of columns
            (
                last + 1, account, target.switch, target.line, target.service, cause.event, cause.firing, cause.actor,
                cause.words, cause.until, cause.look_at, now,
            ),
        )  # fmt: skip
        if already and (latest := latest_of(cx, account, target)) is not None and latest.state is not State.FAILED:
            if latest.state is State.HELD and cause.firing is None:
                planned += planning.release(cx, [latest.id], f"released by {cause.actor}", now)
            continue
        held = breaker.asked(cx, now) if cause.firing is not None else None
        order = planning.plan(
            cx,
            account=account,
            target=target,
            action=Action.BAR,
            reason=REASON_FOR_THE_SWITCH,
            cause=cause.text,
            now=now,
            held=held,
        )
        planned.append(order)
    return planned


def end(cx: sqlite3.Connection, reasons: Iterable[Reason], words: str, now: int) -> list[Order]:
    """End reasons; the orders that changed or were planned, of targets that have none left. What is left of a firing's
    bars may be confirmed already: then it is told."""
    reasons = list(reasons)
    changed: list[Order] = []
    for reason in reasons:
        cx.execute("UPDATE bar_reasons SET ended_at = ?, ended_words = ? WHERE id = ?", (now, words, reason.id))
        if not _open_of(cx, reason.target):
            changed += _free(cx, reason.account, reason.target, words, now)
    for account, firing in dict.fromkeys((reason.account, reason.firing) for reason in reasons):
        if firing is not None:
            tell_confirmed(cx, account, firing, now)
    return changed


def free_by_hand(
    cx: sqlite3.Connection, account: str, targets: Iterable[Target], actor: str, words: str, now: int
) -> list[Order]:
    """Restore targets for a person, whatever barred them."""
    targets = list(targets)
    keys = {target.key for target in targets}
    reasons = [reason for reason in open_of_account(cx, account) if reason.target.key in keys]
    why = f"restored by {actor}: {words}"
    changed = end(cx, reasons, why, now)
    for target in targets:
        latest = latest_of(cx, account, target)
        if latest is not None and latest.action is Action.RESTORE and latest.state is State.FAILED:
            changed.append(_restore(cx, account, target, why, latest.cause, now))
    return changed


def look_again(cx: sqlite3.Connection, reasons: Iterable[Reason], at: int | None) -> None:
    """Look at reasons again at an instant."""
    cx.executemany("UPDATE bar_reasons SET look_at = ? WHERE id = ?", [(at, reason.id) for reason in reasons])


def open_of_account(cx: sqlite3.Connection, account: str) -> list[Reason]:
    """The open reasons of an account, the oldest first."""
    return _reasons(cx, "ended_at IS NULL AND account = ?", account)


def open_of_event(cx: sqlite3.Connection, event: int) -> list[Reason]:
    """The open reasons that an account event gave, the oldest first."""
    return _reasons(cx, "ended_at IS NULL AND event = ?", event)


def due(cx: sqlite3.Connection, now: int) -> list[Reason]:
    """Those whose time to be looked at has come."""
    return _reasons(cx, "ended_at IS NULL AND look_at IS NOT NULL AND look_at <= ?", now)


def next_look_at(cx: sqlite3.Connection) -> int | None:
    """When the next one is to be looked at."""
    sql = "SELECT min(look_at) FROM bar_reasons WHERE ended_at IS NULL AND look_at IS NOT NULL"
    at: int | None = cx.execute(sql).fetchone()[0]
    return at


def is_wanted(cx: sqlite3.Connection, order: Order) -> bool:
    """Whether an order still says what is meant: a bar for a target with an open reason, a restore for one without."""
    return bool(_open_of(cx, order.target)) == (order.action is Action.BAR)


def of_firing(cx: sqlite3.Connection, account: str, firing: int) -> list[Order]:
    """The orders that a firing called for."""
    return order_rows.caused_by(cx, account, cause_of(firing))


def firings_barring(cx: sqlite3.Connection, target: Target) -> list[int]:
    """The firings for which a target is barred, the oldest first."""
    return [reason.firing for reason in _open_of(cx, target) if reason.firing is not None]


def orders_behind(cx: sqlite3.Connection, account: str, firing: int) -> list[Order]:
    """The orders by which a firing's bars hold, or are to: its own, and those of others that had barred the same."""
    own = of_firing(cx, account, firing)
    known = {order.target.key for order in own}
    targets = dict.fromkeys(reason.target for reason in _of_firing(cx, firing) if reason.target.key not in known)
    others = (latest_of(cx, account, target) for target in targets)
    return own + [order for order in others if order is not None and order.action is Action.BAR]


def ways_back(cx: sqlite3.Connection, firing: int) -> dict[TargetKey, str]:
    """Until when a firing bars its targets."""
    return {reason.target.key: reason.until for reason in _of_firing(cx, firing)}


def are_confirmed(cx: sqlite3.Connection, account: str, firing: int) -> bool:
    """Whether of what a firing bars nothing is on its way any more, and a switch has confirmed some of it."""
    latest = [latest_of(cx, account, reason.target) for reason in _of_firing(cx, firing)]
    found = [order for order in latest if order is not None]
    confirmed = [order for order in found if order.action is Action.BAR and order.state is State.CONFIRMED]
    return bool(confirmed) and not any(order.is_open for order in found)


def tell_confirmed(cx: sqlite3.Connection, account: str, firing: int, now: int) -> None:
    """Queue the alerts that wait for a firing's bars, if these are confirmed; what is queued already stays so."""
    if not are_confirmed(cx, account, firing):
        return
    sql = "SELECT event, fired_at, trace FROM firings WHERE shard = 0 AND id = ?"
    event, fired_at, trace = cx.execute(sql, (firing,)).fetchone()
    stored = event_rows.event_by_id(cx, event)
    row = cx.execute(f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE shard = 0 AND account = ?", (account,)).fetchone()  # noqa: S608  # names of columns
    if stored is None or stored.state == "deleted" or row is None:
        return
    facts = BarConfirmed(stored.definition.name, fired_at, findings_of(msgspec.json.decode(trace)))
    for alert in stored.definition.alert:
        if alert.when == "confirmed":
            alert_rows.queue(
                cx, Account.of(*row), facts, by=Medium(alert.by), to=alert.to, cause=cause_of(firing), now=now,
                firing=firing,
            )  # fmt: skip


def latest_of(cx: sqlite3.Connection, account: str, target: Target) -> Order | None:
    """The newest order of a target that is not cancelled."""
    return order_rows.latest_of(cx, account, target)


def _of_firing(cx: sqlite3.Connection, firing: int) -> list[Reason]:
    return _reasons(cx, "ended_at IS NULL AND firing = ?", firing)


def _free(cx: sqlite3.Connection, account: str, target: Target, words: str, now: int) -> list[Order]:
    """Cancel the bars of a target that were not sent, and undo what may have reached the switch."""
    waiting = [order.id for order in order_rows.not_sent(cx, account, target) if order.action is Action.BAR]
    changed = planning.cancel(cx, waiting, words, now)
    bar = order_rows.may_bar(cx, account, target, now)
    return changed if bar is None else [*changed, _restore(cx, account, target, words, bar.cause, now)]


def _restore(cx: sqlite3.Connection, account: str, target: Target, words: str, cause: str, now: int) -> Order:
    return planning.plan(cx, account=account, target=target, action=Action.RESTORE, reason=words, cause=cause, now=now)


def _open_of(cx: sqlite3.Connection, target: Target) -> list[Reason]:
    return _reasons(
        cx, "ended_at IS NULL AND switch = ? AND line = ? AND service = ?", target.switch, target.line, target.service
    )


def _reasons(cx: sqlite3.Connection, where: str, *values: str | int) -> list[Reason]:
    rows = cx.execute(f"SELECT {_COLUMNS} FROM bar_reasons WHERE shard = 0 AND {where} ORDER BY id", values)  # noqa: S608  # constants; values are bound
    return [Reason(*row) for row in rows]
