"""Reads a TOML table into a frozen dataclass whose field annotations name their readers.

A section declares `retention_months: Annotated[int, Whole(0, 1200)] = 0`; a field without a default is a required key.
This module owns that machinery; `values` and its neighbours have the readers, `sections` and `feeds` the dataclasses.
"""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, get_type_hints

from mediation.config.words import dotted, kind_of, listed, quoted, suggestion

T = TypeVar("T")

NAME_MAX: Final = 100
"""Longest name of a feed, source, client or switch, in characters; it becomes a metric's label and a column."""


class ConfigError(Exception):
    """A configuration that cannot be used; its text is one line: file, key, what is wrong, remedy."""

    def __init__(self, file: Path, key: str, wrong: str, remedy: str) -> None:
        self.file = file
        self.key = key
        """Dotted path as TOML writes it (`feeds.pops.listen`); empty where the file itself is at fault."""
        self.wrong = wrong
        self.remedy = remedy
        super().__init__(": ".join(filter(None, (str(file), key, f"{wrong}; {remedy}"))))


class Unfit(ValueError):
    """A value that its reader, or a section that its own rule, refuses; `read_section` adds the file and the path."""

    def __init__(self, wrong: str, remedy: str = "", *, key: str = "") -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.remedy = remedy
        """Empty: the reader's own example is the remedy."""
        self.key = key
        """The key at fault where it is not the one being read."""


@dataclass(frozen=True, slots=True)
class Table:
    """One TOML table on its way into a section, with what its readers need from outside."""

    file: Path
    environment: Mapping[str, str]
    """Process environment, for `$CREDENTIALS_DIRECTORY`."""
    values: Mapping[str, Any]
    path: tuple[str, ...] = ()
    """Names from the root to this table."""

    def within(self, name: str) -> "Table":
        """The table `name` of this one; refuses what is not a table."""
        values = self.values[name]
        if not isinstance(values, dict):
            raise self.error(name, f"must be a table, not {kind_of(values)}", f"write [{dotted((*self.path, name))}]")
        return Table(self.file, self.environment, values, (*self.path, name))

    def error(self, key: str, wrong: str, remedy: str) -> ConfigError:
        """The refusal of `key` in this table (empty: of the table itself)."""
        return ConfigError(self.file, dotted((*self.path, key) if key else self.path), wrong, remedy)

    def resolve(self, path: str) -> Path:
        """A path of the configuration: relative ones are relative to the file."""
        return self.file.absolute().parent / path


class Reader(Generic[T]):
    """Makes one field's value of one key of a table, or of a key and its companions."""

    example: str = ""
    """A value as TOML writes it, for remedies."""

    def keys(self, key: str) -> tuple[str, ...]:
        """The keys that this reader takes for a field written as `key`."""
        return (key,)

    def how(self, key: str) -> str:
        """How the key is written: the remedy where it is missing or of another kind."""
        return f"{key} = {self.example}"

    def read(self, table: Table, key: str) -> T:
        """The field's value; called only where one of `keys(key)` is in the table. Raises `Unfit`."""
        raise NotImplementedError

    def show(self, value: T) -> str:
        """`value` as TOML writes it, for the reference of keys and defaults."""
        return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Key:
    """In a field's annotation: its key in TOML, where that is not the field's name."""

    name: str


@dataclass(frozen=True, slots=True)
class Spec:
    """One field of a section: which keys it takes, who reads them, and what it is without them."""

    field: str
    key: str
    reader: Reader[Any]
    required: bool
    default: object = None


def specs(section: type) -> tuple[Spec, ...]:
    """The declared keys of a section; fields without a reader (a feed's name) are given by the one who reads it."""
    found = []
    hints = get_type_hints(section, include_extras=True)
    for field in fields(section):
        notes = getattr(hints[field.name], "__metadata__", ())
        reader = next((note for note in notes if isinstance(note, Reader)), None)
        if reader is None:
            continue
        key = next((note.name for note in notes if isinstance(note, Key)), field.name)
        required = field.default is MISSING
        found.append(Spec(field.name, key, reader, required, None if required else field.default))
    return tuple(found)


