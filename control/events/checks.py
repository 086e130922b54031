"""Events that are checked on the clock, in intervals or once: from the transactions themselves, judged as the monitor
judges those that are checked continuously.

A check looks at every period that a transaction came into since the check before, so that nothing depends on when it
is done; the first one at those since the event was made.
"""

import sqlite3
from collections.abc import Mapping

import msgspec

from control.events import event_rows
from control.events.account_view import Accounts
from control.events.definition import Filters
from control.events.event_rows import StoredEvent
from control.events.firings import Firings, Marks
from control.events.gathering import earliest, put
from control.events.measures import Sums
from control.events.past import quarters
from control.events.readings import SumsOf
from control.events.tallies import Series, Windows
from control.events.watched import Watched, accounts_of, watched
from control.events.windows import Clocks
from rating.account import Account
from rating.store.partitions import last_id


class CheckedSums(msgspec.Struct):
    """What a check has to judge."""

    event: Watched
    seen_id: int
    """The last transaction that it sees."""
    windows: dict[Series, Windows]
    instants: dict[str, set[int]]
    """Of each account that is to be looked at, an instant in every stretch of time in which no period begins."""


def gather_check(cx: sqlite3.Connection, stored: StoredEvent, accounts: Accounts, now: int) -> CheckedSums:
    """Read what a check of an event needs, on any connection."""
    event = watched(stored)
    concerned = accounts_of(event, accounts.accounts)
    begin = min(stored.created_at, now)
    found = CheckedSums(event, last_id(cx), {series: {} for series in event.series}, {})
    clocks = Clocks()
    for filters in dict.fromkeys(series.filters for series in event.series):
        own = {series: windows for series, windows in found.windows.items() if series.filters == filters}
        since = min(
            earliest(accounts.accounts, concerned, series, max(event.series[series], 1), begin) for series in own
        )
        for quarter in quarters(cx, filters, since=since, before=found.seen_id + 1, accounts=concerned):
            account = accounts.accounts.get(quarter.account)
            if account is None:
                continue
            put(own, clocks, account, quarter)
            if quarter.newest > stored.checked_id and _in_use(event, filters):
                instants = found.instants.setdefault(quarter.account, set())
                instants.add(_stretch(event, clocks, account, quarter.at))
    if any(condition.of_exposure for condition in event.conditions):
        for number in accounts.accounts if concerned is None else concerned:
            instants = found.instants.setdefault(number, set())
            instants.add(_stretch(event, clocks, accounts.accounts[number], now))
    return found


def _in_use(event: Watched, filters: Filters) -> bool:
    """Whether a condition has these filters: others are read only to know when accounts were open."""
    return any(condition.filters == filters for condition in event.conditions)


def _stretch(event: Watched, clocks: Clocks, account: Account, at: int) -> int:
    clock = clocks.of(account)
    return max(clock.piece(condition.period, at)[0] for condition in event.conditions)


def check(found: CheckedSums, accounts: Accounts, marks: Marks, now: int) -> Firings:
    """What an event fires for, of what a check has read."""
    firings = Firings()
    for account in sorted(found.instants):
        if account not in accounts.accounts:
            continue
        for at in sorted(found.instants[account]):
            judgement = accounts.judge(account, found.event, at, _sums_of(found.windows, account))
            marks.take(found.event.id, account, judgement, now, None, firings)
    return firings


def _sums_of(windows: Mapping[Series, Windows], account: str) -> SumsOf:
    def sums(filters: Filters, period: str, start: int, end: int) -> Sums:  # noqa: ARG001  # as every SumsOf
        return windows[Series(filters, period)].get((account, start)) or Sums()

    return sums


def conclude(
    cx: sqlite3.Connection, found: CheckedSums, accounts: Accounts, marks: Marks, now: int, default_s: int
) -> Firings | None:
    """Judge what a check has read, and note that it was done; in the writer's thread, in the store transaction that
    writes what fired. None, and nothing, if the event was changed, paused or deleted since it was read."""
    was = found.event.stored
    stored = event_rows.event_by_id(cx, was.id)
    if stored is None or stored.state != "active" or stored.changed_at != was.changed_at:
        return None
    repeats = was.definition.check.how == "every"
    following = event_rows.next_check(was.definition, now, default_s) if repeats else None
    event_rows.set_checked(cx, was.id, now, found.seen_id, following)
    return check(found, accounts, marks, now)
