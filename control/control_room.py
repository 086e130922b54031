"""Where people and the clock act on accounts: each call is one store transaction, and whoever carries out is woken."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from access import order_rows, planning
from access.orders import Order, State
from control import audit, bars
from control.account_control import AccountControl, Refused
from control.alerts import alert_rows
from control.alerts.alert import Alert
from control.breaker import Breaker
from control.events import event_rows
from control.events.definition import EventDefinition
from control.events.event_rows import State as EventState
from control.events.event_rows import StoredEvent, StoredFiring
from control.ledger.entry import Owed
from control.ledger.payments import Recorded
from control.ledger.service import Ledger
from rating.cdr import MICROS
from rating.store.port import Store

T = TypeVar("T")

log: Final = logging.getLogger(__name__)

LONGEST_SLEEP_S: Final = 60.0
"""The clock may have been set: what is due is looked for as often, whatever was said."""


class ControlRoom:
    """The account events, bars and payments of a running daemon."""

    def __init__(
        self,
        store: Store,
        control: AccountControl,
        ledger: Ledger,
        clock: Callable[[], int],
        wake: Callable[[], object],
    ) -> None:
        """`wake` lets couriers and dispatchers look at what there is to do."""
        self._store, self._control, self.ledger, self._clock, self._wake = store, control, ledger, clock, wake
        self._tick = asyncio.Event()

    async def run(self) -> None:
        """Check what falls due on the clock, until cancelled. Raises StoreFailed."""
        while True:
            self._tick.clear()
            at = await self._do(self._control.tick)
            wait_s = LONGEST_SLEEP_S if at is None else min(LONGEST_SLEEP_S, max(0, at - self._clock()) / MICROS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._tick.wait()

    def look_again(self) -> None:
        """Something may fall due earlier than it did."""
        self._tick.set()

    # Account events.

    async def events(self, after: int = 0, limit: int = 100) -> list[StoredEvent]:
        """The events that are not deleted, by id."""
        return await self._store.read(lambda cx: event_rows.list_events(cx, after=after, limit=limit))

    async def event(self, number: int) -> StoredEvent | None:
        """One event; None if there is none, or it is deleted."""
        found = await self._store.read(event_rows.event_by_id, number)
        return None if found is None or found.state == "deleted" else found

    async def add_event(self, definition: EventDefinition, actor: str) -> StoredEvent:
        """Prescribe an event. Raises Refused."""
        return await self._do(lambda cx, now: self._control.add_event(cx, definition, actor, now))

    async def change_event(self, number: int, definition: EventDefinition, actor: str) -> StoredEvent:
        """Prescribe something else. Raises Refused."""
        return await self._do(lambda cx, now: self._control.change_event(cx, number, definition, actor, now))

    async def set_event_state(self, number: int, state: EventState, actor: str) -> StoredEvent:
        """Pause an event, take it up again, or delete it. Raises Refused."""
        return await self._do(lambda cx, now: self._control.set_event_state(cx, number, state, actor, now))

    async def firings(
        self, account: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[StoredFiring]:
        """What fired, the newest first."""
        return await self._store.read(lambda cx: event_rows.list_firings(cx, account, before=before, limit=limit))

    async def alerts(self, account: str | None = None, before: int | None = None, limit: int = 100) -> list[Alert]:
        """The outbox, the newest first."""
        return await self._store.read(lambda cx: alert_rows.alerts(cx, account=account, before=before, limit=limit))

    # Bars and orders.

    async def orders(
        self,
        account: str | None = None,
        states: Sequence[State] = (),
        before: int | None = None,
        limit: int = 100,
    ) -> list[Order]:
        """Access orders, the newest first."""
        return await self._store.read(
            lambda cx: order_rows.listed(cx, account=account, states=states, before=before, limit=limit)
        )

    async def barred(self, account: str) -> list[bars.Reason]:
        """The open reasons for which services of an account are barred."""
        return await self._store.read(bars.open_of_account, account)

    async def bar(self, account: str, services: Sequence[str], actor: str, words: str) -> list[Order]:
        """Bar services by hand (none named: all). Raises Refused."""
        return await self._do(lambda cx, now: self._control.bar(cx, account, services, actor, words, now))

    async def restore(self, account: str, services: Sequence[str], actor: str, words: str) -> list[Order]:
        """Restore services by hand, whatever barred them. Raises Refused."""
        return await self._do(lambda cx, now: self._control.restore(cx, account, services, actor, words, now))

    async def release(self, numbers: Sequence[int], actor: str, words: str = "") -> list[Order]:
        """Let orders go that the breaker held; those that it did hold."""

        def release(cx: Any, now: int) -> list[Order]:
            released = planning.release(cx, numbers, f"released by {actor}{words and ': '}{words}", now)
            _dealt_with(cx, released, "release", actor, now)
            return released

        return await self._do(release)

    async def drop(self, numbers: Sequence[int], actor: str, words: str) -> list[Order]:
        """Cancel orders that the breaker held: what they were to bar stays free, until somebody bars it anew."""

        def drop(cx: Any, now: int) -> list[Order]:
            found = [order_rows.order_of(cx, number) for number in numbers]
            held = [order for order in found if order is not None and order.state is State.HELD]
            changed = planning.cancel(cx, [order.id for order in held], f"dropped by {actor}: {words}", now)
            for order in held:
                own = [r for r in bars.open_of_account(cx, order.account) if r.target.key == order.target.key]
                changed += bars.end(cx, own, f"dropped by {actor}: {words}", now)
            _dealt_with(cx, held, "drop", actor, now)
            return changed

        return await self._do(drop)

    async def retry(self, order_id: int, actor: str) -> Order:
        """Have an order that failed sent again, or look now at one whose end is unknown. Raises Refused."""

        def retry(cx: Any, now: int) -> Order:
            order = order_rows.order_of(cx, order_id)
            if order is None:
                raise Refused(f"there is no access order {order_id}")
            if not bars.is_wanted(cx, order):
                raise Refused(f"order {order_id} is not wanted any more: its reason has ended, or is there again")
            retried = planning.retry(cx, order_id, f"tried again by {actor}", now)
            if not retried:
                raise Refused(f"order {order_id} is {order.state}, or another of its line came after it")
            audit.record(cx, now, actor, "retry order", f"order {order_id}", f"account {order.account}")
            return retried[0]

        return await self._do(retry)

    async def may_send(self, order: Order) -> bool:
        """Whether an order is still wanted: asked right before it goes out."""
        return await self._store.read(bars.is_wanted, order)

    # Money.

    async def pay(
        self, account: str, amount_micros: int | None, currency: str, actor: str, key: str, remark: str = ""
    ) -> Recorded:
        """A payment that was received: at most what the account owes, read in the payment's own store transaction;
        without an amount all that is billed and due, or all that is owed where nothing is. Raises EntryRefused."""
        recorded = await self.ledger.pay(
            account, amount_micros, currency, actor=actor, key=key, remark=remark,
            due=lambda: Owed(self._control.exposure_of(account), self.ledger.balances.owed(account)),
        )  # fmt: skip
        self._wake()
        self._tick.set()
        return recorded

    async def credit(
        self, account: str, amount_micros: int, currency: str, actor: str, key: str, remark: str
    ) -> Recorded:
        """Something is granted to an account, without money. Raises EntryRefused."""
        recorded = await self.ledger.credit(account, amount_micros, currency, actor=actor, key=key, remark=remark)
        self._wake()
        self._tick.set()
        return recorded

    async def follow(self) -> None:
        """Accounts were imported: events, limits and bars follow."""
        await self._do(self._control.follow)

    async def _do(self, work: Callable[[Any, int], T]) -> T:
        """One store transaction, and whoever acts on it is woken."""
        done = await self._store.transact(lambda cx: work(cx, self._clock()))
        self._wake()
        if work != self._control.tick:
            self._tick.set()
        return done


def _dealt_with(cx: Any, orders: Sequence[Order], action: str, actor: str, now: int) -> None:
    """A person has looked at what the breaker held: it counts anew once nothing is held any more."""
    for order in orders:
        audit.record(cx, now, actor, f"{action} order", f"order {order.id}", f"account {order.account}")
    if orders and not Breaker.is_open(cx):
        Breaker.close(cx, now)


__all__ = ["ControlRoom", "Refused"]
