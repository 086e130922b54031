"""Events in force as the monitor holds them, and the places where an account's transactions are gathered for them."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from control.events.definition import NO_FILTERS, Condition, Filters, Fixed, OverAverage
from control.events.event_rows import StoredEvent
from control.events.measures import EXACT, Sums, exact_filters, matcher
from control.events.tallies import Series
from control.events.terms import Term, terms_of
from control.events.windows import WEEKDAYS, WEEKEND, PeriodClock
from rating.account import Account
from rating.store.batch import Row

FAR: Final = 1 << 80
"""More than can come together."""
_BY_MATCHER: Final = -1


class Watched(msgspec.Struct, frozen=True, gc=False):
    """An event in force."""

    id: int
    stored: StoredEvent
    conditions: tuple[Condition, ...]
    terms: tuple[Term, ...]

    @property
    def continuous(self) -> bool:
        """Whether it is looked at with every transaction."""
        return self.stored.definition.check.how == "continuous"

    @property
    def series(self) -> dict[Series, int]:
        """What has to be summed for it, and over how many periods before the present one."""
        found: dict[Series, int] = {}
        for condition in self.conditions:
            if condition.of_exposure or condition.measure == "sessions":
                continue
            back = 0
            if type(condition.threshold) is OverAverage:
                back = condition.threshold.periods
                # Whether the account had any transaction then says whether it was open.
                open_ = Series(NO_FILTERS, condition.period)
                found[open_] = max(found.get(open_, 0), back)
            own = Series(condition.filters, condition.period)
            found[own] = max(found.get(own, 0), back)
        return found


def watched(stored: StoredEvent) -> Watched:
    """A stored event, ready to be looked at."""
    return Watched(stored.id, stored, stored.definition.conditions, terms_of(stored.definition.when))


class Reach:
    """Which events are prescribed on which accounts."""

    def __init__(self, events: Iterable[Watched]) -> None:
        self._everywhere: list[Watched] = []
        self._numbers: dict[str, list[Watched]] = {}
        self._segments: dict[str, list[Watched]] = {}
        for event in events:
            accounts = event.stored.definition.accounts
            if accounts.segment is not None:
                self._segments.setdefault(accounts.segment, []).append(event)
            elif accounts.all:
                self._everywhere.append(event)
            for number in accounts.numbers:
                self._numbers.setdefault(number, []).append(event)

    def events_of(self, account: Account) -> tuple[Watched, ...]:
        """Those of an account."""
        own = self._numbers.get(account.account, ())
        segment = self._segments.get(account.segment, ()) if account.segment else ()
        return (*self._everywhere, *own, *segment)


def accounts_of(event: Watched, accounts: Mapping[str, Account]) -> list[str] | None:
    """The existing accounts on which an event is prescribed; None for all."""
    prescribed = event.stored.definition.accounts
    if prescribed.all:
        return None
    if prescribed.segment is not None:
        return [number for number, account in accounts.items() if account.segment == prescribed.segment]
    return [number for number in prescribed.numbers if number in accounts]


class Plan(msgspec.Struct, frozen=True, gc=False):
    """What accounts with the same events gather of the transactions that pass some filters."""

    filters: Filters
    conditions: tuple[tuple[Watched, Condition], ...]
    periods: tuple[str, ...]
    """Of all conditions: where one begins, everything is looked at anew."""
    summed: tuple[str, ...]
    """Of those, the ones whose windows have sums."""
    column: int
    """Of a row, which must hold `wanted`; 0 is none, below 0 `matches` has to be asked."""
    wanted: str
    matches: Callable[[Row], bool] | None
    fresh: tuple[int, int, int, int] | None
    """The rooms of charges, duration, calls and a single charge while nothing has come in the windows yet, where they
    are the same for every account."""


class Cell(NamedTuple):
    """The stretch of time in which a plan's lanes of one clock gather, and the windows that hold it."""

    begins: int
    ends: int
    windows: tuple[tuple[Series, int, int], ...]
    """With first instant and end."""


