"""What an Accounting-Request reports: its attributes as an event of one session, and a Stop as a call record. Pure.

Times come from the NAS where it tells them (h323-…, Event-Timestamp); else from the arrival less Acct-Delay-Time. A
record that is sent again must be the same: it is made once, and kept with its session.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final

import msgspec

from access.radius.codec import MESSAGE_AUTHENTICATOR, PROXY_STATE, Malformed, Packet
from access.radius.dictionary import Dictionary, Value
from access.sessions import LiveSession, SessionKey
from mediation.feeds.h323_time import h323_at, h323_cause
from mediation.formats.kamailio_json import CAUSES
from rating.cdr import MICROS
from rating.dial_plan import Dialling
from rating.numbering import display, to_e164

ACCT_DELAY_TIME: Final = 41
VOLATILE: Final = frozenset({ACCT_DELAY_TIME, PROXY_STATE, MESSAGE_AUTHENTICATOR})
"""Attributes that differ when a report is sent again."""
OLDEST_TIMESTAMP_S: Final = 946_684_800
"""An Event-Timestamp before 2000 is of a clock that was never set."""
SIP_CANCEL: Final = 2
"""Sip-Method of a Stop whose call was given up before it was answered."""
TERMINATED: Final = {1: 16, 2: 27, 3: 27, 4: 16, 5: 16, 6: 31, 7: 31, 8: 41, 9: 41, 10: 31, 11: 41, 15: 63, 18: 31}
"""Acct-Terminate-Cause (RFC 2866, 5.10) → Q.850."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_encode: Final = msgspec.json.Encoder(order="sorted").encode


class Status(Enum):
    """What is reported, by Acct-Status-Type."""

    START = 1
    STOP = 2
    INTERIM = 3
    ON = 7
    OFF = 8
    FAILED = 15
    OTHER = 0
    """Tunnels, and whatever else is no call: acknowledged, and nothing is done."""


class Event(msgspec.Struct, frozen=True):
    """One report."""

    status: Status
    session: LiveSession
    """As it stands by this report alone: a Stop's tells what an unknown session was."""
    at: int
    """When it happened, µs UTC."""
    duration_s: int | None
    digest: bytes
    """Of its content: equal for a report that is sent again."""
    values: Mapping[str, Value]


def read_event(
    packet: Packet,
    dictionary: Dictionary,
    *,
    source: str,
    client: str,
    peer: str,
    arrived_at: int,
    dialling: Dialling | None = None,
) -> Event | Malformed:
    """The event of a packet; the reason why it is none. `dialling`: the dial plan of a source that has one."""
    values = dictionary.read(packet)
    if isinstance(values, Malformed):
        return values
    kind = values.get("Acct-Status-Type")
    if not isinstance(kind, int):
        return Malformed("it has no Acct-Status-Type")
    status = Status(kind) if kind in {known.value for known in Status} else Status.OTHER
    session_id = str(values.get("Acct-Session-Id", ""))
    if not session_id and status not in (Status.ON, Status.OFF, Status.OTHER):
        return Malformed("it has no Acct-Session-Id")
    delay_s, stamp = values.get("Acct-Delay-Time", 0), values.get("Event-Timestamp", 0)
    duration_s = values.get("Acct-Session-Time")
    assert isinstance(delay_s, int)
    assert isinstance(stamp, int)
    assert duration_s is None or isinstance(duration_s, int)
    is_told = stamp >= OLDEST_TIMESTAMP_S
    at = stamp * MICROS if is_told else max(0, arrived_at - delay_s * MICROS)
    identifier, address = _text(values, "NAS-Identifier"), _text(values, "NAS-IP-Address", "NAS-IPv6-Address")
    calling = calling_of(values)
    session = LiveSession(
        key=SessionKey(source, identifier or address or peer, session_id),
        line=None if calling is None else _line(calling, dialling),
        username=_text(values, "User-Name"),
        nas_identifier=identifier,
        nas_address=address,
        peer=peer,
        client=client,
        started_at=max(0, at if duration_s is None else at - duration_s * MICROS),
        seen_at=arrived_at,
        called=number_of(called) if (called := _text(values, "Called-Station-Id")) else None,
    )
    return Event(status, session, at, duration_s, _digest(packet), values)


def _digest(packet: Packet) -> bytes:
    content = hashlib.blake2b(digest_size=16)
    for kind, value in packet.attributes:
        if kind not in VOLATILE:
            content.update(bytes((kind, len(value))) + value)
    return content.digest()


