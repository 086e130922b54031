"""Events that are checked on the clock, in intervals or once: from the transactions themselves, judged as the monitor
judges those that are checked continuously.

A check goes through the transactions since the check before, in the order in which they were stored, so that nothing
depends on when it is done; the first one through those that can concern an event that was made when this one was. Of
what accounts owe it knows what they owe now: payments count as if they had been made before these transactions.
"""

import sqlite3
from collections.abc import Collection
from typing import Final

import msgspec

from control.events import event_rows
from control.events.account_view import Accounts
from control.events.event_rows import StoredEvent
from control.events.firings import Firings, Marks
from control.events.gathering import Gathered, earliest, gather
from control.events.lookout import Lookout
from control.events.measures import CHARGE
from control.events.new_rows import NewTransactions
from control.events.past import StoredPast
from control.events.tallies import EVERY_ID
from control.events.watched import Watched, accounts_of, watched
from rating.store.batch import COLUMN
from rating.store.partitions import last_id

_ACCOUNT: Final = COLUMN["account"]


class Checked(msgspec.Struct):
    """What a check begins with."""

    event: Watched
    gathered: Gathered
    """The sums as they were after the check before."""


def gather_check(cx: sqlite3.Connection, stored: StoredEvent, accounts: Accounts, now: int) -> Checked:
    """Read what a check of an event begins with, on any connection."""
    event = watched(stored)
    concerned = accounts_of(event, accounts.accounts)
    if not stored.checked_id:  # nothing comes before the first check, however far it goes back
        return Checked(event, gather(cx, dict.fromkeys(event.series, 0), accounts.accounts, concerned, 0))
    at = now if stored.last_checked_at is None else min(stored.last_checked_at, now)
    since = {s: earliest(accounts.accounts, concerned, s, back + 1, at) for s, back in event.series.items()}
    return Checked(event, gather(cx, since, accounts.accounts, concerned, stored.checked_id + 1))


def conclude(
    cx: sqlite3.Connection, found: Checked, accounts: Accounts, marks: Marks, now: int, default_s: int
) -> Firings | None:
    """Go through what came since, and note that it was done; in the writer's thread, in the store transaction that
    writes what fired. None, and nothing, if the event was changed, paused or deleted since it was read."""
    was = found.event.stored
    stored = event_rows.event_by_id(cx, was.id)
    if stored is None or stored.state != "active" or stored.changed_at != was.changed_at:
        return None
    repeats = was.definition.check.how == "every"
    following = event_rows.next_check(was.definition, now, default_s) if repeats else None
    event_rows.set_checked(cx, was.id, now, last_id(cx), following)
    return _check(cx, found, accounts, marks, now)


def _check(cx: sqlite3.Connection, found: Checked, accounts: Accounts, marks: Marks, now: int) -> Firings:
    event, past, firings = found.event, StoredPast(cx), Firings()
    concerned = accounts_of(event, accounts.accounts)
    new = NewTransactions(cx, event.stored.checked_id, _since(event, accounts, concerned, now), concerned)
    later = new.charges() if event.of_exposure else {}
    known = msgspec.structs.replace(accounts, exposure_of=lambda a: accounts.exposure_of(a) - later.get(a, 0))
    lookout = Lookout(known, marks)
    for series, since in found.gathered.since.items():
        lookout.tallies.install(series, found.gathered.windows[series], since, concerned)
    lookout.put_in_force([event])
    for rows in new.chunks():
        rows = [row for row in rows if row[_ACCOUNT] in accounts.accounts]
        for row in rows if event.of_exposure else ():
            later[row[_ACCOUNT]] -= row[CHARGE]
        fired = lookout.watch(rows, now, past, found_by_check=True)
        firings.fired += fired.fired
        firings.marks += fired.marks
    if event.of_exposure:  # what is owed may have changed without a transaction
        lookout.settle()
        for account in accounts.accounts if concerned is None else concerned:
            judgement = accounts.judge(account, event, now, lookout.sums_of(account, past, EVERY_ID))
            marks.take(event.id, account, judgement, now, None, firings)
    return firings


def _since(event: Watched, accounts: Accounts, concerned: Collection[str] | None, now: int) -> int:
    """The first instant whose transactions may concern the event: what was over when it was made is not looked at."""
    begin = min(event.stored.created_at, now)
    return min(
        (earliest(accounts.accounts, concerned, s, max(back, 1), begin) for s, back in event.series.items()),
        default=begin,
    )
