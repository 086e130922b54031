"""Readers of single values: words, numbers, durations, zones, paths. Each refuses with what to write."""

import re
import stat
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar

from mediation.config.tables import Reader, Table, Unfit, check_name
from mediation.config.words import kind_of, listed, quoted, suggestion

T = TypeVar("T")

_SECONDS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION: Final = re.compile(r"([0-9]{1,9})([smhd])")


def take(value: object, kind: type[T], name: str) -> T:
    """`value` if it is of `kind`, else a refusal that says what it is instead."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise Unfit(f"must be {name}, not {kind_of(value)}")
    return value


def take_text(value: object) -> str:
    """`value` if it is a string that says something."""
    text = take(value, str, "a string")
    if not text.strip():
        raise Unfit("must not be empty")
    if "\0" in text:
        raise Unfit("must not have a NUL in it")
    return text


def on_disk(path: Path) -> Literal["file", "directory", "nothing"]:
    """What is at a path; nothing also where this user, who may be another than the daemon's, cannot look."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return "nothing"
    return "directory" if stat.S_ISDIR(mode) else "file"


@dataclass(frozen=True, slots=True)
class Text(Reader[str]):
    """Any text but an empty one."""

    example: str = '"…"'

    def read(self, table: Table, key: str) -> str:
        return take_text(table.values[key])


@dataclass(frozen=True, slots=True)
class Name(Reader[str]):
    """The name of a source that several feeds may report for."""

    example: str = '"pbx1"'

    def read(self, table: Table, key: str) -> str:
        name = take(table.values[key], str, "a string")
        check_name(name)
        return name


@dataclass(frozen=True, slots=True)
class Choice(Reader[str]):
    """One word of a list."""

    options: tuple[str, ...]

    def how(self, key: str) -> str:
        return f"{key} = one of {listed(self.options)}"

    def read(self, table: Table, key: str) -> str:
        word = take(table.values[key], str, "a string")
        if word not in self.options:
            raise Unfit(f"unknown {key} {quoted(word)}", suggestion(word, self.options))
        return word


@dataclass(frozen=True, slots=True)
class Flag(Reader[bool]):
    """true or false."""

    example: str = "true"

    def read(self, table: Table, key: str) -> bool:
        return take(table.values[key], bool, "true or false")


@dataclass(frozen=True, slots=True)
class MailTls(Reader[str]):
    """How mail is protected on its way: a word, or true and false for the usual way and none."""

    options: tuple[str, ...] = ("none", "starttls", "implicit")

    def how(self, key: str) -> str:
        return f"{key} = one of {listed(self.options)}"

    def read(self, table: Table, key: str) -> str:
        value = table.values[key]
        if isinstance(value, bool):
            return "starttls" if value else "none"
        return Choice(self.options).read(table, key)


@dataclass(frozen=True, slots=True)
class Whole(Reader[int]):
    """A whole number from `low` to `high`, both included."""

    low: int
    high: int

    def how(self, key: str) -> str:
        return f"{key} = a whole number from {self.show(self.low)} to {self.show(self.high)}"

    def read(self, table: Table, key: str) -> int:
        number = take(table.values[key], int, "a whole number")
        if not self.low <= number <= self.high:
            raise Unfit(f"must be from {self.show(self.low)} to {self.show(self.high)}, not {self.show(number)}")
        return number

    def show(self, value: int) -> str:
        return f"{value:_}"


@dataclass(frozen=True, slots=True)
class Duration(Reader[int]):
    """A time such as "30s", "10m", "1h" or "2d", in whole seconds; between two such times, both included."""

    low: str
    high: str
    example: str = '"30s"'

    def read(self, table: Table, key: str) -> int:
        value = table.values[key]
        if not isinstance(value, str):
            raise Unfit(
                f"must be a duration, not {kind_of(value)}", f"write {self.how(key)}, with its unit s, m, h or d"
            )
        seconds = duration_s(value)
        if seconds is None:
            raise Unfit(f"{quoted(value)} is no duration", f"write {self.how(key)}: a whole number and s, m, h or d")
        low, high = duration_s(self.low), duration_s(self.high)
        assert low is not None
        assert high is not None
        if not low <= seconds <= high:
            raise Unfit(f"must be from {self.low} to {self.high}, not {value}")
        return seconds

    def show(self, value: int) -> str:
        unit = next(unit for unit in "dhms" if value % _SECONDS[unit] == 0)
        return f'"{value // _SECONDS[unit]}{unit}"'


def duration_s(text: str) -> int | None:
    """Seconds of a duration such as "10m"; None if it is none."""
    match = _DURATION.fullmatch(text)
    return int(match[1]) * _SECONDS[match[2]] if match else None


@dataclass(frozen=True, slots=True)
class Zone(Reader[zoneinfo.ZoneInfo]):
    """A time zone of the IANA database."""

    example: str = '"America/New_York"'

    def read(self, table: Table, key: str) -> zoneinfo.ZoneInfo:
        name = take_text(table.values[key])
        try:
            return zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            # OSError: a name that is a directory of the database, such as "America".
            close = suggestion(name, sorted(zoneinfo.available_timezones())).partition(" it is one of")[0]
            remedy = close if close.startswith("did you mean") else f"write {self.how(key)}"
            raise Unfit(f"unknown time zone {quoted(name)}", remedy) from None


@dataclass(frozen=True, slots=True)
class Directory(Reader[Path]):
    """A directory; it may be made or mounted later, but must not be a file."""

    example: str = '"/var/spool/tollkeeper"'
    what: str = "the files arrive in"

    def read(self, table: Table, key: str) -> Path:
        path = table.resolve(take_text(table.values[key]))
        if on_disk(path) == "file":
            raise Unfit(f"{path} is not a directory", f"name the directory that {self.what}")
        return path


@dataclass(frozen=True, slots=True)
class StoreUrl(Reader[Path]):
    """Where the store is: the path of an SQLite file, from its URL."""

    example: str = '"sqlite:////var/lib/tollkeeper/tollkeeper.db"'

    def read(self, table: Table, key: str) -> Path:
        url = take_text(table.values[key])
        scheme, _, rest = url.partition("://")
        if scheme in ("postgresql", "postgres"):
            # Not quoted: the URL may hold a password.
            raise Unfit("is PostgreSQL, and this version has the SQLite store only", f"write {self.how(key)}")
        if scheme != "sqlite" or not rest.startswith("/") or rest == "/":
            raise Unfit(
                "is no URL of a store", f"write {self.how(key)}, or three slashes and a path relative to this file"
            )
        name = rest[1:]
        if name == ":memory:" or "?" in name:
            raise Unfit(
                "must be a plain file: a store outlives the daemon, and takes no options", f"write {self.how(key)}"
            )
        path = table.resolve(name)
        if on_disk(path) == "directory":
            raise Unfit(f"{path} is a directory", "name a file in it")
        return path
