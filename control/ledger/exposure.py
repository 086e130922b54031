"""What an account owes in all: the sum that its credit limit is compared with."""

from collections.abc import Callable

from control.ledger.balances import Balances


class Exposure:
    """Unbilled charges and open invoices less payments and credits. `unbilled` tells the first, for an account and an
    instant; `open_invoices` the second, nothing as long as there are no invoices."""

    def __init__(
        self,
        unbilled: Callable[[str, int], int],
        balances: Balances,
        open_invoices: Callable[[str], int] = lambda _: 0,
    ) -> None:
        self._unbilled, self._balances, self._open_invoices = unbilled, balances, open_invoices

    def of(self, account: str, now: int) -> int:
        """The exposure of an account in micro-units; negative if it has paid more than it owes."""
        return self._unbilled(account, now) + self.balance_due(account)

    def balance_due(self, account: str) -> int:
        """What of it is billed, less what was paid and credited; negative is in the account's favour."""
        return self._open_invoices(account) - self._balances.paid(account)
