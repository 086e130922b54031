"""The head of a plain request, read off the bytes that came: enough to refuse it, and to know where it ends.

What is not plain (RFC 9112: in chunks, with folded or repeated fields, an upgrade …) is left to the HTTP parser.
"""

import re
from typing import Final, NamedTuple

MOST_HEAD_BYTES: Final = 4096
"""Of a plain one."""

_BLANK_LINE: Final = b"\r\n\r\n"
_PLAIN: Final = re.compile(rb"([A-Z]+ /[!-~]*) HTTP/1\.1\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~]*\r\n)*")
_FIELDS_THAT_MATTER: Final = re.compile(
    rb"^(authorization|connection|content-encoding|content-length|expect|transfer-encoding|upgrade):"
    rb"[\t ]*([\t -~]*?)[\t ]*\r$",
    re.IGNORECASE | re.MULTILINE,
)
_LENGTH: Final = re.compile(rb"[0-9]{1,15}")
_KNOWN: Final = frozenset((b"authorization", b"content-encoding", b"content-length"))


class PlainHead(NamedTuple):
    """What is known of a request from its head."""

    target: bytes
    """Method and path, as in `POST /v1/transactions`."""
    authorization: str
    """Empty without one."""
    packed: bool
    """Whether its body has a Content-Encoding."""
    body_bytes: int
    ends: int
    """Where its body begins."""


def plain_head(received: bytes | bytearray, length: int) -> PlainHead | None:
    """The head that the first `length` bytes begin with; None if it is not whole or not plain."""
    end = received.find(_BLANK_LINE, 0, min(length, MOST_HEAD_BYTES))
    if end < 0:
        return None
    lines = bytes(received[: end + 2])
    first = _PLAIN.fullmatch(lines)
    if first is None:
        return None
    fields: dict[bytes, bytes] = {}
    for name, value in _FIELDS_THAT_MATTER.findall(lines):
        lowered = name.lower()
        if lowered == b"connection" and value.lower() == b"keep-alive":
            continue
        if lowered in fields or lowered not in _KNOWN:
            return None
        fields[lowered] = value
    body_bytes = fields.get(b"content-length", b"0")
    if not _LENGTH.fullmatch(body_bytes):
        return None
    return PlainHead(
        first[1],
        fields.get(b"authorization", b"").decode("ascii"),
        b"content-encoding" in fields,
        int(body_bytes),
        end + len(_BLANK_LINE),
    )
