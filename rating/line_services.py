"""What lines are rated by: of each service the account that pays, and what it shares with many others.

There may be millions: what a service does not have for itself is there once for all that are equal in it.
"""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from rating.cdr import MICROS

ALWAYS: Final = -(1 << 62)
"""Before every instant."""


class Terms(msgspec.Struct, frozen=True, gc=False):
    """What the services of many lines have in common."""

    provider: str
    service: str
    tariff: str | None
    """The line's tariff, else its account's; None is the default."""
    currency: str
    """Of the account."""
    clock: tuple[str, int]
    """The account's zone and cycle day: its periods are by them."""


class LineService(msgspec.Struct, frozen=True, gc=False):
    """A service of a line with the account that has it, ready for rating."""

    line: str
    account: str
    number: int
    """That which the store gave the account."""
    from_at: int
    """µs UTC, or `ALWAYS`."""
    terms: Terms

    @property
    def clock(self) -> tuple[str, int]:
        """The account's zone and cycle day."""
        return self.terms.clock


class LineServices:
    """Makes them, each of the texts of its row and of its account's."""

    def __init__(self) -> None:
        self._terms: dict[tuple[str, str, str | None, str, str, int], Terms] = {}
        self._instants: dict[tuple[str, str], int] = {}
        self._account = ""  # lines of one account come after one another, mostly

    def made(
        self,
        line: str,
        account: str,
        number: int,
        from_on: str,
        provider: str,
        service: str,
        tariff: str | None,
        currency: str,
        timezone: str,
        cycle_day: int,
    ) -> LineService:
        """A service; `from_on` is an ISO date in the account's zone, or empty."""
        given = (provider, service, tariff, currency, timezone, cycle_day)
        terms = self._terms.get(given)
        if terms is None:
            terms = self._terms[given] = Terms(provider, service, tariff, currency, (timezone, cycle_day))
        if account != self._account:
            self._account = account
        from_at = self._instant(from_on, timezone) if from_on else ALWAYS
        return LineService(line, self._account, number, from_at, terms)

    def _instant(self, day: str, timezone: str) -> int:
        """The beginning of a day in a zone, µs UTC."""
        at = self._instants.get((day, timezone))
        if at is None:
            midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(timezone))
            at = self._instants[day, timezone] = int(midnight.timestamp()) * MICROS
        return at
