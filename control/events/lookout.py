"""Looks at transactions as they are stored, for the events in force, and says which of them fire.

An event is judged with each transaction that its filters pass, in the order in which they were stored, by what was
stored up to it and at the instant of its answer: a late one makes an event fire only in its own periods. That costs
little: the transactions of a commit are added to what their accounts have gathered lately, all at once, and that is
compared with how much may come until something becomes true (`sweep`). Only accounts for which it may, or for which a
period begins, have their lanes, windows and thresholds looked at, with each of their transactions.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from control.events.account_view import Accounts
from control.events.evaluation import most_of
from control.events.firings import Firings, Marks
from control.events.lanes import Lane, count, lead_in
from control.events.measures import CHARGE, DURATION
from control.events.moving import Moving
from control.events.parked import ParkedLanes
from control.events.patterns import Patterns
from control.events.readings import SumsOf
from control.events.slot_marks import SlotMarks
from control.events.sweep import Sweep
from control.events.tallies import Past, Series, Tallies
from control.events.turn import Turn
from control.events.watched import Reach, Watched
from rating.account_slots import AccountSlots
from rating.store.batch import COLUMN, CORRECTION_KEY, Row

_ACCOUNT: Final = COLUMN["account"]
_ANSWER_AT: Final = COLUMN["answer_at"]
_KEY: Final = COLUMN["key"]
_APART_AT_MOST: Final = 1000
"""So many accounts may stay unparked between calls: where few transactions come at a time, the same ones come again."""


class _Held(NamedTuple):
    """A reversal that is not looked at before what is charged instead, which follows it: between the two an account
    seems to owe less than it ever did, and an event would become true anew."""

    lead: Lane
    due: list[Lane]
    row: Row
    place: int


class Lookout:
    """The lanes of all accounts, and the sums that they are settled into."""

    few: int = 8
    """Fewer transactions are looked at one by one."""

    def __init__(self, accounts: Accounts, marks: Marks, slots: AccountSlots | None = None) -> None:
        """`slots`: where others keep accounts too; None makes its own."""
        self._accounts, self._marks = accounts, marks
        self._reach = Reach(())
        self._patterns = Patterns(self._reach)
        self._slots = AccountSlots(lambda account: accounts.accounts[account].account) if slots is None else slots
        self._parked = ParkedLanes(self._slots)
        marked = SlotMarks()
        self._leads: dict[str, Lane] = {}
        """The first lane of each account that is not parked: because it counts something closely, or at present."""
        self._touched: list[str] = []
        """Accounts that may be parked again."""
        self.tallies: Final = Tallies()
        """As of the last `settle`."""
        self._sweep = Sweep(self._parked, marked)
        self._moving = Moving(accounts, self._slots, self.tallies, self._parked, marked)

    # What is in force.

    def put_in_force(self, events: Iterable[Watched]) -> None:
        """Look for these events from now on, and for no others."""
        self.forget_accounts()
        self._reach = Reach(events)
        self._patterns = Patterns(self._reach)

    def settle(self) -> None:
        """Add what was gathered to the sums."""
        for account, lead in self._leads.items():
            lead.settle(account)
        self._parked.settle()

    def refresh(self, account: str) -> None:
        """Settle an account, and look anew at how much may come when the next of its transactions does."""
        slot = self._slots.find(account)
        if slot is None:
            return
        lead = self._leads.pop(account, None) or self._parked.take(slot)
        if lead is not None:
            lead.settle(account)
        self._parked.forget(slot)

    def forget_accounts(self) -> None:
        """Accounts may have other events, and other periods: settle them all, and begin anew."""
        self.settle()
        self._leads.clear()
        self._parked.clear()

    def prune(self, before: Mapping[Series, int]) -> None:
        """Drop the sums of windows that begin before an instant."""
        dropped = {id(tally) for tally in self.tallies.prune(before)}
        self._patterns.forget_cells()
        for account in [account for account, lead in self._leads.items() if lead.gathers_in(dropped)]:
            self.refresh(account)
        self._parked.drop(dropped)

    # What is looked at.

    def watch(self, rows: Sequence[Row], now: int, past: Past, *, found_by_check: bool = False) -> Firings:
        """Look at transactions, in ascending order of their ids; what accounts owe holds them all. `past` sees at least
        the transactions before them. Of what a check finds it is not said which transaction made it true."""
        turn = Turn(rows, now, past, found_by_check)
        if not self._reach:
            return turn.firings
        if len(rows) < self.few:
            self._look_at(rows, range(len(rows)), turn)
        else:
            self._park()
            counted = self._slots.counted(rows)
            self._parked.grow()
            self._moving.move(counted, self._patterns, self.few)
            self._look_at(rows, self._sweep.add(rows, counted, self._patterns, self.few), turn)
        if len(self._touched) > _APART_AT_MOST:
            self._park()
        return turn.firings

    def sums_of(self, account: str, past: Past, before: int) -> SumsOf:
        """The sums of an account, whose lanes have settled; what is not here is asked of the past."""

        def sums(series: Series, start: int, end: int) -> int:
            return self.tallies.find(self.tallies.tally(series, start), account, end, past, before)

        return sums

    # How.

    def _look_at(self, rows: Sequence[Row], indices: Iterable[int], turn: Turn) -> None:
        leads = self._leads
        held: _Held | None = None
        for index in indices:
            row = rows[index]
            lead = leads.get(row[_ACCOUNT]) or self._open(row[_ACCOUNT])
            due: list[Lane] | None = None
            if held is not None:
                if held.place + 1 == index and held.lead is lead and held.row[_ANSWER_AT] == row[_ANSWER_AT]:
                    due = held.due
                else:
                    self._look(held.lead, held.due, held.row, turn)
                held = None
            if not lead.begins <= row[_ANSWER_AT] < lead.ends:
                self._move(lead, row, turn)
            due = count(lead, row, due)
            if due:  # not before every lane has counted the row: an event may have conditions in several
                if row[_KEY] == CORRECTION_KEY and (row[CHARGE] < 0 or row[DURATION] < 0):
                    held = _Held(lead, due, row, index)
                else:
                    self._look(lead, due, row, turn)
        if held is not None:
            self._look(held.lead, held.due, held.row, turn)

    def _park(self) -> None:
        """Park the accounts that something was done with."""
        for account in self._touched:
            lead = self._leads.get(account)
            if lead is not None and lead.parks:
                self._parked.put(self._slots.slot(account), self._leads.pop(account))
        self._touched.clear()

    def _open(self, account: str) -> Lane:
        """Take up the lanes of an account that is parked, or begin some."""
        lead = self._parked.take(self._slots.slot(account))
        if lead is None:
            lead = lead_in(self._patterns.of(self._accounts.accounts[account]).nowhere)
        self._leads[account] = lead
        self._touched.append(account)
        return lead

    def _move(self, lead: Lane, row: Row, turn: Turn) -> None:
        """Gather around the instant of a row from now on."""
        account, tallies, past, before = row[_ACCOUNT], self.tallies, turn.past, row[0]
        self._touched.append(account)
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
        self._touched.append(account)
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
