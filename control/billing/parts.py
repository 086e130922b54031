"""A bill's document by parts: of a long one so many calls are unpacked as are looked at, and no others."""

import zlib
from dataclasses import dataclass
from typing import Final

import msgspec

from control.billing.bill import VERSION, Call, Document, LineSection, ProviderSection
from control.billing.letterhead import Letterhead


class _PackedLine(msgspec.Struct, frozen=True, array_like=True):
    line: str
    charges_micros: int
    calls: msgspec.Raw


class _PackedProvider(msgspec.Struct, frozen=True, array_like=True):
    provider: str
    charges_micros: int
    lines: list[_PackedLine]


class _PackedDocument(msgspec.Struct, frozen=True, array_like=True):
    """As Document, its calls left as they are."""

    timezone: str
    sections: list[_PackedProvider]
    version: int = VERSION
    letterhead: Letterhead | None = None


CALLS_SHOWN: Final = 2_000
"""At a time, by pages and programs."""
_document: Final = msgspec.msgpack.Decoder(_PackedDocument).decode
_calls: Final = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_call: Final = msgspec.msgpack.Decoder(Call).decode


@dataclass(frozen=True, slots=True)
class Part:
    """Some calls of a bill, one after the other in the order of its document."""

    document: Document
    """With every section, of its lines those that have calls in this part, and of these the calls in it."""
    in_all: list[list[int]]
    """How many calls each of its lines has on the bill, section by section."""
    first: int
    """Of its calls, counted from 1 over the bill."""
    calls: int
    """On the bill."""

    @property
    def last(self) -> int:
        """Of its calls; less than the first where it has none."""
        return self.first - 1 + self.document.calls


def part_of(stored: bytes, first: int, most: int) -> Part:
    """At most so many calls of a packed document, from the one with a number on (the first is 1)."""
    packed = _document(zlib.decompress(stored))
    begin, end, seen = first - 1, first - 1 + most, 0
    sections, in_all = [], []
    for section in packed.sections:
        lines, counts = [], []
        for line in section.lines:
            raws = _calls(line.calls)
            if own := raws[max(begin - seen, 0) : max(end - seen, 0)]:
                lines.append(LineSection(line.line, line.charges_micros, [_call(raw) for raw in own]))
                counts.append(len(raws))
            seen += len(raws)
        sections.append(ProviderSection(section.provider, section.charges_micros, lines))
        in_all.append(counts)
    document = Document(packed.timezone, sections, packed.version, packed.letterhead)
    return Part(document, in_all, first, seen)
