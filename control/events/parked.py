"""The lanes of accounts between their transactions: numbers in arrays, so that an account costs some dozens of bytes.

Only what is counted has arrays: by the number of the lane and the measure. Lanes that count something closely are not
parked; nor are they while something is done with them one by one (`take` until `put`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import compress, pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from control.events.cell_numbers import APART, NEVER, CellNumbers
from control.events.definition import Measure
from control.events.lanes import Lane, lead_in
from control.events.patterns import Cell, Pattern
from control.events.tallies import add
from rating.account_slots import AccountSlots, Counted, Slots

Rooms = Mapping[Measure, NDArray[np.int64]]
"""Of accounts, in one lane, for each measure that is counted."""

_MOST: Final = 1 << 60
"""What a column holds of a measure, gathered or room. What may come without anything coming true is taken for no more
than this: then it is looked at, and nothing is true. So what a commit brings never makes a number of 64 bits overflow.
"""
_MOST_CALLS: Final = 1 << 30


class Column:
    """What was gathered of a measure in a lane, by slot, and the rooms of it."""

    def __init__(self, measure: Measure, size: int) -> None:
        """`size`: of the arrays."""
        kind: type[np.signedinteger[Any]]
        kind, self._most = (np.int32, _MOST_CALLS) if measure == "calls" else (np.int64, _MOST)
        self.gathered: NDArray[np.signedinteger[Any]] = np.zeros(size, kind)
        self.room: NDArray[np.signedinteger[Any]] = np.zeros(size, kind)

    def grow(self, size: int) -> None:
        """Have place for so many accounts."""
        self.gathered, self.room = _grown(self.gathered, size, 0), _grown(self.room, size, 0)

    def put(self, slot: int, gathered: int, room: int) -> None:
        """Keep what an account has gathered."""
        self.gathered[slot], self.room[slot] = gathered, min(room, self._most)

    def begin(self, slots: Slots, rooms: NDArray[np.int64]) -> None:
        """Accounts have gathered nothing yet."""
        self.gathered[slots], self.room[slots] = 0, np.minimum(rooms, self._most)

    def get(self, slot: int) -> tuple[int, int]:
        """What an account has gathered, and its room."""
        return self.gathered.item(slot), self.room.item(slot)

    def settle(self, slots: Slots, gathered: NDArray[Any]) -> None:
        """What accounts gathered is in the sums now."""
        self.room[slots] -= gathered
        self.gathered[slots] = 0


class LaneColumns(NamedTuple):
    """What is kept of a lane: None of what it does not count."""

    charges: Column | None
    minutes: Column | None
    calls: Column | None

    def summed(self) -> dict[Measure, Column]:
        """Of each measure that is counted."""
        kept: tuple[tuple[Measure, Column | None], ...]
        kept = ("charges", self.charges), ("minutes", self.minutes), ("calls", self.calls)
        return {measure: column for measure, column in kept if column is not None}


class ParkedLanes:
    """The lanes of all accounts that have slots."""

    def __init__(self, slots: AccountSlots) -> None:
        self._slots = slots
        self.numbers: NDArray[np.int32] = np.zeros(0, np.int32)
        """Of the cell in which each account gathers, by slot; or `NEVER` or `APART`."""
        self.clear()

    def clear(self) -> None:
        """Nobody gathers anything any more."""
        self.numbers[:] = NEVER
        self.cells = CellNumbers()
        self._columns: dict[tuple[int, Measure], Column] = {}
        """By the position of the lane, from 0."""
        self._lanes: dict[Pattern, list[LaneColumns]] = {}

    def grow(self) -> None:
        """Have place for all accounts that have slots."""
        if len(self._slots) > len(self.numbers):
            # A quarter more each time, not twice as much: it is memory that nobody may ever use.
            size = max(len(self._slots), len(self.numbers) * 5 // 4, 64)
            self.numbers = _grown(self.numbers, size, NEVER)
            for column in self._columns.values():
                column.grow(size)

    def columns(self, pattern: Pattern) -> list[LaneColumns]:
        """Those of the lanes of accounts with some events: accounts with others may share them."""
        found = self._lanes.get(pattern)
        if found is None:
            found = self._lanes[pattern] = [
                LaneColumns(
                    self._column(position, "charges") if plan.charges else None,
                    self._column(position, "minutes") if plan.minutes else None,
                    self._column(position, "calls") if plan.calls else None,
                )
                for position, plan in enumerate(pattern.plans)
            ]
        return found

    # One account.

    def take(self, slot: int) -> Lane | None:
        """The first lane of an account, apart from now on; None if it has none."""
        self.grow()
        number = self.numbers.item(slot)
        self.numbers[slot] = APART
        if number < 0:
            return None
        cell = self.cells.cell(number)
        lead = lead_in(cell)
        for lane, (charges, minutes, calls) in zip(lead.chain(), self.columns(cell.pattern), strict=True):
            if charges is not None:
                lane.charge_micros, lane.charge_room = charges.get(slot)
            if minutes is not None:
                lane.duration_us, lane.duration_room = minutes.get(slot)
            if calls is not None:
                lane.calls, lane.calls_room = calls.get(slot)
        return lead

    def put(self, slot: int, lead: Lane) -> None:
        """Keep the lanes of an account, none of which counts anything closely."""
        lanes = lead.chain()
        for lane in lanes:
            if not (-_MOST <= lane.charge_micros <= _MOST and -_MOST <= lane.duration_us <= _MOST):
                lead.settle(self._slots.account(slot))
        for lane, (charges, minutes, calls) in zip(lanes, self.columns(lead.cell.pattern), strict=True):
            if charges is not None:
                charges.put(slot, lane.charge_micros, lane.charge_room)
            if minutes is not None:
                minutes.put(slot, lane.duration_us, lane.duration_room)
            if calls is not None:
                calls.put(slot, lane.calls, lane.calls_room)
        self.numbers[slot] = self._number(lead.cell)

    def forget(self, slot: int) -> None:
        """An account has settled, and gathers nowhere."""
        self.grow()
        self.numbers[slot] = NEVER

    # Many.

    def outside(self, counted: Counted) -> NDArray[np.bool_]:
        """Which transactions are not where their account gathers, as far as it is parked."""
        numbers, at = self.numbers[counted.slots], counted.answer_at
        return (numbers < 0) | (at < self.cells.begins[numbers]) | (at >= self.cells.ends[numbers])

    def leave(self, slots: Slots) -> None:
        """Have accounts settle, and gather nowhere."""
        self._settle(slots[self.numbers[slots] >= 0])
        self.numbers[slots] = NEVER

    def enter(self, cell: Cell, slots: Sequence[int]) -> None:
        """Have accounts, which gather nowhere, gather in a cell; with `begin` to follow."""
        self.numbers[slots] = self._number(cell)

    def begin(self, slots: Slots, pattern: Pattern, rooms: Iterable[Rooms]) -> None:
        """Set the rooms of accounts of one pattern, in each of its lanes, with nothing gathered."""
        for columns, own in zip(self.columns(pattern), rooms, strict=True):
            for measure, column in columns.summed().items():
                column.begin(slots, own[measure])

    def settle(self) -> None:
        """Add what all accounts have gathered to the sums."""
        self._settle(np.flatnonzero(self.numbers >= 0))

    def drop(self, tallies: Collection[int]) -> None:
        """Have the accounts that gather in one of these tallies (by `id`) settle, and gather nowhere; and forget the
        cells in which nobody gathers any more."""
        numbers = self.cells.gathering_in(tallies)
        if numbers:
            self.leave(np.flatnonzero(np.isin(self.numbers, np.array(numbers, np.int32))))
        self.cells.keep(self.numbers)

    # How.

    def _number(self, cell: Cell) -> int:
        found = self.cells.find(cell)
        return self.cells.add(cell, self.numbers) if found is None else found

    def _column(self, position: int, measure: Measure) -> Column:
        found = self._columns.get((position, measure))
        if found is None:
            found = self._columns[position, measure] = Column(measure, len(self.numbers))
        return found

    def _settle(self, slots: Slots) -> None:
        ordered = slots[np.argsort(self.numbers[slots], kind="stable")]
        of = self.cells.patterns[self.numbers[ordered]]
        for pattern in np.flatnonzero(np.bincount(of)).tolist():
            self._settle_alike(ordered[of == pattern])

    def _settle_alike(self, slots: Slots) -> None:
        """Add what accounts of one pattern have gathered, in the order of their cells."""
        numbers = self.numbers[slots]
        begins = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist()]
        cells = [self.cells.cell(number) for number in numbers[begins].tolist()]
        names = list(map(self._slots.account, slots.tolist()))
        for position, columns in enumerate(self.columns(cells[0].pattern)):
            kept = columns.summed()
            gathered = {measure: column.gathered[slots] for measure, column in kept.items()}
            values = {measure: some.tolist() for measure, some in gathered.items()}
            came = np.logical_or.reduce([some != 0 for some in gathered.values()], initial=False).tolist()
            for cell, (start, stop) in zip(cells, pairwise([*begins, len(slots)]), strict=True):
                for tally, _ in cell.windows[position]:
                    measure = tally.series.measure
                    assert measure in values, "what is counted closely is not parked"
                    own = zip(names[start:stop], values[measure][start:stop], strict=True)
                    for name, value in compress(own, came[start:stop]):
                        add(tally.sums, name, measure, value)
            for measure, column in kept.items():
                column.settle(slots, gathered[measure])


def _grown(known: NDArray[Any], size: int, filling: int) -> NDArray[Any]:
    grown = np.full(size, filling, known.dtype)
    grown[: len(known)] = known
    return grown
