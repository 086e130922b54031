"""The native format: one JSON object a line, made into a CDR or into a reason why not.

A line of known fields of the right kinds takes the fast way, decoded straight into a struct. Every other line takes
the slow way, which finds out what is wrong, keeps unknown fields, and ends in the same struct.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec

from mediation.formats.json_object import EXACT, encode_sorted, kind_of, plain, read_object
from mediation.formats.numbers import number, read_as
from mediation.formats.unreadable import MAX_DURATION_S, MAX_ID, MAX_LINE, Refused, Unreadable, digest_of
from rating.cdr import CALL_TYPES, CDR, MICROS, UNIT_TYPES
from rating.dial_plan import Dialling
from rating.numbering import to_e164

__all__ = ["MAX_LINE", "Unreadable", "parse_line"]

MAX_UNITS: Final = 10**12
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
_DECIDING: Final = {"type": str, "service": str, "charge_to": str}
"""Optional fields that decide who pays and how much: of the wrong kind they spoil the record. The others are only
kept, so that a wrong one goes to `extra` as it is."""
_KEPT: Final = {
    name: msgspec.json.Decoder(hint) for name, hint in _Wire.__annotations__.items()
    if name not in {*_REQUIRED, *_DECIDING, "duration", "units", "answer"}
}  # fmt: skip

_decode_wire: Final = msgspec.json.Decoder(_Wire, float_hook=Decimal).decode


def parse_line(line: bytes, source: str, dialling: Dialling | None = None) -> CDR | Unreadable:
    """The CDR of one line of `source`, without its line end, its numbers read by its dial plan; never raises for what a
    line may hold."""
    if len(line) > MAX_LINE:
        return _parse_slowly(line, source, dialling)
    try:
        return _to_cdr(_decode_wire(line), source, None, dialling)
    except (msgspec.MsgspecError, ArithmeticError, ValueError, RecursionError, Refused):
        return _parse_slowly(line, source, dialling)


def _parse_slowly(line: bytes, source: str, dialling: Dialling | None) -> CDR | Unreadable:
    try:
        fields = read_object(line)
    except Refused as refused:
        return refused.unreadable(digest_of(line))
    try:
        wire, extra = _to_wire(fields, dialling)
        return _to_cdr(wire, source, extra, dialling)
    except Refused as refused:
        id_, start_at = _key(fields)
        if id_ is None or start_at is None:
            return refused.unreadable(digest_of(line), id_)
        return refused.unreadable(digest_of(encode_sorted(_values(fields, dialling))), id_, start_at)


def _to_wire(fields: dict[str, Any], dialling: Dialling | None) -> tuple[_Wire, dict[str, Any] | None]:
    """The struct, and what has no place in it. The checks stand in the order in which their reasons apply."""
    known = {name: value for name, value in fields.items() if name in _FIELDS and value is not None}
    extra = {name: plain(value) for name, value in fields.items() if name not in _FIELDS}
    for name, kind in _REQUIRED.items():
        if name not in known:
            raise Refused("malformed", f"{name} is missing")
        if not isinstance(known[name], kind):
            raise Refused("malformed", f"{name} is a {kind_of(known[name])}, not a string")
    _duration_us(known.get("duration"))
    for name, kind in _DECIDING.items():
        if name in known and not isinstance(known[name], kind):
            raise Refused("malformed", f"{name} is a {kind_of(known[name])}, not a string")
    if "units" in known:
        known["units"] = _whole(known["units"])
    known |= {name: plain(known[name]) for name in _KEPT if name in known}
    extra |= {name: known.pop(name) for name in _KEPT if name in known and not _fits(name, known[name])}
    _check_id_and_type(known["id"], known.get("type"))
    for name in ("calling", "called", "charge_to"):
        if name in known:
            number(name, known[name], dialling)
    for name in ("start", "answer"):
        if name in known:
            known[name] = _instant(name, known[name])
    return _Wire(**known), extra or None


def _fits(name: str, value: object) -> bool:
    """Whether a field that is only kept is of its own kind."""
    try:
        _KEPT[name].decode(encode_sorted(value))
    except msgspec.MsgspecError:
        return False
    return True


def _to_cdr(wire: _Wire, source: str, extra: dict[str, Any] | None, dialling: Dialling | None) -> CDR:
    """Raises Refused; the slow way finds the reason again, in its order."""
    duration = wire.duration
    duration_us = duration * MICROS if type(duration) is int and 0 <= duration <= 86_400 else _duration_us(duration)
    call_type = wire.type
    if call_type is None:
        call_type = "direct"
    if len(wire.id) > MAX_ID or call_type not in CALL_TYPES or wire.units is not None:
        _check_id_and_type(wire.id, call_type)
        if wire.units is not None:
            _whole(wire.units)
    units = wire.units
    if units is None and call_type in UNIT_TYPES:
        units = 1
    if dialling is None:
        calling = to_e164(wire.calling) or number("calling", wire.calling, None)
        called = to_e164(wire.called) or number("called", wire.called, None)
    else:
        calling, called = number("calling", wire.calling, dialling), number("called", wire.called, dialling)
        if wire.type is None:
            call_type = dialling.call_type(called)
    charge_to = wire.charge_to
    if charge_to is not None:
        charge_to = number("charge_to", charge_to, dialling)
    start = wire.start
    start_at = (start - _EPOCH) // _MICROSECOND
    answer = wire.answer
    if answer is None:
        answer_at = start_at
    else:
        answer_at = (answer - _EPOCH) // _MICROSECOND
        if answer_at < start_at:
            if start_at - answer_at >= MICROS:
                raise Refused("bad-time", "answer is a second or more before start")
            answer_at = start_at  # a switch that answers in whole seconds
    offset_min = 0
    if start.tzinfo is not UTC:
        offset = start.utcoffset()
        assert offset is not None
        offset_min = (offset.days * 86_400 + offset.seconds) // 60
    return CDR(
        source, wire.id, calling, called, start_at, offset_min, answer_at,
        duration_us, call_type, wire.service, charge_to, units, wire.device, wire.place, wire.cause, wire.switch,
        wire.trunk_in, wire.trunk_out, wire.session, wire.leg, wire.username, wire.partial, wire.last, extra,
    )  # fmt: skip


def _duration_us(value: object) -> int:
    """Seconds, whole or with a fraction, as microseconds; digits beyond those are cut off."""
    if value is None:
        raise Refused("malformed", "duration is missing")
    if type(value) is int or isinstance(value, Decimal):
        if 0 <= value <= MAX_DURATION_S:
            return int(EXACT.multiply(value, MICROS)) if isinstance(value, Decimal) else value * MICROS
        if value < 0:
            raise Refused("malformed", f"duration {value} is negative")
        raise Refused("malformed", f"duration is over {MAX_DURATION_S} seconds")
    raise Refused("malformed", f"duration is a {kind_of(value)}, not a number of seconds")


def _whole(value: object) -> int:
    if isinstance(value, Decimal) and value.adjusted() < 18 and value == int(value):
        value = int(value)
    if type(value) is not int or not 0 <= value <= MAX_UNITS:
        raise Refused("malformed", f"units is not a whole number from 0 to {MAX_UNITS}")
    return value


def _check_id_and_type(id_: str, call_type: str | None) -> None:
    if len(id_) > MAX_ID:
        raise Refused("malformed", f"id is longer than {MAX_ID} characters")
    if call_type is not None and call_type not in CALL_TYPES:
        raise Refused("malformed", f"type {call_type!r} is none of {', '.join(sorted(CALL_TYPES))}")


def _instant(name: str, text: object) -> datetime:
    if not isinstance(text, str):  # a start that is none was refused before
        raise Refused("bad-time", f"{name} is a {kind_of(text)}, not an RFC 3339 instant with an offset")
    try:
        return msgspec.convert(text, _Instant)
    except msgspec.ValidationError:
        raise Refused("bad-time", f"{name} {text!r} is not an RFC 3339 instant with an offset") from None


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


def _values(fields: dict[str, Any], dialling: Dialling | None) -> dict[str, Any]:
    """What the fields say, each as far as it can be read: equal for records that are equal."""
    values = {name: plain(value) for name, value in fields.items() if value is not None}
    for name in ("start", "answer"):
        instant = _instant_us(values.get(name))
        values[name] = values.get(name) if instant is None else instant
    if values["answer"] is None or values["answer"] == values["start"]:
        del values["answer"]
    for name in ("calling", "called", "charge_to"):
        if isinstance(values.get(name), str):
            values[name] = read_as(values[name], dialling)
    if values.get("type") == "direct":
        del values["type"]
    if values.get("type") in ("message", "data") and type(values.get("units")) is int and values["units"] == 1:
        del values["units"]
    return values
