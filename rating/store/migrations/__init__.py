"""The numbered steps by which a store's schema grew, and the runner that applies those it lacks."""

import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from rating.store.errors import SchemaTooNew, SchemaTooOld

_FILE_NAME: Final = re.compile(r"(\d{4})_(\w+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One step; never edited after it was released."""

    number: int
    name: str
    sql: str


def own_migrations() -> tuple[Migration, ...]:
    """The steps of the transaction store, in order."""
    steps = []
    for entry in files(__package__).iterdir():
        match = _FILE_NAME.fullmatch(entry.name)
        if match:
            steps.append(Migration(int(match[1]), match[2], entry.read_text(encoding="utf-8")))
    return tuple(sorted(steps, key=lambda step: step.number))


def schema_number(cx: sqlite3.Connection) -> int:
    """The number of the last step applied; 0 for an empty store."""
    exists = cx.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'").fetchone()
    if not exists:
        return 0
    (number,) = cx.execute("SELECT coalesce(max(number), 0) FROM schema_migrations").fetchone()
    return int(number)


def require_current(cx: sqlite3.Connection, steps: Iterable[Migration]) -> None:
    """Raise SchemaTooOld or SchemaTooNew unless the store is exactly at the last of `steps`."""
    stands, wanted = schema_number(cx), max(step.number for step in steps)
    if stands > wanted:
        raise SchemaTooNew(f"the store's schema is number {stands}, this program knows {wanted}: use the newer program")
    if stands < wanted:
        raise SchemaTooOld(
            f"the store's schema is number {stands}, this program needs {wanted}: run tollkeeper migrate"
        )


def migrate(cx: sqlite3.Connection, steps: Iterable[Migration], applied_at: int) -> tuple[Migration, ...]:
    """Apply the missing steps, all in one transaction; returns them. Raises SchemaTooNew."""
    ordered = sorted(steps, key=lambda step: step.number)
    assert [step.number for step in ordered] == list(range(1, len(ordered) + 1)), "migrations must be numbered 1..n"
    stands = schema_number(cx)
    if stands > len(ordered):
        require_current(cx, ordered)
    missing = tuple(ordered[stands:])
    if not missing:
        return ()
    cx.execute("BEGIN IMMEDIATE")
    try:
        cx.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)"
        )
        for step in missing:
            for statement in _statements(step.sql):
                cx.execute(statement)
            cx.execute("INSERT INTO schema_migrations VALUES (?, ?, ?)", (step.number, step.name, applied_at))
    except BaseException:
        cx.execute("ROLLBACK")
        raise
    cx.execute("COMMIT")
    return missing


def _statements(sql: str) -> Iterable[str]:
    """`sql` cut at the ends of its statements (executescript would commit behind our back)."""
    pending = ""
    for line in sql.splitlines():
        if line.lstrip().startswith("--"):
            continue
        pending += line + "\n"
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    assert not pending.strip(), f"unfinished statement: {pending}"
