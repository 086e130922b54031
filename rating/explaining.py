"""Why a transaction cost what it cost: rated again by the very version of the tariff that it was rated by."""

import sqlite3
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

import msgspec

from rating.allowances.rules import ONCE
from rating.explanation import as_json
from rating.money import format_micros, rounded_micros
from rating.rater import Rater
from rating.store.batch import COLUMN, STORED_COLUMNS, Row
from rating.store.provisioning import currency_of, get_tariff
from rating.store.reading import cdr_of, instant_text
from rating.store.reductions import Taken
from rating.store.rerate_links import Links
from rating.tariff import parse_tariff

_REVERSES: Final = STORED_COLUMNS.index("reverses")


class NoLongerRated(Exception):
    """The stored version of the tariff does not rate the call any more: a fault of this program."""


class Explained(msgspec.Struct):
    """A transaction, and how its charge came about."""

    transaction: dict[str, Any]
    """As `export transactions` has it."""
    explanation: dict[str, Any] | None
    """As `rate` prints it; None where no tariff was needed, and of what takes a charge back. Where rules took something
    off, `gross` is the charge without them, `reductions` what each took off before the one rounding, and what of the
    call it counted."""
    agrees: bool
    """False when rating it again gives another charge: a fault of this program."""
    correction: Links | None = None
    """None for a transaction that nobody charged again."""


def reverses(row: Row) -> int | None:
    """The transaction whose charge a transaction of the store takes back; None for one that is a charge."""
    number: int | None = row[_REVERSES]
    return number


def tariff_of(row: Row) -> int | None:
    """The number of the tariff's version that a transaction was rated by."""
    number: int | None = row[COLUMN["tariff"]]
    return number


def stored_rater(cx: sqlite3.Connection, number: int) -> Rater:
    """The rater of a tariff's version, as charges by it were rated, whether or not it is still in force."""
    return Rater(parse_tariff(get_tariff(cx, number)), currency_of(cx, number))


def explain(row: Row, transaction: dict[str, Any], rater: Rater | None, taken: Sequence[Taken] = ()) -> Explained:
    """Explain a transaction of the store. `row` has its `STORED_COLUMNS`, `transaction` is its export line, `rater` is
    of the version that `tariff_of` names, `taken` is what rules took off its charge. Raises NoLongerRated."""
    if rater is None or row[_REVERSES] is not None:
        return Explained(transaction, None, True)
    cdr = cdr_of(row, transaction["source"])
    explanation = rater.explain(cdr, transaction["provider"], transaction["service"])
    if isinstance(explanation, str):
        raise NoLongerRated(f"the tariff's version {tariff_of(row)} no longer rates this call ({explanation})")
    told = as_json(cdr.id, explanation)
    if not taken:
        return Explained(transaction, told, told["charge"] == transaction["charge"])
    tariff = rater.tariff
    left = explanation.exact - sum((Fraction(one.amount) for one in taken), Fraction(0))
    told["gross"] = told["charge"]
    told["charge"] = format_micros(rounded_micros(left, tariff.decimals, tariff.rounding), tariff.decimals)
    told["reductions"] = [_taken_json(one, tariff.decimals) for one in taken]
    agrees = told["charge"] == transaction["charge"] and explanation.charge_micros == taken[0].gross_micros
    return Explained(transaction, told, agrees)


def _taken_json(taken: Taken, decimals: int) -> dict[str, Any]:
    return {
        "kind": taken.kind,
        "rule": taken.rule,
        "since": instant_text(taken.window_at) if taken.window_at != ONCE else None,
        "measure": taken.measure,
        "used": format_micros(taken.used, decimals) if taken.measure == "charges" else taken.used,
        "percent": taken.percent,
        "amount": taken.amount,
    }
