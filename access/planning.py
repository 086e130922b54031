"""What may be done with access orders, each as a part of the caller's store transaction.

plan, hold, release, cancel and retry are control's; send, change, withdraw, lose and recover are the dispatcher's.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final

from access import holding_rows, order_rows, orders
from access.orders import NOT_SENT, RETRIED, Action, Order, State
from access.target import Target

UNDONE: Final = "a bar that is not wanted any more may have been carried out"


def plan(
    cx: sqlite3.Connection,
    *,
    account: str,
    target: Target,
    action: Action,
    reason: str,
    cause: str,
    now: int,
    due_at: int | None = None,
    held: str | None = None,
) -> Order:
    """Write a new order, due now unless `due_at` says otherwise; with words in `held` it waits for a person. If nothing
    else is to be done for its target, and its switch has room for it, it is sent ahead: `sent` is written already, and
    the command goes out after the commit without waiting for another."""
    due = now if due_at is None else due_at
    others = order_rows.open_of(cx, target)
    in_its_way = [o for o in others if o.action is not action and o.due_at <= now and o.state is not State.HELD]
    order = Order(
        id=order_rows.next_id(cx),
        account=account,
        target=target,
        action=action,
        reason=reason,
        cause=cause,
        state=State.PLANNED,
        planned_at=now,
        due_at=due,
        next_at=due,
        supersedes=in_its_way[-1].id if in_its_way else None,
    )
    if held is not None:
        order = orders.held(order, held, now)
    elif due <= now and not others and order_rows.has_room(cx, target.switch):
        order = orders.sent_ahead(order, now)
        holding_rows.give_way(cx, order)
    order_rows.insert(cx, order)
    return order


def hold(cx: sqlite3.Connection, numbers: Iterable[int], words: str, now: int) -> list[Order]:
    """Let planned orders wait for a person; those that were planned."""
    found = _in_state(cx, numbers, {State.PLANNED})
    return [order_rows.update(cx, orders.held(order, words, now)) for order in found]


def release(cx: sqlite3.Connection, numbers: Iterable[int], words: str, now: int) -> list[Order]:
    """Let held orders go; those that were held."""
    found = _in_state(cx, numbers, {State.HELD})
    return [order_rows.update(cx, orders.released(order, words, now)) for order in found]


def cancel(cx: sqlite3.Connection, numbers: Iterable[int], words: str, now: int) -> list[Order]:
    """Cancel orders that were not sent yet: those that were, and restores that this calls for. What was sent is undone
    by planning the opposite."""
    found = _in_state(cx, numbers, NOT_SENT)
    changed = [order_rows.update(cx, orders.cancelled(order, words, now)) for order in found]
    return changed + [undoing for order in found for undoing in _undo(cx, order, now)]


def send(cx: sqlite3.Connection, before: Order, now: int) -> list[Order]:
    """Write that an order goes out, and cancel the older opposite ones of its target: the orders that changed, it
    first. [] if it is no longer what it was, or a newer opposite one comes before it."""
    if order_rows.order_of(cx, before.id) != before or order_rows.has_newer_opposite(cx, before, now):
        return []
    order = order_rows.update(cx, orders.sent(before, now))
    holding_rows.give_way(cx, order)
    older = order_rows.open_older(cx, order, now)
    return [order, *(order_rows.update(cx, orders.replaced(each, order.id, now)) for each in older)]


def change(cx: sqlite3.Connection, before: Order, after: Order) -> list[Order]:
    """Write what became of an order: it; [] if it is no longer what it was."""
    if order_rows.order_of(cx, before.id) != before:
        return []
    if after.holds_since is not None:
        holding_rows.give_way(cx, after)
    return [order_rows.update(cx, after)]


def withdraw(cx: sqlite3.Connection, before: Order, words: str, now: int) -> list[Order]:
    """Cancel an order that is not wanted any more, wherever it stands, and plan to undo a bar that may have been
    carried out: the orders that changed, it first. [] if it is no longer what it was."""
    if order_rows.order_of(cx, before.id) != before:
        return []
    return [order_rows.update(cx, orders.cancelled(before, words, now)), *_undo(cx, before, now)]


def lose(cx: sqlite3.Connection, number: int, words: str, now: int, chance: float) -> list[Order]:
    """A bar was found not to hold: take it up again, and write that into its history: it; [] if it is not the one that
    holds its target any more, or is to be given back."""
    order = order_rows.order_of(cx, number)
    if order is None or order.holds_since is None or order_rows.in_force(cx, order.target, Action.RESTORE, now):
        return []
    holding_rows.remark(cx, number, f"did not hold any more: {words}", now)
    return [order_rows.update(cx, orders.lost(order, words, now, chance))]


def retry(cx: sqlite3.Connection, number: int, words: str, now: int) -> list[Order]:
    """Have an order that failed sent again, or one whose end is unknown looked at now; `words` say who wants it: the
    order; [] if it is neither, or another of its target came after it."""
    order = order_rows.order_of(cx, number)
    if order is None or order.state not in RETRIED:
        return []
    if order_rows.latest_of(cx, order.account, order.target) != order:
        return []
    was = f"{words}; it was {order.state}: {order.words}"
    holding_rows.remark(cx, number, was, now)
    return [order_rows.update(cx, orders.retried(order, words, now))]


def recover(cx: sqlite3.Connection, most_sent: Mapping[str, int], now: int) -> list[Order]:
    """Take up what the program that ran before had sent, and had not written the answer of; from now on `plan` sends
    orders ahead to the switches of `most_sent`, as long as each has fewer that are sent."""
    order_rows.serve(cx, most_sent)
    return [order_rows.update(cx, orders.recovered(order, now)) for order in order_rows.sent_unanswered(cx)]


def _in_state(cx: sqlite3.Connection, numbers: Iterable[int], states: Iterable[State]) -> list[Order]:
    found = (order_rows.order_of(cx, number) for number in numbers)
    return [order for order in found if order is not None and order.state in states]


def _undo(cx: sqlite3.Connection, order: Order, now: int) -> list[Order]:
    """A restore, planned, if the last bar of a target was cancelled and the switch may have carried one out since it
    was last known to be free, or to be barred rightly."""
    target = order.target
    if order.action is Action.RESTORE:
        return []
    if any(order_rows.in_force(cx, target, action, now) for action in Action):
        return []  # what is still on its way says how the target ends
    if not _is_left_barred(order_rows.ever_sent(cx, target)):
        return []
    return [
        plan(cx, account=order.account, target=target, action=Action.RESTORE, reason=UNDONE, cause=f"order {order.id}",
             now=now)
    ]  # fmt: skip


def _is_left_barred(history: list[Order]) -> bool:
    """Whether a target may be barred by a bar that was cancelled."""
    known = max((order for order in history if order.confirmed_at is not None), key=_confirmed_at, default=None)
    since = _confirmed_at(known) if known else 0
    bars = (order for order in history if order.action is Action.BAR and order.state is State.CANCELLED)
    dropped = {bar.id for bar in bars if bar.sent_at is not None and bar.sent_at >= since}
    if known is None or known.action is Action.RESTORE:
        return bool(dropped)
    # It was barred rightly, unless one of the bars that were dropped had taken the place of a restore.
    return any(order.replaced_by in dropped and (order.ended_at or 0) >= since for order in history)


def _confirmed_at(order: Order) -> int:
    return order.confirmed_at or 0
