"""The sums of events' series, by account and window: what is in memory of them, and since when that is everything."""

from collections.abc import Collection, Iterable
from typing import NamedTuple, Protocol

from control.events.definition import Filters
from control.events.measures import Sums

EVERY_ID = 1 << 62
"""Above every transaction id."""


class Series(NamedTuple):
    """What is summed: the transactions that pass some filters, in each window of a period."""

    filters: Filters
    period: str


class Past(Protocol):
    """Who knows the transactions themselves."""

    def sums(self, account: str, filters: Filters, start: int, end: int, before: int) -> Sums:
        """Of an account's transactions in a window, those with ids below `before`."""


Windows = dict[tuple[str, int], Sums]
"""By account and first instant."""


class _Known(NamedTuple):
    """Since when all transactions of some accounts, or of all, are in a series' sums."""

    since: int
    accounts: frozenset[str] | None


class Tallies:
    """Sums by series, account and window. What is not here is asked of the past, once."""

    def __init__(self) -> None:
        self._sums: dict[Series, Windows] = {}
        self._known: dict[Series, list[_Known]] = {}
        self._unsure: set[str] = set()

    def __contains__(self, series: Series) -> bool:
        return series in self._sums

    def sums(self, account: str, series: Series, start: int, end: int, past: Past, before: int) -> Sums:
        """The sums of an account in a window, to be read and added to."""
        windows = self._sums.setdefault(series, {})
        found = windows.get((account, start))
        if found is None:
            if self._is_known(account, series, start):
                found = Sums()
            else:
                found = past.sums(account, series.filters, start, end, before)
            windows[account, start] = found
        return found

    def knows(self, series: Series, since: int, accounts: Collection[str] | None) -> bool:
        """Whether everything of these accounts (or of all) since an instant is here."""
        return not self._unsure and any(
            known.since <= since
            and (known.accounts is None or (accounts is not None and known.accounts.issuperset(accounts)))
            for known in self._known.get(series, ())
        )

    def install(self, series: Series, windows: Windows, since: int, accounts: Iterable[str] | None) -> None:
        """Take over sums that hold everything of some accounts (or of all) since an instant."""
        # A window that began before is here in part only: its sums are asked of the past, should they be needed.
        whole = {key: sums for key, sums in windows.items() if key[1] >= since}
        self._sums.setdefault(series, {}).update(whole)
        scope = None if accounts is None else frozenset(accounts)
        self._known.setdefault(series, []).append(_Known(since, scope))

    def accounts(self, series: Series) -> set[str]:
        """The accounts with sums."""
        return {account for account, _ in self._sums.get(series, ())}

    def forget(self, account: str) -> None:
        """The account's windows have moved: what is needed is asked of the past."""
        self._unsure.add(account)
        for windows in self._sums.values():
            for key in [key for key in windows if key[0] == account]:
                del windows[key]

    def keep(self, series: Collection[Series]) -> None:
        """Drop all other series."""
        for gone in self._sums.keys() - set(series):
            del self._sums[gone]
            self._known.pop(gone, None)

    def prune(self, series: Series, before: int) -> None:
        """Drop the windows that begin before an instant; should one be needed again, it is asked of the past."""
        windows = self._sums.get(series)
        if windows:
            self._sums[series] = {key: sums for key, sums in windows.items() if key[1] >= before}
        known = self._known.get(series, [])
        self._known[series] = [_Known(max(one.since, before), one.accounts) for one in known]

    def _is_known(self, account: str, series: Series, start: int) -> bool:
        return account not in self._unsure and any(
            known.since <= start and (known.accounts is None or account in known.accounts)
            for known in self._known.get(series, ())
        )
