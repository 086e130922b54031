"""RADIUS packets as bytes: read strictly, checked by their authenticators, and the answers to accounting.

What is wrong with a packet is told, never raised: whoever got it off the wire drops and counts it.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import md5
from typing import Final

HEADER: Final = 20
MAX_PACKET: Final = 4096
"""RFC 2865, 3."""
MAX_ATTRIBUTES: Final = 200
"""More are no call, but an attack on whoever walks through them."""

ACCOUNTING_REQUEST: Final = 4
ACCOUNTING_RESPONSE: Final = 5
STATUS_SERVER: Final = 12
DISCONNECT_REQUEST: Final = 40
DISCONNECT_ACK: Final = 41
DISCONNECT_NAK: Final = 42
COA_REQUEST: Final = 43
COA_ACK: Final = 44
COA_NAK: Final = 45

VENDOR_SPECIFIC: Final = 26
PROXY_STATE: Final = 33
MESSAGE_AUTHENTICATOR: Final = 80

_NOTHING: Final = bytes(16)


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet whose lengths are sound; who sent it is not known yet."""

    code: int
    id: int
    authenticator: bytes
    attributes: tuple[tuple[int, bytes], ...]
    """Types and values, in their order."""
    raw: bytes = b""
    """As it arrived, without padding."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """Why something is no packet, or no attribute."""

    words: str


def read_packet(data: bytes) -> Packet | Malformed:
    """The packet in a datagram; octets after its length are padding (RFC 2865, 3)."""
    if len(data) < HEADER:
        return Malformed(f"{len(data)} octets: a packet has {HEADER} at least")
    length = int.from_bytes(data[2:4])
    if not HEADER <= length <= MAX_PACKET:
        return Malformed(f"its length is {length}, not {HEADER} to {MAX_PACKET}")
    if length > len(data):
        return Malformed(f"its length is {length}, and {len(data)} octets came")
    attributes: list[tuple[int, bytes]] = []
    at = HEADER
    while at < length:
        if at + 2 > length or (size := data[at + 1]) < 2 or at + size > length:
            return Malformed(f"the attribute at octet {at} overruns the packet, or has no length")
        if len(attributes) == MAX_ATTRIBUTES:
            return Malformed(f"over {MAX_ATTRIBUTES} attributes")
        attributes.append((data[at], data[at + 2 : at + size]))
        at += size
    return Packet(data[0], data[1], data[4:HEADER], tuple(attributes), data[:length])


def request_is_genuine(packet: Packet, secret: bytes) -> bool:
    """Whether an Accounting-, Disconnect- or CoA-Request's sender knows the secret (RFC 2866, 3; RFC 5176, 2.3)."""
    return _is_genuine(packet, _NOTHING, secret)


def answer_is_genuine(answer: Packet, request_authenticator: bytes, secret: bytes) -> bool:
    """Whether the sender of an answer knows the secret, and the request (RFC 2865, 3)."""
    return _is_genuine(answer, request_authenticator, secret)


def _is_genuine(packet: Packet, authenticator: bytes, secret: bytes) -> bool:
    raw = packet.raw
    digest = md5(raw[:4] + authenticator + raw[HEADER:] + secret, usedforsecurity=False).digest()
    return hmac.compare_digest(digest, packet.authenticator)


def signature_holds(packet: Packet, secret: bytes, authenticator: bytes = _NOTHING) -> bool | None:
    """Whether the Message-Authenticator is right; None where there is none (RFC 3579, 3.2; RFC 5176, 2.3).

    `authenticator` stands in the header while it is computed: nothing in accounting, Disconnect and CoA requests, a
    request's own in Status-Server, the request's in an answer.
    """
    values = [value for kind, value in packet.attributes if kind == MESSAGE_AUTHENTICATOR]
    if not values:
        return None
    if len(values) > 1 or len(values[0]) != 16:
        return False
    blanked = bytearray(packet.raw)
    at = HEADER
    for kind, value in packet.attributes:
        if kind == MESSAGE_AUTHENTICATOR:
            blanked[at + 2 : at + 18] = _NOTHING
        at += 2 + len(value)
    blanked[4:HEADER] = authenticator
    return hmac.compare_digest(hmac.digest(secret, bytes(blanked), "md5"), values[0])


def encode_attributes(attributes: Iterable[tuple[int, bytes]]) -> bytes:
    """Attributes one after the other; a value has 253 octets at most."""
    return b"".join(bytes((kind, 2 + len(value))) + value for kind, value in attributes)


def accounting_response(request: Packet, secret: bytes) -> bytes:
    """The answer to an Accounting-Request or a Status-Server: Proxy-State goes back in its order (RFC 2866, 4.2), and a
    Status-Server's answer is signed (RFC 5997, 3)."""
    body = encode_attributes(attribute for attribute in request.attributes if attribute[0] == PROXY_STATE)
    if request.code == STATUS_SERVER:
        blank = encode_attributes([(MESSAGE_AUTHENTICATOR, _NOTHING)])
        head = _head(request.id, len(blank) + len(body))
        signature = hmac.digest(secret, head + request.authenticator + blank + body, "md5")
        body = encode_attributes([(MESSAGE_AUTHENTICATOR, signature)]) + body
    head = _head(request.id, len(body))
    return head + md5(head + request.authenticator + body + secret, usedforsecurity=False).digest() + body


def _head(identifier: int, length: int) -> bytes:
    return bytes((ACCOUNTING_RESPONSE, identifier)) + (HEADER + length).to_bytes(2)
