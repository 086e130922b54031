"""Why a transaction cost what it cost: rated again by the very version of the tariff that it was rated by."""

from typing import Any

import msgspec

from rating.explanation import as_json
from rating.rater import Rater
from rating.store.batch import COLUMN, Row
from rating.store.reading import cdr_of


class NoLongerRated(Exception):
    """The stored version of the tariff does not rate the call any more: a fault of this program."""


class Explained(msgspec.Struct):
    """A transaction, and how its charge came about."""

    transaction: dict[str, Any]
    """As `export transactions` has it."""
    explanation: dict[str, Any] | None
    """As `rate` prints it; None where no tariff was needed."""
    agrees: bool
    """False when rating it again gives another charge: a fault of this program."""


def tariff_of(row: Row) -> int | None:
    """The number of the tariff's version that a transaction was rated by."""
    number: int | None = row[COLUMN["tariff"]]
    return number


def explain(row: Row, transaction: dict[str, Any], rater: Rater | None) -> Explained:
    """Explain a transaction of the store. `row` has its `STORED_COLUMNS`, `transaction` is its export line, `rater` is
    of the version that `tariff_of` names. Raises NoLongerRated."""
    if rater is None:
        return Explained(transaction, None, True)
    cdr = cdr_of(row, transaction["source"])
    explanation = rater.explain(cdr, transaction["provider"], transaction["service"])
    if isinstance(explanation, str):
        raise NoLongerRated(f"the tariff's version {tariff_of(row)} no longer rates this call ({explanation})")
    told = as_json(cdr.id, explanation)
    return Explained(transaction, told, told["charge"] == transaction["charge"])
