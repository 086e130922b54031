"""Cisco's times, `15:59:47.000 EET Sun Dec 25 2005`, and its causes."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

_TIME: Final = re.compile(
    r"[*.]?(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,6}))? ([A-Z]{1,5}) (?:[A-Z][a-z]{2}) ([A-Z][a-z]{2}) (\d{1,2}) (\d{4})",
    re.ASCII,
)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

HOURS: Final = {
    "UTC": 0, "GMT": 0, "Z": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "MET": 1, "MEST": 2, "EET": 2, "EEST": 3,
    "MSK": 3, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "AKST": -9,
    "AKDT": -8, "HST": -10, "JST": 9, "KST": 9, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13,
}  # fmt: skip
"""Names of zones that mean one thing to those who configure gateways; a time in another zone is not used."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def h323_at(text: object) -> int | None:
    """µs UTC of such a time; None where it is none, or its zone is not known. A `*` or `.` before it says that the
    gateway's clock is not synchronised: it is all that there is."""
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    hour, minute, second, fraction, zone, month, day, year = found.groups()
    if zone not in HOURS or month not in _MONTHS:
        return None
    try:
        moment = datetime(
            int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second),
            int((fraction or "0").ljust(6, "0")), timezone(timedelta(hours=HOURS[zone])),
        )  # fmt: skip
    except ValueError:
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1)


def h323_cause(text: object) -> int | None:
    """The Q.850 cause of h323-disconnect-cause, which is hexadecimal: `10` is 16, normal clearing."""
    found = re.fullmatch(r"(?:0x)?([0-9A-Fa-f]{1,2})", text) if isinstance(text, str) else None
    return int(found[1], 16) if found else None
