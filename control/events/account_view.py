"""How one account stands with its events: the readings of their conditions at an instant, judged."""

from collections.abc import Callable, Mapping

import msgspec

from control.events.definition import Condition
from control.events.evaluation import Judgement, Occasion, Reading, judge
from control.events.readings import Standing, SumsOf, read
from control.events.tallies import EVERY_ID, Past, Series
from control.events.watched import Watched
from control.events.windows import Clocks
from rating.account import Account


class Accounts(msgspec.Struct):
    """What there is to know of accounts besides their transactions."""

    accounts: Mapping[str, Account]
    opened_at: Mapping[str, int]
    """When each was imported, µs UTC."""
    exposure_of: Callable[[str], int]
    """What it owes, in micro-units: unbilled charges, open invoices, less payments and credits."""
    limit_of: Callable[[str], int | None]
    """Its credit limit in force, in micro-units; None is none."""
    clocks: Clocks = msgspec.field(default_factory=Clocks)

    def standing(self, account: str) -> Standing:
        """How an account stands."""
        return Standing(self.opened_at.get(account, 0), self.limit_of(account))

    def read(
        self, account: str, condition: Condition, at: int, sums: SumsOf, exposure: Callable[[], int] | None = None
    ) -> Reading:
        """What a condition looks at, at an instant."""
        clock = self.clocks.of(self.accounts[account])
        owed = exposure or (lambda: self.exposure_of(account))
        return read(condition, clock, at, sums, self.standing(account), owed)

    def judge(
        self, account: str, event: Watched, at: int, sums: SumsOf, exposure: Callable[[], int] | None = None
    ) -> Judgement:
        """Whether an event holds for an account at an instant. What was over before the event was made is not
        looked at."""
        judgement = judge(
            event.conditions, event.terms, lambda condition: self.read(account, condition, at, sums, exposure)
        )
        return judgement._replace(occasions=tuple(o for o in judgement.occasions if _concerns(event, o)))


def _concerns(event: Watched, occasion: Occasion) -> bool:
    return occasion.ends_at > event.stored.created_at


def sums_from(past: Past, account: str, before: int = EVERY_ID) -> SumsOf:
    """The sums of an account, each asked of the past."""

    def sums(series: Series, start: int, end: int) -> int:
        return past.sums(account, series.filters, start, end, before).of(series.measure)

    return sums
