"""The SQL of the rules of payment: versions, only ever added."""

import sqlite3
from datetime import date
from typing import Any, Final

from control import audit
from control.payments.rules import NO_RULES, EarlyPayment, Rules

_COLUMNS: Final = "name, valid_from, discount_percent_micros, discount_days, due_days, below_micros, id"


def put_rules(cx: sqlite3.Connection, rules: Rules, text: str, actor: str, now: int) -> int:
    """Keep rules as a version of their own, with the text that says them; its number."""
    (last,) = cx.execute("SELECT coalesce(max(id), 0) FROM rule_versions").fetchone()
    number = int(last) + 1
    early = rules.early
    cx.execute(
        "INSERT INTO rule_versions (id, name, valid_from, discount_percent_micros, discount_days, due_days,"
        " below_micros, imported_at, actor, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            number,
            rules.name,
            rules.valid_from.isoformat() if rules.valid_from else "",
            early.percent_micros if early else None,
            early.days if early else None,
            rules.due_days,
            rules.below_micros,
            now,
            actor,
            text,
        ),
    )
    audit.record(cx, now, actor, "import rules", f"rules {number}", rules.name)
    return number


def rules_on(cx: sqlite3.Connection, issued_on: date) -> Rules:
    """What holds for invoices of a date; NO_RULES where none are in force."""
    row = cx.execute(
        f"SELECT {_COLUMNS} FROM rule_versions WHERE valid_from <= ?"  # noqa: S608  # names of columns, no values
        " ORDER BY valid_from DESC, id DESC LIMIT 1",
        (issued_on.isoformat(),),
    ).fetchone()
    return NO_RULES if row is None else _rules(row)


def _rules(row: tuple[Any, ...]) -> Rules:
    name, valid_from, percent_micros, days, due_days, below_micros, number = row
    return Rules(
        name,
        date.fromisoformat(valid_from) if valid_from else None,
        None if percent_micros is None else EarlyPayment(percent_micros, days),
        due_days,
        below_micros,
        number,
    )
