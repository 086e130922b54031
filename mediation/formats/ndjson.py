"""The native format: one JSON object a line, made into a CDR or into a reason why not.

A line of known fields of the right kinds takes the fast way, decoded straight into a struct. Every other line takes
the slow way, which finds out what is wrong, keeps unknown fields, and ends in the same struct.
"""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Annotated, Any, Final

import msgspec

from rating.cdr import CALL_TYPES, CDR, MICROS
from rating.numbering import to_e164

MAX_DURATION_S: Final = 10**9
"""31 years; what is longer is no call."""
MAX_UNITS: Final = 10**12
MAX_ID: Final = 255
"""Characters of a record's id."""
MAX_LINE: Final = 65_536
"""Bytes of a line."""

MOST_PLAIN_DIGITS: Final = 1_000
"""Whole numbers of up to so many digits are written without an exponent."""
MAX_DEPTH: Final = 64
"""Lists and objects in each other."""
_EXACT: Final = Context(prec=MAX_LINE + 32, Emin=MIN_EMIN, Emax=MAX_EMAX)
"""Holds every number that fits on a line."""
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|$)|[\[\]{}]', re.DOTALL)
_MOST: Final = 10**18 - 1
"""Whole numbers up to it are written as such, greater ones like fractions."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class _Wire(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The fields of a line, of the right kinds, not yet looked at."""

    id: str
    calling: str
    called: str
    start: _Instant
    duration: Any
    answer: _Instant | None = None
    type: str | None = None
    service: str | None = None
    charge_to: str | None = None
    units: int | None = None
    device: str | None = None
    place: str | None = None
    cause: int | str | None = None
    switch: str | None = None
    trunk_in: str | None = None
    trunk_out: str | None = None
    session: str | None = None
    leg: str | None = None
    username: str | None = None
    partial: int | None = None
    last: bool | None = None


_FIELDS: Final = frozenset(_Wire.__struct_fields__)
_REQUIRED: Final = {"id": str, "calling": str, "called": str, "start": str}
_DECIDING: Final = {"answer": str, "type": str, "service": str, "charge_to": str}
"""Optional fields that decide who pays and how much: of the wrong kind they spoil the record. The others are only
kept, so that a wrong one goes to `extra` as it is."""
_KEPT: Final = {
    name: msgspec.json.Decoder(hint) for name, hint in _Wire.__annotations__.items()
    if name not in {*_REQUIRED, *_DECIDING, "duration", "units"}
}  # fmt: skip

_decode_wire: Final = msgspec.json.Decoder(_Wire, float_hook=Decimal).decode
_decode_any: Final = msgspec.json.Decoder(float_hook=Decimal).decode
_encode_sorted: Final = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """A line that no CDR could be made of."""

    reason: str
    """`malformed`, `bad-number` or `bad-time`."""
    detail: str
    digest: bytes
    """How the line is known again: over its parsed values, or over its bytes where the key cannot be read."""
    id: str | None = None
    start_at: int | None = None


