"""Writing what becomes of orders: many changes in one store transaction, each durable when its writer goes on."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
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

    __slots__ = ("change", "orders")

    def __init__(self, change: Change) -> None:
        self.change = change
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
        self._turn = asyncio.Lock()

    async def write(self, change: Change) -> list[Order]:
        """Make a change durable; the orders that it changed. What waits while a commit is under way shares the next."""
        entry = _Entry(change)
        self._waiting.append(entry)
        async with self._turn:
            if entry.orders is None:
                await self._commit()
        assert entry.orders is not None
        return entry.orders

    async def _commit(self) -> None:
        entries = tuple(self._waiting)
        changes = await self._store.transact(self._apply, entries)
        del self._waiting[: len(entries)]
        for entry, orders in zip(entries, changes, strict=True):
            entry.orders = orders
            for order in orders:
                self._changed(order)

    def _apply(self, cx: sqlite3.Connection, entries: Sequence[_Entry]) -> list[list[Order]]:
        changes = []
        for entry in entries:
            orders = entry.change(cx)
            for order in orders:
                self._in_same_transaction(cx, order)
            changes.append(orders)
        return changes
