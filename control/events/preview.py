"""What an account event would have fired for, had it been in force over the last months: tried on stored transactions.

Pure evaluation, account by account, each as if every call had come in when it was answered and had been looked at
then; at the credit limits of now, and without what the event would have done. It is done in pieces that each read what
they need on any connection, and ends where it has taken too many transactions or too long.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from control.events.definition import NO_FILTERS, Accounts, Condition, EventDefinition, Filters, OverAverage
from control.events.evaluation import judge, most_of
from control.events.firings import Fired, Firings, Marks
from control.events.measures import CHARGE, DURATION, EXACT, Sums, matcher
from control.events.readings import Standing, read
from control.events.tallies import Series
from control.events.terms import Term, terms_of
from control.events.windows import Clocks, PeriodClock
from rating.account import Account
from rating.cdr import MICROS
from rating.search.reach import SEGMENT, Partition, as_json, partitions_between
from rating.search.seeking import lines_of
from rating.store.batch import COLUMN, COLUMNS, Row

DAYS: Final = 92
"""Three months."""
SHOWN: Final = 20
"""Firings that are told in full, the earliest."""
MOST_ROWS: Final = 200_000
MOST_S: Final = 2.0
"""At work: what waits between two pieces does not count."""
PIECE_S: Final = 0.1
"""A piece of work ends when it has taken so long: others wait for its connection."""
_CHUNK: Final = 5_000
_DAY_US: Final = 86_400 * MICROS
_LONGEST_RINGING_US: Final = 31 * _DAY_US
"""Transactions lie in the month of their start, and may be answered in the next."""
_EVENT: Final = 0
"""The number under which the event is judged: no stored one has it."""
_ID, _ANSWER_AT = COLUMN["id"], COLUMN["answer_at"]
_NEEDED: Final = {"id", "answer_at", "charge_micros", "duration_us", "called", "place_called", *EXACT}
_ROW: Final = ", ".join(name if name in _NEEDED else "NULL" for name in COLUMNS)


class Preview(msgspec.Struct, frozen=True):
    """When an event would have fired, and for whom."""

    since: int
    """µs UTC, as `until`."""
    until: int
    accounts: int
    """On which the event is prescribed."""
    looked_at: int
    """Of them, those that were looked at to the end."""
    transactions: int
    """That were read, with those from before that averages and periods need."""
    stopped: str
    """Why not all accounts were looked at: `transactions` or `time`; empty if they were."""
    count: int
    """Firings in all."""
    fired_for: int
    """Accounts that it would have fired for."""
    fired: list[Fired]
    """The earliest of them. `fired_at` is when the call was answered."""


class Payment(NamedTuple):
    """What changed an account's debt besides its charges."""

    at: int
    amount_micros: int
    """In the account's favour."""


def concerned(prescribed: Accounts, accounts: Mapping[str, Account]) -> list[str]:
    """The existing accounts on which an event is prescribed, by number."""
    if prescribed.numbers:
        return sorted({number for number in prescribed.numbers if number in accounts})
    segment = prescribed.segment
    return sorted(number for number, account in accounts.items() if segment is None or account.segment == segment)


