"""The tariff: what a TOML file and its rate deck say, checked whole before anything is charged by it."""

import tomllib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rating.deck import DeckRow, read_deck
from rating.period_tables import read_periods
from rating.periods import Period
from rating.refusal import TariffError, refusal, shown
from rating.toml_keys import TomlKeys

__all__ = ["Tariff", "TariffError", "TariffText", "parse_tariff", "read_tariff_text"]

ROUNDINGS: Final = ("up", "down", "half-up", "half-even")
MAX_DECIMALS: Final = 6
"""Most decimal places of a charge: the store counts money in millionths."""
MAX_TOML_BYTES: Final = 1 << 20
MAX_DECK_BYTES: Final = 1 << 28
"""A quarter of a gigabyte: more than four million rows."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class TariffText:
    """The two files of a tariff as they were read: what the store keeps, and a charge is explained from years later."""

    toml: str
    deck: str = field(repr=False)
    toml_name: str
    """Where the text came from; messages name it."""
    deck_name: str


@dataclass(frozen=True, slots=True)
class Tariff:
    """A tariff that was checked: every row has a period that is defined, every set of rows a beginning."""

    name: str
    currency: str
    """Three capital letters (ISO 4217)."""
    timezone: str
    """Zone of the tz database whose local clock the periods are read off."""
    valid_from_at: int | None
    """Local midnight of `valid_from`, microseconds since 1970 UTC: versions of one name follow each other so."""
    decimals: int
    """Decimal places of a charge, 0 to `MAX_DECIMALS`."""
    rounding: str
    """One of `ROUNDINGS`; applied once, to the whole charge."""
    periods: tuple[Period, ...]
    rows: tuple[DeckRow, ...] = field(repr=False)
    """The deck in the order of the file."""


def read_tariff_text(path: Path) -> TariffText:
    """Reads a tariff's TOML and the deck that it names, relative to it. TariffError: a file cannot be read."""
    toml = _read(path, MAX_TOML_BYTES)
    deck_path = path.parent / TomlKeys(_toml_table(toml, str(path)), str(path)).required_text("deck")
    return TariffText(toml, _read(deck_path, MAX_DECK_BYTES), str(path), str(deck_path))


def parse_tariff(text: TariffText) -> Tariff:
    """The tariff that the texts say. TariffError, at the first thing that is wrong: it is refused whole."""
    keys = TomlKeys(_toml_table(text.toml, text.toml_name), text.toml_name)
    name = keys.required_text("name")
    currency = keys.required_text("currency")
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper()):
        raise keys.refusal("currency", f"{shown(currency)} is not a currency", "write three capital letters, as USD")
    timezone = keys.text("timezone") or "UTC"
    zone = _zone(keys, timezone)
    valid_from = keys.day("valid_from")
    decimals = keys.whole("decimals", 0, MAX_DECIMALS)
    rounding = keys.text("rounding") or "half-up"
    if rounding not in ROUNDINGS:
        raise keys.refusal("rounding", f"{shown(rounding)} is unknown", f"use one of {', '.join(ROUNDINGS)}")
    keys.required_text("deck")
    periods = read_periods(keys.value("period"), text.toml_name)
    keys.end()
    return Tariff(
        name=name,
        currency=currency,
        timezone=timezone,
        valid_from_at=None if valid_from is None else _midnight_at(valid_from, zone),
        decimals=4 if decimals is None else decimals,
        rounding=rounding,
        periods=periods,
        rows=read_deck(text.deck, text.deck_name, {period.name for period in periods}),
    )


def _read(path: Path, most: int) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise refusal(str(path), f"cannot be read ({reason})", "name a file that is there and may be read") from None
    if len(content) > most:
        raise refusal(str(path), f"is longer than {most} bytes", "split it into several tariffs")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refusal(str(path), f"is not UTF-8 at byte {error.start}", "save it as UTF-8") from None


def _toml_table(toml: str, file_name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(toml, parse_float=Decimal)
    except (ValueError, RecursionError) as error:  # ValueError beyond TOML's own: a number of thousands of digits
        raise refusal(file_name, f"is not TOML ({error})", "mend that place") from None


def _zone(keys: TomlKeys, timezone: str) -> ZoneInfo:
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # ValueError and OSError: a path, a directory of zones
        remedy = "use a name of the tz database, as America/New_York"
        raise keys.refusal("timezone", f"{shown(timezone)} is unknown", remedy) from None


def _midnight_at(day: date, zone: ZoneInfo) -> int:
    """The first instant of a local day: where the clock skips midnight the change, where it repeats it the first."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone, fold=0)
    return (midnight - _EPOCH) // _MICROSECOND
