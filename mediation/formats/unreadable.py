"""What every format says of a record that no CDR could be made of, and the checks that they share."""

import hashlib
from typing import Final

import msgspec

MAX_DURATION_S: Final = 10**9
"""31 years; what is longer is no call."""
MAX_ID: Final = 255
"""Characters of a record's id."""
MAX_LINE: Final = 65_536
"""Bytes of a line."""


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """A line that no CDR could be made of."""

    reason: str
    """`malformed`, `bad-number` or `bad-time`."""
    detail: str
    digest: bytes
    """How the line is known again: over its parsed values, or over its bytes where the key cannot be read."""
    id: str | None = None
    start_at: int | None = None


class Refused(Exception):
    """Carries a reason out of a field's reading."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason

    def unreadable(self, digest: bytes, id_: str | None = None, start_at: int | None = None) -> Unreadable:
        """The line that was refused."""
        return Unreadable(self.reason, str(self), digest, id_, start_at)


def digest_of(data: bytes) -> bytes:
    """16 bytes by which `data` is known again."""
    return hashlib.blake2b(data, digest_size=16).digest()


def decoded(line: bytes) -> str:
    """The text of a line. Raises Refused where it is too long or not UTF-8."""
    if len(line) > MAX_LINE:
        raise Refused("malformed", f"the line is {len(line)} bytes long, over {MAX_LINE}")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("malformed", f"not UTF-8: byte {error.start} is {line[error.start]:#04x}") from None
