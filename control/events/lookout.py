"""Looks at transactions as they are stored, for the events in force, and says which of them fire.

An event is judged with each transaction that its filters pass, in the order in which they were stored, by what was
stored up to it and at the instant of its answer: a late one makes an event fire only in its own periods. That costs
little: a transaction is added to what its account has gathered lately, and that is compared with how much may come
until something becomes true (`lanes`). Only then, or where a period begins, are windows and thresholds looked at.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from control.events.account_view import Accounts
from control.events.evaluation import most_of
from control.events.firings import Firings, Marks
from control.events.lanes import Lane, Pattern
from control.events.measures import CHARGE, DURATION
from control.events.readings import SumsOf
from control.events.tallies import Past, Series, Tallies
from control.events.turn import Turn
from control.events.watched import Reach, Watched
from rating.store.batch import COLUMN, CORRECTION_KEY, Row

_ACCOUNT: Final = COLUMN["account"]
_ANSWER_AT: Final = COLUMN["answer_at"]
_KEY: Final = COLUMN["key"]


class _Held(NamedTuple):
    """A reversal that is not looked at before what is charged instead, which follows it: between the two an account
    seems to owe less than it ever did, and an event would become true anew."""

    lead: Lane
    due: list[Lane]
    row: Row


class Lookout:
    """The lanes of all accounts, and the sums that they are settled into."""

    def __init__(self, accounts: Accounts, marks: Marks) -> None:
        self._accounts, self._marks = accounts, marks
        self._reach = Reach(())
        self._patterns: dict[Hashable, Pattern] = {}
        """By the kind of account."""
        self._leads: dict[str, Lane] = {}
        """The first lane of each account that had transactions."""
        self.tallies: Final = Tallies()
        """As of the last `settle`."""

    # What is in force.

    def put_in_force(self, events: Iterable[Watched]) -> None:
        """Look for these events from now on, and for no others."""
        self.settle()
        self._reach = Reach(events)
        self._patterns.clear()
        self._leads.clear()

    def settle(self) -> None:
        """Add what was gathered to the sums."""
        for account, lead in self._leads.items():
            lead.settle(account)

    def refresh(self, account: str) -> None:
        """Settle an account, and look anew at how much may come when the next of its transactions does."""
        lead = self._leads.pop(account, None)
        if lead is not None:
            lead.settle(account)

    def forget_accounts(self) -> None:
        """Accounts may have other events, and other periods: settle them all, and begin anew."""
        self.settle()
        self._leads.clear()

    def prune(self, before: Mapping[Series, int]) -> None:
        """Drop the sums of windows that begin before an instant."""
        dropped = {id(tally) for tally in self.tallies.prune(before)}
        for pattern in self._patterns.values():
            pattern.forget_cells()
        for account, lead in list(self._leads.items()):
            if lead.gathers_in(dropped):
                lead.settle(account)
                del self._leads[account]

    # What is looked at.

    def watch(self, rows: Sequence[Row], now: int, past: Past, *, found_by_check: bool = False) -> Firings:
        """Look at transactions, in ascending order of their ids; what accounts owe holds them all. `past` sees at least
        the transactions before them. Of what a check finds it is not said which transaction made it true."""
        turn = Turn(rows, now, past, found_by_check)
        if not self._reach:
            return turn.firings
        leads = self._leads
        held: _Held | None = None
        for row in rows:
            lead = leads.get(row[_ACCOUNT]) or self._open(row[_ACCOUNT])
            due: list[Lane] | None = None
            if held is not None:
                if held.lead is lead and held.row[_ANSWER_AT] == row[_ANSWER_AT]:
                    due = held.due
                else:
                    self._look(held.lead, held.due, held.row, turn)
                held = None
            if not lead.begins <= row[_ANSWER_AT] < lead.ends:
                self._move(lead, row, turn)
            due = _count(lead, row, due)
            if due:  # not before every lane has counted the row: an event may have conditions in several
                if row[_KEY] == CORRECTION_KEY and (row[CHARGE] < 0 or row[DURATION] < 0):
                    held = _Held(lead, due, row)
                else:
                    self._look(lead, due, row, turn)
        if held is not None:
            self._look(held.lead, held.due, held.row, turn)
        return turn.firings

    def sums_of(self, account: str, past: Past, before: int) -> SumsOf:
        """The sums of an account, whose lanes have settled; what is not here is asked of the past."""

        def sums(series: Series, start: int, end: int) -> int:
            return self.tallies.find(self.tallies.tally(series, start), account, end, past, before)

        return sums

    # How.

    def _open(self, account: str) -> Lane:
        known = self._accounts.accounts[account]
        kind = self._reach.kind_of(known)
        pattern = self._patterns.get(kind)
        if pattern is None:
            pattern = self._patterns[kind] = Pattern(self._reach.events_of(known))
        lead = self._leads[account] = pattern.lead()
        return lead

    def _move(self, lead: Lane, row: Row, turn: Turn) -> None:
        """Gather around the instant of a row from now on."""
        account, tallies, past, before = row[_ACCOUNT], self.tallies, turn.past, row[0]
        lead.settle(account)
        clock = self._accounts.clocks.of(self._accounts.accounts[account])
        cell = lead.cell.pattern.cell(clock, row[_ANSWER_AT], tallies)
        lead.move(cell)
        held = [[tallies.find(t, account, end, past, before) for t, end in windows] for windows in cell.windows]
        lanes, unseen = lead.chain(), set[int]()
        for lane, sums in zip(lanes, held, strict=True):
            if not lane.make_room(sums):
                unseen |= self._make_room(lane, row, turn, before=before)
        for lane in lanes if unseen else ():
            if any(event.id in unseen for event, _ in lane.plan.conditions):
                lane.await_next()

    def _look(self, lead: Lane, due: list[Lane], row: Row, turn: Turn) -> None:
        """Something may have become true with a row, in some lanes of its account."""
        account, at = row[_ACCOUNT], row[_ANSWER_AT]
        lead.settle(account)
        sums, exposure = self.sums_of(account, turn.past, row[0]), turn.exposure(self._accounts, account, row[0] + 1)
        for _, event in sorted({event.id: event for lane in due for event, _ in lane.plan.conditions}.items()):
            judgement = self._accounts.judge(account, event, at, sums, exposure)
            self._marks.take(
                event.id, account, judgement, turn.now, None if turn.found_by_check else row[0], turn.firings
            )
        for lane in due:
            self._make_room(lane, row, turn, before=row[0] + 1)

    def _make_room(self, lane: Lane, row: Row, turn: Turn, before: int) -> set[int]:
        """Set how much may come, in a lane that has settled, until one of its events becomes true. Which ones hold for
        something that was not seen yet, because it came of other periods: they are to be judged with the next that any
        of their conditions counts."""
        account, at = row[_ACCOUNT], row[_ANSWER_AT]
        sums, exposure = self.sums_of(account, turn.past, row[0]), turn.exposure(self._accounts, account, before)
        lane.clear_rooms()
        unseen = set()
        for event, condition in lane.plan.conditions:
            reading = self._accounts.read(account, condition, at, sums, exposure)
            most = most_of(condition, reading)
            if condition.of_exposure and (most is None or reading.value <= most):
                self._marks.owes_no_more(event.id, account)
            if most is None:
                continue
            if reading.value <= most:
                lane.narrow(condition.measure, reading.value, most)
                continue
            # It holds: nothing more comes of it, but if the event holds too, for something that was not seen yet.
            judgement = self._accounts.judge(account, event, at, sums, exposure)
            if not self._marks.has_all(event.id, account, judgement):
                unseen.add(event.id)
        return unseen


def _count(lead: Lane, row: Row, due: list[Lane] | None) -> list[Lane] | None:
    """Count a row in the lanes of its account that it belongs to; those to be looked at, with the ones that are due
    already."""
    charge, duration_us = row[CHARGE], row[DURATION]
    lane: Lane | None = lead
    while lane is not None:
        plan, closely = lane.plan, lane.closely
        near = closely is not None and closely.count(charge)
        if plan.charges:
            lane.charge_micros = total = lane.charge_micros + charge
            near = near or total > lane.charge_room or charge < 0  # below 0: what held may not hold now
        if duration_us:
            if plan.minutes:
                lane.duration_us = total = lane.duration_us + duration_us
                near = near or total > lane.duration_room or duration_us < 0
            if plan.calls:
                lane.calls = total = lane.calls + (1 if duration_us > 0 else -1)
                near = near or total > lane.calls_room or duration_us < 0
        if near and not any(one is lane for one in due or ()):
            due = [*(due or ()), lane]
        lane = lane.after
        while lane and not (
            matches(row) if (matches := lane.plan.matches) else row[lane.plan.column] == lane.plan.wanted
        ):
            lane = lane.after
    return due
