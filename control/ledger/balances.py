"""What each account has paid and was credited, in memory: a projection of the ledger."""

import sqlite3
from typing import NamedTuple

from control.ledger.entry import Book, Entry
from control.ledger.postings import paid_by_account


class LedgerDifference(NamedTuple):
    """A balance that does not say what the ledger says."""

    account: str
    in_memory_micros: int
    in_ledger_micros: int


class Balances:
    """Balances of all accounts. Changed in the store's thread, at the end of the transaction that makes an entry, so
    that the next one there knows it; read in any."""

    def __init__(self, paid: dict[str, int] | None = None) -> None:
        self._paid = paid or {}

    @classmethod
    def load(cls, cx: sqlite3.Connection) -> "Balances":
        """As the ledger says."""
        return cls(dict(paid_by_account(cx)))

    def paid(self, account: str) -> int:
        """Payments and credits of an account less what was taken back, in micro-units."""
        return self._paid.get(account, 0)

    def apply(self, entry: Entry) -> None:
        """An entry was made."""
        self._paid[entry.account] = self.paid(entry.account) + entry.amount_micros

    def undo(self, entry: Entry) -> None:
        """The transaction that made an entry came to nothing."""
        self._paid[entry.account] = self.paid(entry.account) - entry.amount_micros

    def accounts(self) -> list[str]:
        """Accounts that ever had an entry, in order."""
        return sorted(self._paid)


def ledger_differences(cx: sqlite3.Connection, balances: Balances) -> list[LedgerDifference]:
    """Where the balances do not say what the postings say, added up one by one; in order. None if all is well."""
    told: dict[str, int] = {}
    postings = cx.execute("SELECT account, amount_micros FROM ledger_postings WHERE book = ?", (Book.RECEIVABLE,))
    for account, amount_micros in postings:
        told[account] = told.get(account, 0) - amount_micros
    return [
        LedgerDifference(account, balances.paid(account), told.get(account, 0))
        for account in sorted(told.keys() | set(balances.accounts()))
        if balances.paid(account) != told.get(account, 0)
    ]
