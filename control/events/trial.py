"""An account event tried on an account's transactions, one after the other as they were answered. Pure."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from control.events.account_history import Payment
from control.events.definition import NO_FILTERS, Condition, EventDefinition, Filters, OverAverage
from control.events.evaluation import judge, most_of
from control.events.firings import Firings, Marks
from control.events.measures import CHARGE, DURATION, Sums, matcher
from control.events.readings import Standing, read
from control.events.tallies import Series
from control.events.terms import Term, terms_of
from control.events.windows import Clocks, PeriodClock
from rating.account import Account
from rating.store.batch import COLUMN, Row

_EVENT: Final = 0
"""The number under which the event is judged: no stored one has it."""
_ID, _ANSWER_AT = COLUMN["id"], COLUMN["answer_at"]


class Trial:
    """What is the same for all accounts of a run."""

    def __init__(self, definition: EventDefinition) -> None:
        self.conditions: tuple[Condition, ...] = definition.conditions
        self.terms: tuple[Term, ...] = terms_of(definition.when)
        self.clocks = Clocks()
        self.of_exposure = any(condition.of_exposure for condition in self.conditions)
        self.series: dict[Series, int] = {}
        """What is summed, with the periods before that are needed of it."""
        for condition in self.conditions:
            if condition.of_exposure or condition.measure == "sessions":
                continue
            back = condition.threshold.periods if type(condition.threshold) is OverAverage else 0
            # Whether the account had any transaction then says whether it was open.
            for filters in {condition.filters, NO_FILTERS} if back else {condition.filters}:
                series = Series(filters, condition.period, "transactions")  # for all measures: `Sums` has them
                self.series[series] = max(self.series.get(series, 0), back)
        self.matchers = {series.filters: matcher(series.filters) for series in self.series}

    def begins(self, account: Account, since: int) -> int:
        """The first instant whose transactions count for something from `since` on."""
        clock = self.clocks.of(account)
        return min(
            since,
            *(
                (clock.before(series.period, since, back)[-1] if back else clock.window(series.period, since))[0]
                for series, back in self.series.items()
            ),
            since,
        )


class Look:
    """One account's transactions, one after the other as they were answered."""

    def __init__(
        self,
        trial: Trial,
        account: str,
        clock: PeriodClock,
        standing: Standing,
        owed: int,
        payments: Sequence[Payment],
        firings: Firings,
    ) -> None:
        """`owed`: before the first transaction; `payments` in order."""
        self._trial, self._account, self._clock, self._standing = trial, account, clock, standing
        self._owed, self._payments, self._firings = owed, list(payments), firings
        self._marks = Marks()
        self._sums: dict[tuple[Filters, str, int], Sums] = {}
        self._begins = self._ends = 0
        self._lanes: list[tuple[Callable[[Row], bool] | None, list[Sums]]] = []
        self._mosts: list[tuple[Condition, Sums | None, int | None]] = []
        self._held: tuple[bool, ...] | None = None

    def at_row(self, row: Row) -> None:
        """Count a transaction, and look whether something became true."""
        at, charge, duration = row[_ANSWER_AT], row[CHARGE], row[DURATION]
        while self._payments and self._payments[0].at <= at:
            self._pay(self._payments.pop(0))
        if not self._begins <= at < self._ends:
            self._move(at)
        for matches, into in self._lanes:
            if matches is None or matches(row):
                for sums in into:
                    sums.add(charge, duration)
        self._owed += charge
        self._judge(at, row[_ID])

    def at_end(self) -> None:
        """Look at what was paid since the last transaction."""
        for payment in self._payments:
            self._pay(payment)

    def _pay(self, payment: Payment) -> None:
        self._owed -= payment.amount_micros
        if payment.at >= self._begins:
            self._move(payment.at)
            self._judge(payment.at, None)

    def _judge(self, at: int, transaction: int | None) -> None:
        held = tuple(
            most is not None and (self._owed if sums is None else sums.of(condition.measure)) > most
            for condition, sums, most in self._mosts
        )
        # As long as the same conditions hold in the same periods, they hold for the same.
        if held == self._held:
            return
        self._held = held
        judgement = judge(self._trial.conditions, self._trial.terms, lambda condition: self._read(condition, at))
        self._marks.take(_EVENT, self._account, judgement, at, transaction, self._firings)

    def _move(self, at: int) -> None:
        """Go to the periods of another instant."""
        clock, trial = self._clock, self._trial
        pieces = [clock.piece(condition.period, at) for condition in trial.conditions]
        pieces += [clock.piece(series.period, at) for series in trial.series]
        self._begins, self._ends = max(begin for begin, _ in pieces), min(end for _, end in pieces)
        into: dict[Filters, list[Sums]] = {filters: [] for filters in trial.matchers}
        for series in trial.series:
            start, end = clock.window(series.period, at)
            if start <= at < end:
                into[series.filters].append(self._sums_of(series.filters, series.period, start, end))
        self._lanes = [(trial.matchers[filters], sums) for filters, sums in into.items()]
        self._mosts = [self._most(condition, at) for condition in trial.conditions]
        self._held = None

    def _most(self, condition: Condition, at: int) -> tuple[Condition, Sums | None, int | None]:
        if condition.measure == "sessions":
            return condition, Sums(), None
        most = most_of(condition, self._read(condition, at))
        if condition.of_exposure:
            return condition, None, most
        window = self._clock.window(condition.period, at)
        return condition, self._sums_of(condition.filters, condition.period, *window), most

    def _read(self, condition: Condition, at: int) -> Any:
        def sums(series: Series, start: int, end: int) -> int:
            return self._sums_of(series.filters, series.period, start, end).of(series.measure)

        return read(condition, self._clock, at, sums, self._standing, lambda: self._owed)

    def _sums_of(self, filters: Filters, period: str, start: int, end: int) -> Sums:  # noqa: ARG002  # a window's end follows
        key = filters, period, start
        found = self._sums.get(key)
        if found is None:
            found = self._sums[key] = Sums()
        return found
