"""What accounts have used, and what their limits leave: from the counters in memory, as of this moment."""

from dataclasses import dataclass
from typing import Final

from rating.account import Account
from rating.counters import Usage
from web.site import Site

NEAR: Final = 0.8
"""Share of the limit from which an account is near it."""
MOST_NEAR: Final = 8


@dataclass(frozen=True, slots=True)
class AccountUsage:
    """One account's use."""

    account: Account
    month: Usage
    cycle: Usage
    exposure_micros: int
    """Unbilled charges: with no bill and no payment in this version, all of them."""

    @property
    def left_micros(self) -> int | None:
        """What the credit limit leaves, below zero when it is crossed; None without a limit."""
        limit = self.account.credit_limit_micros
        return None if limit is None else limit - self.exposure_micros

    @property
    def share(self) -> float | None:
        """The exposure among the limit, 0 and up; None without a limit or with one of 0."""
        limit = self.account.credit_limit_micros
        return self.exposure_micros / limit if limit else None

    @property
    def state(self) -> str:
        """`over`, `near` or `within` the limit; `none` without one."""
        if self.left_micros is None:
            return "none"
        if self.left_micros < 0:
            return "over"
        return "near" if self.share is not None and self.share >= NEAR else "within"


def usage_of(site: Site, account: Account) -> AccountUsage:
    """An account's use, as of now."""
    now = site.clock()
    month, cycle = site.owner.counters.usage(account.account, now)
    return AccountUsage(account, month, cycle, site.owner.counters.unbilled(account.account, now))


class NearLimits:
    """The accounts nearest to their limits, or over them; looked for at most every some seconds."""

    HOLDS_US: Final = 5_000_000

    def __init__(self, site: Site) -> None:
        self._site = site
        self._looked_at = -self.HOLDS_US
        self._found: list[tuple[Account, int]] = []

    def now(self) -> list[tuple[Account, int]]:
        """Account and exposure, the one with the greatest share of its limit first."""
        now = self._site.clock()
        if not 0 <= now - self._looked_at < self.HOLDS_US:
            self._found, self._looked_at = self._look(), now
        return self._found

    def _look(self) -> list[tuple[Account, int]]:
        accounts = self._site.directory.accounts
        near: list[tuple[float, Account, int]] = []
        for number, charged in self._site.owner.counters.charged().items():
            account = accounts.get(number)
            limit = account.credit_limit_micros if account else None
            if account is not None and limit and charged >= NEAR * limit:
                near.append((charged / limit, account, charged))
        near.sort(key=lambda found: (-found[0], found[1].account))
        return [(account, charged) for _, account, charged in near[:MOST_NEAR]]
