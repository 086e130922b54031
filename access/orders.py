"""Access orders: their states, and what may follow on what, as a table and pure functions.

    planned ─▶ sent ─▶ acknowledged ─▶ confirmed
     ▲ ▼         ├───▶ refused ─▶ sent again … failed
     held        └───▶ unknown ─▶ confirmed, or sent again

An order that a newer opposite one replaces is cancelled, wherever it stands. A confirmed bar that does not hold any
more is unknown again; a failed order is planned again by a person.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from access.barring import Answer, Holding, Outcome, Verdict
from access.target import Target

SECOND_US: Final = 1_000_000
FIRST_WAIT_US: Final = SECOND_US
"""After an answer that did not come; doubled each time it fails again."""
FIRST_LOOK_US: Final = SECOND_US // 4
"""After a first look that found the order not carried out yet; doubled likewise."""
LONGEST_WAIT_US: Final = 60 * SECOND_US
JITTER: Final = 0.2
"""Of a wait, this part is chance: orders that failed together do not come back together."""
REFUSALS: Final = 4
"""So often is an order sent to a switch that refuses it."""
LOOKS_A_SENDING: Final = 4
"""After so many looks that found it not carried out, an acknowledged order is sent again."""
LASTING_US: Final = 600 * SECOND_US
"""A bar that held so long and then does not is taken up at once; the sooner it is lost, and the oftener, the later."""


class Action(StrEnum):
    """What an order is about."""

    BAR = "bar"
    RESTORE = "restore"

    @property
    def opposite(self) -> "Action":
        """What undoes it."""
        return Action.RESTORE if self is Action.BAR else Action.BAR


class State(StrEnum):
    """How far an order has come."""

    PLANNED = "planned"
    HELD = "held"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    FAILED = "failed"


FOLLOWS: Final[Mapping[State, frozenset[State]]] = {
    State.PLANNED: frozenset({State.HELD, State.SENT, State.CANCELLED}),
    State.HELD: frozenset({State.PLANNED, State.CANCELLED}),
    State.SENT: frozenset({State.ACKNOWLEDGED, State.REFUSED, State.UNKNOWN, State.CANCELLED}),
    State.ACKNOWLEDGED: frozenset({State.CONFIRMED, State.SENT, State.CANCELLED}),
    State.REFUSED: frozenset({State.SENT, State.CANCELLED, State.FAILED}),
    State.UNKNOWN: frozenset({State.CONFIRMED, State.SENT, State.CANCELLED}),
    State.CONFIRMED: frozenset({State.UNKNOWN}),
    State.CANCELLED: frozenset(),
    State.FAILED: frozenset({State.PLANNED}),
}
"""Which states may follow on a state."""

OPEN: Final = frozenset(State) - {State.CONFIRMED, State.CANCELLED, State.FAILED}
"""In these something is still to be done."""
NOT_SENT: Final = frozenset({State.PLANNED, State.HELD})
RETRIED: Final = frozenset({State.FAILED, State.UNKNOWN})
"""In these a person can have an order tried again."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A bar or a restore on its way to a switch. Instants are µs since 1970 UTC."""

    id: int
    account: str
    """Whose it is, as control names them: nothing here reads it."""
    target: Target
    action: Action
    reason: str
    """For the switch and the customer."""
    cause: str
    """Why there is this order, as control says it."""
    state: State
    planned_at: int
    due_at: int
    next_at: int | None
    """When to act on it next; None: not now (held, being sent), or never again. If it was sent ahead, until there is an
    answer."""
    held_at: int | None = None
    sent_at: int | None = None
    """The last time."""
    acknowledged_at: int | None = None
    """Of the last sending."""
    confirmed_at: int | None = None
    ended_at: int | None = None
    """When it was confirmed, cancelled or given up."""
    tries: int = 0
    """Times that it was sent."""
    refusals: int = 0
    checks: int = 0
    """Looks since it was planned that found it not carried out yet."""
    misses: int = 0
    """Questions and commands in a row that the switch did not answer."""
    words: str | None = None
    """The last answer, or why it ended."""
    supersedes: int | None = None
    """The opposite order that was open when this one was planned."""
    replaced_by: int | None = None
    """The opposite order that was sent in its place."""
    holds_since: int | None = None
    """When a bar was confirmed that is still what its target was told last; None: it is not, or is no bar."""
    losses: int = 0
    """Times in a row that it was found not to hold soon after it had been confirmed."""

    @property
    def is_open(self) -> bool:
        """Whether something is still to be done for it."""
        return self.state in OPEN

    @property
    def is_out(self) -> bool:
        """Whether it may have been carried out: then the switch is looked at before anything else is done."""
        return self.state in (State.ACKNOWLEDGED, State.UNKNOWN)

    @property
    def is_ahead(self) -> bool:
        """Whether `sent` was written when it was planned: only who commands the switch knows if it has gone out."""
        return self.state is State.SENT and self.next_at is not None


def held(order: Order, words: str, now: int) -> Order:
    """It waits for a person."""
    return _to(order, State.HELD, next_at=None, held_at=now, words=words)


def released(order: Order, words: str, now: int) -> Order:
    """A person let it go."""
    assert order.state is State.HELD, f"order {order.id} is {order.state}, not held"
    return _to(order, State.PLANNED, next_at=max(order.due_at, now), words=words)


def cancelled(order: Order, words: str, now: int) -> Order:
    """It is not wanted any more. One that was sent ahead has not gone out, or its target would be worked on."""
    return _ended(_taken_back(order), State.CANCELLED, words, now)


