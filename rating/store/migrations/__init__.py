"""The numbered steps by which a store's schema grew, and the runner that applies those it lacks.

Each package that keeps tables has steps of its own, numbered from 1, in a sub-package `migrations`.
"""

import logging
import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from typing import Final

from rating.store.errors import SchemaTooNew, SchemaTooOld

_FILE_NAME: Final = re.compile(r"(\d{4})_(\w+)\.sql")
_OWN: Final = "rating"
_MONTH: Final = "{month}"

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Migration:
    """One step; never edited after it was released."""

    number: int
    name: str
    sql: str
    package: str = _OWN
    """The top-level package whose tables it makes."""


def own_migrations() -> tuple[Migration, ...]:
    """The steps of the transaction store, in order."""
    return steps_of(_OWN, __package__)


def steps_of(package: str, module: str) -> tuple[Migration, ...]:
    """The steps whose files (`0001_name.sql`) lie in a module's directory, in order."""
    steps = []
    for entry in files(module).iterdir():
        match = _FILE_NAME.fullmatch(entry.name)
        if match:
            steps.append(Migration(int(match[1]), match[2], entry.read_text(encoding="utf-8"), package))
    return tuple(sorted(steps, key=lambda step: step.number))


def schema_numbers(cx: sqlite3.Connection) -> dict[str, int]:
    """The number of the last step applied of each package; {} for an empty store."""
    columns = [column[1] for column in cx.execute("PRAGMA table_info(schema_migrations)")]
    if not columns:
        return {}
    if "package" not in columns:  # as the first version wrote it
        (number,) = cx.execute("SELECT coalesce(max(number), 0) FROM schema_migrations").fetchone()
        return {_OWN: int(number)}
    return dict(cx.execute("SELECT package, max(number) FROM schema_migrations GROUP BY package"))


def require_current(cx: sqlite3.Connection, steps: Iterable[Migration]) -> None:
    """Raise SchemaTooOld or SchemaTooNew unless the store is exactly at the last of `steps`."""
    stands = schema_numbers(cx)
    wanted = {step.package: step.number for step in sorted(steps, key=lambda step: step.number)}
    for package in sorted(stands.keys() | wanted.keys()):
        is_, should = stands.get(package, 0), wanted.get(package, 0)
        if is_ > should:
            raise SchemaTooNew(
                f"the store's schema of {package} is number {is_}, this program knows {should}: use the newer program"
            )
        if is_ < should:
            raise SchemaTooOld(
                f"the store's schema of {package} is number {is_}, this program needs {should}: run tollkeeper migrate"
            )


def migrate(cx: sqlite3.Connection, steps: Iterable[Migration], applied_at: int) -> tuple[Migration, ...]:
    """Apply the missing steps, all in one transaction; returns them. Raises SchemaTooNew."""
    ordered = tuple(steps)
    _check_numbers(ordered)
    stands = schema_numbers(cx)
    missing = tuple(step for step in ordered if step.number > stands.get(step.package, 0))
    if not missing:
        require_current(cx, ordered)
        return ()
    if any(number > max((s.number for s in ordered if s.package == of), default=0) for of, number in stands.items()):
        require_current(cx, ordered)
    cx.execute("PRAGMA temp_store = FILE")  # an index of many million rows is sorted there
    cx.execute("BEGIN IMMEDIATE")
    try:
        _prepare_table(cx)
        for step in missing:
            if stands:
                log.info("upgrading the store", extra={"step": f"{step.package} {step.number:04} {step.name}"})
            for statement in _statements(step.sql):
                for each in _for_each_month(cx, statement):
                    cx.execute(each)
            cx.execute(
                "INSERT INTO schema_migrations (package, number, name, applied_at) VALUES (?, ?, ?, ?)",
                (step.package, step.number, step.name, applied_at),
            )
    except BaseException:
        cx.execute("ROLLBACK")
        raise
    cx.execute("COMMIT")
    cx.execute("PRAGMA temp_store = MEMORY")
    return missing


def _check_numbers(steps: tuple[Migration, ...]) -> None:
    for package, own in groupby(sorted(steps, key=lambda s: (s.package, s.number)), key=lambda s: s.package):
        numbers = [step.number for step in own]
        assert numbers == list(range(1, len(numbers) + 1)), f"the migrations of {package} must be numbered 1..n"


def _prepare_table(cx: sqlite3.Connection) -> None:
    """Make the table of the steps that were applied; the first version's had no packages."""
    table = (
        "CREATE TABLE IF NOT EXISTS schema_migrations (package TEXT NOT NULL, number INTEGER NOT NULL,"
        " name TEXT NOT NULL, applied_at BIGINT NOT NULL, PRIMARY KEY (package, number)) WITHOUT ROWID"
    )
    columns = [column[1] for column in cx.execute("PRAGMA table_info(schema_migrations)")]
    if columns and "package" not in columns:
        cx.execute("ALTER TABLE schema_migrations RENAME TO schema_migrations_1")
        cx.execute(table)
        cx.execute("INSERT INTO schema_migrations SELECT ?, number, name, applied_at FROM schema_migrations_1", (_OWN,))
        cx.execute("DROP TABLE schema_migrations_1")
    else:
        cx.execute(table)


def _for_each_month(cx: sqlite3.Connection, statement: str) -> list[str]:
    """A statement about `{month}` is meant for the tables of each partition."""
    if _MONTH not in statement:
        return [statement]
    months = cx.execute("SELECT month FROM partitions ORDER BY month").fetchall()
    return [statement.replace(_MONTH, str(month)) for (month,) in months]


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
