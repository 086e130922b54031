"""Which transactions an order to charge again is about, read from the store some thousand at a time."""

import sqlite3
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from rating.store.batch import COLUMNS
from rating.store.partitions import id_ranges, month_bounds
from rating.store.rerating import NOT_REVERSED
from rating.store.transactions import read_chunks

IDS_A_READ: Final = 20_000
"""A long read would keep the write-ahead log from being reset."""
_RATED_NUMBER: Final = "(CASE type WHEN 'toll-free' THEN calling ELSE called END)"


class Scope(msgspec.Struct, frozen=True, omit_defaults=True):
    """The transactions for which all that is given holds."""

    from_at: int | None = None
    """Answered at it or later, µs UTC."""
    to_at: int | None = None
    """Answered before it."""
    accounts: tuple[str, ...] = ()
    destination: str | None = None
    """As it was rated."""
    prefix: str | None = None
    """Of the number that finds the destination, digits without +."""
    tariff: str | None = None
    """The name of the one that they were rated by."""
    transaction: int | None = None

    def __bool__(self) -> bool:
        return self != Scope()


def count(cx: sqlite3.Connection, upto: int) -> int:
    """How many ids there are to go through at most."""
    return sum(last - first + 1 for _, first, last in id_ranges(cx, upto))


def read(cx: sqlite3.Connection, scope: Scope, upto: int) -> Iterator[tuple[int, list[tuple[Any, ...]]]]:
    """The `COLUMNS` of those up to an id that are no reversals and not reversed, with how many ids were gone through
    for them."""
    where, values = _where(cx, scope)
    for month, first, last in id_ranges(cx, upto):
        if scope.to_at is not None and month_bounds(month)[0] >= scope.to_at:  # nothing is answered before it starts
            continue
        for start in range(first - 1, last, IDS_A_READ):
            end = min(start + IDS_A_READ, last)
            if scope.transaction is not None and not start < scope.transaction <= end:
                continue
            found = [
                row
                for chunk in read_chunks(
                    cx, month, ", ".join(COLUMNS), after=start, upto=end, where=where, values=values,
                    rows=IDS_A_READ + 1,
                )
                for row in chunk
            ]  # fmt: skip
            yield end - start, found


def _where(cx: sqlite3.Connection, scope: Scope) -> tuple[str, tuple[int | str, ...]]:
    """The condition, and what is bound in it."""
    conditions: dict[str, list[int | str]] = {NOT_REVERSED: []}
    if scope.transaction is not None:
        conditions["id = ?"] = [scope.transaction]
    if scope.from_at is not None:
        conditions["answer_at >= ?"] = [scope.from_at]
    if scope.to_at is not None:
        conditions["answer_at < ?"] = [scope.to_at]
    if scope.accounts:
        conditions["account IN (SELECT value FROM json_each(?))"] = [_json(scope.accounts)]
    if scope.destination is not None:
        conditions["destination = ?"] = [scope.destination]
    if scope.prefix is not None:
        conditions[f"substr({_RATED_NUMBER}, 1, ?) = ?"] = [len(scope.prefix), scope.prefix]
    if scope.tariff is not None:
        numbers = [number for (number,) in cx.execute("SELECT id FROM tariffs WHERE name = ?", (scope.tariff,))]
        conditions["tariff IN (SELECT value FROM json_each(?))"] = [_json(numbers)]
    return " AND ".join(conditions), tuple(value for values in conditions.values() for value in values)


def _json(values: object) -> str:
    return msgspec.json.encode(values).decode()
