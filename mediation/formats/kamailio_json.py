"""What Kamailio's module acc_json posts at the end of a call: one JSON object, all of its values strings.

`start_time`, `end_time` and `duration` are Kamailio's own; `callid`, `a`, `b`, `src_ip`, `endby` and `code` are those
that its configuration puts in `cdr_extra`. `start_time` is the answer, with `cdr_start_on_confirmed`.
"""

import re
from typing import Any, Final

from mediation.formats.json_object import encode_sorted, kind_of, plain, read_object
from mediation.formats.numbers import call_type, number, read_as
from mediation.formats.unreadable import MAX_DURATION_S, MAX_ID, Refused, Unreadable, digest_of
from rating.cdr import CDR, MICROS
from rating.dial_plan import Dialling

REQUIRED: Final = ("callid", "a", "b", "start_time", "duration")

CAUSES: Final = {
    400: 41, 401: 21, 402: 21, 403: 21, 404: 1, 405: 63, 406: 79, 407: 21, 408: 102, 410: 22, 413: 127, 414: 127,
    415: 79, 416: 127, 420: 127, 421: 127, 423: 127, 480: 18, 481: 41, 482: 25, 483: 25, 484: 28, 485: 1, 486: 17,
    488: 31, 500: 41, 501: 79, 502: 38, 503: 41, 504: 102, 505: 127, 513: 127, 600: 17, 603: 21, 604: 1, 606: 31,
}  # fmt: skip
"""SIP final response → Q.850 cause: RFC 3398, 8.2.6.1, which has none for 487, and nothing to do with 3xx."""
NORMAL_CLEARING: Final = 16

MAX_START_S: Final = 253_402_300_799
"""The end of the year 9999."""

_SECONDS: Final = re.compile(r"(-?)(\d{1,18})(?:\.(\d+))?", re.ASCII)
_CODE: Final = re.compile(r"[1-6]\d\d", re.ASCII)


def parse_kamailio(line: bytes, source: str, dialling: Dialling | None = None) -> CDR | Unreadable:
    """The CDR of one post of `source`, its numbers read by its dial plan; never raises for what it may hold."""
    try:
        fields = read_object(line)
    except Refused as refused:
        return refused.unreadable(digest_of(line))
    try:
        return _cdr(fields, source, dialling)
    except Refused as refused:
        id_, start_at = _key(fields)
        if id_ is None or start_at is None:
            return refused.unreadable(digest_of(line), id_)
        return refused.unreadable(digest_of(encode_sorted(_values(fields, dialling))), id_, start_at)


def _cdr(fields: dict[str, Any], source: str, dialling: Dialling | None) -> CDR:
    """Raises Refused. The checks stand in the order in which their reasons apply."""
    for name in REQUIRED:
        if fields.get(name) is None:
            raise Refused("malformed", f"{name} is missing")
        if not isinstance(fields[name], str):
            raise Refused("malformed", f"{name} is a {kind_of(fields[name])}, not a string")
    callid = fields["callid"]
    if not 0 < len(callid) <= MAX_ID:
        raise Refused("malformed", f"callid is {f'longer than {MAX_ID} characters' if callid else 'empty'}")
    duration_us = _duration_us(fields["duration"])
    code = _code(fields.get("code"))
    calling, called = number("a", fields["a"], dialling), number("b", fields["b"], dialling)
    start_at = _start_at(fields["start_time"])
    # A forked call's losing branch may leave its 487 behind: a call that lasted was answered, whatever the code says.
    answered = code is None or 200 <= code < 300 or duration_us > 0
    extra = _extra(fields)
    return CDR(
        source, callid, calling, called, start_at, 0, start_at, duration_us, call_type(called, dialling),
        cause=None if code is None else NORMAL_CLEARING if answered else CAUSES.get(code),
        session=callid,
        extra=extra or None,
    )  # fmt: skip


def _extra(fields: dict[str, Any]) -> dict[str, Any]:
    """What has no field of its own in a CDR, and is not empty."""
    return {
        name: plain(value)
        for name, value in fields.items()
        if name not in REQUIRED and value is not None and value != ""
    }


def _duration_us(text: str) -> int:
    """Raises Refused."""
    duration_us = _micros(text)
    if duration_us is None:
        raise Refused("malformed", f"duration {text!r} is not a number of seconds")
    if text.startswith("-") and text.strip("-0."):
        raise Refused("malformed", f"duration {text} is negative")
    if duration_us > MAX_DURATION_S * MICROS:
        raise Refused("malformed", f"duration is over {MAX_DURATION_S} seconds")
    return duration_us


def _start_at(text: str) -> int:
    """Raises Refused."""
    start_at = _micros(text)
    if start_at is None or not 0 <= start_at <= MAX_START_S * MICROS:
        raise Refused("bad-time", f"start_time {text!r} is not seconds since 1970, such as 1795183651.250")
    return start_at


def _code(value: object) -> int | None:
    """The SIP code of the final response; None where it is not told. Raises Refused."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and _CODE.fullmatch(value):
        return int(value)
    told = repr(value) if isinstance(value, str) else f"({kind_of(value)})"
    raise Refused("malformed", f'code {told} is not the code of a SIP response, such as "200"')


def _micros(text: str) -> int | None:
    """Seconds with a fraction as microseconds, exactly; digits beyond those are cut off."""
    found = _SECONDS.fullmatch(text)
    if found is None:
        return None
    sign, whole, fraction = found.groups("")
    return (-1 if sign else 1) * (int(whole) * MICROS + int(fraction[:6].ljust(6, "0")))


def _key(fields: dict[str, Any]) -> tuple[str | None, int | None]:
    """The natural key, as far as it can be read."""
    callid, start = fields.get("callid"), fields.get("start_time")
    if not isinstance(callid, str) or not callid:
        return None, None
    if not isinstance(start, str) or len(callid) > MAX_ID:
        return callid, None
    try:
        return callid, _start_at(start)
    except Refused:
        return callid, None


def _values(fields: dict[str, Any], dialling: Dialling | None) -> dict[str, Any]:
    """What the fields say, each as far as it can be read: equal for records that are equal."""
    values = _extra(fields) | {name: plain(fields[name]) for name in REQUIRED if fields.get(name) is not None}
    for name in ("start_time", "duration"):
        micros = _micros(values[name]) if isinstance(values.get(name), str) else None
        if micros is not None:
            values[name] = micros
    for name in ("a", "b"):
        if isinstance(values.get(name), str):
            values[name] = read_as(values[name], dialling)
    return values
