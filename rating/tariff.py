"""The tariff: what a TOML file and its rate deck say, checked whole before anything is charged by it."""

import re
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rating.allowances.reading import read_rules
from rating.allowances.rules import Rules
from rating.calendar import NO_ZONES
from rating.conversion import is_currency, read_conversion
from rating.deck import DeckRow, read_deck
from rating.deck_conversion import convert
from rating.deck_format import DeckFormat, read_deck_format
from rating.deck_sheet import is_workbook
from rating.period_tables import read_periods
from rating.periods import Period
from rating.refusal import TariffError, refusal, shown
from rating.toml_keys import TomlKeys

__all__ = [
    "Tariff",
    "TariffError",
    "TariffText",
    "parse_tariff",
    "read_tariff_text",
    "read_tariff_versions",
    "rules_of",
]

ROUNDINGS: Final = ("up", "down", "half-up", "half-even")
MAX_DECIMALS: Final = 6
"""Most decimal places of a charge: the store counts money in millionths."""
MAX_TOML_BYTES: Final = 1 << 20
MAX_DECK_BYTES: Final = 1 << 28
"""A quarter of a gigabyte: more than four million rows."""

_VALID_FROM: Final = re.compile(r"""^([ \t]*valid_from[ \t]*=[ \t]*)("[^"\n]*"|'[^'\n]*'|[0-9-]+)""", re.MULTILINE)

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
    conversion: tuple[tuple[str, Decimal], ...] = ()
    """What one unit of the currency is in others."""
    rules: Rules | None = None
    """Allowances, favourite numbers and discounts, if it has any."""

    def conversion_to(self, currency: str) -> Decimal:
        """What one unit of the tariff's currency is in its own, or in one of `conversion`."""
        return Decimal(1) if currency == self.currency else dict(self.conversion)[currency]


def read_tariff_text(path: Path) -> TariffText:
    """Reads a tariff's TOML and the deck that it names, relative to it: the version of its own `valid_from`.
    TariffError: a file cannot be read, or a deck in a format of its own is wrong."""
    return read_tariff_versions(path)[0]


def read_tariff_versions(path: Path) -> tuple[TariffText, ...]:
    """The same with the versions for later days, where the deck has rows that come into force after `valid_from`; in
    the order of their days."""
    toml = _as_text(_read(path, MAX_TOML_BYTES), str(path))
    table = _toml_table(toml, str(path))
    keys = TomlKeys(table, str(path))
    deck_path = path.parent / keys.required_text("deck")
    deck_format = read_deck_format(keys.value("deck_format"), str(path))
    deck = _read(deck_path, MAX_DECK_BYTES)
    if deck_format is None:
        if not is_workbook(deck):
            return (TariffText(toml, _as_text(deck, str(deck_path)), str(path), str(deck_path)),)
        deck_format = DeckFormat(defaults={"prefix": ""})  # as in the CSV, an empty prefix is the fallback
    periods = {period.name for period in read_periods(keys.value("period"), str(path))}
    versions = convert(deck, str(deck_path), deck_format, periods, keys.day("valid_from"))
    return tuple(
        TariffText(_dated(toml, table, day, str(path)), text, str(path), str(deck_path)) for day, text in versions
    )


def parse_tariff(text: TariffText) -> Tariff:
    """The tariff that the texts say. TariffError, with what is wrong: it is refused whole."""
    keys = TomlKeys(_toml_table(text.toml, text.toml_name), text.toml_name)
    name = keys.required_text("name")
    currency = keys.required_text("currency")
    if not is_currency(currency):
        raise keys.refusal("currency", f"{shown(currency)} is not a currency", "write three capital letters, as USD")
    timezone = keys.text("timezone") or "UTC"
    zone = _zone(keys, timezone)
    valid_from = keys.day("valid_from")
    rules = _rules(keys, text.toml_name)
    conversion = read_conversion(keys, currency)
    keys.required_text("deck")
    read_deck_format(keys.value("deck_format"), text.toml_name)  # the deck was made the contract's when it was read
    periods = read_periods(keys.value("period"), text.toml_name)
    keys.end()
    tariff = Tariff(
        name=name,
        currency=currency,
        timezone=timezone,
        valid_from_at=None if valid_from is None else _midnight_at(valid_from, zone),
        decimals=rules.decimals,
        rounding=rules.rounding,
        periods=periods,
        rows=read_deck(text.deck, text.deck_name, {period.name for period in periods}),
        conversion=conversion,
        rules=rules or None,
    )
    for unknown in sorted(rules.destinations - {row.destination for row in tariff.rows}):
        what = f"the deck has no destination {shown(unknown)}"
        raise refusal(f"{text.toml_name}: destinations", what, "write it as the deck does, or leave it out")
    return tariff


def rules_of(toml: str, toml_name: str) -> Rules | None:
    """The rules alone of a tariff that was parsed before, for charges in its own currency; None: it has none."""
    return _rules(TomlKeys(_toml_table(toml, toml_name), toml_name), toml_name) or None


def _rules(keys: TomlKeys, file_name: str) -> Rules:
    """The rules that depend on use, perhaps none, with how the tariff rounds."""
    decimals = keys.whole("decimals", 0, MAX_DECIMALS)
    rounding = keys.text("rounding") or "half-up"
    if rounding not in ROUNDINGS:
        raise keys.refusal("rounding", f"{shown(rounding)} is unknown", f"use one of {', '.join(ROUNDINGS)}")
    return read_rules(keys, file_name, 4 if decimals is None else decimals, rounding)


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise refusal(str(path), f"cannot be read ({reason})", "name a file that is there and may be read") from None
    if len(content) > most:
        raise refusal(str(path), f"is longer than {most} bytes", "split it into several tariffs")
    return content


def _as_text(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refusal(name, f"is not UTF-8 at byte {error.start}", "save it as UTF-8") from None


def _dated(toml: str, table: dict[str, Any], day: date | None, name: str) -> str:
    """The TOML of the version that holds from a day on, None for the file's own; nothing else in it differs."""
    if day is None:
        return toml
    dated = _VALID_FROM.sub(rf'\g<1>"{day}"', toml, count=1)
    if _toml_table(dated, name) != {**table, "valid_from": day.isoformat()}:
        what = f"has rows that come into force on {day}, and valid_from cannot be replaced"
        raise refusal(name, what, 'write valid_from = "…" on a line of its own, at the top of the file')
    return dated


def _toml_table(toml: str, file_name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(toml, parse_float=Decimal)
    except (ValueError, RecursionError) as error:  # ValueError beyond TOML's own: a number of thousands of digits
        raise refusal(file_name, f"is not TOML ({error})", "mend that place") from None


def _zone(keys: TomlKeys, timezone: str) -> ZoneInfo:
    try:
        if timezone in NO_ZONES:
            raise ZoneInfoNotFoundError
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # ValueError and OSError: a path, a directory of zones
        remedy = "use a name of the tz database, as America/New_York"
        raise keys.refusal("timezone", f"{shown(timezone)} is unknown", remedy) from None


def _midnight_at(day: date, zone: ZoneInfo) -> int:
    """The first instant of a local day: where the clock skips midnight the change, where it repeats it the first."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone, fold=0)
    return (midnight - _EPOCH) // _MICROSECOND
