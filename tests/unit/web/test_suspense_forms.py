"""What was typed into the forms about suspended records, made into orders or refused at the input that is wrong."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from multidict import MultiDict, MultiMapping

from mediation.formats.source_formats import SourceFormats
from mediation.pipeline.mending import Mend, Replacement
from mediation.pipeline.suspense_views import RecordView, view_of
from rating.store.suspense import SuspenseRecord
from tests.builders import NOW, cdr_json, raw
from web.pages.suspense_forms import (
    FormRefused,
    field_rows,
    field_text,
    ids_of,
    line_of,
    mend_of,
    number_map_of,
    remark_of,
)

FIELDS: dict[str, Any] = {"id": "a", "duration": 61, "rate": Decimal("1.50"), "last": True}
AS_SHOWN = {"field.id": "a", "field.duration": "61", "field.rate": "1.50", "field.last": "true"}


def a_view(line: bytes, reason: str = "unknown-line", state: str = "open") -> RecordView:
    record = SuspenseRecord(
        1, 1, "a", None, reason, "", line, "ndjson", None, None, NOW, state, None, None, None, None
    )  # fmt: skip
    return view_of(record, "pop-nyc", [], SourceFormats())


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ({"field.duration": "62"}, {"duration": "62"}),
        ({"field.id": ""}, {"id": ""}),
        ({"field.id": " b "}, {"id": "b"}),
        ({"new_name": "type", "new_value": "collect"}, {"type": "collect"}),
        ({"field.last": "false", "new_name": "leg", "new_value": "2"}, {"last": "false", "leg": "2"}),
    ],
)
def test_only_fields_that_were_changed_are_mended(typed: dict[str, str], expected: dict[str, str]) -> None:
    assert mend_of(MultiDict(AS_SHOWN | typed), FIELDS) == Mend(set=expected)


@pytest.mark.parametrize(
    ("make", "typed", "field"),
    [
        (lambda form: mend_of(form, FIELDS), AS_SHOWN, ""),
        (lambda form: mend_of(form, FIELDS), AS_SHOWN | {"new_name": "leg"}, "new_value"),
        (lambda form: mend_of(form, FIELDS), AS_SHOWN | {"new_value": "leg"}, "new_name"),
        (lambda form: mend_of(form, FIELDS), {"field.id": "x" * 1001}, "field.id"),
        (line_of, {}, "line"),
        (line_of, {"line": " \r\n"}, "line"),
        (line_of, {"line": "x" * 65_537}, "line"),
        (number_map_of, {"map_field": "id", "map_old": "1", "map_new": "2"}, "map_field"),
        (number_map_of, {"map_field": "called", "map_new": "2"}, "map_old"),
        (number_map_of, {"map_field": "called", "map_old": "1"}, "map_new"),
        (number_map_of, {"map_field": "called", "map_old": "1", "map_new": "1"}, "map_new"),
        (ids_of, {}, "id"),
        (ids_of, {"id": "x"}, "id"),
        (ids_of, {"id": "٣"}, "id"),
        (ids_of, {"id": "0"}, "id"),
        (ids_of, {"id": "9" * 19}, "id"),
        (remark_of, {"remark": "  "}, "remark"),
    ],
)
def test_what_cannot_be_taken_is_refused_at_its_input(
    make: Callable[[MultiMapping[str]], object], typed: dict[str, str], field: str
) -> None:
    with pytest.raises(FormRefused) as refused:
        make(MultiDict(typed))
    assert refused.value.field == field
    assert str(refused.value)


def test_a_line_is_taken_without_its_ends() -> None:
    mend = line_of(MultiDict({"line": '{"id":\r\n1}\r\n', "ndjson": "yes"}))
    assert mend == Mend(line=b'{"id": 1}', ndjson=True)


def test_a_number_is_mapped() -> None:
    form = MultiDict({"map_field": "called", "map_old": " +1 ", "map_new": "+2"})
    assert number_map_of(form) == Mend(replace=(Replacement("called", "+1", "+2"),))


def test_ticked_records_are_chosen() -> None:
    assert ids_of(MultiDict([("id", "3"), ("id", "7")])) == (3, 7)


@pytest.mark.parametrize(("value", "text"), [("a", "a"), (61, "61"), (Decimal("1.50"), "1.50"), (True, "true")])
def test_a_value_is_written_as_a_person_writes_it(value: object, text: str) -> None:
    assert field_text(value) == text


def test_a_record_is_shown_by_its_fields_and_the_wrong_one_is_marked() -> None:
    rows = field_rows(a_view(cdr_json(trunk={"group": 7}, tax=raw("0.10"))))
    assert {row.name for row in rows if row.is_wrong} == {"calling"}
    assert {row.name for row in rows if not row.is_editable} == {"trunk"}
    assert {row.name: row.text for row in rows}["trunk"] == '{"group":7}'
    assert all(row.typed == row.text for row in rows)


def test_nothing_is_wrong_with_a_record_that_has_left() -> None:
    assert not any(row.is_wrong for row in field_rows(a_view(cdr_json(), state="recycled")))


def test_a_field_that_is_missing_has_an_input_of_its_own() -> None:
    last = field_rows(a_view(b'{"id": "a", "calling": "+12125550142"}', "malformed"))[-1]
    assert (last.name, last.text, last.is_wrong, last.is_editable) == ("called", "", True, True)


def test_a_line_without_fields_has_none() -> None:
    assert field_rows(a_view(b"\xff", "malformed")) == []


def test_typed_values_stand_in_their_inputs_again() -> None:
    rows = field_rows(a_view(cdr_json()), MultiDict({"field.called": "+4420"}))
    assert {row.name: row.typed for row in rows}["called"] == "+4420"
    assert {row.name: row.text for row in rows}["called"] == "+442079460018"
