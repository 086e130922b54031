"""The archive: one compressed file of NDJSON for each retired month, and beside it a manifest that says what is in it.

A month is written under a temporary name, synced, read back and compared before it has its own: what bears a month's
name is whole.
"""

import gzip
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from rating.money import format_micros
from rating.store.batch import COLUMN, STORED_COLUMNS, Row
from rating.store.errors import StoreError
from rating.store.reading import exporter, instant_text
from rating.store.syncing import sync_directory
from rating.store.transactions import read_chunks

_LEVEL: Final = 4
"""Of compression: a tenth larger than the best, and several times as fast."""
_MODE: Final = 0o640
_ROWS_A_READ: Final = 5_000
_ALSO: Final = ("offset_min", "service_given", "duration_us", "charge_micros", "tariff", "key")
"""Columns that no line of an export has as they are stored."""

_LAST: Final = (1 << 63) - 1

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class Manifest(msgspec.Struct, frozen=True):
    """What a month's file holds."""

    month: str
    file: str
    transactions: int
    charge: str
    """The sum of all charges, whatever their currency, in units: what the lines must come to."""
    bytes: int
    sha256: str
    """Of the file as it lies there."""
    archived_at: str


class _Stored(msgspec.Struct):
    charge_micros: int


class _Archived(msgspec.Struct):
    """As much of a line as reading back needs."""

    transaction: int
    stored: _Stored


def file_of(directory: Path, month: int) -> Path:
    """The file of a month in the archive."""
    return directory / f"transactions-{month // 100:04}-{month % 100:02}.ndjson.gz"


def manifest_of(directory: Path, month: int) -> Path:
    """The manifest beside it."""
    return directory / f"transactions-{month // 100:04}-{month % 100:02}.json"


def make_archive(directory: Path) -> None:
    """Make the directory, if it is not there, in one that is. Raises OSError."""
    directory.mkdir(mode=0o750, exist_ok=True)
    sync_directory(directory.parent)


def archive_month(
    cx: sqlite3.Connection, month: int, directory: Path, see: Callable[[Row], None], now: int
) -> Manifest:
    """Write a month to the archive, and read it back. `see` is given each of its transactions; what it raises ends it.
    Raises StoreError if the file does not say what the store says, and OSError."""
    make_archive(directory)
    file, manifest = file_of(directory, month), manifest_of(directory, month)
    unfinished = file.with_name(file.name + ".part")
    try:
        written = _write(unfinished, _lines(cx, month, see))
        found, digest = _read_back(unfinished)
        if found != written:
            raise StoreError(
                f"{unfinished} was read back as {found[0]} transactions of {format_micros(found[1], 6)}, not as"
                f" {written[0]} of {format_micros(written[1], 6)}: look at the disk; nothing was dropped"
            )
        size = unfinished.stat().st_size
        unfinished.rename(file)
    finally:
        unfinished.unlink(missing_ok=True)
    name = f"{month // 100:04}-{month % 100:02}"
    told = Manifest(name, file.name, written[0], format_micros(written[1], 6), size, digest, instant_text(now))
    with _created(manifest.with_name(manifest.name + ".part")) as out:
        out.write(msgspec.json.format(msgspec.json.encode(told)) + b"\n")
        _sync(out)
    manifest.with_name(manifest.name + ".part").rename(manifest)
    sync_directory(directory)
    return told


def _lines(cx: sqlite3.Connection, month: int, see: Callable[[Row], None]) -> Iterator[tuple[dict[str, Any], int]]:
    """Each transaction as its line, and its charge in micro-units."""
    line = exporter(cx)
    columns = ", ".join(STORED_COLUMNS)
    for chunk in read_chunks(cx, month, columns, after=0, upto=_LAST, rows=_ROWS_A_READ):
        beside = _beside(cx, [row[0] for row in chunk])
        for row in chunk:
            see(list(row))
            stored = {name: row[COLUMN[name]] for name in _ALSO} | {
                "arrived_at": instant_text(row[COLUMN["arrived_at"]])
            }
            yield line(row) | {"stored": stored} | beside.get(row[0], {}), row[COLUMN["charge_micros"]]


def _beside(cx: sqlite3.Connection, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What other tables say of some transactions: what rules took off, by what they were charged again, and as which
    suspended record they came."""
    among = _encode(ids).decode()
    found: dict[int, dict[str, Any]] = {}
    for transaction, kind, rule, measure, window_at, used, percent, amount, gross in cx.execute(
        "SELECT r.transaction_id, s.kind, s.rule, s.measure, s.window_at, r.used, r.percent, r.amount, r.gross_micros"
        " FROM charge_reductions r JOIN allowance_state s ON s.shard = r.shard AND s.id = r.state_id"
        " WHERE r.shard = 0 AND r.transaction_id IN (SELECT value FROM json_each(?))"
        " ORDER BY r.transaction_id, r.place",
        (among,),
    ):
        taken = {"kind": kind, "rule": rule, "measure": measure, "window_at": window_at, "used": used}
        taken |= {"percent": percent, "amount": amount, "gross_micros": gross}
        found.setdefault(transaction, {}).setdefault("reductions", []).append(taken)
    for original, reversal, replacement, run in cx.execute(
        "SELECT original, reversal, replacement, run FROM rerated WHERE original IN (SELECT value FROM json_each(?))",
        (among,),
    ):
        links = {"reversed_by": reversal, "replaced_by": replacement, "run": run}
        found.setdefault(original, {})["charged_again"] = links
    for transaction, number in cx.execute(
        "SELECT transaction_id, id FROM suspense WHERE transaction_id IN (SELECT value FROM json_each(?))", (among,)
    ):
        found.setdefault(transaction, {})["suspense"] = number
    return found


def _write(path: Path, lines: Iterable[tuple[dict[str, Any], int]]) -> tuple[int, int]:
    """Write them compressed, durably; how many, and the sum of their charges."""
    number = micros = 0
    with _created(path) as out:
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=out, mtime=0) as packed:
            for line, charge_micros in lines:
                packed.write(_encode(line) + b"\n")
                number += 1
                micros += charge_micros
        _sync(out)
    return number, micros


def _read_back(path: Path) -> tuple[tuple[int, int], str]:
    """How many lines a file has and the sum of their charges, and its digest."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    decode = msgspec.json.Decoder(_Archived).decode
    number = micros = last = 0
    try:
        with gzip.open(path, "rb") as unpacked:
            for text in unpacked:
                line = decode(text)
                number += line.transaction > last
                micros += line.stored.charge_micros
                last = line.transaction
    except (EOFError, gzip.BadGzipFile, msgspec.MsgspecError) as error:
        raise StoreError(f"{path} cannot be read back ({error}): look at the disk; nothing was dropped") from error
    return (number, micros), digest


def _created(path: Path) -> IO[bytes]:
    return open(path, "wb", opener=lambda name, flags: os.open(name, flags, _MODE))


def _sync(out: IO[bytes]) -> None:
    out.flush()
    os.fsync(out.fileno())
