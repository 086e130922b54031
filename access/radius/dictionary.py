"""Attributes by their names: a trimmed dictionary of our own, read by pyrad, with an overlay for peers that use IANA's
numbers for something else."""

import io
from collections.abc import Mapping
from importlib.resources import files
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

from pyrad.dictionary import Dictionary as PyradDictionary  # type: ignore[import-untyped]  # pyrad has no types

from access.radius.codec import VENDOR_SPECIFIC, Malformed, Packet

Value = str | int | bytes

_KINDS: Final = {"string", "integer", "date", "ipaddr", "ipv6addr", "octets"}


class Dictionary:
    """The attributes that one kind of peer uses."""

    def __init__(self, *overlays: str) -> None:
        """Without an overlay the numbers mean what IANA says; `kamailio`, whose acc_radius has SIP attributes at 101 to
        105, is one."""
        self.pyrad: Any = PyradDictionary()
        for name in ("standard", *overlays):
            text = files(__package__).joinpath(f"{name}.dictionary").read_text(encoding="utf-8")
            self.pyrad.ReadDictionary(io.StringIO(text))
        self._known = {key: (name, self._kind(name)) for key, name in self.pyrad.attrindex.backward.items()}
        self._names: dict[str, dict[int, str]] = {
            name: {int.from_bytes(value): word for value, word in attribute.values.backward.items()}
            for name, attribute in self.pyrad.attributes.items()
            if attribute.values.backward
        }

    def _kind(self, name: str) -> str:
        kind = str(self.pyrad.attributes[name].type)
        assert kind in _KINDS, f"{name} is of a kind that is not read: {kind}"
        return kind

    def kind_of(self, name: str) -> str | None:
        """The kind of an attribute's values; None: there is no such attribute."""
        return self._kind(name) if name in self.pyrad.attributes else None

    def word(self, name: str, number: int) -> str:
        """What the number of an attribute's value is called; its digits where it has no name."""
        return self._names.get(name, {}).get(number, str(number))

    def number(self, name: str, word: str) -> int | None:
        """The number that a word stands for; None: there is no such word."""
        return {known: value for value, known in self._names.get(name, {}).items()}.get(word)

    def read(self, packet: Packet) -> Mapping[str, Value] | Malformed:
        """A packet's known attributes by name, the first of each. One whose length does not fit its kind spoils the
        packet (RFC 2866, 5); what a vendor wrote into its own room does not."""
        values: dict[str, Value] = {}
        for kind, data in packet.attributes:
            if kind == VENDOR_SPECIFIC:
                self._read_vendor(data, values)
            elif known := self._known.get(kind):
                value = _value(known[1], data)
                if value is None:
                    return Malformed(f"{known[0]} has {len(data)} octets, which is no {known[1]}")
                values.setdefault(known[0], value)
        return values

    def _read_vendor(self, data: bytes, values: dict[str, Value]) -> None:
        """RFC 2865, 5.26: a vendor's number, then attributes like ours."""
        vendor, at = int.from_bytes(data[:4]), 4
        while at + 2 <= len(data) and (size := data[at + 1]) >= 2 and at + size <= len(data):
            if known := self._known.get((vendor, data[at])):
                value = _value(known[1], data[at + 2 : at + size])
                if isinstance(value, str):
                    value = value.removeprefix(f"{known[0]}=")  # Cisco repeats the name
                if value is not None:
                    values.setdefault(known[0], value)
            at += size


def _value(kind: str, data: bytes) -> Value | None:
    """None where the length does not fit."""
    match kind:
        case "string":
            return data.decode("utf-8", "backslashreplace").rstrip("\0")
        case "octets":
            return data
        case "integer" | "date":
            return int.from_bytes(data) if len(data) == 4 else None
        case "ipaddr":
            return str(IPv4Address(data)) if len(data) == 4 else None
        case _:
            return str(IPv6Address(data)) if len(data) == 16 else None
