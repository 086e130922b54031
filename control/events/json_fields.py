"""Typed reading of JSON objects: what is wrong is refused by its path, and so is a key that nobody read."""

from collections.abc import Sequence
from typing import Any, Final

from rating.money import parse_micros

MAX_TEXT: Final = 200
"""Longest text, in characters."""


class DefinitionError(Exception):
    """An account event that is refused: where (a JSON path such as `when.any[0].above`), what, and what to write."""

    def __init__(self, path: str, what: str, remedy: str) -> None:
        super().__init__(f"{path}: {what}; {remedy}")
        self.path, self.what, self.remedy = path, what, remedy


def shown(value: object) -> str:
    """A value as a message may quote it."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


class Fields:
    """One object. Each method takes a key out of it; one that is null counts as absent."""

    def __init__(self, value: object, path: str, remedy: str = "write an object in braces") -> None:
        if not isinstance(value, dict):
            raise DefinitionError(path or "the event", f"{shown(value)} is no object", remedy)
        self._left: dict[Any, Any] = dict(value)
        self._path = path
        self._asked: list[str] = []

    def path(self, key: str) -> str:
        """The path of one of its keys."""
        return f"{self._path}.{key}" if self._path else key

    def error(self, key: str, what: str, remedy: str) -> DefinitionError:
        """The error to raise about a key."""
        return DefinitionError(self.path(key), what, remedy)

    def has(self, key: str) -> bool:
        """Whether a key is given (and not yet taken)."""
        return self._left.get(key) is not None

    def only(self, keys: Sequence[str]) -> str:
        """The one of some keys that is given."""
        given = [key for key in keys if self.has(key)]
        self._asked += [key for key in keys if key not in self._asked]
        if len(given) != 1:
            what = f"{' and '.join(given)} exclude each other" if given else "is missing"
            raise DefinitionError(self._path if given else self.path(keys[0]), what, f"write one of {', '.join(keys)}")
        return given[0]

    def value(self, key: str) -> Any:
        """The value as it is, not checked."""
        if key not in self._asked:
            self._asked.append(key)
        return self._left.pop(key, None)

    def text(self, key: str) -> str | None:
        """A text that is not empty and can be printed on one line, without blanks around it."""
        value = self.value(key)
        return None if value is None else as_text(value, self.path(key))

    def word(self, key: str, words: Sequence[str], default: str | None = None) -> Any:
        """One of some words."""
        value = self.value(key)
        if value is None and default is not None:
            return default
        if value not in words:
            what = "is missing" if value is None else f"{shown(value)} is none of its words"
            raise self.error(key, what, f"write one of {', '.join(words)}")
        return value

    def true(self, key: str) -> None:
        """Nothing but true."""
        if self.value(key) is not True:
            raise self.error(key, "can only be true", "write true, or leave it out")

    def entries(self, key: str, most: int, remedy: str) -> list[tuple[str, Any]] | None:
        """The entries of a list, with their paths."""
        value = self.value(key)
        if value is None:
            return None
        if not isinstance(value, list | tuple):
            raise self.error(key, f"{shown(value)} is no list", remedy)
        if len(value) > most:
            raise self.error(key, f"has {len(value)} entries", f"write at most {most}")
        return [(f"{self.path(key)}[{index}]", entry) for index, entry in enumerate(value)]

    def texts(self, key: str, most: int, remedy: str) -> tuple[str, ...] | None:
        """A list of texts, at least one."""
        entries = self.entries(key, most, remedy)
        if entries is None:
            return None
        if not entries:
            raise self.error(key, "is empty", remedy)
        return tuple(as_text(entry, path) for path, entry in entries)

    def decimal(self, key: str) -> tuple[int, str | int | float] | None:
        """A plain decimal, text or number, in millionths; and as it was written."""
        value = self.value(key)
        if value is None:
            return None
        # The shortest text of a JSON number with a point is the number as it was written.
        text = str(value) if type(value) in (int, float) else value
        try:
            assert isinstance(text, str)
            return parse_micros(text), value
        except (AssertionError, ValueError):
            what = f"{shown(value)} is not a number that can be compared with"
            raise self.error(key, what, "write a plain decimal such as 2500.00, without sign") from None

    def whole(self, key: str, least: int, most: int) -> int | None:
        """A whole number."""
        value = self.value(key)
        if value is None:
            return None
        if type(value) is not int or not least <= value <= most:
            raise self.error(key, f"{shown(value)} is not in range", f"write a whole number from {least} to {most}")
        return value

    def end(self) -> None:
        """To be called when every key that it may have was taken: what is left is unknown, and refused."""
        for key in self._left:
            what = f"unknown key {shown(key)}"
            raise DefinitionError(
                self.path(str(key)[:MAX_TEXT]), what, f"remove it; the keys here are {', '.join(self._asked)}"
            )


def as_text(value: object, path: str) -> str:
    """A text that is not empty and can be printed on one line."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > MAX_TEXT:
        raise DefinitionError(path, f"{shown(value)} is not a text", f"write 1 to {MAX_TEXT} characters in quotes")
    return value.strip()
