"""In which zone the periods of bills are told: the account's when each was made, which its document begins with."""

import sqlite3
import zlib
from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo

_COMPRESSED: Final = 1_024
"""Bytes of a stored document that surely hold its first text, the tables of its compression before it included."""
_FIRST_TEXT: Final = 256


def zones_of(cx: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, ZoneInfo]:
    """The zones of bills that are there, by number: of each the beginning is read, not its calls."""
    return {number: ZoneInfo(_zone(cx, number)) for number in numbers}


def _zone(cx: sqlite3.Connection, number: int) -> str:
    with cx.blobopen("bills", "document", number, readonly=True) as stored:
        return first_text(zlib.decompressobj().decompress(stored.read(_COMPRESSED), _FIRST_TEXT))


def first_text(packed: bytes) -> str:
    """The first entry of an array in MessagePack, of which more may follow: a text of at most 255 bytes (the format's
    fixarray, fixstr and str 8)."""
    assert packed[0] & 0xF0 == 0x90
    if packed[1] == 0xD9:
        return packed[3 : 3 + packed[2]].decode()
    assert packed[1] & 0xE0 == 0xA0
    return packed[2 : 2 + (packed[1] & 0x1F)].decode()
