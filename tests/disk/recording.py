"""What the shim wrote down: every operation on the files of a directory, in order."""

import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

_HEADER = struct.Struct("=QIIQQ")


class Kind(IntEnum):
    """As in shim.c."""

    CREATED = 1
    WRITTEN = 2
    TRUNCATED = 3
    SYNC_BEGUN = 4
    SYNCED = 5
    UNLINKED = 6


class Operation(NamedTuple):
    """One of them."""

    at_ns: int
    """CLOCK_MONOTONIC, before it."""
    kind: Kind
    name: str
    """Of the file, below the directory."""
    offset: int
    data: bytes


def read_recording(path: Path) -> Iterator[Operation]:
    """All that was done."""
    with path.open("rb") as file:
        while header := file.read(_HEADER.size):
            at_ns, kind, name_bytes, offset, length = _HEADER.unpack(header)
            name = file.read(name_bytes).decode()
            data = file.read(length) if kind == Kind.WRITTEN else b""
            yield Operation(at_ns, Kind(kind), name, offset, data)
