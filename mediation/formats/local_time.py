"""Local times as switches write them, `2026-11-20 09:07:31`, and the instants that they can stand for."""

import re
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from mediation.formats.unreadable import Refused
from rating.cdr import MICROS

_LOCAL: Final = re.compile(r"\d{4}-\d\d-\d\d (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 a local time has no zone, and counts from a local midnight
_SECOND: Final = timedelta(seconds=1)


def instants(text: str, zone: ZoneInfo) -> list[int]:
    """µs since 1970 UTC, ascending: two in the hour that a clock change repeats, none in the one that it leaves out.

    Raises ValueError for what is no local time.
    """
    if not _LOCAL.fullmatch(text):
        raise ValueError(text)
    local = datetime.fromisoformat(text)
    first, second = (zone.utcoffset(local.replace(fold=fold)) for fold in (0, 1))
    assert first is not None
    assert second is not None
    since = local - _EPOCH
    if first == second:
        return [(since - first) // _SECOND * MICROS]
    return [(since - offset) // _SECOND * MICROS for offset in (first, second)] if first > second else []


def checked_instants(name: str, text: str, zone: ZoneInfo) -> list[int]:
    """As `instants`, at least one. Raises Refused."""
    try:
        found = instants(text, zone)
    except ValueError:
        raise Refused("bad-time", f"{name} {text!r} is not a local time such as 2026-11-20 09:07:31") from None
    if not found:
        raise Refused(
            "bad-time",
            f"{name} {text!r} does not exist in {zone.key}, where the clock was put forward:"
            " give the feed the timezone that the switch writes",
        )
    return found


def offset_min(text: str, at: int) -> int:
    """The UTC offset in minutes, east positive, of a clock that showed the local time `text` at `at`."""
    local = (datetime.fromisoformat(text) - _EPOCH) // _SECOND
    return (local - at // MICROS) // 60
