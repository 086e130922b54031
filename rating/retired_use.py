"""What the transactions of a month come to, summed up before they leave the store: so that every counter and every bill
is still what they make it."""

from collections.abc import Callable, Iterator, Mapping

from rating.account import Account
from rating.calendar import AccountCalendar
from rating.store.arrivals import DAY_US
from rating.store.batch import COLUMN, Row
from rating.store.retired import RetiredSum

_ID, _ACCOUNT, _ANSWER_AT = COLUMN["id"], COLUMN["account"], COLUMN["answer_at"]
_CHARGE, _DURATION, _KEY = COLUMN["charge_micros"], COLUMN["duration_us"], COLUMN["key"]
_SOURCE, _ARRIVED_AT = COLUMN["source"], COLUMN["arrived_at"]

BillOf = Callable[[str, int, int], int | None]
"""The bill that an account's transaction of this id and answer is on."""


class NotBilled(Exception):
    """A transaction is on no bill yet; its month stays."""


class RetiredUse:
    """The sums of one month's transactions, by account, bill, month and bill cycle; and how many arrived when."""

    def __init__(self, accounts: Mapping[str, Account], bill_of: BillOf) -> None:
        self._accounts, self._bill_of = accounts, bill_of
        self._calendars: dict[tuple[str, int], AccountCalendar] = {}
        self._sums: dict[tuple[str, int, int, int], list[int]] = {}
        self._arrivals: dict[tuple[int, int], int] = {}
        self.transactions = 0
        self.charge_micros = 0

    def add(self, row: Row) -> None:
        """Count a transaction. Raises NotBilled."""
        account, answer_at, duration_us = row[_ACCOUNT], row[_ANSWER_AT], row[_DURATION]
        bill = self._bill_of(account, row[_ID], answer_at)
        if bill is None:
            raise NotBilled(f"transaction {row[_ID]} of account {account} is on no bill yet")
        owner = self._accounts[account]
        clock = owner.clock
        calendar = self._calendars.get(clock)
        if calendar is None:
            calendar = self._calendars[clock] = AccountCalendar(*clock)
        key = account, bill, calendar.month(answer_at)[0], calendar.cycle(answer_at)[0]
        sums = self._sums.get(key)
        if sums is None:
            sums = self._sums[key] = [answer_at, 0, 0, 0, 0]
        sums[0] = min(sums[0], answer_at)
        sums[1] += row[_CHARGE]
        sums[2] += duration_us
        sums[3] += (duration_us > 0) - (duration_us < 0)
        sums[4] += 1
        if row[_KEY] >= 0:  # a correction did not arrive
            arrived = row[_SOURCE], row[_ARRIVED_AT] // DAY_US
            self._arrivals[arrived] = self._arrivals.get(arrived, 0) + 1
        self.transactions += 1
        self.charge_micros += row[_CHARGE]

    def sums(self) -> Iterator[RetiredSum]:
        """What they came to."""
        for (account, bill, _, _), sums in self._sums.items():
            answer_at, charge, duration, calls, transactions = sums
            yield RetiredSum(account, bill, answer_at, charge, duration, calls, transactions)

    def arrivals(self) -> list[tuple[int, int, int]]:
        """How many arrived, by source and UTC day (days since 1970)."""
        return [(source, day, number) for (source, day), number in sorted(self._arrivals.items())]
