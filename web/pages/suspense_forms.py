"""Forms about suspended records: a record's fields as inputs, and what was typed made into orders. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec
from multidict import MultiMapping

from mediation.pipeline.mending import NUMBERS, Mend, Replacement
from mediation.pipeline.suspense_views import RecordView
from web.suspended import wrong_fields

FIELD_PREFIX: Final = "field."
MOST_IDS: Final = 1_000
LONGEST: Final = 1_000
LONGEST_LINE: Final = 65_536
_MAX_ID: Final = (1 << 63) - 1
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class FormRefused(Exception):
    """What was typed cannot be taken: the input that is wrong, and why."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field of a record, as it is shown and mended."""

    name: str
    text: str
    """As understood; empty for one that is missing."""
    typed: str
    """What stands in the input: what was typed, if a form was refused, or else the same."""
    is_wrong: bool
    is_editable: bool
    """False for what is no plain value: it can be changed with the whole line."""


def field_rows(view: RecordView, typed: MultiMapping[str] | None = None) -> list[FieldRow]:
    """The fields of a record, those that are missing last."""
    fields = view.understood.fields
    wrong = wrong_fields(view.record.reason, fields, view.understood.refused) if view.record.state == "open" else ()
    missing = [name for name in wrong if name not in fields and (fields or view.understood.refused is None)]
    rows = []
    for name in (*fields, *missing):
        text = field_text(fields.get(name, ""))
        stands = text if typed is None else typed.get(FIELD_PREFIX + name, text)
        plain = isinstance(fields.get(name, ""), str | int | Decimal)
        rows.append(FieldRow(name, text, stands, name in wrong, plain))
    return rows


def field_text(value: object) -> str:
    """A field's value as a person writes it."""
    return value if isinstance(value, str) else _encode(value).decode()


def mend_of(form: MultiMapping[str], fields: Mapping[str, Any]) -> Mend:
    """What a record's form changes. Raises FormRefused where that is nothing."""
    changed: dict[str, str] = {}
    for key in dict.fromkeys(form):
        if key.startswith(FIELD_PREFIX):
            name, text = key.removeprefix(FIELD_PREFIX), _short(form, key)
            if text != field_text(fields.get(name, "")).strip():
                changed[name] = text
    name = _short(form, "new_name")
    if name:
        value = _short(form, "new_value")
        if not value:
            raise FormRefused("new_value", f"give {name} a value")
        changed[name] = value
    elif _short(form, "new_value"):
        raise FormRefused("new_name", "give the field a name")
    if not changed:
        raise FormRefused("", "nothing was changed: type another value in one of the fields")
    return Mend(set=changed)


def line_of(form: MultiMapping[str]) -> Mend:
    """The line that replaces a record's. Raises FormRefused."""
    text = form.get("line", "").strip("\r\n")
    if not text.strip():
        raise FormRefused("line", "the line is empty: to leave the record out for good, discard it")
    if len(text) > LONGEST_LINE:
        raise FormRefused("line", f"the line is longer than {LONGEST_LINE} characters")
    line = " ".join(text.splitlines()).encode("utf-8", "replace")
    return Mend(line=line, ndjson=form.get("ndjson") == "yes")


def number_map_of(form: MultiMapping[str]) -> Mend:
    """A number that is put in the place of another one. Raises FormRefused."""
    field, old, new = (_short(form, name) for name in ("map_field", "map_old", "map_new"))
    if field not in NUMBERS:
        raise FormRefused("map_field", f"choose one of {', '.join(NUMBERS)}")
    if not old:
        raise FormRefused("map_old", "give the number that stands in the records")
    if not new:
        raise FormRefused("map_new", "give the number that shall stand in its place")
    if old == new:
        raise FormRefused("map_new", "both numbers are the same")
    return Mend(replace=(Replacement(field, old, new),))


def ids_of(form: MultiMapping[str]) -> tuple[int, ...]:
    """The records that were ticked. Raises FormRefused for none or for what is none."""
    texts = form.getall("id", [])
    if not texts:
        raise FormRefused("id", "no record is chosen: tick some")
    if len(texts) > MOST_IDS:
        raise FormRefused("id", f"at most {MOST_IDS} records can be chosen at once")
    if not all(text.isascii() and text.isdigit() and len(text) <= 18 and 0 < int(text) <= _MAX_ID for text in texts):
        raise FormRefused("id", "a record's number cannot be read: reload the page")
    return tuple(int(text) for text in texts)


def remark_of(form: MultiMapping[str]) -> str:
    """Why records are discarded. Raises FormRefused."""
    remark = _short(form, "remark")
    if not remark:
        raise FormRefused("remark", "a record is not discarded without a remark: say why")
    return remark


def _short(form: MultiMapping[str], name: str) -> str:
    text = form.get(name, "").strip()
    if len(text) > LONGEST:
        raise FormRefused(name, f"{name.removeprefix(FIELD_PREFIX)} is longer than {LONGEST} characters")
    return text
