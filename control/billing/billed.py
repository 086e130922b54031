"""What the bills of each account have charged, in memory: what is left of all its charges is unbilled, also what
rounding has carried over."""

import sqlite3
from collections.abc import Iterable

from control.billing.bill import Bill
from control.billing.bill_rows import charged_by_account


class Billed:
    """The sums of all accounts. Changed in the store's thread, in the transaction that writes bills; read in any."""

    def __init__(self, charged: dict[str, int] | None = None) -> None:
        self._charged = charged or {}

    @classmethod
    def load(cls, cx: sqlite3.Connection) -> "Billed":
        """As the bills say."""
        return cls(dict(charged_by_account(cx)))

    def charged(self, account: str) -> int:
        """Current charges and rounding of all bills of an account, in micro-units."""
        return self._charged.get(account, 0)

    def apply(self, bills: Iterable[Bill]) -> None:
        """Bills were issued."""
        for bill in bills:
            self._charged[bill.account] = self.charged(bill.account) + bill.charged_micros

    def all(self) -> dict[str, int]:
        """Of every account that ever had a bill, as of now."""
        return dict(self._charged)
