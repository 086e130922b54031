"""Disconnect- and CoA-Requests (RFC 5176) made of named attributes, by pyrad's encoder; and what an answer says."""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pyrad.packet import CoAPacket  # type: ignore[import-untyped]  # pyrad has no types

from access.radius.codec import (
    COA_ACK,
    COA_NAK,
    COA_REQUEST,
    DISCONNECT_ACK,
    DISCONNECT_NAK,
    DISCONNECT_REQUEST,
    MAX_PACKET,
)
from access.radius.dictionary import Dictionary, Value

ANSWERS: Final = {DISCONNECT_REQUEST: (DISCONNECT_ACK, DISCONNECT_NAK), COA_REQUEST: (COA_ACK, COA_NAK)}
"""The two codes, ACK and NAK, that may answer a request."""

SESSION_CONTEXT_NOT_FOUND: Final = 503
"""Error-Cause (RFC 5176, 3.5): the NAS has no such session."""

Attributes = Iterable[tuple[str, Value]]


class CannotEncode(ValueError):
    """An attribute that the dictionary does not have, or a value that does not fit it; the message says which."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A genuine answer of the NAS."""

    acknowledged: bool
    error_cause: int | None
    words: str
    """What a NAK said, in words; empty for an ACK."""


def encode_request(code: int, identifier: int, secret: bytes, dictionary: Dictionary, attributes: Attributes) -> bytes:
    """The request, signed (Message-Authenticator) and authenticated. Raises CannotEncode."""
    packet = CoAPacket(code=code, id=identifier, secret=secret, dict=dictionary.pyrad, message_authenticator=True)
    for name, value in attributes:
        try:
            packet.AddAttribute(name, value)
        except KeyError:
            raise CannotEncode(f"{name} is no attribute that is known here") from None
        except (ValueError, TypeError, struct.error) as error:
            raise CannotEncode(f"{name} cannot be {value!r}: {error}") from None
    try:
        data: bytes = packet.RequestPacket()
    except ValueError as error:
        raise CannotEncode(f"the attributes cannot be encoded: {error}") from None
    if len(data) > MAX_PACKET:
        raise CannotEncode(f"the attributes take {len(data)} octets, a packet has {MAX_PACKET} at most")
    return data


def reply_of(code: int, values: Mapping[str, Value], dictionary: Dictionary) -> Reply:
    """What an answer's code and attributes say."""
    if code in (DISCONNECT_ACK, COA_ACK):
        return Reply(True, None, "")
    cause = values.get("Error-Cause")
    if not isinstance(cause, int):
        return Reply(False, None, "NAK without an Error-Cause")
    message = values.get("Reply-Message")
    words = f"NAK {cause} {dictionary.word('Error-Cause', cause)}".removesuffix(f" {cause}")
    return Reply(False, cause, f"{words}: {message}" if isinstance(message, str) and message else words)
