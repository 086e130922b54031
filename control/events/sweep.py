"""Adds the transactions of a commit to the lanes of all their accounts at once.

What makes nothing true is only added, and of thousands of transactions that costs hardly more than of one. The accounts
for which more has to be done are left out with all their transactions, which are then looked at one by one.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from control.events.definition import Measure
from control.events.parked import Column, ParkedLanes
from control.events.patterns import Pattern, Patterns
from control.events.plans import Plan
from control.events.slot_marks import SlotMarks, Which
from rating.account_slots import Counted, Slots
from rating.store.batch import Row

_LARGE: Final = 1 << 45
"""A charge or duration from which on one is not added here: the sums of as many as there can be stay in 64 bits."""

Indices = NDArray[np.int64]


class Sweep:
    """Adds transactions to parked lanes."""

    def __init__(self, parked: ParkedLanes, marks: SlotMarks) -> None:
        self._parked, self._marks = parked, marks

    def add(self, rows: Sequence[Row], counted: Counted, patterns: Patterns, few: int) -> list[int]:
        """Add transactions of accounts that are parked; the indices of those that are left. Of patterns with fewer than
        `few` transactions all are."""
        apart = self._parked.outside(counted)
        for amounts in (counted.charge_micros, counted.duration_us):
            if amounts.min() < 0 or amounts.max() >= _LARGE:
                apart |= (amounts < 0) | (amounts >= _LARGE)
        if apart.any():
            apart = self._marks.among(counted.slots, counted.slots[apart])
        together = np.flatnonzero(~apart)
        of = self._parked.cells.patterns[self._parked.numbers[counted.slots[together]]]
        for number in np.flatnonzero(np.bincount(of)).tolist():
            indices = together[of == number]
            left = indices if len(indices) < few else self._add(patterns.numbered(number), rows, counted, indices)
            apart[left] = True
        return np.flatnonzero(apart).tolist()

    def _add(self, pattern: Pattern, rows: Sequence[Row], counted: Counted, indices: Indices) -> Indices:
        """Add transactions of one pattern; those of accounts with too little room are taken back, and said."""
        added: list[tuple[Column, Slots, NDArray[Any]]] = []
        full: list[Slots] = []
        for plan, columns in zip(pattern.plans, self._parked.columns(pattern), strict=True):
            summed = columns.summed()
            if not summed:
                continue
            chosen = indices[_passing(plan, rows, indices)] if plan.filters else indices
            slots = counted.slots[chosen]
            for measure, column in summed.items():
                amounts = _amounts(measure, counted, chosen)
                np.add.at(column.gathered, slots, amounts)
                added.append((column, slots, amounts))
                over = column.gathered[slots] > column.room[slots]
                if over.any():
                    full.append(slots[over])
        if not full:
            return indices[:0]
        concerned = np.concatenate(full)
        for column, slots, amounts in added:
            back = self._marks.among(slots, concerned)
            np.subtract.at(column.gathered, slots[back], amounts[back])
        return indices[self._marks.among(counted.slots[indices], concerned)]


def _amounts(measure: Measure, counted: Counted, indices: Indices) -> NDArray[Any]:
    if measure == "charges":
        return counted.charge_micros[indices]
    durations = counted.duration_us[indices]
    return durations if measure == "minutes" else (durations > 0).astype(np.int32)


def _passing(plan: Plan, rows: Sequence[Row], indices: Indices) -> Which:
    chosen = rows if len(indices) == len(rows) else [rows[index] for index in indices.tolist()]
    if plan.matches is None:
        column, wanted = plan.column, plan.wanted
        return np.fromiter([row[column] == wanted for row in chosen], np.bool_, len(chosen))
    return np.fromiter(map(plan.matches, chosen), np.bool_, len(chosen))