def cell_of(plan: Plan, clock: PeriodClock, at: int) -> Cell:
    """The one around an instant."""
    pieces = [clock.piece(period, at) for period in plan.periods]
    windows = [(Series(plan.filters, period), *clock.window(period, at)) for period in plan.summed]
    return Cell(
        max(begin for begin, _ in pieces),
        min(end for _, end in pieces),
        tuple((series, start, end) for series, start, end in windows if start <= at < end),
    )


def plans_of(events: Iterable[Watched]) -> tuple[Plan, ...]:
    """What has to be gathered for some events: one plan for each set of filters."""
    conditions: dict[Filters, list[tuple[Watched, Condition]]] = {}
    summed: dict[Filters, dict[str, None]] = {}
    for event in events:
        for condition in event.conditions:
            if condition.measure != "sessions":
                conditions.setdefault(condition.filters, []).append((event, condition))
        for series in event.series:
            summed.setdefault(series.filters, {})[series.period] = None
    plans = []
    for filters in dict.fromkeys((*summed, *conditions)):
        own = conditions.get(filters, [])
        periods = dict.fromkeys([*summed.get(filters, ()), *(condition.period for _, condition in own)])
        exact, matches = exact_filters(filters), matcher(filters)
        simple = len(exact) == 1 and filters == msgspec.structs.replace(NO_FILTERS, **dict(exact))
        column = EXACT[exact[0][0]] if simple else _BY_MATCHER if matches else 0
        wanted = exact[0][1] if simple else ""
        sums = tuple(summed.get(filters, ()))
        plans.append(Plan(filters, tuple(own), tuple(periods), sums, column, wanted, matches, _fresh(own, periods)))
    return tuple(plans)


def _fresh(
    conditions: Iterable[tuple[Watched, Condition]], periods: Collection[str]
) -> tuple[int, int, int, int] | None:
    if WEEKDAYS in periods or WEEKEND in periods:  # their windows may have sums where the lane adds to none
        return None
    rooms = {"charges": FAR, "minutes": FAR, "calls": FAR, "charge": FAR}
    for _, condition in conditions:
        if type(condition.threshold) is not Fixed:
            return None
        rooms[condition.measure] = min(rooms[condition.measure], condition.threshold.limit)
    return rooms["charges"], rooms["minutes"], rooms["calls"], rooms["charge"]


class Lane(msgspec.Struct, gc=False):
    """What an account's transactions that pass some filters came to, in a stretch of time in which no period begins,
    since it was last added to the sums; and how much more of each measure may come until something becomes true."""

    plan: Plan
    column: int
    wanted: str
    begins: int = 0
    ends: int = 0
    charge_micros: int = 0
    duration_us: int = 0
    calls: int = 0
    transactions: int = 0
    largest_micros: int = 0
    charge_room: int = FAR
    duration_room: int = FAR
    calls_room: int = FAR
    single_room: int = FAR
    """The greatest charge of a single transaction that makes nothing true."""
    into: tuple[Sums, ...] = ()
    """The sums of the windows that hold the stretch."""

    def settle(self) -> None:
        """Add it to the sums, and begin anew."""
        if not self.transactions:
            return
        gathered = Sums(self.charge_micros, self.duration_us, self.calls, self.largest_micros, self.transactions)
        for sums in self.into:
            sums.join(gathered)
        self.charge_room -= self.charge_micros
        self.duration_room -= self.duration_us
        self.calls_room -= self.calls
        self.charge_micros = self.duration_us = self.calls = self.transactions = self.largest_micros = 0

    def move(self, cell: Cell, into: tuple[Sums, ...]) -> None:
        """Gather in another stretch from now on."""
        self.begins, self.ends, self.into = cell.begins, cell.ends, into

    def clear_rooms(self) -> None:
        """Nothing becomes true here, whatever comes."""
        self.charge_room = self.duration_room = self.calls_room = self.single_room = FAR

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
                self.single_room = min(self.single_room, most)
