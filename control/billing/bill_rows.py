"""The SQL of bills: only ever added, never altered."""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import chain
from typing import Any, Final

import msgspec

from control.billing.bill import Bill, Document, unpack
from control.billing.cycles import Cycle
from control.billing.parts import Part, part_of
from control.payments.discount import Offer
from rating.cdr import MICROS

_HEADER: Final = (
    "number", "account", "name", "period", "cycle_start", "cycle_end", "issued_at", "issued_on", "due_on", "currency",
    "decimals", "previous_balance_micros", "payments_micros", "adjustments_micros", "current_charges_micros",
    "total_due_micros", "discount_rule", "discount_micros", "discount_first_on", "discount_last_on", "calls",
    "covers_id", "entry", "rounding_micros", "carried_micros",
)  # fmt: skip
_COLUMNS: Final = ", ".join(_HEADER)
_DISCOUNT: Final = _HEADER.index("discount_rule")
_DAYS: Final = (_HEADER.index("issued_on"), _HEADER.index("due_on"))


class Latest(msgspec.Struct, frozen=True, array_like=True):
    """What the next bill of an account builds on: its latest one."""

    account: str
    number: int
    period: str
    cycle_start: int
    cycle_end: int
    covers_id: int
    entry: int
    due_on: str
    total_due_micros: int
    carried_micros: int

    def is_over(self, cycle: Cycle) -> bool:
        """Whether it is of a cycle, or of a later one. All three only rise from bill to bill, also when the account's
        zone or cycle day is changed in between."""
        return self.period >= cycle.period or self.cycle_start >= cycle.start or self.cycle_end >= cycle.end


def bill(cx: sqlite3.Connection, number: int) -> Bill | None:
    """One bill's figures."""
    row = cx.execute(f"SELECT {_COLUMNS} FROM bills WHERE number = ?", (number,)).fetchone()  # noqa: S608  # names of columns, no values
    return _bill(row) if row else None


def document(cx: sqlite3.Connection, number: int) -> Document:
    """One bill's document. The caller knows that the bill is there."""
    return unpack(packed(cx, number))


def part(cx: sqlite3.Connection, number: int, first: int, most: int) -> Part:
    """At most so many calls of one bill, from the one with a number on (1 is the first)."""
    return part_of(packed(cx, number), first, most)


def packed(cx: sqlite3.Connection, number: int) -> bytes:
    """One bill's document as it is stored."""
    (stored,) = cx.execute("SELECT document FROM bills WHERE number = ?", (number,)).fetchone()
    return bytes(stored)


def bills_of(cx: sqlite3.Connection, account: str, *, limit: int, before: int | None = None) -> list[Bill]:
    """The newest bills of an account first, at most `limit` of them; of those before `before`, if it is given."""
    where, values = ("", ()) if before is None else (" AND number < ?", (before,))
    rows = cx.execute(
        f"SELECT {_COLUMNS} FROM bills WHERE shard = 0 AND account = ?{where} ORDER BY number DESC LIMIT ?",  # noqa: S608  # names of columns, no values
        (account, *values, limit),
    )
    return [_bill(row) for row in rows]


def from_newest(cx: sqlite3.Connection, account: str) -> Iterator[Bill]:
    """All bills of an account, the newest first: read as far as somebody looks."""
    rows = cx.execute(
        f"SELECT {_COLUMNS} FROM bills WHERE shard = 0 AND account = ? ORDER BY number DESC",  # noqa: S608  # names of columns, no values
        (account,),
    )
    return map(_bill, rows)


def newest_bills(
    cx: sqlite3.Connection, accounts: Sequence[str] | None, *, limit: int, before: int | None = None
) -> list[Bill]:
    """The same of some accounts, or of all."""
    where, values = [], list[Any]()
    if before is not None:
        where, values = ["number < ?"], [before]
    if accounts is not None:
        where.append("account IN (SELECT value FROM json_each(?))")
        values.append(msgspec.json.encode(accounts).decode())
    rows = cx.execute(
        f"SELECT {_COLUMNS} FROM bills {'WHERE' if where else ''} {' AND '.join(where)} ORDER BY number DESC LIMIT ?",  # noqa: S608  # names of columns, no values
        (*values, limit),
    )
    return [_bill(row) for row in rows]


