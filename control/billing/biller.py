"""Issuing bills on a store that this process owns: the balances and sums in memory follow."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from control.billing.billed import Billed
from control.billing.charges import Charges
from control.billing.issuing import issue
from control.ledger.balances import Balances
from rating.store.port import Store

T = TypeVar("T")

BILLS_AT_A_TIME: Final = 500
"""In one store transaction: records that come in meanwhile wait so long."""


class Posted(msgspec.Struct, frozen=True):
    """What became of some accounts' charges; the first five sum to their number."""

    bills: int
    already: int
    """Accounts that had a bill of the cycle."""
    empty: int
    """Accounts with nothing to put on a bill."""
    overtaken: list[str]
    """Accounts that were given another bill meanwhile."""
    too_great: list[str]
    """Accounts with amounts that cannot be kept."""
    charges_micros: int
    """On the new bills."""


class Biller:
    """Issues bills. Exposure stays what it is: what is unbilled falls by what the balances due rise."""

    def __init__(self, store: Store, clock: Callable[[], int], balances: Balances, billed: Billed) -> None:
        self._store, self._clock, self._balances, self._billed = store, clock, balances, billed

    async def post(self, charged: Sequence[Charges], actor: str) -> Posted:
        """Issue the bills of some accounts, at most `BILLS_AT_A_TIME`, in one store transaction; durable when it
        returns."""
        return await self._store.transact(self._post, charged, actor)

    async def standing(self, told: Callable[[sqlite3.Connection, dict[str, int], dict[str, int]], T]) -> T:
        """The result of `told(connection, owed, billed)`, between two store transactions: rows, balances due and what
        bills have charged are of one instant."""
        return await self._store.transact(lambda cx: told(cx, self._balances.all(), self._billed.all()))

    def _post(self, cx: sqlite3.Connection, charged: Sequence[Charges], actor: str) -> Posted:
        issued = issue(cx, charged, actor, self._clock())
        # In the store's thread, so that the next transaction there finds both: its account events compare exposures.
        for entry in issued.entries:
            self._balances.apply(entry)
        self._billed.apply(issued.bills)
        charges_micros = sum(bill.current_charges_micros for bill in issued.bills)
        return Posted(
            len(issued.bills), issued.already, issued.empty, issued.overtaken, issued.too_great, charges_micros
        )
