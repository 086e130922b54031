"""The transactions that go on bills, read from the store a few thousand at a time and laid out by account on the disk:
in memory are only those of one lot of accounts."""

import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final
from zlib import crc32

import msgspec

from control.billing.consolidate import COLUMNS, Row
from control.billing.due import Due
from rating.store.partitions import id_ranges, month_bounds
from rating.store.transactions import read_chunks

ROWS_A_READ: Final = 20_000
"""Ids of one read: a long one would keep the write-ahead log from being reset."""
ROWS_A_LOT: Final = 200_000
"""Transactions of one lot of accounts, more or less."""
MOST_LOTS: Final = 200
_NAMED_AT_MOST: Final = 2_000
"""Accounts that a read names: it looks each one up for every row, and first has to read all their names."""
_ID, _ACCOUNT, _ANSWER_AT = (COLUMNS.index(name) for name in ("id", "account", "answer_at"))
_COLUMNS: Final = ", ".join(COLUMNS)
_LENGTH: Final = 8

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[list[Any]]).decode


class Lots:
    """Transactions by lots of accounts, in files without a name: nobody else reads them, and they end with us."""

    def __init__(self, directory: Path, number: int) -> None:
        """So many lots; the files lie in a directory."""
        self._files: list[IO[bytes]] = [
            tempfile.TemporaryFile(dir=directory)  # noqa: SIM115  # closed with us
            for _ in range(number)
        ]

    def __enter__(self) -> "Lots":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()

    def __len__(self) -> int:
        return len(self._files)

    def lot_of(self, account: str) -> int:
        """The lot of an account."""
        return crc32(account.encode()) % len(self._files)

    def put(self, rows: list[Row]) -> None:
        """Lay some transactions out."""
        of_lot: dict[int, list[Row]] = {}
        for row in rows:
            of_lot.setdefault(self.lot_of(row[_ACCOUNT]), []).append(row)
        for lot, some in of_lot.items():
            packed = _encode(some)
            self._files[lot].write(len(packed).to_bytes(_LENGTH))
            self._files[lot].write(packed)

    def take(self, lot: int) -> dict[str, list[Row]]:
        """A lot's transactions, by account."""
        by_account: dict[str, list[Row]] = {}
        file = self._files[lot]
        file.seek(0)
        while length := file.read(_LENGTH):
            for row in _decode(file.read(int.from_bytes(length))):
                by_account.setdefault(row[_ACCOUNT], []).append(row)
        return by_account


def lots_for(cx: sqlite3.Connection, upto: int) -> int:
    """How many lots the transactions of the store make, at most."""
    transactions = sum(last - first + 1 for _, first, last in id_ranges(cx, upto))
    return max(1, min(MOST_LOTS, -(-transactions // ROWS_A_LOT)))


def gather(
    cx: sqlite3.Connection, due: Mapping[str, Due], upto: int, lots: Lots, progress: Callable[[int], None]
) -> None:
    """Lay out what goes on the bills of accounts, of the transactions up to an id. `progress` is told how many it has
    looked at."""
    latest_end = max((one.cycle.end for one in due.values()), default=0)
    where, values = _narrowed(due, latest_end)
    looked_at = 0
    for month, first, last in id_ranges(cx, upto):
        if month_bounds(month)[0] >= latest_end:  # nothing is answered before it starts
            continue
        for start in range(first - 1, last, ROWS_A_READ):
            end = min(start + ROWS_A_READ, last)
            for chunk in read_chunks(
                cx, month, _COLUMNS, after=start, upto=end, where=where, values=values, rows=ROWS_A_READ + 1
            ):
                lots.put([
                    row for row in chunk
                    if (one := due.get(row[_ACCOUNT])) is not None and one.bills(row[_ID], row[_ANSWER_AT])
                ])  # fmt: skip
            looked_at += end - start
            progress(looked_at)


def _narrowed(due: Mapping[str, Due], latest_end: int) -> tuple[str, tuple[int | str, ...]]:
    """A condition that holds for all transactions that go on bills, and for few others: what it leaves out is cheap."""
    where, values = "answer_at < ?", [latest_end]
    named = "account IN (SELECT value FROM json_each(?))"
    if len(due) <= _NAMED_AT_MOST:
        return f"{where} AND {named}", (*values, msgspec.json.encode(list(due)).decode())
    # Most have a bill of the cycle before; those that have not want what is older too.
    ends = sorted(one.billed_upto for one in due.values())
    usual = ends[min(_NAMED_AT_MOST, len(ends) - 1)]
    laggards = [account for account, one in due.items() if one.billed_upto < usual]
    covered = min(one.covers_id for one in due.values() if one.billed_upto >= usual)
    return (
        f"{where} AND (answer_at >= ? OR id > ? OR {named})",
        (*values, usual, covered, msgspec.json.encode(laggards).decode()),
    )
