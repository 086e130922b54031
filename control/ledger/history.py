"""How an account's balance went: every entry that changed what it owes, with what it owed after it."""

import sqlite3

import msgspec

from control.ledger import postings
from control.ledger.entry import Book, Entry
from rating.cdr import MICROS


class Change(msgspec.Struct, frozen=True):
    """An entry, and where it brought the balance."""

    entry: Entry
    balance_micros: int
    """What the account owed after it; negative is in its favour."""

    @property
    def owed_micros(self) -> int:
        """What the entry added to what the account owes."""
        return -self.entry.amount_micros


def changes(cx: sqlite3.Connection, account: str, *, limit: int, before: int | None = None) -> list[Change]:
    """The newest changes of an account's balance first, at most `limit` of them; of those before the entry `before`, if
    it is given."""
    found = []
    balance_micros = _owed_before(cx, account, before)
    for entry in postings.entries(cx, account, limit=limit, before=before):
        found.append(Change(entry, balance_micros))
        balance_micros += entry.amount_micros
    return found


def _owed_before(cx: sqlite3.Connection, account: str, entry: int | None) -> int:
    """What an account owed before an entry; without one, what it owes now."""
    where, values = ("", ()) if entry is None else (" AND entry < ?", (entry,))
    # In two parts, millions and the rest: in one a sum could go beyond SQLite's 64 bits.
    whole, rest = cx.execute(
        f"SELECT coalesce(sum(amount_micros / {MICROS}), 0), coalesce(sum(amount_micros % {MICROS}), 0)"  # noqa: S608  # a number and names of ours
        f" FROM ledger_postings WHERE shard = 0 AND account = ? AND book = '{Book.RECEIVABLE}'{where}",
        (account, *values),
    ).fetchone()
    return int(whole) * MICROS + int(rest)
