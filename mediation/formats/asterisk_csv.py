"""Asterisk's Master.csv, a row a line, as its module cdr_csv writes it.

A row has 16 columns, then uniqueid (`loguniqueid`), userfield (`loguserfield`), and the three of `newcdrcolumns`, each
where it is switched on. Times are local, in whole seconds. What one row is, and what another: see `_identity`.
"""

import csv
import re
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from mediation.formats.local_time import checked_instants, instants, offset_min
from mediation.formats.numbers import call_type, number
from mediation.formats.unreadable import MAX_DURATION_S, MAX_ID, Refused, Unreadable, decoded, digest_of
from rating.cdr import CDR, MICROS
from rating.dial_plan import Dialling

COLUMNS: Final = (
    "accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata",
    "start", "answer", "end", "duration", "billsec", "disposition", "amaflags",
)  # fmt: skip
NEW_COLUMNS: Final = ("peeraccount", "linkedid", "sequence")
"""Those of `newcdrcolumns`, always together and last."""

CAUSES: Final = {"ANSWERED": 16, "BUSY": 17, "NO ANSWER": 19, "CONGESTION": 34, "FAILED": None, "UNKNOWN": None}
"""The dispositions that Asterisk knows, and the Q.850 cause of each."""

EXTRA: Final = (
    "accountcode", "dcontext", "clid", "lastapp", "lastdata", "end", "duration", "disposition", "amaflags",
    "userfield", "peeraccount",
)  # fmt: skip
"""Columns that have no field of their own in a CDR."""

_UNIQUEID: Final = re.compile(r"(?:.+-)?(\d{9,11})\.\d+", re.ASCII | re.DOTALL)
"""[SYSTEM-]EPOCH.COUNTER, EPOCH when the calling channel was made."""
_WHOLE: Final = re.compile(r"-?\d{1,19}", re.ASCII)
_SLACK: Final = 2 * MICROS
"""By so much seconds that were each cut off can disagree."""
_UTC: Final = ZoneInfo("UTC")

_encode: Final = msgspec.json.Encoder(order="sorted").encode


class AsteriskCsv:
    """The format `asterisk-csv` of a feed."""

    def __init__(self, timezone: ZoneInfo | None, dialling: Dialling | None = None) -> None:
        """`timezone`: that of the times in the file; without one they are UTC, as Asterisk's `usegmtime` writes."""
        self._zone = timezone or _UTC
        self._dialling = dialling

    def parse(self, line: bytes, source: str) -> CDR | Unreadable:
        """The CDR of one row of `source`, without its line end; never raises for what a line may hold.

        The duration is billsec where the row says ANSWERED; any other was not answered, whatever its billsec.
        """
        try:
            row = _row(decoded(line))
        except Refused as refused:
            return refused.unreadable(digest_of(line))
        id_ = _identity(row)
        try:
            return self._cdr(row, source, id_)
        except Refused as refused:
            start_at = self._start_if_readable(row)
            if start_at is None or len(id_) > MAX_ID:
                return refused.unreadable(digest_of(line), id_)
            return refused.unreadable(digest_of(_encode(row)), id_, start_at)

    def _cdr(self, row: dict[str, str], source: str, id_: str) -> CDR:
        """Raises Refused. The checks stand in the order in which their reasons apply."""
        if len(id_) > MAX_ID:
            raise Refused("malformed", f"uniqueid and dstchannel are longer than {MAX_ID} characters")
        disposition = row["disposition"]
        if disposition not in CAUSES:
            raise Refused("malformed", f"disposition {disposition!r} is none of {', '.join(CAUSES)}")
        billsec = _billsec(row["billsec"])
        calling, called = number("src", row["src"], self._dialling), number("dst", row["dst"], self._dialling)
        start_at = self._start_at(row)
        answer_at = self._answer_at(row, start_at, billsec) if row["answer"] else start_at
        return CDR(
            source, id_, calling, called, start_at, offset_min(row["start"], start_at), answer_at,
            duration_us=billsec * MICROS if disposition == "ANSWERED" else 0,
            type=call_type(called, self._dialling),
            cause=CAUSES[disposition],
            trunk_in=row["channel"] or None,
            trunk_out=row["dstchannel"] or None,
            session=row.get("linkedid") or row.get("uniqueid") or None,
            leg=row.get("sequence") or row["dstchannel"] or None,
            extra={name: row[name] for name in EXTRA if row.get(name)} or None,
        )  # fmt: skip

    def _start_at(self, row: dict[str, str]) -> int:
        """In the hour that is repeated: not before the channel was made, as its uniqueid says, and so that the call
        took its duration to its end; where that leaves both, the first."""
        found = checked_instants("start", row["start"], self._zone)
        if len(found) == 1:
            return found[0]
        uniqueid = _UNIQUEID.fullmatch(row.get("uniqueid", ""))
        if uniqueid:
            made_at = int(uniqueid[1]) * MICROS
            found = [at for at in found if at >= made_at - _SLACK] or found
        took = _seconds_or_none(row["duration"])
        if took is not None:
            ends = self._instants_if_readable(row["end"])
            found = [at for at in found if any(abs(at + took * MICROS - end) <= _SLACK for end in ends)] or found
        return found[0]

    def _answer_at(self, row: dict[str, str], start_at: int, billsec: int) -> int:
        """In the hour that is repeated: the one nearest to where billsec, taken from the duration, puts it."""
        found = checked_instants("answer", row["answer"], self._zone)
        took = _seconds_or_none(row["duration"])
        expected = start_at + max(0, (billsec if took is None else took) - billsec) * MICROS
        answer_at = min(found, key=lambda at: abs(at - expected))
        if answer_at < start_at:
            raise Refused("bad-time", "answer is a second or more before start")
        return answer_at

    def _start_if_readable(self, row: dict[str, str]) -> int | None:
        try:
            return self._start_at(row)
        except Refused:
            return None

    def _instants_if_readable(self, text: str) -> list[int]:
        try:
            return instants(text, self._zone)
        except ValueError:
            return []


