"""The sums of events' series, by window and account: what is in memory of them, and since when that is everything."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, Protocol

import msgspec

from control.events.definition import NO_FILTERS, Condition, Filters
from control.events.measures import Counted, Sums

EVERY_ID = 1 << 62
"""Above every transaction id."""


class Series(NamedTuple):
    """What is summed: a measure of the transactions that pass some filters, in each window of a period."""

    filters: Filters
    period: str
    measure: Counted


def series_of(condition: Condition) -> Series:
    """What a condition looks at."""
    return Series(condition.filters, condition.period, condition.measure)


class Past(Protocol):
    """Who knows the transactions themselves."""

    def sums(self, account: str, filters: Filters, start: int, end: int, before: int) -> Sums:
        """Of an account's transactions in a window, those with ids below `before`."""


def opening(period: str) -> Series:
    """What says whether an account was open: it has transactions of any kind."""
    return Series(NO_FILTERS, period, "transactions")


Windows = dict[int, dict[str, int]]
"""A series' sums by first instant and account."""


def add(sums: dict[str, int], account: str, measure: Counted, value: int) -> None:
    """Count for an account what further transactions came to."""
    known = sums.get(account, 0)
    sums[account] = max(known, value) if measure == "charge" else known + value


class Tally(msgspec.Struct):
    """The sums of a series in the windows that begin at one instant."""

    series: Series
    start: int
    sums: dict[str, int]
    """By account; one that is not here has none, or none that is known."""
    whole: bool
    """Every account's transactions are here: who has no sum has no transactions."""


class _Known(NamedTuple):
    """Since when all transactions of some accounts, or of all, are in a series' sums."""

    since: int
    accounts: frozenset[str] | None


class Tallies:
    """Sums by series, window and account. What is not here is asked of the past, once."""

    def __init__(self) -> None:
        self._tallies: dict[Series, dict[int, Tally]] = {}
        self._known: dict[Series, list[_Known]] = {}
        self._unsure: set[str] = set()

    def tally(self, series: Series, start: int) -> Tally:
        """The one of the windows that begin at an instant; it is the same one until it is dropped."""
        tallies = self._tallies.setdefault(series, {})
        found = tallies.get(start)
        if found is None:
            found = tallies[start] = Tally(series, start, {}, self._is_whole(series, start))
        return found

    def find(self, tally: Tally, account: str, end: int, past: Past, before: int) -> int:
        """An account's sum in a window, which ends at `end`."""
        found = tally.sums.get(account)
        if found is None:
            if self._is_known(tally, account):
                return 0
            filters, _, measure = tally.series
            found = tally.sums[account] = past.sums(account, filters, tally.start, end, before).of(measure)
        return found

    def known_sums(self, tally: Tally, accounts: Iterable[str]) -> list[int | None]:
        """The sums of accounts in a window; None where the past would have to be asked."""
        sums = tally.sums
        if tally.whole and not self._unsure:
            return [sums.get(account, 0) for account in accounts]
        return [sums.get(account, 0 if self._is_known(tally, account) else None) for account in accounts]

    def knows(self, series: Series, since: int, accounts: Collection[str] | None) -> bool:
        """Whether everything of these accounts (or of all) since an instant is here."""
        return not self._unsure and any(
            known.since <= since
            and (known.accounts is None or (accounts is not None and known.accounts.issuperset(accounts)))
            for known in self._known.get(series, ())
        )

    def install(self, series: Series, windows: Windows, since: int, accounts: Iterable[str] | None) -> None:
        """Take over sums that hold everything of some accounts (or of all) since an instant."""
        scope = None if accounts is None else frozenset(accounts)
        self._known.setdefault(series, []).append(_Known(since, scope))
        for tally in self._tallies.get(series, {}).values():
            tally.whole = self._is_whole(series, tally.start)
        for start, sums in windows.items():
            # A window that began before is here in part only: its sums are asked of the past, should they be needed.
            if start >= since:
                self.tally(series, start).sums.update(sums)

    def accounts(self, series: Series) -> set[str]:
        """The accounts with sums."""
        return set[str]().union(*(tally.sums for tally in self._tallies.get(series, {}).values()))

    def forget(self, account: str) -> None:
        """The account's windows have moved: what is needed is asked of the past."""
        self._unsure.add(account)
        for tallies in self._tallies.values():
            for tally in tallies.values():
                tally.sums.pop(account, None)

    def keep(self, series: Collection[Series]) -> None:
        """Drop all other series."""
        for gone in self._tallies.keys() | self._known.keys():
            if gone not in series:
                self._tallies.pop(gone, None)
                self._known.pop(gone, None)

    def prune(self, before: Mapping[Series, int]) -> list[Tally]:
        """Drop the windows of some series that begin before an instant, and say which; should one be needed again, it
        is asked of the past."""
        dropped = []
        for series, since in before.items():
            tallies = self._tallies.get(series, {})
            dropped += [tallies.pop(start) for start in list(tallies) if start < since]
            known = self._known.get(series, [])
            self._known[series] = [_Known(max(one.since, since), one.accounts) for one in known]
        return dropped

    def _is_whole(self, series: Series, start: int) -> bool:
        return any(known.since <= start and known.accounts is None for known in self._known.get(series, ()))

    def _is_known(self, tally: Tally, account: str) -> bool:
        if account in self._unsure:
            return False
        return tally.whole or any(
            known.since <= tally.start and known.accounts is not None and account in known.accounts
            for known in self._known.get(tally.series, ())
        )
