"""What charging again would come to where charges depend on use, on a store that is only read."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from rating.store.allowances import Allowances
from rating.store.batch import COLUMN
from rating.store.rerating import Correction, recharged

_CHARGE: Final = COLUMN["charge_micros"]


class Forecast:
    """Goes through corrections in the order in which they would be written, and remembers what they would use."""

    def __init__(self, cx: sqlite3.Connection) -> None:
        self._cx = cx
        self._allowances = _InMemory()

    def of(self, some: Sequence[tuple[Sequence[Any], Correction]]) -> list[Correction]:
        """The corrections of some transactions, which would be written at once, with what each would cost after the
        rules of its tariff."""
        anew = [recharged(row, correction) for row, correction in some]
        parts = {
            id(row): correction.parts
            for row, (_, correction) in zip(anew, some, strict=True)
            if correction.parts is not None
        }
        self._allowances.give_back(self._cx, {correction.original: 0 for _, correction in some})
        self._allowances.reduce(self._cx, anew, parts)
        return [
            msgspec.structs.replace(correction, charge_micros=row[_CHARGE])
            for row, (_, correction) in zip(anew, some, strict=True)
        ]


class _InMemory(Allowances):
    """Uses that are not written, and so not forgotten either."""

    def _write(self, cx: sqlite3.Connection, touched: Mapping[Any, Any], written: Sequence[tuple[Any, ...]]) -> None:
        """Nothing is."""
