"""What accounts have used, and what their limits leave: from the counters in memory, as of this moment."""

import asyncio
from dataclasses import dataclass
from typing import Final

from rating.account import Account
from rating.counter_parts import Usage
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
    """Unbilled charges less payments and credits: there are no bills in this version."""

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
    return AccountUsage(account, month, cycle, site.exposure.of(account.account, now))


class NearLimits:
    """The accounts nearest to their limits, or over them; looked for at most every some seconds.

    Looking through all counters takes a while. It is done in a thread, and while it is, whoever watches sees what was
    found before: the calls do not wait for it, and a page only if nobody has watched for long.
    """

    HOLDS_US: Final = 5_000_000
    WAIT_AFTER_US: Final = 15_000_000

    def __init__(self, site: Site) -> None:
        self._site = site
        self._looked_at = -self.WAIT_AFTER_US
        self._found: list[tuple[Account, int]] = []
        self._looking: asyncio.Task[None] | None = None

    async def now(self) -> list[tuple[Account, int]]:
        """Account and exposure, the one with the greatest share of its limit first."""
        age_us = self._site.clock() - self._looked_at
        if not 0 <= age_us < self.HOLDS_US and self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="accounts near their limits")
        if not 0 <= age_us < self.WAIT_AFTER_US and self._looking is not None:
            await asyncio.shield(self._looking)  # others may be waiting for it too
        return self._found

    async def _look(self) -> None:
        now = self._site.clock()
        try:
            self._found = await asyncio.to_thread(_near, self._site)
            self._looked_at = now
        finally:
            self._looking = None


def _near(site: Site) -> list[tuple[Account, int]]:
    accounts = site.directory.accounts
    near: list[tuple[float, Account, int]] = []
    now = site.clock()
    for number, charged in site.owner.counters.charged().items():
        account = accounts.get(number)
        limit = account.credit_limit_micros if account else None
        if account is None or not limit or charged < NEAR * limit:
            continue
        owed = site.exposure.of(number, now)
        if owed >= NEAR * limit:
            near.append((owed / limit, account, owed))
    near.sort(key=lambda found: (-found[0], found[1].account))
    return [(account, charged) for _, account, charged in near[:MOST_NEAR]]
