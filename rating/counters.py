"""The running sums of each account in each of its periods.

They live in memory and are a projection of the transactions: a snapshot is stored now and then with the last
transaction id that it covers, and what came after it is replayed at start-up.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import astuple

from rating.account import Account
from rating.calendar import BILL_CYCLE, MONTH, AccountCalendar
from rating.store.batch import COLUMN, Row
from rating.store.retired import RetiredSum

_ACCOUNT: Final = COLUMN["account"]
_ANSWER_AT: Final = COLUMN["answer_at"]
_CHARGE: Final = COLUMN["charge_micros"]
_DURATION: Final = COLUMN["duration_us"]


class Usage(NamedTuple):
    """One counter: an account's use in one period."""

    account: str
    period: str
    """`month` or `bill-cycle`, by the account's local clock."""
    starts_at: int
    """First instant of the period, µs UTC."""
    charge_micros: int
    duration_us: int
    calls: int
    """Answered ones; a reversal takes one away."""
    transactions: int
    """Rows, reversals too."""


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(list[tuple[str, str, int, int | str, int | str, int, int]])
_MOST: Final = (1 << 63) - 1


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

_Sums = dict[int, dict[str, _Sum]]
"""By the first instant of a period, and then by account."""


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


class Counters:
    """All counters of a shard. `accounts` is the directory's: an account's zone and cycle day say its periods."""

    def __init__(self, accounts: dict[str, Account]) -> None:
        self._months: _Sums = {}
        self._cycles: _Sums = {}
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
            fresh.begins = fresh.ends = 0  # where it is in what they have now is found with the next transaction
        return moved

    def add(self, rows: Iterable[Row]) -> None:
        """Count transactions, in ascending order of their ids."""
        fresh_of = self._fresh
        covers_id = self.covers_id
        for row in rows:
            covers_id, account, answer_at, duration_us = row[0], row[_ACCOUNT], row[_ANSWER_AT], row[_DURATION]
            fresh = fresh_of.get(account)
            if fresh is None or not fresh.begins <= answer_at < fresh.ends:
                fresh = self._find(account, answer_at)
            fresh.charge_micros += row[_CHARGE]
            fresh.transactions += 1
            if duration_us:
                fresh.duration_us += duration_us
                fresh.calls += 1 if duration_us > 0 else -1
        self.covers_id = covers_id

    def count(self, account: str, answer_at: int, charge_micros: int, duration_us: int) -> None:
        """Count one transaction, in the periods of its answer."""
        fresh = self._fresh.get(account)
        if fresh is None or not fresh.begins <= answer_at < fresh.ends:
            fresh = self._find(account, answer_at)
        fresh.charge_micros += charge_micros
        fresh.transactions += 1
        if duration_us:
            fresh.duration_us += duration_us
            fresh.calls += 1 if duration_us > 0 else -1

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
        fresh = self._fresh.get(account)
        if fresh is None:
            fresh = self._fresh[account] = _Fresh(_NOTHING, _NOTHING)
        else:
            fresh.settle()
        fresh.begins, fresh.ends = max(month_at, cycle_at), min(month_end, cycle_end)
        fresh.month = _of(self._months, month_at, account)
        fresh.cycle = _of(self._cycles, cycle_at, account)
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
        sums = self._months if period == MONTH else self._cycles
        settled = sums.get(starts_at, {}).get(account, _NOTHING)
        known = _Sum(settled.charge_micros, settled.duration_us, settled.calls, settled.transactions)
        fresh = self._fresh.get(account)
        if fresh is not None and (settled is fresh.month or settled is fresh.cycle):
            known.add(fresh.charge_micros, fresh.duration_us, fresh.calls, fresh.transactions)
        return Usage(account, period, starts_at, *astuple(known))

    def _settle(self) -> None:
        for fresh in self._fresh.values():
            fresh.settle()

    def __iter__(self) -> Iterator[Usage]:
        self._settle()
        for period, sums in ((MONTH, self._months), (BILL_CYCLE, self._cycles)):
            for starts_at, of_account in sums.items():
                for account, known in of_account.items():
                    yield Usage(account, period, starts_at, *astuple(known))

    def __len__(self) -> int:
        return sum(len(of_account) for sums in (self._months, self._cycles) for of_account in list(sums.values()))

    def parts(self, counters_per_part: int = 20_000) -> list[bytes]:
        """All counters as packed parts, for a snapshot."""
        return list(self.each_part(counters_per_part))

    def each_part(self, counters_per_part: int = 2_000) -> Iterator[bytes]:
        """The same, each made when it is asked for. Nothing may be counted until the last."""
        everything = iter(self)
        while some := list(islice(everything, counters_per_part)):
            # A sum can go beyond the 64 bits that fit into a packed number; it is written out then.
            yield _encoder.encode(
                [
                    usage
                    if usage.charge_micros <= _MOST and usage.duration_us <= _MOST
                    else (*usage[:3], *map(str, usage[3:5]), *usage[5:])
                    for usage in some
                ]
            )

    def restore(self, covers_id: int, parts: Iterable[bytes]) -> None:
        """Stand where a snapshot was taken."""
        self._months.clear()
        self._cycles.clear()
        self._fresh.clear()
        for account, period, starts_at, *sums in unpack(parts):
            (self._months if period == MONTH else self._cycles).setdefault(starts_at, {})[account] = _Sum(*sums)
            fresh = self._fresh.get(account)
            if fresh is None:
                fresh = self._fresh[account] = _Fresh(_NOTHING, _NOTHING)
            if period == BILL_CYCLE:
                fresh.settled_micros += sums[0]
        self.covers_id = self.restored_id = covers_id


def unpack(parts: Iterable[bytes]) -> Iterator[Usage]:
    """The counters of a snapshot's parts."""
    for part in parts:
        for account, period, starts_at, charge, duration, calls, transactions in _decoder.decode(part):
            yield Usage(account, period, starts_at, int(charge), int(duration), calls, transactions)


def _of(sums: _Sums, starts_at: int, account: str) -> _Sum:
    of_account = sums.get(starts_at)
    if of_account is None:
        of_account = sums[starts_at] = {}
    known = of_account.get(account)
    if known is None:
        known = of_account[account] = _Sum()
    return known


def _clock(account: Account) -> tuple[str, int]:
    return account.timezone, account.cycle_day
