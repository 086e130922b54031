"""Has accounts begin to gather in the stretch of time of their next transaction, many at once.

That is what the first transaction of an account in each period takes. Where all sums that matter are in memory, and
what may come until something becomes true is only what they leave of fixed limits, no lane has to be made.
"""

from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from control.events.account_view import Accounts
from control.events.cell_numbers import APART
from control.events.definition import Measure
from control.events.parked import ParkedLanes, Rooms
from control.events.patterns import Cell, Pattern, Patterns
from control.events.plans import Plan
from control.events.slot_marks import SlotMarks
from control.events.tallies import Tallies
from rating.account_slots import AccountSlots, Counted

_LARGE: Final = 1 << 60
"""Sums so far from 0 are left to those who count without bounds."""


class _Going(NamedTuple):
    """Accounts that go to one cell."""

    cell: Cell
    slots: list[int]
    names: list[str]


class Moving:
    """Moves parked accounts, and parks those that nothing is known of yet."""

    def __init__(
        self, accounts: Accounts, slots: AccountSlots, tallies: Tallies, parked: ParkedLanes, marks: SlotMarks
    ) -> None:
        self._accounts, self._slots, self._tallies = accounts, slots, tallies
        self._parked, self._marks = parked, marks

    def move(self, counted: Counted, patterns: Patterns, few: int) -> None:
        """Have the accounts of transactions gather around the first one of each, but for those which others have to
        look at, and where they are fewer than `few` of a pattern: they stay where they are, or gather nowhere."""
        accounts, name_of, clock_of = self._accounts.accounts, self._slots.account, self._accounts.clocks.of
        going: dict[Pattern, dict[int, _Going]] = {}
        for slot, at in self._leaving(counted):
            name = name_of(slot)
            account = accounts[name]
            pattern = patterns.of(account)
            if pattern.plain:
                cell = pattern.cell(clock_of(account), at, self._tallies)
                there = going.setdefault(pattern, {})
                goers = there.get(id(cell))
                if goers is None:
                    goers = there[id(cell)] = _Going(cell, [], [])
                goers.slots.append(slot)
                goers.names.append(name)
        for pattern, there in going.items():
            if sum(len(goers.slots) for goers in there.values()) >= few:
                self._move(pattern, there.values())

    def _leaving(self, counted: Counted) -> Iterable[tuple[int, int]]:
        """Slots of accounts whose first transaction is not where they gather, with its instant."""
        outside = self._parked.outside(counted)
        if not outside.any():
            return ()
        indices = np.flatnonzero(self._marks.among(counted.slots, counted.slots[outside]))
        slots, firsts = np.unique(counted.slots[indices], return_index=True)
        firsts = indices[firsts]
        leaving = outside[firsts] & (self._parked.numbers[slots] != APART)
        return zip(slots[leaving].tolist(), counted.answer_at[firsts[leaving]].tolist(), strict=True)

    def _move(self, pattern: Pattern, going: Collection[_Going]) -> None:
        slots = np.array([slot for goers in going for slot in goers.slots], np.int64)
        self._parked.leave(slots)
        for goers in going:
            self._parked.enter(goers.cell, goers.slots)
        sure = np.ones(len(slots), np.bool_)
        rooms: list[Rooms] = []
        for position, plan in enumerate(pattern.plans):
            held = [self._sums(going, position, window) for window in range(len(plan.series))]
            for limit in plan.limits or ():  # each window has one
                sure &= held[limit.window] <= min(limit.most, _LARGE - 1)
            rooms.append(_rooms(plan, held, len(slots)))
        self._parked.begin(slots, pattern, rooms)
        self._parked.leave(slots[~sure])

    def _sums(self, going: Iterable[_Going], position: int, window: int) -> NDArray[np.int64]:
        """The sums of accounts in a window of a lane; `_LARGE` of those that are not in memory, or large."""
        found: list[int | None] = []
        for goers in going:
            found += self._tallies.known_sums(goers.cell.windows[position][window][0], goers.names)
        usable = [_LARGE if one is None or not -_LARGE < one < _LARGE else one for one in found]
        return np.fromiter(usable, np.int64, len(usable))


def _rooms(plan: Plan, held: list[NDArray[np.int64]], size: int) -> Rooms:
    assert plan.fresh is not None, "a plain pattern knows its rooms"
    charges, minutes, calls, _ = (min(room, _LARGE) for room in plan.fresh)
    fresh: dict[Measure, int] = {"charges": charges, "minutes": minutes, "calls": calls}
    rooms = {measure: np.full(size, fresh[measure], np.int64) for measure in plan.summed}
    for measure, most, window in plan.limits or ():
        np.minimum(rooms[measure], min(most, _LARGE) - held[window], out=rooms[measure])
    return rooms
