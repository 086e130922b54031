"""The native format: what a line becomes, sentence by sentence of the contract's "A CDR as NDJSON"."""

import json
from typing import Any

import msgspec
import pytest

from mediation.formats.ndjson import MAX_LINE, Unreadable, parse_line
from rating.cdr import CALL_TYPES, CDR, MICROS
from tests.builders import ABSENT, CALLED, CALLING, START, a_cdr, cdr_json, micros, raw


def cdr_of(line: bytes, source: str = "pop-nyc") -> CDR:
    record = parse_line(line, source)
    assert isinstance(record, CDR), record
    return record


def refused(line: bytes) -> Unreadable:
    record = parse_line(line, "pop-nyc")
    assert isinstance(record, Unreadable), record
    return record


def with_raw(fields: str) -> bytes:
    """The usual record with further text before its end."""
    return cdr_json()[:-1] + b"," + fields.encode() + b"}"


def kept(record: CDR) -> bytes:
    """The unknown fields of a record, as a transaction keeps and compares them."""
    return msgspec.json.Encoder(order="sorted", decimal_format="number").encode(record.extra)


def test_the_example_of_the_contract_is_read() -> None:
    line = (
        b'{"id":"a81f-0001","calling":"+12125550142","called":"+442079460018","start":"2026-11-20T09:07:31.250-05:00",'
        b'"answer":"2026-11-20T09:07:35-05:00","duration":61,"type":"direct","service":"long-distance"}'
    )
    assert cdr_of(line) == CDR(
        source="pop-nyc",
        id="a81f-0001",
        calling="12125550142",
        called="442079460018",
        start_at=micros("2026-11-20T14:07:31.250Z"),
        offset_min=-300,
        answer_at=micros("2026-11-20T14:07:35Z"),
        duration_us=61_000_000,
        type="direct",
        service="long-distance",
    )


def test_the_required_fields_are_enough() -> None:
    assert cdr_of(cdr_json()) == a_cdr()


@pytest.mark.parametrize(
    "line",
    [
        b"  " + cdr_json() + b" \t",
        cdr_json() + b"\r",
        json.dumps(json.loads(cdr_json()), indent=1, separators=(" ,\t", "\r\n: ")).encode(),
        cdr_json(id="a\u0038\u0031f-0001"),
        cdr_json().replace(b"a81f", b"\\u0061\\u00381f"),
        cdr_json(start="2026-11-20T14:07:31Z"),
        cdr_json(start="2026-11-20t14:07:31z"),
        cdr_json(start="2026-11-20T14:07:31.000000-00:00"),
        cdr_json(start="2026-11-20T19:52:31+05:45"),
        cdr_json(answer=START),
        cdr_json(answer="2026-11-20T14:07:31+00:00"),
        cdr_json(calling=CALLING, called=CALLED),
        cdr_json(duration=raw("61.0")),
        cdr_json(duration=raw("6.1e1")),
        cdr_json(duration=raw("610E-1")),
        cdr_json(type="direct"),
        cdr_json(type=None, answer=None, service=None, units=None, extra=ABSENT),
        msgspec.json.encode(dict(reversed(msgspec.json.decode(cdr_json()).items()))),
    ],
)
def test_another_spelling_of_the_same_values_is_the_same_record(line: bytes) -> None:
    record = cdr_of(line)
    assert msgspec.structs.replace(record, offset_min=-300) == a_cdr()


@pytest.mark.parametrize(
    ("text", "duration_us"),
    [
        ("0", 0),
        ("-0", 0),
        ("-0.0", 0),
        ("1", 1_000_000),
        ("0.000001", 1),
        ("61.5", 61_500_000),
        ("0.1", 100_000),
        ("1.000001", 1_000_001),  # a binary float makes it a microsecond less, and the next one too
        ("8.2", 8_200_000),
        ("1e-6", 1),
        ("86400", 86_400_000_000),
        ("86400.000001", 86_400_000_001),
        ("86401", 86_401_000_000),
        ("999999999.999999", 999_999_999_999_999),  # more digits than a binary float has
        ("900719925.474099", 900_719_925_474_099),
        ("0.30000000000000004", 300_000),
    ],
)
def test_seconds_are_exact_to_the_microsecond(text: str, duration_us: int) -> None:
    assert cdr_of(cdr_json(duration=raw(text))).duration_us == duration_us