def read_section(section: type[T], table: Table, **given: object) -> T:
    """A section's dataclass from its table.

    Unknown keys are refused first: a mistyped required key is then called mistyped, and not missing.
    """
    known = [key for spec in specs(section) for key in spec.reader.keys(spec.key)]
    for key in table.values:
        if key not in known:
            raise table.error(key, "unknown key", _instead(key, [k for k in known if k not in table.values], known))
    values = dict(given)
    for spec in specs(section):
        if any(key in table.values for key in spec.reader.keys(spec.key)):
            values[spec.field] = _read_field(spec, table)
        elif spec.required:
            where = f" under [{dotted(table.path)}]" if table.path else ""
            raise table.error(spec.key, "is missing", f"add {spec.reader.how(spec.key)}{where}")
    try:
        return section(**values)
    except Unfit as unfit:
        raise table.error(unfit.key, unfit.wrong, unfit.remedy) from None


def _read_field(spec: Spec, table: Table) -> object:
    try:
        return spec.reader.read(table, spec.key)
    except Unfit as unfit:
        remedy = unfit.remedy or f"write {spec.reader.how(spec.key)}"
        raise table.error(unfit.key or spec.key, unfit.wrong, remedy) from None


@dataclass(frozen=True, slots=True)
class Section(Reader[Any]):
    """A table of fixed name, such as [store]."""

    section: type

    def how(self, key: str) -> str:
        required = ", ".join(spec.reader.how(spec.key) for spec in specs(self.section) if spec.required)
        return f"a table [{key}]" + (f" with {required}" if required else "")

    def read(self, table: Table, key: str) -> Any:
        return read_section(self.section, table.within(key))


@dataclass(frozen=True, slots=True)
class Named(Reader[tuple[Any, ...]]):
    """A table of tables that the site names, such as [switches.NAME]; in the order of the file."""

    section: type

    def read(self, table: Table, key: str) -> tuple[Any, ...]:
        return tuple(read_section(self.section, entry, name=name) for name, entry in _entries(table.within(key)))


@dataclass(frozen=True, slots=True)
class NamedByType(Reader[tuple[Any, ...]]):
    """A table of named tables whose key `type` says which section each is."""

    sections: Mapping[str, type]

    def read(self, table: Table, key: str) -> tuple[Any, ...]:
        found: list[Any] = []
        for name, entry in _entries(table.within(key)):
            section = self._section(entry)
            others = {key: value for key, value in entry.values.items() if key != "type"}
            found.append(read_section(section, replace(entry, values=others), name=name))
        return tuple(found)

    def _section(self, entry: Table) -> type:
        kind = entry.values.get("type")
        if kind is None:
            raise entry.error("type", "is missing", f"add type = one of {listed(self.sections)}")
        if not isinstance(kind, str):
            raise entry.error("type", f"must be a string, not {kind_of(kind)}", f"write one of {listed(self.sections)}")
        if kind not in self.sections:
            raise entry.error("type", f"unknown type {quoted(kind)}", suggestion(kind, self.sections))
        return self.sections[kind]


def _entries(table: Table) -> Iterator[tuple[str, Table]]:
    """The named tables of one."""
    for name in table.values:
        try:
            check_name(name)
        except Unfit as unfit:
            raise table.error(name, unfit.wrong, unfit.remedy) from None
        yield name, table.within(name)


def check_name(name: str) -> None:
    """Refuses a name of a feed, source, client, service or switch that a log line or a metric could not carry."""
    if not name.strip() or name != name.strip() or not name.isprintable() or len(name) > NAME_MAX:
        raise Unfit("unusable name", f"take 1 to {NAME_MAX} printable characters, without blanks at the ends")


def _instead(key: str, free: Iterable[str], known: Iterable[str]) -> str:
    """The remedy for an unknown key: the likely one among those not yet used, else all that the table takes."""
    close = difflib.get_close_matches(key, list(free), n=1)
    return f"did you mean {close[0]}?" if close else f"remove it; the table takes {', '.join(known)}"
