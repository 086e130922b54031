"""The running sums of each account in each of its periods.

They live in memory and are a projection of the transactions: a snapshot is stored now and then with the last
transaction id that it covers, and what came after it is replayed at start-up.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from rating.account import Account
from rating.calendar import BILL_CYCLE, MONTH, AccountCalendar
from rating.store.batch import COLUMN, Row

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
    """Answered ones."""
    transactions: int


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(list[tuple[str, str, int, int | str, int | str, int, int]])
_MOST: Final = (1 << 63) - 1


class Counters:
    """All counters of a shard. `accounts` is the directory's: an account's zone and cycle day say its periods."""

    def __init__(self, accounts: dict[str, Account]) -> None:
        self._months: dict[tuple[str, int], list[int]] = {}
        self._cycles: dict[tuple[str, int], list[int]] = {}
        self._calendars: dict[tuple[str, int], AccountCalendar] = {}
        self._accounts = accounts
        self._current: dict[str, tuple[int, int, list[int], list[int]]] = {}
        self.covers_id = 0
        """The last transaction counted."""

    def follow(self, accounts: dict[str, Account]) -> bool:
        """Take over newly imported accounts; True if periods of accounts with counters have moved, and the counters
        must be projected again from the transactions."""
        counted = {account for account, _ in self._months}
        moved = any(
            _clock(accounts[account]) != _clock(self._accounts[account])
            for account in counted
            if self._accounts[account] is not accounts[account]
        )
        self._accounts = accounts
        self._current.clear()
        return moved

    def add(self, rows: Iterable[Row]) -> None:
        """Count transactions, in ascending order of their ids."""
        covers_id = self.covers_id
        for row in rows:
            covers_id = row[0]
            self.count(row[_ACCOUNT], row[_ANSWER_AT], row[_CHARGE], row[_DURATION])
        self.covers_id = covers_id

    def count(self, account: str, answer_at: int, charge_micros: int, duration_us: int) -> None:
        """Count one transaction, in the periods of its answer."""
        current = self._current.get(account)
        if current is None or not current[0] <= answer_at < current[1]:
            current = self._current[account] = self._find(account, answer_at)
        _, _, month, cycle = current
        month[0] += charge_micros
        cycle[0] += charge_micros
        month[3] += 1
        cycle[3] += 1
        if duration_us:
            month[1] += duration_us
            cycle[1] += duration_us
            month[2] += 1
            cycle[2] += 1

    def _find(self, account: str, at: int) -> tuple[int, int, list[int], list[int]]:
        """The counters of the periods around an instant, and from when to when they are the ones."""
        clock = _clock(self._accounts[account])
        calendar = self._calendars.get(clock)
        if calendar is None:
            calendar = self._calendars[clock] = AccountCalendar(*clock)
        month_start, month_end = calendar.month(at)
        cycle_start, cycle_end = calendar.cycle(at)
        return (
            max(month_start, cycle_start),
            min(month_end, cycle_end),
            self._months.setdefault((account, month_start), [0, 0, 0, 0]),
            self._cycles.setdefault((account, cycle_start), [0, 0, 0, 0]),
        )

    def __iter__(self) -> Iterator[Usage]:
        for period, sums in ((MONTH, self._months), (BILL_CYCLE, self._cycles)):
            for (account, start), counter in sums.items():
                yield Usage(account, period, start, *counter)

    def __len__(self) -> int:
        return len(self._months) + len(self._cycles)

    def parts(self, counters_per_part: int = 20_000) -> list[bytes]:
        """All counters as packed parts, for a snapshot."""
        # A sum can go beyond the 64 bits that fit into a packed number; it is written out then.
        everything = [
            usage
            if usage.charge_micros <= _MOST and usage.duration_us <= _MOST
            else (*usage[:3], *map(str, usage[3:5]), *usage[5:])
            for usage in self
        ]
        return [
            _encoder.encode(everything[at : at + counters_per_part])
            for at in range(0, len(everything), counters_per_part)
        ]

    def restore(self, covers_id: int, parts: Iterable[bytes]) -> None:
        """Stand where a snapshot was taken."""
        self._months.clear()
        self._cycles.clear()
        self._current.clear()
        for usage in unpack(parts):
            sums = self._months if usage.period == MONTH else self._cycles
            sums[usage.account, usage.starts_at] = list(usage[3:])
        self.covers_id = covers_id


def unpack(parts: Iterable[bytes]) -> Iterator[Usage]:
    """The counters of a snapshot's parts."""
    for part in parts:
        for account, period, starts_at, charge, duration, calls, transactions in _decoder.decode(part):
            yield Usage(account, period, starts_at, int(charge), int(duration), calls, transactions)


def _clock(account: Account) -> tuple[str, int]:
    return account.timezone, account.cycle_day