@pytest.mark.parametrize(
    ("start", "at", "offset_min"),
    [
        ("2026-11-20T14:07:31.25Z", "2026-11-20T14:07:31.250000Z", 0),
        ("2026-11-20T14:07:31.000001Z", "2026-11-20T14:07:31.000001Z", 0),
        ("2026-11-20T09:07:31-05:00", "2026-11-20T14:07:31Z", -300),
        ("2026-11-20T19:52:31+05:45", "2026-11-20T14:07:31Z", 345),
        ("2026-11-20T10:37:31-03:30", "2026-11-20T14:07:31Z", -210),
        ("2028-02-29T23:59:59+14:00", "2028-02-29T09:59:59Z", 840),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500000Z", 0),
    ],
)
def test_instants_are_kept_in_utc_with_the_sources_offset(start: str, at: str, offset_min: int) -> None:
    record = cdr_of(cdr_json(start=start))
    assert (record.start_at, record.offset_min, record.answer_at) == (micros(at), offset_min, micros(at))


@pytest.mark.parametrize(
    ("answer", "after_us"),
    [
        ("2026-11-20T09:07:31-05:00", 0),
        ("2026-11-20T09:07:31.000001-05:00", 1),
        ("2026-11-20T14:07:35Z", 4 * MICROS),
        ("2026-11-20T09:07:30.999999-05:00", 0),  # a switch that answers in whole seconds
        ("2026-11-20T09:07:30.000001-05:00", 0),
    ],
)
def test_an_answer_less_than_a_second_before_the_start_counts_as_the_start(answer: str, after_us: int) -> None:
    assert cdr_of(cdr_json(answer=answer)).answer_at == micros(START) + after_us


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("+12125550142", "12125550142"),
        ("12125550142", "12125550142"),
        ("911", "911"),
        ("+999123", "999123"),
        ("123456789012345", "123456789012345"),
        ("sip:ada@example.net", "sip:ada@example.net"),
        ("ip:192.0.2.7", "ip:192.0.2.7"),
    ],
)
@pytest.mark.parametrize("field", ["calling", "called", "charge_to"])
def test_a_number_is_kept_as_its_key(field: str, text: str, key: str) -> None:
    assert getattr(cdr_of(cdr_json(**{field: text})), field) == key


@pytest.mark.parametrize("call_type", sorted(CALL_TYPES))
def test_a_record_may_be_of_every_type(call_type: str) -> None:
    assert cdr_of(cdr_json(type=call_type)).type == call_type


OPTIONAL = {
    "service": "long-distance",
    "charge_to": "12125550199",
    "place": "Zürich 😀",
    "cause": 16,
    "switch": "kam1",
    "trunk_in": "t1",
    "trunk_out": "t2",
    "session": "s",
    "leg": "a",
    "username": "ada",
    "device": "imei:1",
    "units": 3,
    "partial": 2,
    "last": True,
}


@pytest.mark.parametrize(
    ("field", "value"), [*OPTIONAL.items(), ("cause", "normal clearing"), ("last", False), ("units", 0), ("place", "")]
)
def test_an_optional_field_is_kept_and_null_is_as_if_it_was_not_there(field: str, value: Any) -> None:
    assert cdr_of(cdr_json(**{field: value})) == a_cdr(**{field: value})
    assert cdr_of(cdr_json(**{field: None})) == a_cdr()


