"""A call as one of the many lines of NDJSON that mean it, and as lines that mean nothing; drawn from a seed."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any, Final

from rating.cdr import CDR, MICROS

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
OFFSETS_MIN: Final = (0, 0, 60, -300, 345, 630, -210, 825, -719, 839)
STRANGE: Final = (
    b"[]",
    b"null",
    b"5",
    b'"x"',
    b"{",
    b"\xff",
    b"\x00",
    b'{"id": "cut',
    b"{'id': 'x'}",
    b"{}{}",
    b'{"id":NaN}',
)

Spoil = Callable[[dict[str, Any], Random], None]


def random_line(rng: Random, cdr: CDR, provider: str | None, service: str | None) -> bytes:
    """A line for a call with its line's provider and service; one of ten is spoilt."""
    if rng.random() < 0.02:
        return rng.choice(STRANGE)
    fields = _fields(rng, cdr)
    fields |= {"provider": provider, "service": service}
    if rng.random() < 0.1:
        rng.choice(SPOILS)(fields, rng)
    names = [name for name in fields if fields[name] is not None or rng.random() < 0.1]
    rng.shuffle(names)
    spaces = rng.choice(((",", ":"), (", ", ": "), (" ,\t", " : ")))
    # A text of digits stands for itself: the durations are to come out as they were spelt.
    parts = [f"{json.dumps(name)}{spaces[1]}{_spelt(fields[name], name, rng)}" for name in names]
    return ("{" + spaces[0].join(parts) + "}").encode()


def _fields(rng: Random, cdr: CDR) -> dict[str, Any]:
    late_us = cdr.answer_at - cdr.start_at
    answer: str | None = _instant(rng, cdr.answer_at)
    if not late_us and rng.random() < 0.5:
        answer = rng.choice((None, _instant(rng, cdr.answer_at - rng.randrange(MICROS))))
    return {
        "id": cdr.id,
        "calling": _number(rng, cdr.calling),
        "called": _number(rng, cdr.called),
        "start": _instant(rng, cdr.start_at),
        "answer": answer,
        "duration": cdr.duration_us,
        "type": None if cdr.type == "direct" and rng.random() < 0.5 else cdr.type,
        "units": cdr.units,
        "place": cdr.place,
        "trunk_in": rng.choice((None, "tg-1")),
        "colour": rng.choice((None, None, {"of": ["the", 1.50, None, "sk\u00fd"]})),
    }


def _spelt(value: Any, name: str, rng: Random) -> str:
    if name == "duration" and type(value) is int:
        seconds, rest = divmod(value, MICROS)
        exact = f"{seconds}.{rest:06d}"
        forms = [exact, f"{exact}000", f"{value}e-6", f"{value}0E-07"]
        if not rest:
            forms += [str(seconds), f"{seconds}.0", f"{seconds}e0"]
        return rng.choice(forms)
    if name == "units" and type(value) is int and rng.random() < 0.2:
        return f"{value}.0"
    return json.dumps(value, ensure_ascii=rng.random() < 0.5)


def _number(rng: Random, text: str) -> str:
    return f"+{text}" if text.isdecimal() and rng.random() < 0.5 else text


def _instant(rng: Random, at: int) -> str:
    offset_min = rng.choice(OFFSETS_MIN)
    local = (EPOCH + timedelta(microseconds=at)).astimezone(timezone(timedelta(minutes=offset_min)))
    text = local.replace(tzinfo=None).isoformat(timespec="microseconds")
    while text[-1] in "0." and "." in text and rng.random() < 0.9:
        text = text[:-1]
    text = text.removesuffix(".")
    zone = local.isoformat()[-6:]
    if not offset_min:
        zone = rng.choice(("Z", "z", "+00:00", "-00:00"))
    return text.replace("T", rng.choice("TTt")) + zone


def _set(name: str, *values: Any) -> Spoil:
    def spoil(fields: dict[str, Any], rng: Random) -> None:
        fields[name] = rng.choice(values)

    return spoil


def _drop(fields: dict[str, Any], rng: Random) -> None:
    fields[rng.choice(("id", "calling", "called", "start", "duration"))] = None


def _answer_before(fields: dict[str, Any], rng: Random) -> None:
    at = (datetime.fromisoformat(fields["start"].upper()) - EPOCH) // timedelta(microseconds=1)
    fields["answer"] = _instant(rng, at - MICROS - rng.choice((-1, 0, 1, MICROS)))


SPOILS: Final[tuple[Spoil, ...]] = (
    _drop,
    _answer_before,
    _set("id", 5, ["x"], True),
    _set("duration", -1.0, "61", True, [61], {"s": 61}),
    _set("calling", "", "+", "12", "0123", "+0123456", "1234567890123456", "44 20", "++4420", "abc", 4420),
    _set("called", "", "tel:4420", "sip:", "4420x", "+44-20", "\u0664\u0664\u0662", {"number": "4420"}),
    _set("charge_to", "nobody", "0", 5),
    _set("start", "", "2026-11-20", "2026-11-20T09:07:31", "2026-02-30T00:00:00Z", "now", 1_795_000_000),
    _set("answer", "", "yesterday", "2026-11-20T25:00:00Z", 1_795_000_000),
    _set("type", "fax", "Direct", 7),
    _set("units", -1, 1.5, "3", True),
    _set("service", 7, ["ld"]),
)
