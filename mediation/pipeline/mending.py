"""A suspended record by its fields: as it was understood, and with some of them set to something else.

Pure. What could be read has the fields of the native format, whatever format it came in, and is mended into a line of
it; what could not has those of its own format, as far as they go, and stays in it.
"""

import csv
import io
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

import msgspec

from mediation.formats import Parse, Unreadable
from mediation.formats.asterisk_csv import COLUMNS
from mediation.formats.json_object import encode_sorted, read_object
from mediation.formats.unreadable import Refused, decoded
from mediation.pipeline.front import DETAIL
from rating.cdr import CDR, MICROS
from rating.numbering import display, to_e164
from rating.store.reading import instant_text
from rating.store.suspense import SuspenseRecord

NDJSON: Final = "ndjson"
NUMBERS: Final = ("calling", "called", "charge_to", "src", "dst", "a", "b")
"""Fields that hold a number of a line, in one format or the other."""
_COUNTS: Final = frozenset({"duration", "units", "partial", "cause"})
_OWN: Final = ("id", "calling", "called", "start", "answer", "duration", "type", "service", "units", "device", *DETAIL)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class NotMendable(Exception):
    """Why a record could not be mended so, in words."""


class Replacement(msgspec.Struct, frozen=True):
    """A field is set to `new` where it holds `old`; numbers of lines are compared as such."""

    field: str
    old: str
    new: str


class Mend(msgspec.Struct, frozen=True, omit_defaults=True):
    """What to change: fields, or the whole line."""

    set: dict[str, str] = {}
    """Fields and their new values; an empty one takes the field away."""
    replace: tuple[Replacement, ...] = ()
    line: bytes | None = None
    """A line to be read instead."""
    ndjson: bool = False
    """`line` is in the native format, whatever format the record came in."""

    def words(self) -> str:
        """For the record's history."""
        if self.line is not None:
            return "line replaced"
        changes = [f"{name}={value}" for name, value in self.set.items()]
        changes += [f"{one.field} {one.old} replaced by {one.new}" for one in self.replace]
        return ", ".join(changes)


class Understood(msgspec.Struct, frozen=True):
    """What is made of a record's line."""

    fields: dict[str, Any]
    refused: Unreadable | None
    """Why no CDR could be made of it."""

    @property
    def numbers(self) -> set[str]:
        """The keys of the line numbers in it."""
        values = [self.fields.get(name) for name in NUMBERS]
        return {to_e164(value) or value for value in values if isinstance(value, str)}


def understood(record: SuspenseRecord, source: str, parse: Parse) -> Understood:
    """The fields of a record's line, which `parse` reads."""
    read = parse(record.line, source)
    if isinstance(read, CDR):
        return Understood(native_fields(read), None)
    return Understood(own_fields(record.line, record.line_format), read)


def mended_line(record: SuspenseRecord, source: str, parse: Parse, mend: Mend) -> tuple[bytes, str] | None:
    """The line that stands in the place of a record's from now on, and its format; None where it stays the same.
    Raises NotMendable; whether it can be read is the caller's question to its format."""
    if mend.line is not None:
        line, format_ = mend.line, NDJSON if mend.ndjson else record.format
        return None if (line, format_) == (record.line, record.line_format) else (line, format_)
    read = parse(record.line, source)
    own = _name(record.line_format) == NDJSON or not isinstance(read, CDR)
    format_ = record.line_format if own else NDJSON
    fields = own_fields(record.line, format_) if own else native_fields(read)  # type: ignore[arg-type]  # it is a CDR
    if not fields:
        assert isinstance(read, Unreadable)
        raise NotMendable(f"it has no fields ({read.detail}): give the whole line instead")
    changed = dict(fields)
    for one in mend.replace:
        if _text(changed.get(one.field)) == one.old or _is_same_number(one, changed.get(one.field)):
            _set(changed, one.field, one.new, format_)
    for name, value in mend.set.items():
        _set(changed, name, value, format_)
    return None if changed == fields else (_line_of(changed, record.line, format_), format_)


def native_fields(cdr: CDR) -> dict[str, Any]:
    """The fields of the native format that say what a CDR says."""
    whole, rest = divmod(cdr.duration_us, MICROS)
    fields: dict[str, Any] = {
        "id": cdr.id,
        "calling": display(cdr.calling),
        "called": display(cdr.called),
        "start": _local_text(cdr.start_at, cdr.offset_min),
        "answer": instant_text(cdr.answer_at),
        "duration": Decimal(f"{whole}.{rest:06d}") if rest else whole,
        "type": cdr.type,
        "service": cdr.service,
        "units": cdr.units,
        "device": cdr.device,
        **{name: getattr(cdr, name) for name in DETAIL if name != "extra"},
    }
    if cdr.charge_to is not None:
        fields["charge_to"] = display(cdr.charge_to)
    told = {name: value for name, value in fields.items() if value is not None}
    for name, value in (cdr.extra or {}).items():
        # Another format's column may be called as a field here, and mean something else (Asterisk's duration).
        told[f"extra_{name}" if name in _OWN and name in told else name] = value
    return told


def own_fields(line: bytes, format_: str) -> dict[str, Any]:
    """The fields of a line by the names of its own format, as far as they can be read."""
    try:
        if _name(format_) == "asterisk-csv":
            return dict(zip(COLUMNS, _cells(line), strict=False))
        return read_object(line)
    except (Refused, csv.Error):
        return {}


def _set(fields: dict[str, Any], name: str, text: str, format_: str) -> None:
    if _name(format_) == "asterisk-csv":
        if name not in fields:
            raise NotMendable(f"there is no column {name}: it has {', '.join(fields)}")
        fields[name] = text
    elif not text:
        fields.pop(name, None)
    else:
        fields[name] = _value(name, text) if _name(format_) == NDJSON else text


def _value(name: str, text: str) -> Any:
    """A field's value as a person writes it: a number or a truth where the field has one, or else text."""
    if name == "last" and text in ("true", "false"):
        return text == "true"
    if name in _COUNTS:
        try:
            value = msgspec.json.decode(text.encode(), type=int | Decimal)
        except msgspec.MsgspecError:
            return text
        return value if isinstance(value, int) else Decimal(text)
    return text


def _line_of(fields: dict[str, Any], before: bytes, format_: str) -> bytes:
    if _name(format_) != "asterisk-csv":
        return encode_sorted(fields)
    cells = _cells(before)
    cells[: len(fields)] = fields.values()
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="").writerow(cells)
    return out.getvalue().encode()


def _cells(line: bytes) -> list[str]:
    return next(csv.reader([decoded(line)], strict=True), [])


def _name(format_: str) -> str:
    return format_.partition(" ")[0]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _is_same_number(one: Replacement, value: object) -> bool:
    if one.field not in NUMBERS or not isinstance(value, str):
        return False
    number = to_e164(value)
    return number is not None and number == to_e164(one.old)


def _local_text(at: int, offset_min: int) -> str:
    try:
        moment = _EPOCH + timedelta(microseconds=at)
        return moment.astimezone(timezone(timedelta(minutes=offset_min))).isoformat()
    except (OverflowError, ValueError):  # at the ends of time, or an offset that RFC 3339 cannot write
        return instant_text(at)
