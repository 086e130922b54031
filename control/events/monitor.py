"""The event monitor: looks at every transaction for the events that are checked continuously.

It lives in the thread that writes the store. The sums are a projection of the transactions: nothing of them is stored.
Here is what is in force, and how an account stands now; `lookout` looks at the transactions.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from control.events import event_rows
from control.events.account_view import Accounts, sums_from
from control.events.event_rows import StoredEvent
from control.events.firings import Firings, Marks
from control.events.gathering import Gathered, catch_up, earliest, gather
from control.events.lookout import Lookout
from control.events.past import StoredPast
from control.events.tallies import EVERY_ID, Past, Series
from control.events.watched import Reach, Watched, accounts_of, watched
from rating.account import Account
from rating.account_slots import AccountSlots
from rating.store.batch import Row
from rating.store.partitions import last_id

_FEW: Final = 1000
"""So many accounts are looked at one by one when an event is made; of more, those with transactions."""


class Recheck(msgspec.Struct):
    """How an account stands with its events now."""

    firings: Firings
    """What became true: a raised limit is a new threshold."""
    holding: list[int]
    """Events that hold."""
    cleared: list[int]
    """Events that do not hold: a bar until cleared has no reason any more."""
    look_again_at: int | None
    """When the first of the periods for which one holds is over, µs UTC."""


class EventMonitor:
    """Looks at transactions, and says what fired. Everything but `prepare` is called in the writer's thread."""

    def __init__(self, accounts: Accounts, slots: AccountSlots | None = None) -> None:
        """`slots`: where others keep accounts too; None makes its own."""
        self._accounts = accounts
        self._events: dict[int, Watched] = {}
        self._reach = Reach(())
        self.marks = Marks()
        """For what events have fired."""
        self._lookout = Lookout(accounts, self.marks, slots)
        self._tallies = self._lookout.tallies

    # What is in force.

    def load(self, cx: sqlite3.Connection, now: int) -> None:
        """Stand where the store is, at the start. What was fired is not fired again."""
        events = {event.id: watched(event) for event in event_rows.active_events(cx)}
        self._load_marks(cx, events.values())
        before = last_id(cx) + 1
        for event in events.values():
            self._gather(cx, event, self.prepare(cx, event.stored, now, before))
        self._in_force(events)

    def prepare(self, cx: sqlite3.Connection, stored: StoredEvent, now: int, before: int) -> Gathered:
        """The sums that an event needs and the monitor may not have, of the transactions with ids below `before`. It
        may read on any connection, in any thread: `add` catches up with what comes meanwhile."""
        event = watched(stored)
        concerned = accounts_of(event, self._accounts.accounts)
        needed: dict[Series, int] = {}
        if event.continuous:
            since = {
                s: earliest(self._accounts.accounts, concerned, s, back + 1, now) for s, back in event.series.items()
            }
            needed = {s: at for s, at in since.items() if not self._tallies.knows(s, at, concerned)}
        return gather(cx, needed, self._accounts.accounts, concerned, before)

    def add(self, cx: sqlite3.Connection, stored: StoredEvent, now: int, gathered: Gathered | None = None) -> Firings:
        """Put an event in force: a new one, one that was changed, or taken up again. What it holds for already is fired
        at once. `gathered` is what `prepare` said of it, if that was asked before."""
        self.remove(cx, stored.id, now)
        self._lookout.settle()
        event = watched(stored)
        self._load_marks(cx, [event])
        before = last_id(cx) + 1
        self._gather(cx, event, gathered or self.prepare(cx, event.stored, now, before))
        self._in_force(self._events | {event.id: event})
        return self._look_everywhere(event, StoredPast(cx), now) if event.continuous else Firings()

    def remove(self, cx: sqlite3.Connection, event: int, now: int) -> None:
        """Take an event out of force."""
        gone = self._events.get(event)
        if gone is None:
            return
        self._lookout.settle()
        self.marks.forget(event)
        left = {number: other for number, other in self._events.items() if number != event}
        # Sums that nobody adds to any more must not stay; those that others need are gathered again, for them.
        own = set(gone.series)
        self._tallies.keep({s for other in left.values() for s in other.series if s not in own})
        self._in_force(left)
        for other in left.values():
            if other.continuous and not own.isdisjoint(other.series):
                self._gather(cx, other, self.prepare(cx, other.stored, now, last_id(cx) + 1))

    def follow(self, accounts: Mapping[str, Account], opened_at: Mapping[str, int]) -> list[str]:
        """Take over newly imported accounts. Those whose credit limit changed are to be looked at with `recheck`."""
        self._lookout.forget_accounts()
        changed = []
        for number, account in accounts.items():
            known = self._accounts.accounts.get(number)
            if known is None or known is account:
                continue
            if (known.timezone, known.cycle_day, known.segment) != (
                account.timezone,
                account.cycle_day,
                account.segment,
            ):
                self._tallies.forget(number)
            if known.credit_limit_micros != account.credit_limit_micros:
                changed.append(number)
        self._accounts.accounts, self._accounts.opened_at = accounts, opened_at
        return changed

    def prune(self, now: int) -> None:
        """Drop the sums of windows that are long over; to be called now and then (each hour will do)."""
        longest: dict[Series, int] = {}
        for event in self._events.values():
            for series, back in event.series.items():
                longest[series] = max(longest.get(series, 0), back)
        accounts = self._accounts.accounts
        self._lookout.prune({s: earliest(accounts, None, s, back + 1, now) for s, back in longest.items()})

    def events_of(self, account: str) -> tuple[Watched, ...]:
        """The events in force on an account."""
        known = self._accounts.accounts.get(account)
        return self._reach.events_of(known) if known else ()

    # What is looked at.

    def watch(self, rows: Sequence[Row], now: int, past: Past) -> Firings:
        """Look at new transactions, in ascending order of their ids, after the counters (what accounts owe) counted
        them and before they are committed. `past` sees at least the transactions before them."""
        return self._lookout.watch(rows, now, past)

    def recheck(self, account: str, now: int, past: Past) -> Recheck:
        """Look at an account's events in the periods of now: after a payment, at a new credit limit, in a new period.
        Called while no other transactions are under way; may be after `watch`, in its store transaction."""
        self._lookout.refresh(account)
        firings, holding, cleared, ends = Firings(), list[int](), list[int](), list[int]()
        for event in self.events_of(account):
            sums = self._lookout.sums_of(account, past, EVERY_ID) if event.continuous else sums_from(past, account)
            judgement = self._accounts.judge(account, event, now, sums)
            (holding if judgement.holds else cleared).append(event.id)
            ends += [occasion.ends_at for occasion in judgement.occasions]
            if event.continuous:
                self.marks.take(event.id, account, judgement, now, None, firings)
        return Recheck(firings, holding, cleared, min(ends, default=None))

    # How.

    def _look_everywhere(self, event: Watched, past: Past, now: int) -> Firings:
        """What an event holds for now, of all its accounts."""
        firings = Firings()
        concerned = accounts_of(event, self._accounts.accounts)
        if concerned is None or len(concerned) > _FEW:
            used = set[str]().union(*(self._tallies.accounts(series) for series in event.series))
            everybody = self._accounts.accounts if concerned is None else concerned
            concerned = [account for account in everybody if event.of_exposure or account in used]
        for account in concerned:
            judgement = self._accounts.judge(account, event, now, self._lookout.sums_of(account, past, EVERY_ID))
            self.marks.take(event.id, account, judgement, now, None, firings)
        return firings

    def _gather(self, cx: sqlite3.Connection, event: Watched, gathered: Gathered) -> None:
        catch_up(cx, gathered, self._accounts.accounts)
        concerned = accounts_of(event, self._accounts.accounts)
        for series, windows in gathered.windows.items():
            self._tallies.install(series, windows, gathered.since[series], concerned)

    def _load_marks(self, cx: sqlite3.Connection, events: Iterable[Watched]) -> None:
        by_id = {event.id: event for event in events}
        for mark in event_rows.marks_of(cx, by_id):
            terms = by_id[mark.event].terms
            conditions = by_id[mark.event].conditions
            owes = any(all(conditions[number].of_exposure for number in term) for term in terms)
            self.marks.add(mark, standing=owes and "the credit limit" in mark.threshold)

    def _in_force(self, events: dict[int, Watched]) -> None:
        self._events = events
        self._reach = Reach(events.values())
        self._lookout.put_in_force(event for event in events.values() if event.continuous)
