"""The running sums of each account in each of its periods.

They live in memory and are a projection of the transactions: a snapshot is stored now and then with the last
transaction id that it covers, and what came after it is replayed at start-up.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import astuple

from rating.account import Account
from rating.calendar import BILL_CYCLE, MONTH, AccountCalendar
from rating.cdr import MICROS
from rating.counter_parts import TOTAL, Key, Sums, Usage, pack, parts_of, unpack
from rating.store.batch import COLUMN, Row
from rating.store.retired import RetiredSum

_COUNTED: Final = itemgetter(*(COLUMN[name] for name in ("account", "answer_at", "charge_micros", "duration_us")))


KEPT_OPEN_US: Final = 62 * 86_400 * MICROS
"""Periods that begin within this of the latest one are open: nearly all that is counted or asked for is in them. The
others are kept as the snapshot has them, for there are years of them."""


class _Sum(msgspec.Struct, gc=False):
    """Use, summed up. No list, for there are hundreds of thousands that the garbage collector need not go through."""

    charge_micros: int = 0
    duration_us: int = 0
    calls: int = 0
    transactions: int = 0

    def add(self, charge_micros: int, duration_us: int, calls: int, transactions: int) -> None:
        """Add further use."""
        self.charge_micros += charge_micros
        self.duration_us += duration_us
        self.calls += calls
        self.transactions += transactions


_NOTHING: Final = _Sum()

_Sums = dict[str, _Sum]
"""By account."""


class _Fresh(msgspec.Struct, gc=False):
    """What an account used in a piece of time in which neither a month nor a bill cycle begins, not yet added to the
    two. A transaction is counted in one place then, and a place that lies together: on the ingest path the counters
    of a hundred thousand accounts wait for memory."""

    month: _Sum
    cycle: _Sum
    begins: int = 0
    ends: int = 0
    settled_micros: int = 0
    """Charges of the account over all its cycles, but for those below."""
    charge_micros: int = 0
    duration_us: int = 0
    calls: int = 0
    transactions: int = 0

    def settle(self) -> None:
        """Add it to the month and the bill cycle, and begin anew."""
        if self.transactions:
            for counter in (self.month, self.cycle):
                counter.add(self.charge_micros, self.duration_us, self.calls, self.transactions)
            self.settled_micros += self.charge_micros
            self.charge_micros = self.duration_us = self.calls = self.transactions = 0

    def forget_piece(self) -> None:
        """Which piece of time it is of is found with the next transaction. It has settled."""
        self.begins = self.ends = 0
        self.month = self.cycle = _NOTHING


class Counters:
    """All counters of a shard. `accounts` is the directory's: an account's zone and cycle day say its periods."""

    def __init__(self, accounts: dict[str, Account]) -> None:
        self._open: dict[Key, _Sums] = {}
        """By period and first instant."""
        self._closed: list[_Closed] = []
        self._unchanged = 0
        """So many of the closed ones, from the first on, are as the last snapshot has them."""
        self._calendars: dict[tuple[str, int], AccountCalendar] = {}
        self._accounts = accounts
        self._fresh: dict[str, _Fresh] = {}
        """Of every account with counters."""
        self.covers_id = 0
        """The last transaction counted."""
        self.restored_id = 0
        """The last one that the snapshot covers with which they began."""

    def follow(self, accounts: dict[str, Account]) -> bool:
        """Take over newly imported accounts; True if periods of accounts with counters have moved, and the counters
        must be projected again from the transactions."""
        moved = any(
            _clock(accounts[account]) != _clock(self._accounts[account])
            for account in self._fresh
            if self._accounts[account] is not accounts[account]
        )
        self._accounts = accounts
        for fresh in self._fresh.values():
            fresh.settle()
            fresh.forget_piece()
        return moved

    def add(self, rows: Sequence[Row]) -> None:
        """Count transactions, in ascending order of their ids."""
        self.count_all(map(_COUNTED, rows))
        if rows:
            self.covers_id = rows[-1][0]

    def count_all(self, transactions: Iterable[tuple[str, int, int, int]]) -> None:
        """Count transactions, each in the periods of its answer: account, answer, charge in micro-units, duration in
        microseconds."""
        fresh_of = self._fresh
        for account, answer_at, charge_micros, duration_us in transactions:
            fresh = fresh_of.get(account)
            if fresh is None or not fresh.begins <= answer_at < fresh.ends:
                fresh = self._find(account, answer_at)
            fresh.charge_micros += charge_micros
            fresh.transactions += 1
            if duration_us:
                fresh.duration_us += duration_us
                fresh.calls += 1 if duration_us > 0 else -1

    def count(self, account: str, answer_at: int, charge_micros: int, duration_us: int) -> None:
        """Count one transaction."""
        self.count_all([(account, answer_at, charge_micros, duration_us)])

    def count_retired(self, some: RetiredSum) -> None:
        """Count transactions that the store keeps the sum of, in the periods of the first one's answer."""
        fresh = self._find(some.account, some.answer_at)
        fresh.charge_micros += some.charge_micros
        fresh.duration_us += some.duration_us
        fresh.calls += some.calls
        fresh.transactions += some.transactions

    def _find(self, account: str, at: int) -> _Fresh:
        """The fresh counter of an account around an instant; what it gathered before, in other periods, is settled."""
        clock = _clock(self._accounts[account])
        calendar = self._calendars.get(clock)
        if calendar is None:
            calendar = self._calendars[clock] = AccountCalendar(*clock)
        month_at, month_end = calendar.month(at)
        cycle_at, cycle_end = calendar.cycle(at)
        fresh = self._fresh_of(account)
        fresh.settle()
        fresh.begins, fresh.ends = max(month_at, cycle_at), min(month_end, cycle_end)
        fresh.month = self._sum((MONTH, month_at), account)
        fresh.cycle = self._sum((BILL_CYCLE, cycle_at), account)
        return fresh

    def usage(self, account: str, at: int) -> tuple[Usage, Usage]:
        """The calendar month and the bill cycle of an account that hold an instant. It changes nothing, so that
        another thread than the one that counts may ask; what is being counted meanwhile may show in one only."""
        clock = _clock(self._accounts[account])
        calendar = AccountCalendar(*clock)
        month_start, cycle_start = calendar.month(at)[0], calendar.cycle(at)[0]
        return (
            self._usage(account, MONTH, month_start),
            self._usage(account, BILL_CYCLE, cycle_start),
        )

    def charges(self, account: str) -> int:
        """Charges of an account over all bill cycles, in micro-units. Another thread may ask."""
        fresh = self._fresh.get(account)
        return 0 if fresh is None else fresh.settled_micros + fresh.charge_micros

    def charged(self) -> dict[str, int]:
        """The same of every account with usage."""
        return {account: fresh.settled_micros + fresh.charge_micros for account, fresh in list(self._fresh.items())}

    def _usage(self, account: str, period: str, starts_at: int) -> Usage:
        settled = self._settled((period, starts_at), account)
        known = _Sum(*astuple(settled))
        fresh = self._fresh.get(account)
        if fresh is not None and (settled is fresh.month or settled is fresh.cycle):
            known.add(fresh.charge_micros, fresh.duration_us, fresh.calls, fresh.transactions)
        return Usage(account, period, starts_at, *astuple(known))

    def _settled(self, key: Key, account: str) -> _Sum:
        """A counter without what is fresh. It opens nothing."""
        if (sums := self._open.get(key)) is not None:
            return sums.get(account, _NOTHING)
        for closed in list(self._closed):
            if closed.key == key:
                for part in parts_of(closed.body):
                    if account in part.accounts:
                        return _Sum(*dict(part.sums())[account])
        return _NOTHING

    def _sum(self, key: Key, account: str) -> _Sum:
        """A counter to be added to, in a period that is opened for it."""
        sums = self._open.get(key)
        if sums is None:
            sums = {}
            found = [index for index, closed in enumerate(self._closed) if closed.key == key]
            for index in found:
                for part in parts_of(self._closed[index].body):
                    sums.update((one, _Sum(*values)) for one, values in part.sums())
            self._open[key] = sums
            if found:
                self._closed = [closed for closed in self._closed if closed.key != key]
                self._unchanged = min(self._unchanged, found[0])
        known = sums.get(account)
        if known is None:
            known = sums[account] = _Sum()
        return known

    def __iter__(self) -> Iterator[Usage]:
        return unpack(self.parts())

    def __len__(self) -> int:
        return sum(map(len, list(self._open.values()))) + sum(closed.counters for closed in list(self._closed))

    # Snapshots.

    def parts(self) -> list[bytes]:
        """All counters as packed parts, for a snapshot."""
        return list(self.each_part())

    def each_part(self, counters_per_part: int = 2_000) -> Iterator[bytes]:
        """The same, each made when it is asked for, those of closed periods first. Nothing may be counted until the
        last."""
        for fresh in self._fresh.values():
            fresh.settle()
        yield from [closed.body for closed in self._closed]
        yield from self._close(counters_per_part)
        for key, sums in list(self._open.items()):
            for closed in _packed(key, _values(sums), counters_per_part):
                yield closed.body
        totals = ((account, (fresh.settled_micros, 0, 0, 0)) for account, fresh in self._fresh.items())
        for closed in _packed((TOTAL, 0), totals, counters_per_part):
            yield closed.body

    @property
    def unchanged_parts(self) -> int:
        """How many parts, from the first on, are as the snapshot has them that was stored last."""
        return self._unchanged

    def saved(self) -> None:
        """All parts are stored."""
        self._unchanged = len(self._closed)

    def _close(self, counters_per_part: int) -> Iterator[bytes]:
        """Pack the periods that were long ago. What is fresh has settled."""
        before = max((starts_at for _, starts_at in self._open), default=0) - KEPT_OPEN_US
        old = [key for key in self._open if key[1] < before]
        for fresh in self._fresh.values() if old else ():
            fresh.forget_piece()
        for key in old:
            closed = list(_packed(key, _values(self._open[key]), counters_per_part))
            self._closed += closed
            del self._open[key]
            yield from [one.body for one in closed]

    def restore(self, covers_id: int, bodies: Iterable[bytes]) -> None:
        """Stand where a snapshot was taken, whose parts these are."""
        self._open.clear()
        self._fresh.clear()
        self._closed = []
        # Backwards: the last ones say what the sums of all periods are, and which period is the latest.
        latest, has_totals = 0, False
        for body in reversed(list(bodies)):
            for part in parts_of(body):
                has_totals |= part.period == TOTAL
                latest = max(latest, part.starts_at)
                if part.period == (TOTAL if has_totals else BILL_CYCLE):
                    for account, charge_micros in zip(part.accounts, part.charges, strict=True):
                        self._fresh_of(account).settled_micros += int(charge_micros)
                if has_totals and part.period != TOTAL and part.starts_at < latest - KEPT_OPEN_US:
                    self._closed.append(_Closed(part.key, body, len(part.accounts)))
                elif part.period != TOTAL:
                    sums = self._open.setdefault(part.key, {})
                    sums.update((account, _Sum(*values)) for account, values in part.sums())
        self._closed.reverse()
        self._unchanged = len(self._closed)  # they were the first ones
        self.covers_id = self.restored_id = covers_id

    def _fresh_of(self, account: str) -> _Fresh:
        fresh = self._fresh.get(account)
        if fresh is None:
            fresh = self._fresh[account] = _Fresh(_NOTHING, _NOTHING)
        return fresh


class _Closed(NamedTuple):
    """A packed part of a period in which nothing was counted lately."""

    key: Key
    body: bytes
    counters: int


def _packed(key: Key, counters: Iterable[tuple[str, Sums]], per_part: int) -> Iterator[_Closed]:
    """A period's counters in parts."""
    rest = iter(counters)
    while some := list(islice(rest, per_part)):
        yield _Closed(key, pack(key, some), len(some))


def _values(sums: _Sums) -> Iterator[tuple[str, Sums]]:
    return ((account, astuple(known)) for account, known in sums.items())


def _clock(account: Account) -> tuple[str, int]:
    return account.timezone, account.cycle_day