class PreviewRun:
    """One trial of an event. Ask for `step` until it says that nothing is left, then for the `result`."""

    def __init__(
        self,
        definition: EventDefinition,
        accounts: Mapping[str, Account],
        exposure_of: Callable[[str], int],
        now: int,
        *,
        most_rows: int = MOST_ROWS,
        elapsed_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`exposure_of`: what an account owes now."""
        self._trial = Trial(definition)
        self._accounts, self._exposure_of, self._elapsed_s = accounts, exposure_of, elapsed_s
        self._numbers = concerned(definition.accounts, accounts)
        self._since, self._until = now - DAYS * _DAY_US, now
        self._most_rows, self._rows, self._took_s = most_rows, 0, 0.0
        self._looked_at, self._count, self._fired_for = 0, 0, 0
        self._fired: list[Fired] = []
        self._stopped = ""
        self._cx: sqlite3.Connection
        self._work = self._walk()

    def step(self, cx: sqlite3.Connection) -> bool:
        """Do a piece of the work, on any connection; whether there is more to do."""
        self._cx, began = cx, self._elapsed_s()
        for _ in self._work:
            took = self._elapsed_s() - began
            if self._looked_at == len(self._numbers):
                break
            if self._rows >= self._most_rows or self._took_s + took > MOST_S:
                self._stopped = "transactions" if self._rows >= self._most_rows else "time"
                break
            if took > PIECE_S:
                self._took_s += took
                return True
        return False

    @property
    def result(self) -> Preview:
        """What was found."""
        return Preview(
            self._since, self._until, len(self._numbers), self._looked_at, self._rows, self._stopped,
            self._count, self._fired_for, self._fired,
        )  # fmt: skip

    def _walk(self) -> Iterator[None]:
        """Account by account; yields where it may be interrupted. What was found is kept as it goes."""
        for number in self._numbers:
            account, one = self._accounts[number], Firings()
            clock = self._trial.clocks.of(account)
            start = self._trial.begins(account, self._since)
            reader = _Reader(self._cx, number, start)
            owed, payments = 0, list[Payment]()
            if self._trial.of_exposure:
                payments = reader.payments(self._cx)
                owed = self._exposure_of(number) - reader.charges(self._cx) + sum(p.amount_micros for p in payments)
            standing = Standing(_opened_at(self._cx, number), account.credit_limit_micros)
            look = Look(self._trial, number, clock, standing, owed, payments, one)
            told = 0
            while rows := reader.rows(self._cx, min(_CHUNK, self._most_rows - self._rows)):
                self._rows += len(rows)
                for row in rows:
                    look.at_row(row)
                told += self._keep(one, first=not told)
                yield
            look.at_end()
            self._keep(one, first=not told)
            self._looked_at += 1
            yield

    def _keep(self, found: Firings, *, first: bool) -> int:
        """Take over what an account's calls made fire; how much that is."""
        fired = [one for one in found.fired if one.fired_at >= self._since]
        found.fired.clear()
        found.marks.clear()
        self._count += len(fired)
        self._fired_for += first and bool(fired)
        self._fired = sorted([*self._fired, *fired], key=lambda one: (one.fired_at, one.account))[:SHOWN]
        return len(fired)


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


class _Reader:
    """An account's transactions since an instant, in chunks, as they were answered; and what it paid."""

    def __init__(self, cx: sqlite3.Connection, account: str, since: int) -> None:
        self._account, self._since = account, since
        self._lines = as_json(lines_of(cx, account))
        starts = max(since - _LONGEST_RINGING_US, 0), 1 << 62
        self._partitions: list[Partition] = partitions_between(cx, starts)
        self._after = since, 0

    def rows(self, cx: sqlite3.Connection, most: int) -> list[Row]:
        """The next ones; none if there are no more. In one answer, however many: every row of one would be another
        wait for the interpreter lock."""
        while self._partitions:
            (text,) = cx.execute(
                f"SELECT json_group_array(json_array({_ROW})) FROM (SELECT {_ROW_COLUMNS} FROM {self._where()}"  # noqa: S608  # names of columns and tables
                " AND (answer_at, id) > (?, ?) ORDER BY answer_at, id LIMIT ?)",
                (*self._values(), *self._after, most),
            ).fetchone()
            rows: list[Row] = msgspec.json.decode(text)
            if rows:
                self._after = rows[-1][_ANSWER_AT], rows[-1][_ID]
            if len(rows) < most:
                del self._partitions[0]
                self._after = self._since, 0
            if rows:
                return rows
        return []

    def charges(self, cx: sqlite3.Connection) -> int:
        """What all of them come to."""
        total, partitions = 0, list(self._partitions)
        while self._partitions:
            # In two parts: in one a sum could go beyond SQLite's 64 bits.
            whole, rest = cx.execute(
                f"SELECT coalesce(sum(charge_micros / {MICROS}), 0), coalesce(sum(charge_micros % {MICROS}), 0)"  # noqa: S608  # names of tables
                f" FROM {self._where()}",
                self._values(),
            ).fetchone()
            total += whole * MICROS + rest
            del self._partitions[0]
        self._partitions = partitions
        return total

    def payments(self, cx: sqlite3.Connection) -> list[Payment]:
        """Payments and credits, and what took them back. A bill makes nothing more or less: it was charged before."""
        (text,) = cx.execute(
            "SELECT json_group_array(json_array(at, amount)) FROM (SELECT e.at AS at, -p.amount_micros AS amount"
            " FROM ledger_entries e JOIN ledger_postings p ON p.entry = e.id AND p.book = 'receivable'"
            " WHERE e.shard = 0 AND e.account = ? AND e.at >= ? AND e.kind <> 'bill' ORDER BY e.at, e.id)",
            (self._account, self._since),
        ).fetchone()
        return [Payment(at, amount) for at, amount in msgspec.json.decode(text)]

    def _where(self) -> str:
        table = self._partitions[0].table
        return (
            f"{table} INDEXED BY {table}_line WHERE {SEGMENT} IN (SELECT value FROM json_each(?))"  # noqa: S608  # a partition's name
            " AND line IN (SELECT value FROM json_each(?)) AND account = ? AND answer_at >= ?"
        )

    def _values(self) -> tuple[str, str, str, int]:
        one = self._partitions[0]
        segments = one.segments(0, 1 << 62)
        return as_json(list(segments)), self._lines, self._account, self._since


_ROW_COLUMNS: Final = ", ".join(name for name in COLUMNS if name in _NEEDED)


def _opened_at(cx: sqlite3.Connection, account: str) -> int:
    found = cx.execute("SELECT opened_at FROM accounts WHERE shard = 0 AND account = ?", (account,)).fetchone()
    return int(found[0]) if found else 0
