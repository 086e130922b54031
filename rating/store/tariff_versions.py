"""The SQL of looking at one tariff's versions and at what was charged by them, without writing anything."""

import sqlite3
from collections.abc import Iterator

from rating.store import reratable
from rating.store.batch import COLUMN, Row
from rating.store.provisioning import get_tariff
from rating.store.reductions import gross_of
from rating.tariff import TariffText

_ID = COLUMN["id"]


def version_in_force(cx: sqlite3.Connection, name: str, at: int) -> tuple[int, TariffText] | None:
    """Number and texts of the version of a tariff that holds at an instant (µs UTC), if there is one."""
    found = cx.execute(
        "SELECT id FROM tariffs WHERE name = ? AND base_id IS NULL AND (valid_from_at IS NULL OR valid_from_at <= ?)"
        " ORDER BY valid_from_at IS NULL, valid_from_at DESC, id DESC LIMIT 1",
        (name, at),
    ).fetchone()
    return None if found is None else (found[0], get_tariff(cx, found[0]))


def charged_by(
    cx: sqlite3.Connection, name: str, from_at: int, to_at: int, upto: int
) -> Iterator[tuple[int, list[tuple[Row, int | None]]]]:
    """The transactions that count of those that a tariff charged, in whatever version, with from ≤ answer < to: their
    `COLUMNS`, and what they cost before something was taken off, if something was. Some thousand at a time, with how
    many ids were gone through for them."""
    scope = reratable.Scope(from_at=from_at, to_at=to_at, tariff=name)
    for ids, rows in reratable.read(cx, scope, upto):
        gross = gross_of(cx, [row[_ID] for row in rows])
        yield ids, [(list(row), gross.get(row[_ID])) for row in rows]