@pytest.mark.parametrize("also", [{}, {"unheard_of": 1}])
@pytest.mark.parametrize(
    ("field", "text", "value"),
    [("units", "3.0", 3), ("units", "1e2", 100), ("partial", "2.0", 2), ("cause", "16.0", 16)],
)
def test_a_whole_number_may_be_spelled_with_a_point(field: str, text: str, value: int, also: dict[str, Any]) -> None:
    record = cdr_of(cdr_json(**{field: raw(text)}, **also))
    assert record == a_cdr(**{field: value}, extra=also or None)
    assert type(getattr(record, field)) is int


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('"x":61', '"x":61.0'),
        ('"x":61', '"x":6.1e1'),
        ('"x":0', '"x":-0.0'),
        ('"x":0.5', '"x":0.50'),
        ('"x":1000000000000000000', '"x":1e18'),
        ('"x":100000000000000000000', '"x":1e20'),
        ('"x":123456789012345678901234567890', '"x":1.2345678901234567890123456789e29'),
        ('"x":[1,{"a":2}]', '"x": [ 1.0, { "a" : 2.0 } ]'),
        ('"x":{"a":1,"b":2}', '"x":{"b":2,"a":1}'),
        ('"x":"é"', '"x":"\\u00e9"'),
    ],
)
def test_unknown_fields_are_kept_in_extra_and_equal_ones_are_equal(text: str, same: str) -> None:
    record = cdr_of(with_raw(text))
    assert kept(record) == kept(cdr_of(with_raw(same)))
    assert msgspec.json.decode(kept(record)) == msgspec.json.decode("{" + text + "}")
    assert msgspec.structs.replace(record, extra=None) == a_cdr()


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ('"x":1', '"x":"1"'),
        ('"x":1', '"x":true'),
        ('"x":0', '"x":false'),
        ('"x":1', '"x":1.0000000000000000000000001'),
        ('"x":9007199254740993', '"x":9007199254740992'),
        ('"x":[1,2]', '"x":[2,1]'),
        ('"x":1', '"y":1'),
    ],
)
def test_different_unknown_fields_are_different(text: str, other: str) -> None:
    assert kept(cdr_of(with_raw(text))) != kept(cdr_of(with_raw(other)))


@pytest.mark.parametrize("name", ["extra", "source", "start_at", "duration_us", "calling ", "ID", "", "\u0000"])
def test_a_field_with_an_internal_name_is_unknown_like_any_other(name: str) -> None:
    assert cdr_of(cdr_json(**{name: "x"})) == a_cdr(extra={name: "x"})


@pytest.mark.parametrize(
    ("field", "value"),
    [("place", 7), ("switch", True), ("leg", ["a"]), ("partial", "two"), ("last", "yes"), ("cause", [1])],
)
def test_an_optional_field_of_another_kind_that_decides_nothing_is_kept_as_it_is(field: str, value: Any) -> None:
    assert cdr_of(cdr_json(**{field: value})) == a_cdr(extra={field: value})


@pytest.mark.parametrize(("text", "id_"), [('"id":"b"', "b"), ('"id":"b","x":1', "b"), ('"duration":61,"id":"c"', "c")])
def test_of_a_field_that_stands_twice_the_last_counts(text: str, id_: str) -> None:
    assert cdr_of(with_raw(text)).id == id_
    assert cdr_of(b'{"duration":"no",' + cdr_json()[1:]).duration_us == 61_000_000


LONG = "x" * 255


@pytest.mark.parametrize("id_", ["", " ", "\u0000", "a\nb", "😀", LONG])
def test_an_id_is_any_string(id_: str) -> None:
    assert cdr_of(cdr_json(id=id_)).id == id_


