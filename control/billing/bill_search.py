"""Bills looked for by number, account, name and period, the newest first; each with the payments refused on it."""

import sqlite3
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from control.billing import bill_rows
from control.billing.bill import Bill
from control.payments.payment import State

NUMBERS_A_READ: Final = 20_000
"""Bills that one read looks at where no index leads to those that are wanted."""
_OF_REFUSED: Final = f"FROM payments p WHERE p.invoice = b.number AND p.state = '{State.REFUSED}'"
_REFUSED: Final = f"(SELECT count(*) {_OF_REFUSED})"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which bills; what is empty leaves all."""

    number: int | None = None
    account: str = ""
    """Its number, exactly."""
    words: tuple[str, ...] = ()
    """Each is in the name that is on the bill; letters large or small."""
    period: str = ""
    """`YYYY-MM`."""
    is_flagged: bool = False
    """Only those on which a payment was refused."""


class Listed(msgspec.Struct, frozen=True):
    """A bill, and how many payments were refused on it."""

    bill: Bill
    refused: int


class Page(msgspec.Struct, frozen=True):
    """Some bills that are wanted."""

    bills: list[Listed]
    before: int | None
    """Those that are left have smaller numbers than this; None if all were looked at."""


def search(cx: sqlite3.Connection, wanted: Wanted, *, limit: int, before: int | None = None) -> Page:
    """One read's worth of the bills before the number `before`: perhaps none, with some left to be looked at."""
    upto = bill_rows.last_number(cx) + 1 if before is None else before
    is_led = wanted.number is not None or bool(wanted.account)
    first = 1 if is_led else max(1, upto - NUMBERS_A_READ)
    where, values = _where(wanted, first, upto)
    found = cx.execute(
        f"SELECT b.number, {_REFUSED} FROM bills b WHERE {where} ORDER BY b.number DESC LIMIT ?",  # noqa: S608  # conditions of ours; values are bound
        (*values, limit + 1),
    ).fetchall()
    refused = dict(found[:limit])
    bills = [Listed(bill, refused[bill.number]) for bill in bill_rows.numbered(cx, list(refused))]
    if len(found) > limit:
        return Page(bills, bills[-1].bill.number)
    return Page(bills, first if first > 1 else None)


def _where(wanted: Wanted, first: int, upto: int) -> tuple[str, list[Any]]:
    where, values = ["b.shard = 0", "b.number >= ?", "b.number < ?"], list[Any]([first, upto])
    for condition, value in (("b.number = ?", wanted.number), ("b.account = ?", wanted.account or None),
                             ("b.period = ?", wanted.period or None)):  # fmt: skip
        if value is not None:
            where.append(condition)
            values.append(value)
    for word in wanted.words:
        where.append("instr(lower(b.name), lower(?)) > 0")
        values.append(word)
    if wanted.is_flagged:
        where.append(f"EXISTS (SELECT 1 {_OF_REFUSED})")
    return " AND ".join(where), values
