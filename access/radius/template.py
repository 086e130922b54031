"""Attribute templates of a configuration, such as `Filter-Id=barred, Class={reason}`: an allow-list of slots, checked
once, filled in for each order."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from access.radius.codec import COA_REQUEST
from access.radius.dictionary import Dictionary, Value
from access.radius.requests import CannotEncode, encode_request

SLOTS: Final = ("line", "reason", "service", "username")
MAX_VALUE: Final = 253
"""Octets of an attribute's value (RFC 2865, 5)."""

_ONE: Final = re.compile(r'\s*([A-Za-z0-9][A-Za-z0-9-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^",]*))\s*(?:,|$)')
_SLOT: Final = re.compile(r"\{([^{}]*)\}")


class TemplateError(ValueError):
    """A template that cannot be used; the message says what to write instead."""


@dataclass(frozen=True, slots=True)
class AttributeTemplate:
    """The attributes of a CoA-Request, their slots still open."""

    parts: tuple[tuple[str, str | int], ...]

    def fill(self, slots: Mapping[str, str]) -> list[tuple[str, Value]]:
        """The attributes with the slots filled; a text that is too long for its attribute is cut."""
        return [(name, part if isinstance(part, int) else _filled(part, slots)) for name, part in self.parts]


def parse_template(text: str, dictionary: Dictionary) -> AttributeTemplate:
    """Read `Name=value, Name="value, with a comma"`. Raises TemplateError."""
    parts: list[tuple[str, str | int]] = []
    at = 0
    while at < len(text):
        found = _ONE.match(text, at)
        if found is None:
            raise TemplateError(f"{text[at:]!r} is not Name=value: write such as Filter-Id=barred, Class={{reason}}")
        name, quoted, plain = found.groups()
        value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain.strip()
        parts.append((name, _checked(name, value, dictionary)))
        at = found.end()
    if not parts:
        raise TemplateError("it is empty: write attributes such as Filter-Id=barred, or leave it out")
    template = AttributeTemplate(tuple(parts))
    try:
        encode_request(COA_REQUEST, 0, b"x", dictionary, template.fill(dict.fromkeys(SLOTS, "1")))
    except CannotEncode as error:
        raise TemplateError(str(error)) from None
    return template


def _checked(name: str, value: str, dictionary: Dictionary) -> str | int:
    kind = dictionary.kind_of(name)
    if kind is None:
        raise TemplateError(f"{name} is no attribute that is known here")
    for slot in _SLOT.findall(value):
        if slot not in SLOTS:
            raise TemplateError(f"{{{slot}}} is no slot: use {', '.join(f'{{{known}}}' for known in SLOTS)}")
    if kind not in ("integer", "date"):
        return value
    number = int(value) if value.isascii() and value.isdecimal() else dictionary.number(name, value)
    if number is None or number >= 1 << 32:
        raise TemplateError(f"{name} takes a whole number or one of its words, not {value!r}")
    return number


def _filled(part: str, slots: Mapping[str, str]) -> str:
    text = _SLOT.sub(lambda slot: slots[slot[1]], part)
    return text.encode("utf-8", "replace")[:MAX_VALUE].decode("utf-8", "ignore")