class _Refused(Exception):
    """Carries a reason out of a field's reading."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def parse_line(line: bytes, source: str) -> CDR | Unreadable:
    """The CDR of one line of `source`, without its line end; never raises for what a line may hold."""
    if len(line) > MAX_LINE:
        return Unreadable("malformed", f"the line is {len(line)} bytes long, over {MAX_LINE}", _digest(line))
    try:
        return _to_cdr(_decode_wire(line), source, None)
    except (msgspec.MsgspecError, ArithmeticError, ValueError, RecursionError, _Refused):
        return _parse_slowly(line, source)


def _parse_slowly(line: bytes, source: str) -> CDR | Unreadable:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return Unreadable("malformed", f"not UTF-8: byte {error.start} is {line[error.start]:#04x}", _digest(line))
    if _is_deep(line):
        return Unreadable("malformed", f"nested more than {MAX_DEPTH} deep", _digest(line))
    try:
        fields = _decode_any(line)
    except ArithmeticError:
        return Unreadable("malformed", "not JSON that can be read: a number is out of range", _digest(line))
    except (msgspec.MsgspecError, ValueError) as error:
        return Unreadable("malformed", f"not JSON: {error}", _digest(line))
    if not isinstance(fields, dict):
        return Unreadable("malformed", f"not a JSON object but a {_kind(fields)}", _digest(line))
    try:
        wire, extra = _to_wire(fields)
        return _to_cdr(wire, source, extra)
    except _Refused as refused:
        id_, start_at = _key(fields)
        if id_ is None or start_at is None:
            return Unreadable(refused.reason, str(refused), _digest(line), id_)
        return Unreadable(refused.reason, str(refused), _digest(_encode_sorted(_values(fields))), id_, start_at)


def _to_wire(fields: dict[str, Any]) -> tuple[_Wire, dict[str, Any] | None]:
    """The struct, and what has no place in it. The checks stand in the order in which their reasons apply."""
    known = {name: value for name, value in fields.items() if name in _FIELDS and value is not None}
    extra = {name: _plain(value) for name, value in fields.items() if name not in _FIELDS}
    for name, kind in _REQUIRED.items():
        if name not in known:
            raise _Refused("malformed", f"{name} is missing")
        if not isinstance(known[name], kind):
            raise _Refused("malformed", f"{name} is a {_kind(known[name])}, not a string")
    _duration_us(known.get("duration"))
    for name, kind in _DECIDING.items():
        if name in known and not isinstance(known[name], kind):
            raise _Refused("malformed", f"{name} is a {_kind(known[name])}, not a string")
    if "units" in known:
        known["units"] = _whole(known["units"])
    known |= {name: _plain(known[name]) for name in _KEPT if name in known}
    extra |= {name: known.pop(name) for name in _KEPT if name in known and not _fits(name, known[name])}
    _check_id_and_type(known["id"], known.get("type"))
    for name in ("calling", "called", "charge_to"):
        if name in known:
            _number(name, known[name])
    for name in ("start", "answer"):
        if name in known:
            known[name] = _instant(name, known[name])
    return _Wire(**known), extra or None


def _fits(name: str, value: object) -> bool:
    """Whether a field that is only kept is of its own kind."""
    try:
        _KEPT[name].decode(_encode_sorted(value))
    except msgspec.MsgspecError:
        return False
    return True


def _to_cdr(wire: _Wire, source: str, extra: dict[str, Any] | None) -> CDR:
    """Raises _Refused; the slow way finds the reason again, in its order."""
    duration = wire.duration
    duration_us = duration * MICROS if type(duration) is int and 0 <= duration <= 86_400 else _duration_us(duration)
    call_type = wire.type
    if call_type is None:
        call_type = "direct"
    if len(wire.id) > MAX_ID or call_type not in CALL_TYPES or wire.units is not None:
        _check_id_and_type(wire.id, call_type)
        if wire.units is not None:
            _whole(wire.units)
    calling = to_e164(wire.calling) or _number("calling", wire.calling)
    called = to_e164(wire.called) or _number("called", wire.called)
    charge_to = wire.charge_to
    if charge_to is not None:
        charge_to = _number("charge_to", charge_to)
    start = wire.start
    start_at = (start - _EPOCH) // _MICROSECOND
    answer = wire.answer
    if answer is None:
        answer_at = start_at
    else:
        answer_at = (answer - _EPOCH) // _MICROSECOND
        if answer_at < start_at:
            if start_at - answer_at >= MICROS:
                raise _Refused("bad-time", "answer is a second or more before start")
            answer_at = start_at  # a switch that answers in whole seconds
    offset_min = 0
    if start.tzinfo is not UTC:
        offset = start.utcoffset()
        assert offset is not None
        offset_min = (offset.days * 86_400 + offset.seconds) // 60
    return CDR(
        source, wire.id, calling, called, start_at, offset_min, answer_at,
        duration_us, call_type, wire.service, charge_to, wire.units, wire.device, wire.place, wire.cause, wire.switch,
        wire.trunk_in, wire.trunk_out, wire.session, wire.leg, wire.username, wire.partial, wire.last, extra,
    )  # fmt: skip


def _duration_us(value: object) -> int:
    """Seconds, whole or with a fraction, as microseconds; digits beyond those are cut off."""
    if value is None:
        raise _Refused("malformed", "duration is missing")
    if type(value) is int or isinstance(value, Decimal):
        if 0 <= value <= MAX_DURATION_S:
            return int(_EXACT.multiply(value, MICROS)) if isinstance(value, Decimal) else value * MICROS
        if value < 0:
            raise _Refused("malformed", f"duration {value} is negative")
        raise _Refused("malformed", f"duration is over {MAX_DURATION_S} seconds")
    raise _Refused("malformed", f"duration is a {_kind(value)}, not a number of seconds")


def _whole(value: object) -> int:
    if isinstance(value, Decimal) and value.adjusted() < 18 and value == int(value):
        value = int(value)
    if type(value) is not int or not 0 <= value <= MAX_UNITS:
        raise _Refused("malformed", f"units is not a whole number from 0 to {MAX_UNITS}")
    return value


def _check_id_and_type(id_: str, call_type: str | None) -> None:
    if len(id_) > MAX_ID:
        raise _Refused("malformed", f"id is longer than {MAX_ID} characters")
    if call_type is not None and call_type not in CALL_TYPES:
        raise _Refused("malformed", f"type {call_type!r} is none of {', '.join(sorted(CALL_TYPES))}")


def _number(name: str, text: str) -> str:
    number = to_e164(text)
    if number is None:
        raise _Refused("bad-number", f"{name} {text!r} is not E.164: 3 to 15 digits, the first not 0")
    return number


def _instant(name: str, text: str) -> datetime:
    try:
        return msgspec.convert(text, _Instant)
    except msgspec.ValidationError:
        raise _Refused("bad-time", f"{name} {text!r} is not an RFC 3339 instant with an offset") from None


def _key(fields: dict[str, Any]) -> tuple[str | None, int | None]:
    """The natural key, as far as it can be read."""
    id_, start = fields.get("id"), fields.get("start")
    if not isinstance(id_, str):
        return None, None
    return id_, _instant_us(start) if len(id_) <= MAX_ID else None


def _instant_us(value: object) -> int | None:
    try:
        return (msgspec.convert(value, _Instant) - _EPOCH) // _MICROSECOND
    except msgspec.ValidationError:
        return None


def _values(fields: dict[str, Any]) -> dict[str, Any]:
    """What the fields say, each as far as it can be read: equal for records that are equal."""
    values = {name: _plain(value) for name, value in fields.items() if value is not None}
    for name in ("start", "answer"):
        instant = _instant_us(values.get(name))
        values[name] = values.get(name) if instant is None else instant
    if values["answer"] is None or values["answer"] == values["start"]:
        del values["answer"]
    for name in ("calling", "called", "charge_to"):
        if isinstance(values.get(name), str):
            values[name] = to_e164(values[name]) or values[name]
    if values.get("type") == "direct":
        del values["type"]
    return values


def _plain(value: Any) -> Any:
    """`value` with equal numbers made the same: 61.0 is 61."""
    if isinstance(value, Decimal) or (type(value) is int and abs(value) > _MOST):
        value = Decimal(value).normalize(_EXACT)
        exponent = value.as_tuple().exponent
        assert isinstance(exponent, int)
        if exponent >= 0 and value.adjusted() < MOST_PLAIN_DIGITS:
            return int(value) if value.adjusted() < 18 else value.quantize(Decimal(1), context=_EXACT)
        return value
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _kind(value: object) -> str:
    kinds = {dict: "object", list: "list", str: "string", bool: "boolean", int: "number", Decimal: "number"}
    return kinds.get(type(value), "null")


def _is_deep(line: bytes) -> bool:
    """Whether lists and objects are nested further than a decoder's stack should be trusted with."""
    if line.count(b"[") + line.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _BRACKETS.findall(line):
        if token in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif token in b"]}":
            depth -= 1
    return False


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
