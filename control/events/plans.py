"""What accounts with the same events gather of their transactions: a plan for each set of filters that these have."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from control.events.definition import NO_FILTERS, Condition, Filters, Fixed, Measure
from control.events.measures import EXACT, exact_filters, matcher
from control.events.tallies import Series, series_of
from control.events.watched import Watched
from control.events.windows import WEEKDAYS, WEEKEND
from rating.store.batch import Row

FAR: Final = 1 << 80
"""More than can come together."""


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

    @property
    def summed(self) -> tuple[Measure, ...]:
        """What of the transactions is added up."""
        counted: tuple[tuple[Measure, bool], ...]
        counted = ("charges", self.charges), ("minutes", self.minutes), ("calls", self.calls)
        return tuple(measure for measure, is_counted in counted if is_counted)

    def takes(self, row: Row) -> bool:
        """Whether a transaction passes the filters."""
        matches = self.matches
        if matches is not None:
            return matches(row)
        return not self.column or bool(row[self.column] == self.wanted)


_FAR_AWAY: Final = FAR, FAR, FAR, FAR
_NOTHING: Final = Plan(NO_FILTERS, (), (), 0, "", None, False, False, False, False, (), _FAR_AWAY)


def plans_of(events: Iterable[Watched]) -> tuple[Plan, ...]:
    """The plans for some events, that for transactions without regard to filters first."""
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
    return tuple(plans) or (_NOTHING,)


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
