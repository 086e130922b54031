"""The values of conditions as people type them, typed: instants, durations, money, numbers, countries, texts."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from rating.cdr import MICROS
from rating.numbering import ADDRESS_SCHEMES, MAX_DIGITS, display, to_e164
from rating.search.countries import CountryPrefixes, find_country

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SYMBOLS: Final = {"USD": "$", "EUR": "€", "GBP": "£"}

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS: Final = range(1970, 9999)
_INSTANT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII | re.IGNORECASE
)
_DURATION: Final = re.compile(r"(?:(?:(\d{1,5}):)?(\d{1,6}):)?(\d{1,9})(?:\.(\d{1,6}))?", re.ASCII)
_AMOUNT: Final = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,6}))?", re.ASCII)
_BETWEEN_DIGITS: Final = re.compile(r"[\s().\-/]+")


class ValueRefused(Exception):
    """A value that cannot be read: what is wrong with it, and what to do."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}: {remedy}")
        self.what, self.remedy = what, remedy


@dataclass(frozen=True, slots=True)
class Operand:
    """One value of a condition."""

    shown: str
    """As a sentence says it."""
    text: str = ""
    """Of a text or number: what the store's value is compared with."""
    first: int = 0
    """Of an ordered value: the first that belongs to it (µs, micro-units); a day has many."""
    end: int = 0
    """The first that does not any more."""
    is_day: bool = False
    country: CountryPrefixes | None = None


def read_instant(text: str, zone: ZoneInfo) -> Operand:
    """A day, a minute, or an instant to the microsecond; what names no offset is local to `zone`."""
    match = _INSTANT.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        day, clock, seconds, places, offset = match.groups()
        if int(day[:4]) not in _YEARS:
            raise ValueRefused(f"{text} is not between the years 1970 and 9998", "write a date such as 2026-11-20")
        if clock is None:
            first, following = date.fromisoformat(day), date.fromisoformat(day) + timedelta(days=1)
            return Operand(_day_words(first), first=_midnight(first, zone), end=_midnight(following, zone), is_day=True)
        moment = datetime.fromisoformat(
            f"{day}T{clock}:{seconds or '00'}.{(places or '').ljust(6, '0')}{(offset or '').upper()}"
        )
    except ValueError:
        raise ValueRefused(
            f"{_quoted(text)} is neither a date nor a time",
            "write 2026-11-20, 2026-11-20 09:07, or 2026-11-20T09:07:31-05:00",
        ) from None
    local = moment.astimezone(zone) if offset else moment.replace(tzinfo=zone)
    first_at = (local.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
    shown = f"{_day_words(local.date())} {local:%H:%M}" + (f":{local:%S}" if seconds else "")
    return Operand(shown, first=first_at, end=first_at + (1 if seconds else 60 * MICROS))


def read_duration(text: str) -> Operand:
    """Seconds, m:ss or h:mm:ss, exact to the microsecond."""
    match = _DURATION.fullmatch(text)
    hours, minutes, seconds, places = match.groups() if match else (None, None, "", None)
    inner = [part for part in (minutes if hours else None, seconds if minutes else None) if part is not None]
    if match is None or any(len(part) != 2 or int(part) > 59 for part in inner):
        raise ValueRefused(f"{_quoted(text)} is not a duration", "write seconds such as 90, or 1:30, or 1:02:30")
    whole = int(hours or 0) * 3_600 + int(minutes or 0) * 60 + int(seconds)
    us = whole * MICROS + int((places or "").ljust(6, "0"))
    return Operand(duration_words(us), first=us, end=us + 1)


def read_money(text: str, currency: str | None) -> Operand:
    """A decimal with at most 6 places; the currency's own sign or code may stand before it."""
    bare = text
    for sign in filter(None, (currency, SYMBOLS.get(currency or ""))):
        bare = bare.removeprefix(sign).strip()
    match = _AMOUNT.fullmatch(bare)
    if match is None:
        raise ValueRefused(f"{_quoted(text)} is not an amount", "write a plain decimal such as 2.50, at most 6 places")
    sign, whole, places = match.groups()
    micros = int(whole) * MICROS + int((places or "").ljust(6, "0"))
    micros = -micros if sign else micros
    return Operand(money_words(micros, currency), first=micros, end=micros + 1)


def read_number(text: str) -> Operand:
    """A whole number in E.164, however people group its digits, or an address as it stands."""
    number = to_e164(text) if text.startswith(ADDRESS_SCHEMES) else to_e164(_digits(text))
    if number is None:
        raise ValueRefused(
            f"{_quoted(text)} is not a number",
            "write it with its country code, as +1 212 555 0142, or an address as sip:user@host",
        )
    return Operand(display(number), text=number)


def read_number_part(text: str, begins: bool) -> Operand:
    """The first digits of a number, or some of its digits; or a part of an address."""
    digits = _digits(text)
    if digits.isascii() and digits.isdecimal():
        if len(digits) > MAX_DIGITS or (begins and digits[0] == "0"):
            raise ValueRefused(
                f"{_quoted(text)} is in no number", f"write at most {MAX_DIGITS} digits, with the country code first"
            )
        return Operand("+" + digits if begins else digits, text=digits)
    if text.startswith("+") or any(c.isspace() for c in text):
        raise ValueRefused(f"{_quoted(text)} is not a part of a number", "write digits such as +44 20, or an address")
    return Operand(text, text=text)


def read_country(text: str) -> Operand:
    """An ISO alpha-2 code, an English name, or a calling code."""
    found = find_country(text)
    if found is None:
        raise ValueRefused(
            f"{_quoted(text)} is no country", "write a code such as GB, a name, or a calling code such as +44"
        )
    return Operand(found[0], country=found[1])


def money_words(micros: int, currency: str | None) -> str:
    """With the sign of the commonest currencies, else the code; two places, or as many as it takes."""
    whole, rest = divmod(abs(micros), MICROS)
    places = f"{rest:06d}".rstrip("0").ljust(2, "0")
    amount = f"{whole:,}.{places}"
    sign = SYMBOLS.get(currency or "")
    return ("-" if micros < 0 else "") + (f"{sign}{amount}" if sign else f"{currency or ''} {amount}".strip())


def duration_words(us: int) -> str:
    """As m:ss, or h:mm:ss from an hour on."""
    whole, rest = divmod(abs(us), MICROS)
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    return ("-" if us < 0 else "") + clock + (f".{rest:06d}".rstrip("0") if rest else "")


def _day_words(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def _midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * MICROS


def _digits(text: str) -> str:
    """Without the sign and what people put between groups of digits; what holds other characters stays as it is."""
    bare = _BETWEEN_DIGITS.sub("", text).removeprefix("+")
    return bare if bare.isascii() and bare.isdecimal() else text


def _quoted(text: str) -> str:
    return f"“{text}”" if len(text) <= 40 else f"“{text[:39]}…”"
