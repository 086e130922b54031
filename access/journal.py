"""Writing what becomes of orders: many changes in one store transaction, each durable when its writer goes on."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from access.orders import Order

T = TypeVar("T")


class OrderStore(Protocol):
    """What orders need of `rating.store.port.Store`, whose other parts know tariffs."""

    async def read(self, query: Callable[..., T], *args: Any) -> T:
        """The result of `query(connection, *args)`, on a connection that can only read."""

    async def transact(self, work: Callable[..., T], *args: Any) -> T:
        """The result of `work(connection, *args)`, run as one store transaction of its own; durable when it returns."""


Change = Callable[[sqlite3.Connection], list[Order]]
"""Changes orders in an open store transaction, and returns them as they are then."""


class _Entry:
    """A change that waits, and what came of it."""

    __slots__ = ("change", "orders", "woken")

    def __init__(self, change: Change, woken: "asyncio.Future[None]") -> None:
        self.change, self.woken = change, woken
        self.orders: list[Order] | None = None


class Journal:
    """The one way in which the dispatcher writes.

    `in_same_transaction` is called in the store's thread for every order that changed, before the commit; `changed` in
    the event loop, after it.
    """

    def __init__(
        self,
        store: OrderStore,
        changed: Callable[[Order], None],
        in_same_transaction: Callable[[sqlite3.Connection, Order], None],
    ) -> None:
        self._store, self._changed, self._in_same_transaction = store, changed, in_same_transaction
        self._waiting: list[_Entry] = []
        self._is_committing = False

    async def write(self, change: Change) -> list[Order]:
        """Make a change durable; the orders that it changed. What waits when the store gets to it shares a commit."""
        entry = _Entry(change, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        if self._is_committing:
            await entry.woken
        if entry.orders is None:  # it commits for all
            self._is_committing = True
            try:
                await self._commit()
            finally:
                if entry.orders is None:  # the store failed
                    self._waiting.remove(entry)
                self._wake_next()
        assert entry.orders is not None
        return entry.orders

    async def _commit(self) -> None:
        taken: list[_Entry] = []
        changes = await self._store.transact(self._apply, taken)
        del self._waiting[: len(taken)]
        for entry, orders in zip(taken, changes, strict=True):
            entry.orders = orders
            _wake(entry)
            for order in orders:
                self._changed(order)

    def _apply(self, cx: sqlite3.Connection, taken: list[_Entry]) -> list[list[Order]]:
        """Called in the store's thread, perhaps long after it was asked for: what has come to wait since is taken
        along."""
        taken += tuple(self._waiting)
        changes = []
        for entry in taken:
            orders = entry.change(cx)
            for order in orders:
                self._in_same_transaction(cx, order)
            changes.append(orders)
        return changes

    def _wake_next(self) -> None:
        """Who has waited longest commits next."""
        found = next((entry for entry in self._waiting if not entry.woken.done()), None)
        self._is_committing = found is not None
        if found:
            _wake(found)


def _wake(entry: _Entry) -> None:
    if not entry.woken.done():  # its writer may have been cancelled
        entry.woken.set_result(None)
