"""The running sums of each account in each of its periods.

They live in memory and are a projection of the transactions: a snapshot is stored now and then with the last
transaction id that it covers, and what came after it is replayed at start-up.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from rating.account import Account
from rating.account_slots import AccountSlots, Counted, Slots
from rating.calendar import BILL_CYCLE, MONTH, AccountCalendar
from rating.cdr import MICROS
from rating.closed_periods import Closed, ClosedPeriods
from rating.counter_parts import TOTAL, Columns, Key, Part, Sums, Usage, pack, parts_of, unpack
from rating.open_periods import SOME, OpenPeriods
from rating.pieces import Piece
from rating.store.batch import Row
from rating.store.retired import RetiredSum

KEPT_OPEN_US: Final = 62 * 86_400 * MICROS
"""Periods that begin within this of the latest one are open: nearly all that is counted or asked for is in them."""
_NOTHING: Final[Sums] = (0, 0, 0, 0)


class Counters:
    """All counters of a shard. `accounts` is the directory's: an account's zone and cycle day say its periods."""

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self._accounts = accounts
        self._calendars: dict[tuple[str, int], AccountCalendar] = {}
        self.slots: Final = AccountSlots(self._own)
        """Of the accounts, in whatever is kept of each."""
        self._open = OpenPeriods(self._closed_counters, self._drop_closed)
        self._closed = ClosedPeriods()
        self.covers_id = 0
        """The last transaction counted."""
        self.restored_id = 0
        """The last one that the snapshot covers with which they began."""

    def follow(self, accounts: Mapping[str, Account]) -> bool:
        """Take over newly imported accounts; True if periods of accounts with counters have moved, and the counters
        must be projected again from the transactions."""
        moved = any(
            accounts[account].clock != self._accounts[account].clock
            for account in map(self.slots.account, self._open.counted().tolist())
            if self._accounts[account] is not accounts[account]
        )
        self._accounts = accounts
        self._open.forget_pieces()
        return moved

    # Counting.

    def add(self, rows: Sequence[Row]) -> None:
        """Count transactions, in ascending order of their ids."""
        if rows:
            self._count(self.slots.counted(rows))
            self.covers_id = rows[-1][0]

    def count_all(self, transactions: Iterable[tuple[str, int, int, int]]) -> None:
        """Count transactions, each in the periods of its answer: account, answer, charge in micro-units, duration in
        microseconds."""
        some = list(transactions)
        if some:
            accounts, *columns = zip(*some, strict=True)
            self._count(Counted(self.slots.slots_of(accounts), *(np.array(column, np.int64) for column in columns)))

    def count(self, account: str, answer_at: int, charge_micros: int, duration_us: int) -> None:
        """Count one transaction."""
        self.count_all([(account, answer_at, charge_micros, duration_us)])

    def count_retired(self, some: RetiredSum) -> None:
        """Count transactions that the store keeps the sum of, in the periods of the first one's answer."""
        slot = self.slots.slot(some.account)
        self._open.reach(len(self.slots))
        sums = some.charge_micros, some.duration_us, some.calls, some.transactions
        self._open.add(slot, self._piece(slot, some.answer_at), sums)

    def _count(self, counted: Counted) -> None:
        self._open.reach(len(self.slots))
        self._open.count(counted, self._piece)

    def _piece(self, slot: int, at: int) -> Piece:
        clock = self._accounts[self.slots.account(slot)].clock
        calendar = self._calendars.get(clock)
        if calendar is None:
            calendar = self._calendars[clock] = AccountCalendar(*clock)
        month_at, month_end = calendar.month(at)
        cycle_at, cycle_end = calendar.cycle(at)
        return Piece(max(month_at, cycle_at), min(month_end, cycle_end), month_at, cycle_at)

    def _own(self, account: str) -> str:
        """The text of an account number that the account itself has."""
        known = self._accounts.get(account)
        return account if known is None else known.account

    def _closed_counters(self, key: Key) -> dict[int, Sums]:
        return {self.slots.slot(account): sums for account, sums in self._closed.counters_of(key).items()}

    def _drop_closed(self, key: Key) -> None:
        self._closed.drop(key)

    # Asking. Another thread than the one that counts may ask; it changes nothing.

    def usage(self, account: str, at: int) -> tuple[Usage, Usage]:
        """The calendar month and the bill cycle of an account that hold an instant. What is being counted meanwhile may
        show in one only."""
        calendar = AccountCalendar(*self._accounts[account].clock)
        month, cycle = (MONTH, calendar.month(at)[0]), (BILL_CYCLE, calendar.cycle(at)[0])
        of_month, of_cycle = self._open.undisturbed(lambda: (self._sums(month, account), self._sums(cycle, account)))
        return Usage(account, *month, *of_month), Usage(account, *cycle, *of_cycle)

    def _sums(self, key: Key, account: str) -> Sums:
        slot = self.slots.find(account)
        found = None if slot is None else self._open.find(key, slot)
        return found or self._closed.find(key, account) or _NOTHING

    def charges(self, account: str) -> int:
        """Charges of an account over all bill cycles, in micro-units."""
        slot = self.slots.find(account)
        return 0 if slot is None else self._open.charges(slot)

    def charged(self) -> dict[str, int]:
        """The same of every account with usage."""
        charged: dict[str, int] = {}
        for slots, charges in self._open.all_charges():
            charged.update(zip(map(self.slots.account, slots), charges, strict=True))
        return charged

    def __iter__(self) -> Iterator[Usage]:
        return unpack(self.parts())

    def __len__(self) -> int:
        return len(self._open) + len(self._closed)

    # Snapshots.

    def parts(self) -> list[bytes]:
        """All counters as packed parts, for a snapshot."""
        return list(self.each_part())

    def each_part(self, counters_per_part: int = SOME) -> Iterator[bytes]:
        """The same, each made when it is asked for, those of closed periods first. Nothing may be counted until the
        last."""
        self._open.settle()
        yield from self._closed.bodies()
        latest = max((starts_at for _, starts_at in self._open.periods()), default=0)
        for key in self._open.periods():
            if key[1] < latest - KEPT_OPEN_US:
                closed = list(self._packed(key, counters_per_part))
                self._closed.add(closed)
                self._open.close(key)
                yield from [part.body for part in closed]
        for key in self._open.periods():
            for part in self._packed(key, counters_per_part):
                yield part.body
        for slots, charges in self._open.all_charges(counters_per_part):
            nothing = [0] * len(slots)
            yield self._part((TOTAL, 0), slots, (charges, nothing, nothing, nothing)).body

    def _packed(self, key: Key, counters_per_part: int) -> Iterator[Closed]:
        for slots, columns in self._open.counters_of(key, counters_per_part):
            yield self._part(key, slots, columns)

    def _part(self, key: Key, slots: list[int], columns: Columns) -> Closed:
        return Closed(key, pack(key, list(map(self.slots.account, slots)), columns), len(slots))

    @property
    def unchanged_parts(self) -> int:
        """How many parts, from the first on, are as the snapshot has them that was stored last."""
        return self._closed.unchanged

    def saved(self) -> None:
        """All parts are stored."""
        self._closed.saved()

    def restore(self, covers_id: int, bodies: Iterable[bytes]) -> None:
        """Stand where a snapshot was taken, whose parts these are."""
        self._open = OpenPeriods(self._closed_counters, self._drop_closed)
        # Backwards: the last ones say what the sums of all periods are, and which period is the latest.
        latest, has_totals, closed, still_open = 0, False, list[Closed](), list[Part]()
        for body in reversed(list(bodies)):
            for part in parts_of(body):
                has_totals |= part.period == TOTAL
                latest = max(latest, part.starts_at)
                if part.period == (TOTAL if has_totals else BILL_CYCLE):
                    self._open.restore_charges(self._slots_of(part), part.columns[0])
                if has_totals and part.period != TOTAL and part.starts_at < latest - KEPT_OPEN_US:
                    closed.append(Closed(part.key, body, len(part.accounts)))
                elif part.period != TOTAL:
                    still_open.append(part)
        for part in sorted(still_open, key=lambda part: -part.starts_at):
            self._open.restore(part.key, self._slots_of(part), part.columns)
        self._closed = ClosedPeriods(reversed(closed))  # they were the first ones
        self.covers_id = self.restored_id = covers_id

    def _slots_of(self, part: Part) -> Slots:
        slots = self.slots.slots_of(part.accounts)
        self._open.reach(len(self.slots))
        return slots