def numbered(cx: sqlite3.Connection, numbers: Sequence[int]) -> list[Bill]:
    """The bills of some numbers, the newest first."""
    rows = cx.execute(
        f"SELECT {_COLUMNS} FROM bills WHERE number IN (SELECT value FROM json_each(?)) ORDER BY number DESC",  # noqa: S608  # names of columns, no values
        (msgspec.json.encode(numbers).decode(),),
    )
    return [_bill(row) for row in rows]


def latest_of(cx: sqlite3.Connection, account: str) -> Bill | None:
    """The newest bill of an account."""
    return next(iter(bills_of(cx, account, limit=1)), None)


def number_of(cx: sqlite3.Connection, account: str, cycle_start: int) -> int | None:
    """The number of the bill of a cycle."""
    row = cx.execute(
        "SELECT number FROM bills WHERE shard = 0 AND account = ? AND cycle_start = ?", (account, cycle_start)
    ).fetchone()
    return int(row[0]) if row else None


def last_number(cx: sqlite3.Connection) -> int:
    """The number of the last bill that was issued; 0 before the first."""
    (last,) = cx.execute("SELECT coalesce(max(number), 0) FROM bills").fetchone()
    return int(last)


def last_period(cx: sqlite3.Connection) -> str | None:
    """The latest period of which there are bills."""
    (period,) = cx.execute("SELECT period FROM bills WHERE number = (SELECT max(number) FROM bills)").fetchone() or (
        None,
    )
    return period


def latest_bills(cx: sqlite3.Connection, accounts: Sequence[str]) -> dict[str, Latest]:
    """The latest bill of each of some accounts that has one."""
    # One row: each costs another wait for the interpreter lock beside a busy ingest.
    (text,) = cx.execute(
        "SELECT json_group_array(json_array(b.account, b.number, b.period, b.cycle_start, b.cycle_end,"
        " b.covers_id, b.entry, b.due_on, b.total_due_micros, b.carried_micros)) FROM json_each(?) wanted"
        " JOIN bills b ON b.number = (SELECT max(number) FROM bills WHERE shard = 0 AND account = wanted.value)",
        (msgspec.json.encode(accounts).decode(),),
    ).fetchone()
    return {latest.account: latest for latest in msgspec.json.decode(text, type=list[Latest])}


def insert(cx: sqlite3.Connection, bills: Sequence[tuple[Bill, bytes]]) -> None:
    """Write bills with their documents; some hundred at most, in one statement: with executemany the interpreter lock
    is given up, and fought for, at every row."""
    if not bills:
        return
    row = f"(0, {', '.join('?' * len(_HEADER))}, ?)"
    cx.execute(
        f"INSERT INTO bills (shard, {_COLUMNS}, document) VALUES {', '.join([row] * len(bills))}",  # noqa: S608  # names of columns, no values
        list(chain.from_iterable((*_values(one), packed) for one, packed in bills)),
    )


def charged_by_account(cx: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    """What the bills of every account that has some have charged, rounding included, in micro-units."""
    # In two parts, millions and the rest: in one a sum could go beyond SQLite's 64 bits.
    charged = "(current_charges_micros + coalesce(rounding_micros, 0))"
    rows = cx.execute(
        f"SELECT account, sum({charged} / {MICROS}), sum({charged} % {MICROS})"  # noqa: S608  # a number of ours
        " FROM bills WHERE shard = 0 GROUP BY account"
    )
    for account, whole, rest in rows:
        yield account, whole * MICROS + rest


def _values(one: Bill) -> Iterator[Any]:
    for name in Bill.__struct_fields__:
        value = getattr(one, name)
        if name == "discount":
            yield from (None,) * 4 if value is None else (
                value.rule, value.amount_micros, value.first_on.isoformat(), value.last_on.isoformat(),
            )  # fmt: skip
        else:
            yield value.isoformat() if isinstance(value, date) else value


def _bill(row: tuple[Any, ...]) -> Bill:
    values = list(row)
    rule, micros, first_on, last_on = values[_DISCOUNT : _DISCOUNT + 4]
    values[_DISCOUNT : _DISCOUNT + 4] = [
        None if rule is None else Offer(rule, micros, date.fromisoformat(first_on), date.fromisoformat(last_on))
    ]
    for day in _DAYS:
        values[day] = date.fromisoformat(values[day])
    return Bill(*values)
