"""Sums of use by slot, in one array: a million accounts' take 32 bytes each, and thousands of transactions are added at
once."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from rating.account_slots import Slots
from rating.counter_parts import Columns, Sums

_COLUMNS: Final = ("charge", "duration", "calls", "transactions")
_ROW: Final = np.dtype([(name, "i8") for name in _COLUMNS])
_LARGE: Final = 1 << 45
"""Of a transaction's micro-units or microseconds: what is as large is counted apart."""
_FULL: Final = 1 << 60
"""A sum that has come to so much goes apart. It leaves room for what 2^15 transactions add before that is looked at."""
_AT_ONCE: Final = 1 << 15


class SumTable:
    """Charges in micro-units, durations in microseconds, calls and transactions. They never overflow: what a number of
    64 bits may not hold is kept apart, as Python's own."""

    def __init__(self) -> None:
        self._rows = np.zeros(0, _ROW)
        self._apart: dict[int, tuple[int, int]] = {}
        """Charges and durations."""

    def reach(self, size: int) -> None:
        """Have room for so many slots."""
        if size > len(self._rows):
            grown = np.zeros(size, _ROW)
            grown[: len(self._rows)] = self._rows
            self._rows = grown

    def count(self, slots: Slots, charges: NDArray[np.int64], durations: NDArray[np.int64]) -> None:
        """Add transactions. One without a duration is no call; one with a negative duration takes a call away."""
        for at in range(0, len(slots), _AT_ONCE):
            piece = slice(at, at + _AT_ONCE)
            self._count(slots[piece], charges[piece], durations[piece])

    def _count(self, slots: Slots, charges: NDArray[np.int64], durations: NDArray[np.int64]) -> None:
        if _is_large(charges) or _is_large(durations):
            for slot, charge, duration in zip(slots.tolist(), charges.tolist(), durations.tolist(), strict=True):
                self.add(slot, (charge, duration, (duration > 0) - (duration < 0), 1))
            return
        rows = self._rows
        np.add.at(rows["charge"], slots, charges)
        np.add.at(rows["duration"], slots, durations)
        np.add.at(rows["calls"], slots, np.sign(durations))
        np.add.at(rows["transactions"], slots, np.int64(1))
        self._spill(slots)

    def add(self, slot: int, sums: Sums) -> None:
        """Add sums to those of a slot."""
        charge, duration, calls, transactions = sums
        row = self._rows[slot]
        if -_LARGE < charge < _LARGE and -_LARGE < duration < _LARGE:
            row["charge"] += charge
            row["duration"] += duration
            self._spill(np.array([slot]))
        elif charge or duration:
            self._add_apart(slot, charge, duration)
        row["calls"] += calls
        row["transactions"] += transactions

    def put(self, slots: Slots, sums: Columns) -> None:
        """Add sums to those of some slots, each given once."""
        charges, durations, _, _ = sums
        if all(min(column, default=0) > -_FULL and max(column, default=0) < _FULL for column in (charges, durations)):
            for name, column in zip(_COLUMNS, sums, strict=True):
                self._rows[name][slots] += np.array(column, np.int64)
            self._spill(slots)
            return
        for slot, charge, duration, calls, transactions in zip(slots.tolist(), *sums, strict=True):
            self.add(slot, (charge, duration, calls, transactions))

    def join(self, other: "SumTable", slots: Slots) -> None:
        """Add the sums that another table has of some slots, each of which is there once."""
        own, others = self._rows, other._rows
        for name in _COLUMNS:
            own[name][slots] += others[name][slots]
        if other._apart:
            for slot in slots.tolist():
                charge, duration = other._apart.get(slot, (0, 0))
                if charge or duration:
                    self._add_apart(slot, charge, duration)
        self._spill(slots)

    def _spill(self, slots: Slots) -> None:
        """Put apart what leaves no room for more."""
        for name in ("charge", "duration"):
            full = np.abs(self._rows[name][slots]) >= _FULL
            if full.any():
                for slot in set(slots[full].tolist()):
                    value = int(self._rows[name][slot])
                    self._add_apart(slot, *((value, 0) if name == "charge" else (0, value)))
                    self._rows[name][slot] = 0

    def _add_apart(self, slot: int, charge: int, duration: int) -> None:
        apart = self._apart.get(slot, (0, 0))
        self._apart[slot] = apart[0] + charge, apart[1] + duration

    def of(self, slot: int) -> Sums:
        """Those of a slot."""
        charge, duration, calls, transactions = self._rows[slot].item()
        apart = self._apart.get(slot, (0, 0))
        return charge + apart[0], duration + apart[1], calls, transactions

    def columns(self, slots: Slots) -> Columns:
        """Those of some slots."""
        rows = self._rows[slots]
        charges, durations, calls, transactions = (rows[name].tolist() for name in _COLUMNS)
        if self._apart:
            for index, slot in enumerate(slots.tolist()):
                charge, duration = self._apart.get(slot, (0, 0))
                charges[index] += charge
                durations[index] += duration
        return charges, durations, calls, transactions

    def has_some(self) -> Slots:
        """The slots with transactions."""
        return np.flatnonzero(self._rows["transactions"])

    def clear(self, slots: Slots) -> None:
        """Forget those of some slots."""
        self._rows[slots] = np.zeros(1, _ROW)
        if self._apart:
            for slot in slots.tolist():
                self._apart.pop(slot, None)


def _is_large(values: NDArray[np.int64]) -> bool:
    return bool(len(values)) and (int(values.max()) >= _LARGE or int(values.min()) <= -_LARGE)
