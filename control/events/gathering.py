"""The sums of whole series from the transactions table, put into windows by the accounts' clocks."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping

import msgspec

from control.events.past import Quarter, quarters
from control.events.tallies import EVERY_ID, Series, Windows, add
from control.events.windows import Clocks
from rating.account import Account


class Gathered(msgspec.Struct):
    """Series with everything since an instant, of the transactions with ids below `before`."""

    before: int
    since: dict[Series, int]
    accounts: frozenset[str] | None
    """None is all."""
    windows: dict[Series, Windows]


def earliest(
    accounts: Mapping[str, Account], concerned: Collection[str] | None, series: Series, back: int, now: int
) -> int:
    """The first instant, by any clock of the accounts, of the window so many periods before the present one."""
    clocks = Clocks()
    numbers = accounts if concerned is None else concerned
    samples = {(accounts[number].timezone, accounts[number].cycle_day): accounts[number] for number in numbers}
    starts = [clocks.of(account).before(series.period, now, back)[-1][0] for account in samples.values()]
    return min(starts, default=now)


def gather(
    cx: sqlite3.Connection,
    since: Mapping[Series, int],
    accounts: Mapping[str, Account],
    concerned: Iterable[str] | None,
    before: int,
) -> Gathered:
    """Sum series since their instants. One pass over the transactions for each set of filters."""
    scope = None if concerned is None else frozenset(concerned)
    gathered = Gathered(before, dict(since), scope, {series: {} for series in since})
    if before > 0:
        _pass(cx, gathered, accounts, after=0, before=before)
    return gathered


def catch_up(cx: sqlite3.Connection, gathered: Gathered, accounts: Mapping[str, Account]) -> None:
    """Add what was stored since."""
    _pass(cx, gathered, accounts, after=gathered.before - 1, before=EVERY_ID)
    gathered.before = EVERY_ID


def _pass(cx: sqlite3.Connection, gathered: Gathered, accounts: Mapping[str, Account], after: int, before: int) -> None:
    clocks = Clocks()
    for filters in dict.fromkeys(series.filters for series in gathered.since):
        own = {series: gathered.windows[series] for series in gathered.since if series.filters == filters}
        since = min(gathered.since[series] for series in own)
        for quarter in quarters(cx, filters, since=since, after=after, before=before, accounts=gathered.accounts):
            put(own, clocks, accounts[quarter.account], quarter)


def put(into: Mapping[Series, Windows], clocks: Clocks, account: Account, quarter: Quarter) -> None:
    """Count a quarter of an hour in the windows that hold it."""
    clock = clocks.of(account)
    for series, windows in into.items():
        start, end = clock.window(series.period, quarter.at)
        if start <= quarter.at < end:
            add(windows.setdefault(start, {}), quarter.account, series.measure, quarter.sums.of(series.measure))
