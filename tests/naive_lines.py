"""A second opinion on a CDR as NDJSON, word by word from the contract; it shares nothing with the product."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

TYPES = (
    "direct", "operator", "calling-card", "collect", "third-number", "toll-free", "premium", "conference", "message",
    "data",
)  # fmt: skip
NUMBER = re.compile(r"\+?([1-9][0-9]{2,14})")
ADDRESS = re.compile(r"(sip|ip|card):\S+")
INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND_US = 1_000_000


@dataclass(frozen=True)
class NaiveCall:
    """A line that can be rated; the naive rater takes it as it is."""

    id: str
    calling: str
    called: str
    answer_at: int
    duration_us: int
    type: str
    units: int | None
    place: str | None
    provider: str | None
    service: str | None


@dataclass(frozen=True)
class Suspended:
    """A line that cannot."""

    id: str | None
    reason: str


class Wrong(Exception):
    """Carries the reason; the first that applies is the first that is looked for."""


def read_line(line: bytes) -> NaiveCall | Suspended:
    """What a line says. Names that stand twice, and values that nobody could mean, are not its business."""
    try:
        fields = json.loads(line.decode(), parse_float=Decimal)
    except ValueError:
        return Suspended(None, "malformed")
    if not isinstance(fields, dict):
        return Suspended(None, "malformed")
    id_ = fields.get("id")
    try:
        return _call(fields)
    except Wrong as wrong:
        return Suspended(id_ if isinstance(id_, str) else None, str(wrong))


def _call(fields: dict[str, Any]) -> NaiveCall:
    for name in ("id", "calling", "called", "start"):
        if not isinstance(fields.get(name), str):
            raise Wrong("malformed")
    duration = fields.get("duration")
    if type(duration) not in (int, Decimal) or duration < 0:
        raise Wrong("malformed")
    if not all(isinstance(fields.get(name), str | None) for name in ("service", "charge_to")):
        raise Wrong("malformed")
    type_ = "direct" if fields.get("type") is None else fields["type"]
    if type_ not in TYPES:
        raise Wrong("malformed")
    units = fields.get("units")
    if units is not None and (type(units) not in (int, Decimal) or units < 0 or units != int(units)):
        raise Wrong("malformed")
    calling, called = _number(fields["calling"]), _number(fields["called"])
    if fields.get("charge_to") is not None:
        _number(fields["charge_to"])
    start_at = _at(fields["start"])
    answer_at = start_at if fields.get("answer") is None else _at(fields["answer"])
    if start_at - answer_at >= SECOND_US:
        raise Wrong("bad-time")
    return NaiveCall(
        id=fields["id"],
        calling=calling,
        called=called,
        answer_at=max(start_at, answer_at),
        duration_us=int(duration * SECOND_US),
        type=type_,
        units=None if units is None else int(units),
        place=fields.get("place"),
        provider=fields.get("provider"),
        service=fields.get("service"),
    )


def _number(text: str) -> str:
    match = NUMBER.fullmatch(text)
    if match is None and not ADDRESS.fullmatch(text):
        raise Wrong("bad-number")
    return match[1] if match else text


def _at(text: Any) -> int:
    """RFC 3339, in microseconds since 1970."""
    match = INSTANT.fullmatch(text.upper()) if isinstance(text, str) else None
    if match is None:
        raise Wrong("bad-time")
    day, clock, fraction, sign, hours, minutes = match.groups()
    east = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        local = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=timezone(-east if sign == "-" else east))
    except ValueError:
        raise Wrong("bad-time") from None
    return (local - EPOCH) // timedelta(seconds=1) * SECOND_US + int((fraction or "0").ljust(6, "0"))
