"""The ledger of a running daemon: entries are made in store transactions, and the balances follow."""

import sqlite3
from collections.abc import Callable
from typing import Final, TypeVar

from control.ledger import payments, postings
from control.ledger.balances import Balances
from control.ledger.entry import Entry, Kind
from control.ledger.payments import Due, Recorded
from rating.store.port import Store

T = TypeVar("T")

Record = Callable[[sqlite3.Connection], Recorded]
"""Makes an entry in a store transaction."""
Enter = Callable[[Record], Recorded]
"""Has an entry made in the store transaction that is under way; the balances know it at once."""
Watch = Callable[[sqlite3.Connection, Entry, int], None]
"""Called with a new entry, at an instant, at the end of the transaction that makes it; the balances know it already."""


def _unwatched(_cx: sqlite3.Connection, _entry: Entry, _now: int) -> None:
    """Nobody acts on entries."""


class Ledger:
    """Makes entries. Every call that is repeated with its key answers with the first entry.

    `watch` is who acts on entries, with SQL in the same transaction: orders that a payment makes needless are cancelled
    in it, not after it. `actor` is who makes an entry, as the audit log shall name them.
    """

    def __init__(self, store: Store, clock: Callable[[], int], balances: Balances, watch: Watch = _unwatched) -> None:
        self.balances: Final = balances
        self._store, self._clock, self._watch = store, clock, watch

    async def pay(
        self,
        account: str,
        amount_micros: int | None,
        currency: str,
        *,
        actor: str,
        key: str,
        remark: str = "",
        due: Due | None = None,
    ) -> Recorded:
        """Record a payment received; with `due` at most what that tells is owed, and what is due by default. Raises
        EntryRefused."""
        now = self._clock()
        return await self._make(
            lambda cx: payments.record_payment(
                cx, account, amount_micros, currency, actor=actor, key=key, now=now, remark=remark, due=due
            )
        )

    async def credit(
        self, account: str, amount_micros: int, currency: str, *, actor: str, key: str, remark: str = ""
    ) -> Recorded:
        """Grant a credit. Raises EntryRefused."""
        now = self._clock()
        return await self._make(
            lambda cx: payments.record_credit(
                cx, account, amount_micros, currency, actor=actor, key=key, now=now, remark=remark
            )
        )

    async def reverse(self, account: str, number: int, *, actor: str, key: str, remark: str = "") -> Recorded:
        """Take an entry of an account back. Raises EntryRefused."""
        now = self._clock()
        return await self._make(
            lambda cx: payments.reverse(cx, account, number, actor=actor, key=key, now=now, remark=remark)
        )

    async def entries(
        self, account: str, *, limit: int, before: int | None = None, besides: Kind | None = None
    ) -> list[Entry]:
        """The newest entries of an account first, those of the kind `besides` left out."""
        return await self._store.read(
            lambda cx: postings.entries(cx, account, limit=limit, before=before, besides=besides)
        )

    async def together(self, work: Callable[[sqlite3.Connection, Enter], T]) -> T:
        """The result of `work(connection, enter)`, one store transaction in which entries are made with the rows that
        go with them; `enter` makes them. What `work` raises undoes all of it, and is raised."""
        return await self._store.transact(self._together, work)

    async def _make(self, record: Record) -> Recorded:
        return await self.together(lambda _, enter: enter(record))

    def _together(self, cx: sqlite3.Connection, work: Callable[[sqlite3.Connection, Enter], T]) -> T:
        """In the store's thread: whatever comes next there, in this transaction or after it, reckons with the
        entries."""
        made: list[Entry] = []

        def enter(record: Record) -> Recorded:
            recorded = record(cx)
            if recorded.is_new:
                self.balances.apply(recorded.entry)
                made.append(recorded.entry)
            return recorded

        try:
            done = work(cx, enter)
            for entry in made:
                self._watch(cx, entry, entry.at)
            return done
        except BaseException:
            for entry in made:
                self.balances.undo(entry)
            raise