def _row(text: str) -> dict[str, str]:
    """The columns of a row by name. Raises Refused."""
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise Refused("malformed", f"not a row of CSV, are its quotes balanced? {error}") from None
    if text.count('"') % 2:
        raise Refused("malformed", "not a row of CSV: its quotes are not balanced")
    values = rows[0] if rows else []
    count = len(values)
    if not 16 <= count <= 21:
        raise Refused("malformed", f"{count} columns, where Master.csv has 16, or up to 21 with the optional ones")
    return dict(zip(_names(values), values, strict=True))


def _names(values: list[str]) -> tuple[str, ...]:
    """What the columns are: of uniqueid and userfield each may be there alone, and is known by its looks."""
    new = NEW_COLUMNS if len(values) >= 19 else ()
    match len(values) - len(COLUMNS) - len(new):
        case 0:
            return (*COLUMNS, *new)
        case 1:
            return (*COLUMNS, "uniqueid" if _UNIQUEID.fullmatch(values[16]) else "userfield", *new)
    return (*COLUMNS, "uniqueid", "userfield", *new)


def _identity(row: dict[str, str]) -> str:
    """The id of a row's record; with the start it is the natural key.

    Asterisk writes several rows of one uniqueid, often of one start: one for each channel that a queue, a ring group
    or a forked Dial rang, one more for each transfer or ForkCDR. They are told apart by sequence, which Asterisk
    counts for this purpose, or else by dstchannel, whose names are not used twice. Two rows that agree in all of that
    and differ elsewhere are a conflict: suspended, not lost. Without uniqueid the id is a digest of the whole row, so
    that the same row is a duplicate and every other a record.
    """
    uniqueid = row.get("uniqueid")
    if not uniqueid:
        return digest_of(_encode(row)).hex()
    part = row.get("sequence") or row["dstchannel"]
    return f"{uniqueid} {part}" if part else uniqueid


def _billsec(text: str) -> int:
    seconds = int(text) if _WHOLE.fullmatch(text) else None
    if seconds is None:
        raise Refused("malformed", f"billsec {text!r} is not a whole number of seconds")
    if not 0 <= seconds <= MAX_DURATION_S:
        raise Refused("malformed", f"billsec {seconds} is {'negative' if seconds < 0 else f'over {MAX_DURATION_S}'}")
    return seconds


def _seconds_or_none(text: str) -> int | None:
    return int(text) if _WHOLE.fullmatch(text) else None