def replaced(order: Order, by: int, now: int) -> Order:
    """A newer opposite order goes out in its place; likewise."""
    return _ended(_taken_back(order), State.CANCELLED, f"order {by} replaced it", now, replaced_by=by)


def sent(order: Order, now: int) -> Order:
    """It goes out: written before it does, so that a program that is killed knows that it may have gone."""
    return _to(order, State.SENT, next_at=None, sent_at=now, acknowledged_at=None, tries=order.tries + 1, words=None)


def sent_ahead(order: Order, now: int) -> Order:
    """It goes out as soon as the transaction that plans it is committed."""
    return _changed(sent(order, now), next_at=now)


def answered(order: Order, answer: Answer, now: int, chance: float) -> Order:
    """The switch answered, or not. `chance` is in [0, 1)."""
    assert order.state is State.SENT, f"order {order.id} is {order.state}: there is nothing to be answered"
    match answer.outcome:
        case Outcome.ACKNOWLEDGED:
            return _to(
                order, State.ACKNOWLEDGED, next_at=now, acknowledged_at=now, refusals=0, misses=0, words=answer.words
            )
        case Outcome.REFUSED:
            wait = wait_us(FIRST_WAIT_US, order.refusals, chance)
            refused = _to(
                order, State.REFUSED, next_at=now + wait, refusals=order.refusals + 1, misses=0, words=answer.words
            )
            return refused if refused.refusals < REFUSALS else _ended(refused, State.FAILED, answer.words, now)
        case Outcome.UNKNOWN:
            wait = wait_us(FIRST_WAIT_US, order.misses, chance)
            return _to(order, State.UNKNOWN, next_at=now + wait, misses=order.misses + 1, words=answer.words)


def verified(order: Order, verdict: Verdict, now: int, chance: float) -> Order:
    """Somebody looked at the switch."""
    assert order.is_out, f"order {order.id} is {order.state}: there is nothing to verify"
    match verdict.state:
        case Holding.HOLDS:
            since = now if order.action is Action.BAR else None
            return _ended(order, State.CONFIRMED, verdict.words, now, confirmed_at=now, holds_since=since)
        case Holding.NOT_YET:
            wait = wait_us(FIRST_LOOK_US, order.checks, chance) if order.state is State.ACKNOWLEDGED else 0
            return _changed(order, next_at=now + wait, checks=order.checks + 1, misses=0, words=verdict.words)
        case Holding.UNKNOWN:
            wait = wait_us(FIRST_WAIT_US, order.misses, chance)
            return _changed(order, next_at=now + wait, misses=order.misses + 1, words=verdict.words)


def is_sent_again(order: Order, verdict: Verdict) -> bool:
    """Whether an order, as `verified` made it by this verdict, is to be sent again at once."""
    if verdict.state is not Holding.NOT_YET:
        return False
    return order.state is State.UNKNOWN or order.checks % LOOKS_A_SENDING == 0


def lost(order: Order, words: str, now: int, chance: float) -> Order:
    """A confirmed bar does not hold any more: it is looked at, and sent again; at once, unless that was so just now."""
    assert order.state is State.CONFIRMED, f"order {order.id} is {order.state}: it holds nothing that could be lost"
    assert order.holds_since is not None
    losses = order.losses + 1 if now - order.holds_since < LASTING_US else 1
    wait = wait_us(FIRST_WAIT_US, losses - 2, chance) if losses > 1 else 0
    return _to(
        order, State.UNKNOWN, next_at=now + wait, confirmed_at=None, ended_at=None, holds_since=None, losses=losses,
        misses=0, words=words,
    )  # fmt: skip


def retried(order: Order, words: str, now: int) -> Order:
    """A person has one that failed sent once more; one whose end is unknown is looked at now."""
    assert order.state in RETRIED, f"order {order.id} is {order.state}: it is not tried again"
    if order.state is State.UNKNOWN:
        return _changed(order, next_at=now, misses=0)
    return _to(order, State.PLANNED, next_at=max(order.due_at, now), ended_at=None, refusals=0, misses=0, words=words)


def remarked(order: Order, words: str) -> Order:
    """It stays where it is, with words why."""
    return _changed(order, words=words)


def recovered(order: Order, now: int) -> Order:
    """The program ended after it was sent and before the answer was written."""
    assert order.state is State.SENT, f"order {order.id} is {order.state}: it was not being sent"
    return _to(order, State.UNKNOWN, next_at=now, words="the program ended before an answer came")


def wait_us(first_us: int, failures: int, chance: float) -> int:
    """How long to wait after so many failures before this one: doubling, to a minute, less a part by chance."""
    full = min(first_us << min(failures, 16), LONGEST_WAIT_US)
    return round(full * (1 - JITTER * chance))


def _taken_back(order: Order) -> Order:
    if order.state is not State.SENT:
        return order
    assert order.is_ahead, f"order {order.id} is being sent: it cannot be cancelled"
    return _changed(order, sent_at=None, tries=order.tries - 1)


def _ended(order: Order, state: State, words: str, now: int, **changes: Any) -> Order:
    return _to(order, state, next_at=None, ended_at=now, words=words, **changes)


def _to(order: Order, state: State, **changes: Any) -> Order:
    assert state in FOLLOWS[order.state], f"order {order.id} is {order.state}: it cannot become {state}"
    return _changed(order, state=state, **changes)


def _changed(order: Order, **changes: Any) -> Order:
    return msgspec.structs.replace(order, **changes)
