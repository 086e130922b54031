"""Which plans the transactions of an account are gathered by, and in which stretches of time."""

from collections.abc import Hashable, Iterable
from typing import Final, NamedTuple

from control.events.plans import FAR, Plan, plans_of
from control.events.tallies import Tallies, Tally
from control.events.watched import Reach, Watched
from control.events.windows import PeriodClock
from rating.account import Account

_CELLS: Final = 4
"""Stretches that a clock remembers: around the end of one, transactions of both come in turns."""


class Cell(NamedTuple):
    """The stretch of time in which lanes of one clock gather, and the windows that hold it."""

    pattern: "Pattern"
    begins: int
    ends: int
    windows: tuple[tuple[tuple[Tally, int], ...], ...]
    """Of each plan, with their ends."""

    @property
    def tallies(self) -> list[Tally]:
        """Of all its windows."""
        return [tally for windows in self.windows for tally, _ in windows]


class Pattern:
    """The plans of accounts with the same events."""

    def __init__(self, events: Iterable[Watched], number: int) -> None:
        self.number: Final = number
        self.plans: Final = plans_of(events)
        found = [
            *(c.period for p in self.plans for _, c in p.conditions),
            *(s.period for p in self.plans for s in p.series),
        ]
        self._periods: Final = tuple(dict.fromkeys(found))
        self._cells: dict[PeriodClock, list[Cell]] = {}
        self.nowhere: Final = Cell(self, 0, 0, ())
        """Where lanes are before their first transaction."""
        self.plain: Final = all(plan.fresh is not None and not plan.closely for plan in self.plans)
        """Whether the rooms of an account are known as soon as nothing has come yet."""

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


class Patterns:
    """The patterns of all accounts, each made when the first of its accounts is met."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._of_kinds: dict[Hashable, Pattern] = {}
        self._of_events: dict[tuple[int, ...], Pattern] = {}
        self._patterns: list[Pattern] = []

    def numbered(self, number: int) -> Pattern:
        """That of a number."""
        return self._patterns[number]

    def of(self, account: Account) -> Pattern:
        """That of an account."""
        kind = self._reach.kind_of(account)
        return self._of_kinds.get(kind) or self._new(kind, account)

    def _new(self, kind: Hashable, account: Account) -> Pattern:
        events = self._reach.events_of(account)
        same = tuple(event.id for event in events)
        pattern = self._of_events.get(same)
        if pattern is None:
            pattern = self._of_events[same] = Pattern(events, len(self._patterns))
            self._patterns.append(pattern)
        self._of_kinds[kind] = pattern
        return pattern

    def forget_cells(self) -> None:
        """Windows were dropped."""
        for pattern in self._patterns:
            pattern.forget_cells()
