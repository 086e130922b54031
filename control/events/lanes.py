"""Where the transactions of an account are gathered for its events, and how much more may come until one holds.

An account has a lane for each set of filters that its events have. A lane counts what passes them in a stretch of time
in which no period begins, and knows its rooms: what may come before anything can become true. So long as there is room
nothing else is looked at. Between their transactions the lanes of most accounts are numbers in arrays (`parked`).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from control.events.measures import CHARGE, DURATION, Sums
from control.events.patterns import Cell
from control.events.plans import FAR, Plan
from control.events.tallies import Tally, add
from rating.store.batch import Row


@dataclass(slots=True)
class Closely:
    """What is rarely wanted of the transactions of a lane, since it was last added to the sums."""

    room: int
    """The greatest charge of a single one that makes nothing true."""
    transactions: int = 0
    largest_micros: int = 0
    """Of a single one."""

    def count(self, charge_micros: int) -> bool:
        """Count a transaction; whether something may become true with it."""
        self.transactions += 1
        if charge_micros > self.largest_micros:
            self.largest_micros = charge_micros
        return charge_micros > self.room


@dataclass(slots=True)
class Lane:
    """What an account's transactions that pass some filters came to in a stretch of time, since it was last added to
    the sums; and how much more of each measure may come until something becomes true.

    A plain class: every transaction sets its attributes, and those of a struct are slower to set."""

    plan: Plan
    cell: Cell
    """As `begins` and `ends`, of the first lane of an account only."""
    after: "Lane | None"
    """The account's next one."""
    closely: "Closely | None" = None
    begins: int = 0
    ends: int = 0
    charge_micros: int = 0
    duration_us: int = 0
    calls: int = 0
    charge_room: int = FAR
    duration_room: int = FAR
    calls_room: int = FAR

    @property
    def parks(self) -> bool:
        """Whether the account, of which this is the first, gathers somewhere, and nothing closely."""
        return self.begins < self.ends and all(lane.closely is None for lane in self.chain())

    def chain(self) -> "list[Lane]":
        """This one and those after it."""
        lanes, lane = [self], self.after
        while lane is not None:
            lanes.append(lane)
            lane = lane.after
        return lanes

    def settle(self, account: str) -> None:
        """Add what an account's lanes, of which this is the first, have gathered to the sums, and begin anew."""
        if self.cell.windows:  # nowhere there are none
            for lane, windows in zip(self.chain(), self.cell.windows, strict=True):
                lane._settle(account, windows)

    def _settle(self, account: str, windows: Iterable[tuple[Tally, int]]) -> None:
        closely = self.closely
        if not (self.charge_micros or self.calls or self.duration_us or closely):
            return
        largest, transactions = (closely.largest_micros, closely.transactions) if closely else (0, 0)
        gathered = Sums(self.charge_micros, self.duration_us, self.calls, largest, transactions)
        for tally, _ in windows:
            measure = tally.series.measure
            add(tally.sums, account, measure, gathered.of(measure))
        self.charge_room -= self.charge_micros
        self.duration_room -= self.duration_us
        self.calls_room -= self.calls
        self.charge_micros = self.duration_us = self.calls = 0
        if closely:
            closely.largest_micros = closely.transactions = 0

    def move(self, cell: Cell) -> None:
        """Gather in another stretch from now on, in all lanes of the account; they have settled."""
        self.cell, self.begins, self.ends = cell, cell.begins, cell.ends

    def gathers_in(self, tallies: Collection[int]) -> bool:
        """Whether the account gathers in one of these (by `id`)."""
        return any(id(tally) in tallies for tally in self.cell.tallies)

    def make_room(self, held: Sequence[int]) -> bool:
        """Set the rooms, with nothing gathered and these sums in the windows; False where those do not say it: more
        has to be looked at."""
        plan = self.plan
        if plan.limits is None or plan.fresh is None:
            return False
        self.charge_room, self.duration_room, self.calls_room, single = plan.fresh
        self.closely = Closely(single) if plan.closely else None
        if any(held):
            for measure, most, window in plan.limits:
                if held[window] > most:
                    return False
                self.narrow(measure, held[window], most)
        return True

    def clear_rooms(self) -> None:
        """Nothing becomes true here, whatever comes."""
        self.charge_room = self.duration_room = self.calls_room = FAR
        self.closely = Closely(FAR) if self.plan.closely else None

    def await_next(self) -> None:
        """Something becomes true with the next transaction, whatever it is."""
        self.closely = Closely(-FAR)

    def narrow(self, measure: str, value: int, most: int) -> None:
        """Something becomes true when the measure goes above `most`; it is at `value` now, with nothing gathered."""
        match measure:
            case "charges":
                self.charge_room = min(self.charge_room, most - value)
            case "minutes":
                self.duration_room = min(self.duration_room, most - value)
            case "calls":
                self.calls_room = min(self.calls_room, most - value)
            case "charge":
                assert self.closely is not None, "a single charge is counted closely"
                self.closely.room = min(self.closely.room, most)


def lead_in(cell: Cell) -> Lane:
    """The first of the lanes of an account that gathers in a stretch; nothing has come yet, and of its rooms nothing is
    known."""
    plans = cell.pattern.plans
    lane = None
    for plan in plans[:0:-1]:
        lane = Lane(plan, cell, lane)
    return Lane(plans[0], cell, lane, None, cell.begins, cell.ends)


def count(lead: Lane, row: Row, due: list[Lane] | None) -> list[Lane] | None:
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
        while lane and not lane.plan.takes(row):
            lane = lane.after
    return due
