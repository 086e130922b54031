"""One call of the monitor: the transactions that are looked at, and what fired."""

from collections.abc import Callable, Sequence
from typing import Final

from control.events.account_view import Accounts
from control.events.firings import Firings
from control.events.measures import CHARGE
from control.events.tallies import Past
from rating.store.batch import COLUMN, Row

_ACCOUNT: Final = COLUMN["account"]


class Turn:
    """What is under way."""

    def __init__(self, rows: Sequence[Row], now: int, past: Past, found_by_check: bool = False) -> None:
        self.now, self.found_by_check = now, found_by_check
        self.past = past
        self.firings = Firings()
        self._rows = rows
        self._charges: dict[str, list[tuple[int, int]]] | None = None

    def exposure(self, accounts: Accounts, account: str, before: int) -> Callable[[], int]:
        """What an account owes with the transactions below an id; the ledger has counted all of the turn already."""

        def exposure() -> int:
            if self._charges is None:
                self._charges = {}
                for row in self._rows:
                    self._charges.setdefault(row[_ACCOUNT], []).append((row[0], row[CHARGE]))
            later = sum(charge for id_, charge in self._charges.get(account, ()) if id_ >= before)
            return accounts.exposure_of(account) - later

        return exposure
