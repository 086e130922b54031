"""The counters' snapshot: packed parts, each of some accounts in one period."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from rating.calendar import BILL_CYCLE, MONTH

TOTAL: Final = "total"
"""What stands for a period in parts that hold each account's charges over all its cycles."""


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


Key = tuple[str, int]
"""A period and its first instant; of totals the instant is 0."""

Sums = tuple[int, int, int, int]
"""Charge in micro-units, duration in microseconds, calls, transactions."""


Columns = tuple[list[int], list[int], list[int], list[int]]
"""`Sums` of several accounts, column by column."""


class Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Counters of one period, column by column: a column of numbers is read at once."""

    period: Literal["month", "bill-cycle", "total"]
    starts_at: int
    accounts: list[str]
    charges: list[int | str]
    """A sum can go beyond the 64 bits that fit into a packed number; it is written out then."""
    durations: list[int | str]
    calls: list[int]
    transactions: list[int]

    @property
    def key(self) -> Key:
        """The period that it is of."""
        return self.period, self.starts_at

    @property
    def columns(self) -> Columns:
        """The sums of its accounts."""
        return list(map(int, self.charges)), list(map(int, self.durations)), self.calls, self.transactions

    def sums(self) -> Iterator[tuple[str, Sums]]:
        """Each account's."""
        return zip(self.accounts, zip(*self.columns, strict=True), strict=True)


_MOST: Final = (1 << 63) - 1
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Part).decode
_decode_old: Final = msgspec.msgpack.Decoder(list[tuple[str, str, int, int | str, int | str, int, int]]).decode


def pack(key: Key, accounts: Sequence[str], columns: Columns) -> bytes:
    """A part of some accounts' counters."""
    try:
        return _encode((*key, accounts, *columns))
    except OverflowError:
        charges, durations, calls, transactions = columns
        return _encode((*key, accounts, _written_out(charges), _written_out(durations), calls, transactions))


def parts_of(body: bytes) -> list[Part]:
    """What a packed part holds: one part, or as many as there are periods in one that an older program packed."""
    try:
        return [_decode(body)]
    except msgspec.ValidationError:
        of_period: dict[Key, tuple[list[str], Columns]] = {}
        for account, period, starts_at, *sums in _decode_old(body):
            accounts, columns = of_period.setdefault((period, starts_at), ([], ([], [], [], [])))
            accounts.append(account)
            for column, value in zip(columns, map(int, sums), strict=True):
                column.append(value)
        return [_decode(pack(key, *counters)) for key, counters in of_period.items()]


def unpack(bodies: Iterable[bytes]) -> Iterator[Usage]:
    """The counters of a snapshot's parts."""
    for body in bodies:
        for part in parts_of(body):
            if part.period != TOTAL:
                for account, sums in part.sums():
                    yield Usage(account, part.period, part.starts_at, *sums)


def _written_out(numbers: Iterable[int]) -> list[int | str]:
    return [number if abs(number) <= _MOST else str(number) for number in numbers]


assert {MONTH, BILL_CYCLE, TOTAL} == {"month", "bill-cycle", "total"}, "the periods of a part"
