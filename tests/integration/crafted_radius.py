"""RADIUS packets as scapy builds them, with whatever is wrong with them: a third opinion beside the product's codec and
the simulators'."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

from scapy.layers.radius import (
    Radius,
    RadiusAttr_Acct_Session_Time,
    RadiusAttr_Acct_Status_Type,
    RadiusAttr_Event_Timestamp,
    RadiusAttr_Message_Authenticator,
    RadiusAttribute,
)

from tests.integration.radius_site import NOW_S, SECRET
from tests.small_site import LONDON, line

ACCOUNTING, DISCONNECT_ACK, DISCONNECT_NAK, COA_ACK = 4, 41, 42, 44
START, STOP = 1, 2
USER_NAME, CALLED, CALLING, NAS_IDENTIFIER, SESSION_ID, ERROR_CAUSE = 1, 30, 31, 32, 44, 101


def attribute(kind: int, value: bytes, length: int | None = None) -> Any:
    """An attribute; `length` is what it says of itself."""
    return RadiusAttribute(type=kind, len=length, value=value)


def a_stop(session: str = "s1", lasted: int = 61) -> list[Any]:
    """The attributes of a Stop."""
    return [*about(session), RadiusAttr_Acct_Status_Type(value=STOP), RadiusAttr_Acct_Session_Time(value=lasted)]


def a_start(session: str = "s1") -> list[Any]:
    """The attributes of a Start."""
    return [*about(session), RadiusAttr_Acct_Status_Type(value=START)]


def about(session: str) -> list[Any]:
    """The attributes that name a call."""
    return [
        attribute(SESSION_ID, session.encode()),
        attribute(NAS_IDENTIFIER, b"gw1"),
        attribute(CALLING, line(0).encode()),
        attribute(CALLED, LONDON.encode()),
        attribute(USER_NAME, b"bob"),
        RadiusAttr_Event_Timestamp(value=NOW_S),
    ]


def report(
    attributes: Sequence[Any],
    *,
    code: int = ACCOUNTING,
    identifier: int = 1,
    secret: bytes = SECRET,
    length: int | None = None,
    signature: bytes | None = None,
) -> bytes:
    """A request whose authenticator is right for what it holds; `length` is what it says, `signature` a
    Message-Authenticator: empty for the right one."""
    if signature is not None:
        attributes = [RadiusAttr_Message_Authenticator(value=bytes(16)), *attributes]
    packet = Radius(code=code, id=identifier, len=length, authenticator=bytes(16), attributes=attributes)
    return _finished(packet, bytes(16), secret, signature)


def answer(
    asked: bytes,
    code: int = DISCONNECT_ACK,
    attributes: Sequence[Any] = (),
    *,
    identifier: int | None = None,
    secret: bytes = SECRET,
    length: int | None = None,
    signature: bytes | None = None,
    to: bytes | None = None,
) -> bytes:
    """An answer to a request, likewise; `to` is an authenticator that is not the request's."""
    if signature is not None:
        attributes = [RadiusAttr_Message_Authenticator(value=bytes(16)), *attributes]
    number = asked[1] if identifier is None else identifier
    packet = Radius(code=code, id=number, len=length, authenticator=bytes(16), attributes=list(attributes))
    return _finished(packet, asked[4:20] if to is None else to, secret, signature)


def _finished(packet: Any, authenticator: bytes, secret: bytes, signature: bytes | None) -> bytes:
    """The octets, authenticated as they stand: also where their lengths lie."""
    data = bytearray(bytes(packet))
    data[4:20] = authenticator
    if signature is not None:
        data[22:38] = signature or hmac.digest(secret, bytes(data), "md5")
    data[4:20] = hashlib.md5(bytes(data) + secret, usedforsecurity=False).digest()
    return bytes(data)
