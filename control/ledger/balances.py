"""What each account owes of what it was billed, in memory: a projection of the ledger."""

import sqlite3
from collections.abc import Mapping
from typing import Final, NamedTuple

from control.ledger.entry import Book, Entry
from control.ledger.postings import owed_by_account

EVERY_ENTRY: Final = (1 << 63) - 1


class LedgerDifference(NamedTuple):
    """A balance that does not say what the ledger says."""

    account: str
    in_memory_micros: int
    in_ledger_micros: int


class Balances:
    """Balances of all accounts. Changed in the store's thread, at the end of the transaction that makes an entry, so
    that the next one there knows it; read in any."""

    def __init__(self, owed: dict[str, int] | None = None) -> None:
        self._owed = owed or {}

    @classmethod
    def load(cls, cx: sqlite3.Connection) -> "Balances":
        """As the ledger says."""
        return cls(dict(owed_by_account(cx)))

    def owed(self, account: str) -> int:
        """Bills of an account less payments and credits, in micro-units; negative is in its favour."""
        return self._owed.get(account, 0)

    def apply(self, entry: Entry) -> None:
        """An entry was made."""
        self._owed[entry.account] = self.owed(entry.account) - entry.amount_micros

    def undo(self, entry: Entry) -> None:
        """The transaction that made an entry came to nothing."""
        self._owed[entry.account] = self.owed(entry.account) + entry.amount_micros

    def all(self) -> dict[str, int]:
        """What every account that ever had an entry owes, as of now."""
        return dict(self._owed)


def ledger_differences(
    cx: sqlite3.Connection, owed: Mapping[str, int], upto: int | None = None
) -> list[LedgerDifference]:
    """Where balances do not say what the postings say, added up one by one, those of the entries after `upto` left out;
    in order. None if all is well."""
    told: dict[str, int] = {}
    postings = cx.execute(
        "SELECT account, amount_micros FROM ledger_postings WHERE book = ? AND entry <= ?",
        (Book.RECEIVABLE, EVERY_ENTRY if upto is None else upto),
    )
    for account, amount_micros in postings:
        told[account] = told.get(account, 0) + amount_micros
    return [
        LedgerDifference(account, owed.get(account, 0), told.get(account, 0))
        for account in sorted(told.keys() | owed.keys())
        if owed.get(account, 0) != told.get(account, 0)
    ]