REASONS = [
    # not UTF-8, not JSON, not an object
    ("malformed", b"\xff"),
    ("malformed", b"{\xff}"),
    ("malformed", cdr_json(place="?").replace(b"?", b"\xff")),
    ("malformed", cdr_json(place="?").replace(b"?", b"\xed\xa0\x80")),
    ("malformed", cdr_json(nowhere="?").replace(b"?", b"\xc3")),
    ("malformed", b"\xef\xbb\xbf" + cdr_json()),
    ("malformed", cdr_json().decode().encode("utf-16")),
    ("malformed", b"x"),
    ("malformed", b"\0"),
    ("malformed", b"{"),
    ("malformed", cdr_json()[:-1]),
    ("malformed", cdr_json() + b"}"),
    ("malformed", cdr_json() + cdr_json()),
    ("malformed", cdr_json().replace(b",", b",,", 1)),
    ("malformed", cdr_json().replace(b'"', b"'")),
    ("malformed", cdr_json(place="?").replace(b"?", b"\x01")),
    ("malformed", cdr_json(place="?").replace(b"?", b"\\ud800")),
    ("malformed", cdr_json(place="?").replace(b"?", b"\\udc00\\ud800")),
    ("malformed", cdr_json(nowhere="?").replace(b"?", b"\\ud800")),
    ("malformed", cdr_json(duration=raw("NaN"))),
    ("malformed", cdr_json(duration=raw("Infinity"))),
    ("malformed", cdr_json(duration=raw("061"))),
    ("malformed", cdr_json(duration=raw("+61"))),
    ("malformed", b"[" + cdr_json() + b"]"),
    ("malformed", b"null"),
    ("malformed", b"true"),
    ("malformed", b"61"),
    ("malformed", b'"text"'),
    ("malformed", b"[]"),
    ("malformed", b"{}"),
    # a required field missing or of another kind
    *(("malformed", cdr_json(**{name: ABSENT})) for name in ("id", "calling", "called", "start", "duration")),
    *(("malformed", cdr_json(**{name: None})) for name in ("id", "calling", "called", "start", "duration")),
    *(("malformed", cdr_json(**{name: 61})) for name in ("id", "calling", "called", "start")),
    *(("malformed", cdr_json(**{name: {}})) for name in ("id", "calling", "called", "start", "duration")),
    ("malformed", cdr_json(duration="61")),
    ("malformed", cdr_json(duration=True)),
    ("malformed", cdr_json(duration=[61])),
    ("malformed", cdr_json(id=LONG + "x")),
    # a negative duration
    ("malformed", cdr_json(duration=-1)),
    ("malformed", cdr_json(duration=raw("-0.000001"))),
    ("malformed", cdr_json(duration=raw("-1e-30"))),
    # optional fields that decide who pays and how much
    ("malformed", cdr_json(type="telepathy")),
    ("malformed", cdr_json(type="Direct")),
    ("malformed", cdr_json(type=1)),
    ("malformed", cdr_json(service=["fax"])),
    ("malformed", cdr_json(charge_to=12125550199)),
    ("malformed", cdr_json(units=-1)),
    ("malformed", cdr_json(units=1.5)),
    ("malformed", cdr_json(units="3")),
    ("malformed", cdr_json(units=True)),
    # cannot be brought to E.164
    *(
        ("bad-number", cdr_json(**{field: number}))
        for field in ("calling", "called", "charge_to")
        for number in ("", "+", "12", "+12", "1234567890123456", "0123", "+0123", "anonymous", "+1 212 555", "٣٣٣",
                       "sip:", "tel:+123456", "12125550142 ")
    ),
    # an instant that cannot be read; an answer a second or more before the start
    *(
        ("bad-time", cdr_json(**{field: instant}))
        for field in ("start", "answer")
        for instant in ("", "now", "2026-11-20", "2026-11-20T09:07:31", "2026-11-20T09:07Z", "2026-11-20T09:07:31.Z",
                        "2026-11-20T09:07:31,5Z", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
                        "2026-11-20T24:00:00Z", "2026-11-20T09:60:00Z", "2026-11-20T09:07:31+24:00",
                        "2026-11-20T09:07:31+05", "20261120T090731Z", "2026-W47-5T09:07:31Z", "0000-01-01T00:00:00Z",
                        "+002026-11-20T09:07:31Z", "1795183651", "２０２６-11-20T09:07:31Z", " 2026-11-20T09:07:31Z",
                        "2026-11-20T09:07:31 Z")
    ),
    ("bad-time", cdr_json(answer="2026-11-20T09:07:30-05:00")),
    ("bad-time", cdr_json(start="2026-11-20T14:07:31.5Z", answer="2026-11-20T14:07:30.5Z")),
    ("bad-time", cdr_json(answer="1970-01-01T00:00:00Z")),
    # an answer of another kind cannot be read either
    *(("bad-time", cdr_json(answer=value)) for value in (5, 1795183651, raw("5.5"), True, False, {}, [START])),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "line"), REASONS)
def test_what_cannot_be_read_has_a_reason(reason: str, line: bytes) -> None:
    record = refused(line)
    assert record.reason == reason
    assert record.detail.isprintable()


