"""Typed reading of a TOML table: a value of the wrong kind is refused by file and key, and so is a key nobody read."""

from datetime import date
from typing import Any, Final

from rating.refusal import TariffError, refusal, shown

MAX_NAME: Final = 200
"""Longest text of a key, in characters."""


class TomlKeys:
    """One table of a TOML file. Each method takes a key out of it and returns its value, or None where it is absent."""

    def __init__(self, table: dict[str, Any], where: str) -> None:
        self._table = dict(table)
        self._where = where
        self._asked: list[str] = []

    def refusal(self, key: str, what: str, remedy: str) -> TariffError:
        """The error to raise about a key of this table."""
        return refusal(f"{self._where}: {key}", what, remedy)

    def text(self, key: str) -> str | None:
        """A text that is not empty and can be printed on one line."""
        value = self.value(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > MAX_NAME:
            raise self.refusal(key, f"{shown(value)} is not a text", f"write 1 to {MAX_NAME} characters in quotes")
        return value

    def required_text(self, key: str) -> str:
        """A text that has to be there."""
        value = self.text(key)
        if value is None:
            raise self.refusal(key, "is missing", f'add {key} = "…"')
        return value

    def whole(self, key: str, least: int, most: int) -> int | None:
        """A whole number from `least` to `most`; a TOML boolean or float is none."""
        value = self.value(key)
        if value is None:
            return None
        if type(value) is not int or not least <= value <= most:
            raise self.refusal(key, f"{shown(value)} is not in range", f"write a whole number from {least} to {most}")
        return value

    def day(self, key: str) -> date | None:
        """A day, as TOML's own local date or as the text "YYYY-MM-DD"."""
        value = self.value(key)
        found = as_day(value)
        if found is None and value is not None:
            raise self.refusal(key, f"{shown(value)} is not a day", 'write one that exists, as "2026-01-31"')
        return found

    def table(self, key: str) -> "TomlKeys | None":
        """A table within this one."""
        value = self.value(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.refusal(key, f"{shown(value)} is not a table", f"write [{key}], or {key} = {{ … }}")
        return TomlKeys(value, f"{self._where}: {key}")

    def value(self, key: str) -> Any:
        """The value as TOML has it, not checked."""
        self._asked.append(key)
        return self._table.pop(key, None)

    def end(self) -> None:
        """To be called when every key that the table may have was taken: what is left is unknown, and refused."""
        for key in self._table:
            raise self.refusal(shown(key), "unknown key", f"remove it; the keys here are {', '.join(self._asked)}")


def as_day(value: object) -> date | None:
    """The day that a TOML local date or a text YYYY-MM-DD names, or None; a date with a time is none."""
    if type(value) is date:
        return value
    # Python 3.11 reads other forms of ISO 8601 too (20260131, 2026-W05-6): those are not what a tariff may say.
    if isinstance(value, str) and len(value) == 10 and value.isascii() and value[4] == value[7] == "-":
        try:
            return date.fromisoformat(value)
        except ValueError:
            return None
    return None
