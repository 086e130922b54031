"""The ledger: payments and credits in double entry, balances in memory, and what an account owes in all."""

from control.ledger.balances import Balances, LedgerDifference, ledger_differences
from control.ledger.entry import MOST_MICROS, Entry, EntryRefused, Kind, Why
from control.ledger.exposure import Exposure
from control.ledger.service import Ledger

__all__ = [
    "MOST_MICROS",
    "Balances",
    "Entry",
    "EntryRefused",
    "Exposure",
    "Kind",
    "Ledger",
    "LedgerDifference",
    "Why",
    "ledger_differences",
]
