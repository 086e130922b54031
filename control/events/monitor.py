"""The event monitor: looks at every transaction for the events that are checked continuously.

It lives in the thread that writes the store. The sums are a projection of the transactions: nothing of them is stored.
A transaction costs little: it is added to what its account has gathered lately, and that is compared with how much may
come until something becomes true. Only then, or where a period begins, are windows and thresholds looked at.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from control.events import event_rows
from control.events.account_view import Accounts, sums_from
from control.events.definition import Filters
from control.events.evaluation import most_of
from control.events.event_rows import StoredEvent
from control.events.firings import Firings, Marks
from control.events.gathering import Gathered, catch_up, earliest, gather
from control.events.measures import CHARGE, DURATION, Sums
from control.events.past import StoredPast
from control.events.readings import SumsOf
from control.events.tallies import EVERY_ID, Past, Series, Tallies
from control.events.turn import Turn
from control.events.watched import FAR, Cell, Lane, Plan, Reach, Watched, accounts_of, cell_of, plans_of, watched
from rating.account import Account
from rating.store.batch import COLUMN, Row
from rating.store.partitions import last_id

_ACCOUNT: Final = COLUMN["account"]
_ANSWER_AT: Final = COLUMN["answer_at"]
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

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._events: dict[int, Watched] = {}
        self._reach = Reach(())
        self._continuous = Reach(())
        self._plans: dict[tuple[int, ...], tuple[Plan, ...]] = {}
        self._cells: dict[tuple[int, str, int], Cell] = {}
        self._lanes: dict[str, tuple[Lane, ...]] = {}
        self._tallies = Tallies()
        self.marks = Marks()
        """For what events have fired."""

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
        self._settle()
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
        self._settle()
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
        self._settle()
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
        self._lanes.clear()
        return changed

    def prune(self, now: int) -> None:
        """Drop the sums of windows that are long over; to be called now and then (each hour will do)."""
        self._settle()
        self._lanes.clear()
        for event in self._events.values():
            for series, back in self._longest(event).items():
                if series in self._tallies:
                    self._tallies.prune(series, earliest(self._accounts.accounts, None, series, back + 1, now))

    def events_of(self, account: str) -> tuple[Watched, ...]:
        """The events in force on an account."""
        known = self._accounts.accounts.get(account)
        return self._reach.events_of(known) if known else ()

    # What is looked at.

    def watch(self, rows: Sequence[Row], now: int, past: Past) -> Firings:
        """Look at new transactions, in ascending order of their ids, after the counters (what accounts owe) counted
        them and before they are committed. `past` sees at least the transactions before them."""
        turn = Turn(rows, now, past)
        lanes_of = self._lanes
        for row in rows:
            lanes = lanes_of.get(row[_ACCOUNT])
            if lanes is None:
                lanes = self._open(row[_ACCOUNT])
            due: list[Lane] | None = None
            for lane in lanes:
                column = lane.column
                if column and not (row[column] == lane.wanted if column > 0 else lane.plan.matches(row)):  # type: ignore[misc]  # there is one where the column says so
                    continue
                if not lane.begins <= row[_ANSWER_AT] < lane.ends:
                    self._move(lane, row, turn)
                charge, duration_us = row[CHARGE], row[DURATION]
                lane.transactions += 1
                lane.charge_micros += charge
                if duration_us:
                    lane.duration_us += duration_us
                    lane.calls += 1
                if charge > lane.largest_micros:
                    lane.largest_micros = charge
                elif charge < 0:
                    lane.charge_room = -FAR  # what held may not hold now
                if (
                    lane.charge_micros > lane.charge_room
                    or lane.duration_us > lane.duration_room
                    or lane.calls > lane.calls_room
                    or charge > lane.single_room
                ):
                    due = [*(due or ()), lane]
            if due:  # not before every lane has counted the row: an event may have conditions in several
                self._look(due, row, turn)
        return turn.firings

    def recheck(self, account: str, now: int, past: Past) -> Recheck:
        """Look at an account's events in the periods of now: after a payment, at a new credit limit, in a new period.
        Called while no other transactions are under way; may be after `watch`, in its store transaction."""
        self._refresh(account)
        firings, holding, cleared, ends = Firings(), list[int](), list[int](), list[int]()
        for event in self.events_of(account):
            sums = self._sums_of(account, past, EVERY_ID) if event.continuous else sums_from(past, account)
            judgement = self._accounts.judge(account, event, now, sums)
            (holding if judgement.holds else cleared).append(event.id)
            ends += [occasion.ends_at for occasion in judgement.occasions]
            if event.continuous:
                self.marks.take(event.id, account, judgement, now, None, firings)
        return Recheck(firings, holding, cleared, min(ends, default=None))

    # How.

    def _open(self, account: str) -> tuple[Lane, ...]:
        events = self._continuous.events_of(self._accounts.accounts[account])
        key = tuple(event.id for event in events)
        plans = self._plans.get(key)
        if plans is None:
            plans = self._plans[key] = plans_of(events)
        lanes = self._lanes[account] = tuple(Lane(plan, plan.column, plan.wanted) for plan in plans)
        return lanes

    def _move(self, lane: Lane, row: Row, turn: Turn) -> None:
        """Gather around the instant of a row from now on."""
        account, at, plan = row[_ACCOUNT], row[_ANSWER_AT], lane.plan
        lanes = self._lanes[account]
        for other in lanes:
            other.settle()
        cell = self._cell(plan, self._accounts.accounts[account], at)
        tallies, past, before = self._tallies, turn.past, row[0]
        into = tuple([tallies.sums(account, series, start, end, past, before) for series, start, end in cell.windows])
        lane.move(cell, into)
        if not plan.filters:
            # Averages of other lanes depend on when the account was open, which is seen here.
            for other in lanes:
                if other is not lane:
                    other.begins = other.ends = 0
        if plan.fresh is not None and not any(sums.transactions for sums in into):
            lane.charge_room, lane.duration_room, lane.calls_room, lane.single_room = plan.fresh
        else:
            self._make_room(lane, row, turn, before=row[0])

    def _cell(self, plan: Plan, account: Account, at: int) -> Cell:
        key = id(plan), account.timezone, account.cycle_day
        cell = self._cells.get(key)
        if cell is None or not cell.begins <= at < cell.ends:
            cell = self._cells[key] = cell_of(plan, self._accounts.clocks.of(account), at)
        return cell

    def _look(self, due: list[Lane], row: Row, turn: Turn) -> None:
        """Something may have become true with a row, in some lanes of its account."""
        account, at = row[_ACCOUNT], row[_ANSWER_AT]
        for other in self._lanes[account]:
            other.settle()
        sums, exposure = self._sums_of(account, turn.past, row[0]), turn.exposure(self._accounts, account, row[0] + 1)
        for event in {event.id: event for lane in due for event, _ in lane.plan.conditions}.values():
            judgement = self._accounts.judge(account, event, at, sums, exposure)
            self.marks.take(event.id, account, judgement, turn.now, row[0], turn.firings)
        for lane in due:
            self._make_room(lane, row, turn, before=row[0] + 1)

    def _make_room(self, lane: Lane, row: Row, turn: Turn, before: int) -> None:
        """How much may come, in a lane that has settled, until one of its events becomes true."""
        account, at = row[_ACCOUNT], row[_ANSWER_AT]
        sums, exposure = self._sums_of(account, turn.past, row[0]), turn.exposure(self._accounts, account, before)
        lane.clear_rooms()
        for event, condition in lane.plan.conditions:
            reading = self._accounts.read(account, condition, at, sums, exposure)
            most = most_of(condition, reading)
            if condition.of_exposure and (most is None or reading.value <= most):
                self.marks.owes_no_more(event.id, account)
            if most is None:
                continue
            if reading.value <= most:
                lane.narrow(condition.measure, reading.value, most)
                continue
            # It holds: nothing more comes of it, but if the event holds too and has not fired.
            judgement = self._accounts.judge(account, event, at, sums, exposure)
            if judgement.holds and not self.marks.covered(event.id, account, judgement):
                lane.charge_room = -FAR

    def _sums_of(self, account: str, past: Past, before: int) -> SumsOf:
        def sums(filters: Filters, period: str, start: int, end: int) -> Sums:
            return self._tallies.sums(account, Series(filters, period), start, end, past, before)

        return sums

    def _look_everywhere(self, event: Watched, past: Past, now: int) -> Firings:
        """What an event holds for now, of all its accounts."""
        firings = Firings()
        concerned = accounts_of(event, self._accounts.accounts)
        if concerned is None or len(concerned) > _FEW:
            used = set[str]().union(*(self._tallies.accounts(series) for series in event.series))
            owing = any(condition.of_exposure for condition in event.conditions)
            everybody = self._accounts.accounts if concerned is None else concerned
            concerned = [account for account in everybody if owing or account in used]
        for account in concerned:
            judgement = self._accounts.judge(account, event, now, self._sums_of(account, past, EVERY_ID))
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
        self._continuous = Reach(event for event in events.values() if event.continuous)
        self._plans.clear()
        self._cells.clear()
        self._lanes.clear()

    def _longest(self, event: Watched) -> dict[Series, int]:
        """The series of an event, each with the most periods before that any event needs."""
        return {series: max(other.series.get(series, 0) for other in self._events.values()) for series in event.series}

    def _refresh(self, account: str) -> None:
        """Settle an account's lanes, and look anew at what may come when the next transaction does."""
        for lane in self._lanes.get(account, ()):
            lane.settle()
            lane.begins = lane.ends = 0

    def _settle(self) -> None:
        for lanes in self._lanes.values():
            for lane in lanes:
                lane.settle()