@pytest.mark.parametrize(
    ("reason", "fields"),
    [
        ("malformed", {"duration": -1, "calling": "x", "start": "x"}),
        ("malformed", {"calling": "x", "start": "x", "type": "telepathy"}),
        ("malformed", {"calling": "x", "units": -1}),
        ("malformed", {"start": "x", "service": 7}),
        ("malformed", {"called": "x", "start": "x", "duration": ABSENT}),
        ("malformed", {"start": "x", "id": LONG + "x"}),
        ("bad-number", {"calling": "x", "start": "x"}),
        ("bad-number", {"called": "x", "answer": "x"}),
        ("bad-number", {"charge_to": "x", "answer": "2020-01-01T00:00:00Z"}),
        ("bad-time", {"start": "x", "answer": "2020-01-01T00:00:00Z"}),
        ("malformed", {"answer": 5, "type": "telepathy"}),
        ("bad-number", {"answer": {}, "charge_to": "x"}),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("also", [{}, {"unheard_of": 1}])
def test_of_several_reasons_the_first_of_the_contract_applies(
    reason: str, fields: dict[str, Any], order: int, also: dict[str, Any]
) -> None:
    record = msgspec.json.decode(cdr_json(**fields, **also))
    assert refused(msgspec.json.encode(dict([*record.items()][::order]))).reason == reason


@pytest.mark.parametrize(
    ("line", "id_", "start"),
    [
        (cdr_json(duration=-1), "a81f-0001", START),
        (cdr_json(calling="x"), "a81f-0001", START),
        (cdr_json(answer="x"), "a81f-0001", START),
        (cdr_json(start="x"), "a81f-0001", None),
        (cdr_json(id=7), None, None),
        (b"x", None, None),
    ],
)
def test_a_refused_line_has_its_key_as_far_as_it_can_be_read(line: bytes, id_: str | None, start: str | None) -> None:
    record = refused(line)
    assert (record.id, record.start_at) == (id_, start and micros(start))


@pytest.mark.parametrize(
    "spelled",
    [
        cdr_json(duration=raw("-1.0")),
        cdr_json(duration=-1).replace(b",", b" , "),
        cdr_json(duration=-1, start="2026-11-20T14:07:31Z"),
        cdr_json(duration=-1, calling=CALLING),
        cdr_json(duration=-1, type="direct", answer=START, service=None),
        b'{"duration":-1,' + cdr_json(duration=ABSENT)[1:],
    ],
)
def test_a_refused_record_with_a_key_is_known_again_by_its_values(spelled: bytes) -> None:
    assert refused(spelled).digest == refused(cdr_json(duration=-1)).digest


@pytest.mark.parametrize(
    ("line", "other"),
    [
        (cdr_json(duration=-1), cdr_json(duration=-2)),
        (cdr_json(duration=-1), cdr_json(duration=-1, x=1)),
        (cdr_json(duration=-1), cdr_json(duration=-1, id="b")),
        (cdr_json(duration=-1), cdr_json(duration=-1, start="2026-11-20T14:07:32Z")),
        (b"x", b"x "),
        (b'{"id":7}', b'{"id": 7}'),  # without a key it is known by its bytes
        (cdr_json(start="x"), cdr_json(start="x").replace(b",", b" ,")),
    ],
)
def test_other_values_or_other_bytes_without_a_key_are_another_record(line: bytes, other: bytes) -> None:
    assert refused(line).digest != refused(other).digest


@pytest.mark.parametrize("call_type", ["message", "data"])
def test_a_message_without_units_is_one_unit(call_type: str) -> None:
    one = cdr_of(cdr_json(type=call_type, units=1))
    assert one.units == 1
    for spelled in ({}, {"units": None}, {"units": raw("1.0")}, {"units": raw("10E-1")}):
        assert cdr_of(cdr_json(type=call_type, **spelled)) == one
        refused_one = refused(cdr_json(type=call_type, called="x", **spelled))
        assert refused_one.digest == refused(cdr_json(type=call_type, called="x", units=1)).digest
    for other in (0, 2):
        assert cdr_of(cdr_json(type=call_type, units=other)) != one
        refused_one = refused(cdr_json(type=call_type, called="x", units=other))
        assert refused_one.digest != refused(cdr_json(type=call_type, called="x")).digest


def test_the_units_of_a_call_are_what_it_says_of_them() -> None:
    assert [cdr_of(cdr_json(**fields)).units for fields in ({}, {"units": 1})] == [None, 1]


def test_a_line_is_refused_above_its_greatest_length_and_read_up_to_it() -> None:
    fits = cdr_json(x="") + b" " * (MAX_LINE - len(cdr_json(x="")))
    assert cdr_of(fits).extra == {"x": ""}
    assert refused(fits + b" ").reason == "malformed"
    assert refused(cdr_json(place="x" * 70_000)).reason == "malformed"


def test_the_words_name_the_byte_that_is_not_utf_8() -> None:
    line = cdr_json(place="?").replace(b"?", b"\xff")
    assert f"byte {line.index(0xFF)} is 0xff" in refused(line).detail
