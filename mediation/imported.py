"""Files that somebody imports, on their way to whoever owns the store, and what the audit log says of them."""

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import PurePath

import msgspec

from control import audit
from rating.store.port import Noted
from rating.tariff import Tariff, TariffText


class CSVFile(msgspec.Struct, frozen=True):
    """A provisioning file as it was read."""

    text: str
    name: str
    """Without its folder."""
    actor: str
    """Who imports it."""

    def noted(self, kind: str, clock: Callable[[], int]) -> Noted:
        """Puts the import into the audit log, in its own store transaction. `kind` says what the rows are."""

        def note(cx: sqlite3.Connection, rows: int) -> None:
            detail = f"{counted(rows, kind)}, digest {_digest(self.text)}"
            audit.record(cx, clock(), self.actor, f"import {kind}", f"file {self.name}", detail)

        return note


class TariffFile(msgspec.Struct, frozen=True):
    """A tariff with its deck, as they were read."""

    text: TariffText
    actor: str
    """Who imports it."""

    def noted(self, tariff: Tariff, clock: Callable[[], int]) -> Noted:
        """Puts the import into the audit log, in its own store transaction."""
        text = self.text
        names = f"{PurePath(text.toml_name).name} with {PurePath(text.deck_name).name}"

        def note(cx: sqlite3.Connection, number: int) -> None:
            detail = f"{tariff.name}: {names}, {len(tariff.rows)} rates, digest {_digest(text.toml, text.deck)}"
            audit.record(cx, clock(), self.actor, "import tariff", f"tariff {number}", detail)

        return note


def counted(rows: int, kind: str) -> str:
    """How many of a kind, which ends in an s."""
    return f"{rows} {kind.removesuffix('s') if rows == 1 else kind}"


def _digest(*texts: str) -> str:
    """Tells whether two imports were of the same text."""
    return hashlib.blake2b("\0".join(texts).encode(), digest_size=8).hexdigest()
