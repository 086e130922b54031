"""Events in force as the monitor holds them, and on which accounts they are."""

from collections.abc import Hashable, Iterable, Mapping

import msgspec

from control.events.definition import Condition, OverAverage
from control.events.event_rows import StoredEvent
from control.events.tallies import Series, opening, series_of
from control.events.terms import Term, terms_of
from rating.account import Account


class Watched(msgspec.Struct, frozen=True, gc=False):
    """An event in force."""

    id: int
    stored: StoredEvent
    conditions: tuple[Condition, ...]
    terms: tuple[Term, ...]

    @property
    def continuous(self) -> bool:
        """Whether it is looked at with every transaction."""
        return self.stored.definition.check.how == "continuous"

    @property
    def of_exposure(self) -> bool:
        """Whether what an account owes is among what is compared."""
        return any(condition.of_exposure for condition in self.conditions)

    @property
    def series(self) -> dict[Series, int]:
        """What has to be summed for it, and over how many periods before the present one."""
        found: dict[Series, int] = {}
        for condition in self.conditions:
            if condition.of_exposure or condition.measure == "sessions":
                continue
            back = 0
            if type(condition.threshold) is OverAverage:
                back = condition.threshold.periods
                # Whether the account had any transaction then says whether it was open.
                open_ = opening(condition.period)
                found[open_] = max(found.get(open_, 0), back)
            own = series_of(condition)
            found[own] = max(found.get(own, 0), back)
        return found


def watched(stored: StoredEvent) -> Watched:
    """A stored event, ready to be looked at."""
    return Watched(stored.id, stored, stored.definition.conditions, terms_of(stored.definition.when))


class Reach:
    """Which events are prescribed on which accounts."""

    def __init__(self, events: Iterable[Watched]) -> None:
        self._everywhere: list[Watched] = []
        self._numbers: dict[str, list[Watched]] = {}
        self._segments: dict[str, list[Watched]] = {}
        for event in events:
            accounts = event.stored.definition.accounts
            if accounts.segment is not None:
                self._segments.setdefault(accounts.segment, []).append(event)
            elif accounts.all:
                self._everywhere.append(event)
            for number in accounts.numbers:
                self._numbers.setdefault(number, []).append(event)

    def __bool__(self) -> bool:
        return bool(self._everywhere or self._numbers or self._segments)

    def kind_of(self, account: Account) -> Hashable:
        """Accounts of one kind have the same events."""
        segment = account.segment if account.segment in self._segments else None
        return segment, account.account if account.account in self._numbers else None

    def events_of(self, account: Account) -> tuple[Watched, ...]:
        """Those of an account."""
        own = self._numbers.get(account.account, ())
        segment = self._segments.get(account.segment, ()) if account.segment else ()
        return (*self._everywhere, *own, *segment)


def accounts_of(event: Watched, accounts: Mapping[str, Account]) -> list[str] | None:
    """The existing accounts on which an event is prescribed; None for all."""
    prescribed = event.stored.definition.accounts
    if prescribed.all:
        return None
    if prescribed.segment is not None:
        return [number for number, account in accounts.items() if account.segment == prescribed.segment]
    return [number for number in prescribed.numbers if number in accounts]
