"""What an account owes in all: the sum that its credit limit is compared with."""

from collections.abc import Callable

from control.ledger.balances import Balances


class Exposure:
    """Unbilled charges and what is billed and not paid. `unbilled` tells the first, for an account and an instant; the
    balances the second. A bill moves charges from the first to the second, and changes nothing about their sum."""

    def __init__(self, unbilled: Callable[[str, int], int], balances: Balances) -> None:
        self._unbilled, self._balances = unbilled, balances

    def of(self, account: str, now: int) -> int:
        """The exposure of an account in micro-units; negative if it has paid more than it owes."""
        return self.unbilled(account, now) + self.balance_due(account)

    def unbilled(self, account: str, now: int) -> int:
        """What of it is charged and on no bill yet."""
        return self._unbilled(account, now)

    def balance_due(self, account: str) -> int:
        """What of it is billed, less what was paid and credited; negative is in the account's favour."""
        return self._balances.owed(account)
