"""RADIUS packets written down by hand from RFC 2865, 2866 and 5176: a second opinion beside the product's codec."""

import hashlib
import hmac
import ipaddress
import struct
from collections.abc import Sequence
from typing import Final

ACCOUNTING_REQUEST: Final = 4
ACCOUNTING_RESPONSE: Final = 5
DISCONNECT_REQUEST: Final = 40
COA_REQUEST: Final = 43

USER_NAME: Final = 1
NAS_IP_ADDRESS: Final = 4
FILTER_ID: Final = 11
CLASS: Final = 25
CALLED_STATION_ID: Final = 30
CALLING_STATION_ID: Final = 31
NAS_IDENTIFIER: Final = 32
PROXY_STATE: Final = 33
ACCT_STATUS_TYPE: Final = 40
ACCT_DELAY_TIME: Final = 41
ACCT_SESSION_ID: Final = 44
ACCT_SESSION_TIME: Final = 46
ACCT_TERMINATE_CAUSE: Final = 49
EVENT_TIMESTAMP: Final = 55
MESSAGE_AUTHENTICATOR: Final = 80
ERROR_CAUSE: Final = 101

START: Final = 1
STOP: Final = 2
INTERIM: Final = 3
ACCOUNTING_ON: Final = 7

Attributes = Sequence[tuple[int, bytes]]


def number(value: int) -> bytes:
    """A whole number as an attribute has it."""
    return struct.pack("!I", value)


def address(text: str) -> bytes:
    """An IPv4 address likewise."""
    return ipaddress.IPv4Address(text).packed


def request(code: int, identifier: int, secret: bytes, attributes: Attributes) -> bytes:
    """A request whose authenticator is computed over its content."""
    body = _body(attributes)
    head = struct.pack("!BBH", code, identifier, 20 + len(body))
    return head + hashlib.md5(head + bytes(16) + body + secret, usedforsecurity=False).digest() + body


def signed_request(code: int, identifier: int, secret: bytes, attributes: Attributes) -> bytes:
    """The same with a Message-Authenticator in front."""
    blank = [(MESSAGE_AUTHENTICATOR, bytes(16)), *attributes]
    body = _body(blank)
    head = struct.pack("!BBH", code, identifier, 20 + len(body))
    signature = hmac.new(secret, head + bytes(16) + body, hashlib.md5).digest()
    return request(code, identifier, secret, [(MESSAGE_AUTHENTICATOR, signature), *attributes])


def answer(code: int, asked: bytes, secret: bytes, attributes: Attributes = ()) -> bytes:
    """The answer to a request."""
    body = _body(attributes)
    head = struct.pack("!BBH", code, asked[1], 20 + len(body))
    return head + hashlib.md5(head + asked[4:20] + body + secret, usedforsecurity=False).digest() + body


def is_genuine_request(data: bytes, secret: bytes) -> bool:
    """Whether a Disconnect- or CoA-Request is of somebody who knows the secret, by both its authenticators."""
    if (
        len(data) < 20
        or hashlib.md5(data[:4] + bytes(16) + data[20:] + secret, usedforsecurity=False).digest() != data[4:20]
    ):
        return False
    blanked, given = bytearray(data[:4] + bytes(16) + data[20:]), None
    at = 20
    while at < len(data):
        if data[at] == MESSAGE_AUTHENTICATOR:
            given = data[at + 2 : at + 18]
            blanked[at + 2 : at + 18] = bytes(16)
        at += data[at + 1]
    return given is None or hmac.new(secret, bytes(blanked), hashlib.md5).digest() == given


def is_genuine_answer(data: bytes, asked: bytes, secret: bytes) -> bool:
    """Whether an answer is of somebody who knows the secret and got the request."""
    digest = hashlib.md5(data[:4] + asked[4:20] + data[20:] + secret, usedforsecurity=False).digest()
    return len(data) >= 20 and digest == data[4:20]


def attributes_of(data: bytes) -> dict[int, bytes]:
    """The first of each attribute; of a packet that is sound."""
    found: dict[int, bytes] = {}
    at = 20
    while at < len(data):
        found.setdefault(data[at], data[at + 2 : at + data[at + 1]])
        at += data[at + 1]
    return found


def _body(attributes: Attributes) -> bytes:
    return b"".join(struct.pack("!BB", kind, 2 + len(value)) + value for kind, value in attributes)


def status_server(identifier: int, secret: bytes) -> bytes:
    """A Status-Server (RFC 5997): its authenticator is any number, its Message-Authenticator signs it."""
    authenticator = hashlib.md5(secret + bytes((identifier,)), usedforsecurity=False).digest()
    head = struct.pack("!BBH", 12, identifier, 38) + authenticator
    blank = _body([(MESSAGE_AUTHENTICATOR, bytes(16))])
    return head + _body([(MESSAGE_AUTHENTICATOR, hmac.new(secret, head + blank, hashlib.md5).digest())])
