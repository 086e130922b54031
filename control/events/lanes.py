"""Where the transactions of an account are gathered for its events, and how much more may come until one holds.

An account has a lane for each set of filters that its events have. A lane counts what passes them in a stretch of time
in which no period begins, and knows its rooms: what may come before anything can become true. So long as there is room
nothing else is looked at.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from control.events.definition import NO_FILTERS, Condition, Filters, Fixed, Measure
from control.events.measures import EXACT, Sums, exact_filters, matcher
from control.events.tallies import Series, Tallies, Tally, add, series_of
from control.events.watched import Watched
from control.events.windows import WEEKDAYS, WEEKEND, PeriodClock
from rating.store.batch import Row

FAR: Final = 1 << 80
"""More than can come together."""
_CELLS: Final = 4
"""Stretches that a clock remembers: around the end of one, transactions of both come in turns."""


class Limit(NamedTuple):
    """What a sum may come to before a condition holds."""

    measure: Measure
    most: int
    window: int
    """Number of the series whose window it is, in the plan."""


Rooms = tuple[int, int, int, int]
"""Of charges, duration, calls, and a single charge."""


class Plan(msgspec.Struct, frozen=True, gc=False):
    """What accounts with the same events gather of the transactions that pass some filters."""

    filters: Filters
    conditions: tuple[tuple[Watched, Condition], ...]
    series: tuple[Series, ...]
    """What is summed of them."""
    column: int
    """Of a row, which must hold `wanted`, where `matches` does not have to be asked."""
    wanted: str
    matches: Callable[[Row], bool] | None
    charges: bool
    """Whether charges are counted; as duration and calls:"""
    minutes: bool
    calls: bool
    closely: bool
    """Whether single charges or transactions are counted, which is rare."""
    limits: tuple[Limit, ...] | None
    """Of its conditions; None where sums of one window each do not say whether they hold."""
    fresh: Rooms | None
    """Where there are limits: the rooms while nothing has come yet."""


_NOTHING: Final = Plan(NO_FILTERS, (), (), 0, "", None, False, False, False, False, None, None)


class Cell(NamedTuple):
    """The stretch of time in which lanes of one clock gather, and the windows that hold it."""

    pattern: "Pattern"
    begins: int
    ends: int
    windows: tuple[tuple[tuple[Tally, int], ...], ...]
    """Of each plan, with their ends."""


class Pattern:
    """The plans of accounts with the same events, that for transactions without regard to filters first."""

    def __init__(self, events: Iterable[Watched]) -> None:
        self.plans: Final = _plans_of(events) or (_NOTHING,)
        found = [
            *(c.period for p in self.plans for _, c in p.conditions),
            *(s.period for p in self.plans for s in p.series),
        ]
        self._periods: Final = tuple(dict.fromkeys(found))
        self._cells: dict[PeriodClock, list[Cell]] = {}
        self._nowhere: Final = Cell(self, 0, 0, ())
        self._backwards: Final = tuple(plan for plan in reversed(self.plans) if plan is not _NOTHING)
        self._idle: Final = Lane(_NOTHING, self._nowhere, None)

    def lead(self) -> "Lane":
        """The first of an account's lanes, which gather nowhere yet. Where nothing is gathered, one serves all."""
        lane = None
        for plan in self._backwards:
            lane = Lane(plan, self._nowhere, lane)
        return lane or self._idle

    def cell(self, clock: PeriodClock, at: int, tallies: Tallies) -> Cell:
        """The one around an instant. Where a period begins, everything is looked at anew."""
        cells = self._cells.get(clock)
        if cells is None:
            cells = self._cells[clock] = []
        for cell in cells:
            if cell.begins <= at < cell.ends:
                return cell
        pieces = [clock.piece(period, at) for period in self._periods]
        begins, ends = max((b for b, _ in pieces), default=-FAR), min((e for _, e in pieces), default=FAR)
        cell = Cell(self, begins, ends, tuple(_windows(plan, clock, at, tallies) for plan in self.plans))
        cells[:] = [cell, *cells[: _CELLS - 1]]
        return cell

    def forget_cells(self) -> None:
        """Windows were dropped."""
        self._cells.clear()


def _windows(plan: Plan, clock: PeriodClock, at: int, tallies: Tallies) -> tuple[tuple[Tally, int], ...]:
    found = [(series, *clock.window(series.period, at)) for series in plan.series]
    return tuple((tallies.tally(series, start), end) for series, start, end in found if start <= at < end)


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
        return any(id(tally) in tallies for windows in self.cell.windows for tally, _ in windows)

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


def _plans_of(events: Iterable[Watched]) -> tuple[Plan, ...]:
    conditions: dict[Filters, list[tuple[Watched, Condition]]] = {}
    series: dict[Filters, dict[Series, None]] = {}
    for event in events:
        for condition in event.conditions:
            if condition.measure != "sessions":
                conditions.setdefault(condition.filters, []).append((event, condition))
        for one in event.series:
            series.setdefault(one.filters, {})[one] = None
    plans = []
    for filters in dict.fromkeys((NO_FILTERS, *series, *conditions) if conditions else ()):
        own, summed = tuple(conditions.get(filters, ())), tuple(series.get(filters, ()))
        exact, matches = exact_filters(filters), matcher(filters)
        column, wanted = (EXACT[exact[0][0]], exact[0][1]) if exact else (0, "")
        if len(exact) == 1 and filters == msgspec.structs.replace(NO_FILTERS, **dict(exact)):
            matches = None
        limits, counted = _limits(own, summed), {one.measure for one in summed}
        charges = "charges" in counted or any(condition.of_exposure for _, condition in own)
        plans.append(
            Plan(
                filters, own, summed, column, wanted, matches,
                charges, "minutes" in counted, "calls" in counted, not counted.isdisjoint(("charge", "transactions")),
                limits, _fresh(limits),
            )
        )  # fmt: skip
    return tuple(plans)


def _limits(conditions: Iterable[tuple[Watched, Condition]], series: Sequence[Series]) -> tuple[Limit, ...] | None:
    if any(one.period in (WEEKDAYS, WEEKEND) for one in series):  # a lane may gather outside of their windows
        return None
    limits = []
    for _, condition in conditions:
        if type(condition.threshold) is not Fixed or condition.threshold.limit < 0:
            return None
        window = series.index(series_of(condition))
        limits.append(Limit(condition.measure, condition.threshold.limit, window))
    return tuple(limits)


def _fresh(limits: Iterable[Limit] | None) -> Rooms | None:
    if limits is None:
        return None
    rooms: dict[Measure, int] = {"charges": FAR, "minutes": FAR, "calls": FAR, "charge": FAR}
    for measure, most, _ in limits:
        rooms[measure] = min(rooms[measure], most)
    return rooms["charges"], rooms["minutes"], rooms["calls"], rooms["charge"]