def _text(values: Mapping[str, Value], *names: str) -> str | None:
    """The first that is there and not empty."""
    return next((str(values[name]) for name in names if values.get(name)), None)


def calling_of(values: Mapping[str, Value]) -> str | None:
    """Who called; None: nobody is named."""
    text = _text(values, "Calling-Station-Id", "User-Name")
    return None if text is None else number_of(text)


def _line(calling: str, dialling: Dialling | None) -> str:
    """The key of who called; what is no E.164 as it came."""
    if dialling is None:
        return to_e164(calling) or calling
    # Digits that the plan cannot place must not look like E.164: they come out of suspense by a plan that can.
    return dialling.to_e164(calling) or (f"tel:{calling}" if calling.isdecimal() else calling)


def number_of(text: str) -> str:
    """A number or address as a record has it: of a tel: or sip: URI with an E.164 number the number, of another the
    URI without its parameters."""
    text = text.strip().removeprefix("<").removesuffix(">")
    scheme, colon, rest = text.partition(":")
    if not colon or scheme.lower() not in ("sip", "sips", "tel"):
        return text
    rest = rest.partition(";")[0].partition("?")[0]
    user = rest.partition("@")[0]
    if user.startswith("+") and to_e164(user):
        return user
    return rest if scheme.lower() == "tel" else f"sip:{rest}"


def call_record(event: Event, known: LiveSession | None, *, shared: bool) -> bytes:
    """A call's record as a line of the native format. `known` is the session as its Start told of it (None: there was
    none): who called whom is what it says, for a Stop names who hung up first (Kamailio), or nobody at all. `shared`
    says that several NASes report as this source, so that the id must name the NAS."""
    values, key, told = event.values, event.session.key, known or event.session
    connected_at, set_up_at = h323_at(values.get("h323-connect-time")), h323_at(values.get("h323-setup-time"))
    answer_at, duration = _extent(event, known.started_at if known else None, connected_at)
    start_at = set_up_at if connected_at is not None and set_up_at is not None and set_up_at <= answer_at else answer_at
    fields: dict[str, Any] = {
        "id": f"{key.session}@{key.nas}" if shared else key.session,
        "calling": _as_written(told.line or event.session.line),
        "called": told.called or event.session.called,
        "start": _instant(start_at),
        "answer": _instant(answer_at) if answer_at != start_at else None,
        "duration": duration,
        "cause": _cause(event),
        "switch": event.session.nas_identifier,
        "trunk_in": _text(values, "NAS-Port-Id"),
        "session": key.session,
        "leg": _text(values, "h323-call-origin"),
        "username": told.username or event.session.username,
        "conf_id": _text(values, "h323-conf-id"),
        "terminate_cause": values.get("Acct-Terminate-Cause"),
        "sip_code": values.get("Sip-Response-Code"),
    }
    return _encode({name: value for name, value in fields.items() if value is not None})


def _extent(event: Event, started_at: int | None, connected_at: int | None) -> tuple[int, msgspec.Raw | None]:
    """When the call was answered, and how long it lasted; None: nobody told, which a person has to mend."""
    if event.status is Status.FAILED:
        return event.at, _seconds(0)
    if event.duration_s is not None:
        return (event.session.started_at if connected_at is None else connected_at), _seconds(event.duration_s * MICROS)
    begun_at = started_at if connected_at is None else connected_at
    ended_at = h323_at(event.values.get("h323-disconnect-time"))
    if begun_at is None:
        return event.at, _seconds(0) if event.values.get("Sip-Method") == SIP_CANCEL else None
    return begun_at, _seconds(max(0, (event.at if ended_at is None else ended_at) - begun_at))


def _as_written(line: str | None) -> str | None:
    """A line as a record has it; what is no number stands as it came."""
    return display(line) if line is not None and to_e164(line) == line else line


def _seconds(micros: int) -> msgspec.Raw:
    whole, fraction = divmod(micros, MICROS)
    return msgspec.Raw(f"{whole}.{fraction:06d}".rstrip("0").rstrip(".").encode())


def _instant(at: int) -> str:
    return (_EPOCH + timedelta(microseconds=at)).isoformat().replace("+00:00", "Z")


def _cause(event: Event) -> int | None:
    """Q.850, by what tells it best."""
    told = h323_cause(event.values.get("h323-disconnect-cause"))
    if told is not None:
        return told
    code = event.values.get("Sip-Response-Code")
    if event.status is Status.FAILED and isinstance(code, int):
        return CAUSES.get(code)
    ended = event.values.get("Acct-Terminate-Cause")
    return TERMINATED.get(ended) if isinstance(ended, int) else None
