"""Formats: what a feed carries, made into CDRs or into the reason why not."""

from collections.abc import Callable
from functools import partial
from zoneinfo import ZoneInfo

import msgspec

from mediation.formats.asterisk_csv import AsteriskCsv
from mediation.formats.kamailio_json import parse_kamailio
from mediation.formats.ndjson import parse_line
from mediation.formats.unreadable import Unreadable
from rating.cdr import CDR
from rating.dial_plan import Dialling

__all__ = ["Parse", "Unreadable", "is_whole_in", "parser_named", "parser_of"]

Parse = Callable[[bytes, str], CDR | Unreadable]
"""A format: a line of a source made into a CDR, or into the reason why not; it never raises for what a line holds."""


def parser_of(format_name: str, timezone: ZoneInfo | None, dialling: Dialling | None = None) -> Parse:
    """The format that a configuration names. `timezone` is that of local times, for the formats that have them;
    `dialling` the source's dial plan."""
    match format_name:
        case "ndjson":
            return parse_line if dialling is None else partial(parse_line, dialling=dialling)
        case "asterisk-csv":
            return AsteriskCsv(timezone, dialling).parse
        case "kamailio-json":
            return parse_kamailio if dialling is None else partial(parse_kamailio, dialling=dialling)
    raise AssertionError(f"the configuration let an unknown format through: {format_name}")


def parser_named(name: str, dialling: Dialling | None = None) -> Parse:
    """The format of a line, by the name that its batch and its record in suspense carry: with its zone after a
    blank."""
    format_name, _, zone = name.partition(" ")
    return parser_of(format_name, ZoneInfo(zone) if zone else None, dialling)


def is_whole_in(format_name: str) -> Callable[[bytes], bool]:
    """Whether a last line without its end is a whole record all the same: JSON shows where it ends, CSV does not."""
    return _is_json if format_name != "asterisk-csv" else lambda _: False


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True
