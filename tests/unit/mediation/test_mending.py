"""A suspended record by its fields: as it was understood, and with some of them changed."""

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediation.formats import parser_of
from mediation.formats.json_object import encode_sorted
from mediation.formats.ndjson import parse_line
from mediation.pipeline.mending import Mend, NotMendable, Replacement, mended_line, native_fields, understood
from rating.cdr import CALL_TYPES, CDR, MICROS
from rating.store.suspense import SuspenseRecord
from tests.builders import CALLED, CALLING, NOW, START, a_cdr, cdr_json, micros

NEW_YORK = "asterisk-csv America/New_York"
ROW = (
    b'"acct","12125550142","442079460018","ctx","","SIP/1","SIP/2","Dial","say ""x""","2026-11-20 09:07:31",'
    b'"2026-11-20 09:07:32","2026-11-20 09:08:33",62,61,"ANSWERED","DOCUMENTATION","1795183651.1","note"'
)
POSTED = (
    b'{"callid":"c1","a":"12125550142","b":"442079460018","start_time":"1795183651.250","duration":"61.5","code":"200"}'
)


def a_record(line: bytes, format_: str = "ndjson", **columns: Any) -> SuspenseRecord:
    """An open record of the source pop-nyc."""
    values = {
        "id": 1, "source": 1, "record_id": None, "start_at": None, "reason": "malformed", "detail": "", "raw": line,
        "format": format_, "mended": None, "mended_format": None, "arrived_at": NOW, "state": "open",
        "changed_at": None, "changed_by": None, "remark": None, "transaction_id": None,
    }  # fmt: skip
    return SuspenseRecord(**values | columns)


def parser(format_: str) -> Any:
    name, _, zone = format_.partition(" ")
    return parser_of(name, ZoneInfo(zone) if zone else None)


def mended(raw: bytes, format_: str = "ndjson", **mend: Any) -> tuple[bytes, str] | None:
    return mended_line(a_record(raw, format_), "pop-nyc", parser(format_), Mend(**mend))


INSTANTS = st.integers(0, 4_000_000_000 * MICROS)
TEXTS = st.none() | st.text(max_size=8)


@given(
    st.builds(
        a_cdr,
        id=st.text(max_size=8),
        calling=st.sampled_from((CALLING, "101", "sip:ada@pbx", "card:1")),
        start_at=INSTANTS,
        offset_min=st.integers(-720, 840),
        answer_at=st.just(4_000_000_001 * MICROS),
        duration_us=st.integers(0, 10**9 * MICROS),
        type=st.sampled_from(sorted(CALL_TYPES)),
        service=TEXTS,
        charge_to=st.none() | st.just(CALLED),
        units=st.integers(0, 10**12),
        device=TEXTS,
        place=TEXTS,
        cause=st.none() | st.integers(0, 127) | st.text(max_size=4),
        session=TEXTS,
        partial=st.none() | st.integers(0, 99),
        last=st.none() | st.booleans(),
        extra=st.none() | st.dictionaries(st.sampled_from(("shoe", "x y", "")), st.integers(0, 9), min_size=1),
    )
)
def test_what_was_understood_is_read_again_as_the_same(cdr: CDR) -> None:
    assert parse_line(encode_sorted(native_fields(cdr)), cdr.source) == cdr


def test_a_field_of_another_format_does_not_hide_one_of_ours() -> None:
    fields = native_fields(a_cdr(extra={"duration": "62", "end": "x"}))
    assert (fields["duration"], fields["extra_duration"], fields["end"]) == (61, "62", "x")


@pytest.mark.parametrize(
    ("line", "format_", "expected"),
    [
        (cdr_json(), "ndjson", {"calling": "+" + CALLING, "start": START, "duration": 61, "type": "direct"}),
        (cdr_json(duration=-1), "ndjson", {"calling": "+" + CALLING, "duration": -1}),
        (ROW, NEW_YORK, {"calling": "+" + CALLING, "start": START, "duration": 61, "extra_duration": "62"}),
        (ROW.replace(b"12125550142", b"s"), NEW_YORK, {"src": "s", "dst": CALLED, "lastdata": 'say "x"'}),
        (POSTED, "kamailio-json", {"id": "c1", "called": "+" + CALLED}),
        (POSTED.replace(b"442079460018", b"x"), "kamailio-json", {"callid": "c1", "b": "x"}),
    ],
)
def test_a_record_is_shown_as_far_as_it_can_be_read(line: bytes, format_: str, expected: dict[str, Any]) -> None:
    fields = understood(a_record(line, format_), "pop-nyc", parser(format_)).fields
    assert fields | expected == fields


@pytest.mark.parametrize("line", [b"", b"x", b"[]", b"\xff", b"[" * 60_000])
@pytest.mark.parametrize("format_", ["ndjson", "kamailio-json"])
def test_of_a_line_that_cannot_be_read_at_all_it_is_said_why(line: bytes, format_: str) -> None:
    shown = understood(a_record(line, format_), "pop-nyc", parser(format_))
    assert shown.fields == {}
    assert shown.refused
    assert shown.refused.reason == "malformed"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"set": {"called": "+101"}}, {"called": "+101"}),
        ({"set": {"duration": "61.5"}}, {"duration": 61.5}),
        ({"set": {"duration": "long"}}, {"duration": "long"}),  # the parser says what is wrong
        ({"set": {"last": "true", "partial": "2"}}, {"last": True, "partial": 2}),
        ({"set": {"shoe": "42"}}, {"shoe": "42"}),
        ({"replace": (Replacement("duration", "61", "62"),)}, {"duration": 62}),
        (
            {"replace": (Replacement("calling", CALLING, "101"), Replacement("calling", "101", "102"))},
            {"calling": "102"},
        ),
    ],
)
def test_fields_are_set_and_the_others_kept(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    line = mended(cdr_json(x={"y": [1]}), **changes)
    assert line
    assert msgspec.json.decode(line[0]) == msgspec.json.decode(cdr_json(x={"y": [1]})) | expected


@pytest.mark.parametrize(
    "changes",
    [
        {"set": {"calling": "+" + CALLING}},
        {"set": {"device": ""}},
        {"replace": (Replacement("calling", "999", "101"),)},
        {"replace": (Replacement("device", "x", "y"),)},
        {"line": cdr_json()},
    ],
)
def test_what_says_the_same_is_no_change(changes: dict[str, Any]) -> None:
    assert mended(cdr_json(), **changes) is None


def test_an_empty_value_takes_a_field_away() -> None:
    line = mended(cdr_json(device="phone"), set={"device": ""})
    assert line
    assert "device" not in msgspec.json.decode(line[0])


def test_a_row_that_was_understood_becomes_a_line_of_the_native_format() -> None:
    line = mended(ROW, NEW_YORK, set={"called": CALLING})
    assert line
    assert line[1] == "ndjson"
    cdr = parse_line(line[0], "pop-nyc")
    assert isinstance(cdr, CDR)
    assert (cdr.called, cdr.start_at, cdr.offset_min, cdr.duration_us) == (CALLING, micros(START), -300, 61 * MICROS)


def test_a_row_that_cannot_be_read_stays_one_with_its_other_cells() -> None:
    line = mended(ROW.replace(b"12125550142", b"s"), NEW_YORK, set={"src": CALLING})
    assert line
    assert line[1] == NEW_YORK
    read = parser(NEW_YORK)
    assert read(line[0], "pop-nyc") == read(ROW, "pop-nyc")


def test_a_mended_record_is_mended_further() -> None:
    once = a_record(b"x", NEW_YORK, mended=cdr_json(duration=5), mended_format="ndjson")
    line = mended_line(once, "pop-nyc", parse_line, Mend(set={"called": "101"}))
    assert line
    assert msgspec.json.decode(line[0]) == msgspec.json.decode(cdr_json(duration=5, called="101"))


@pytest.mark.parametrize(
    ("line", "format_", "words"),
    [
        (b"x", "ndjson", "give the whole line"),
        (b'"a', NEW_YORK, "give the whole line"),
        (ROW.replace(b"12125550142", b"s"), NEW_YORK, "no column called"),
    ],
)
def test_what_has_no_such_field_says_what_to_do(line: bytes, format_: str, words: str) -> None:
    with pytest.raises(NotMendable, match=words):
        mended(line, format_, set={"called": "101"})


def test_a_mend_says_what_it_does() -> None:
    mend = Mend(set={"called": "101"}, replace=(Replacement("calling", "1", "2"),))
    assert mend.words() == "called=101, calling 1 replaced by 2"
    assert Mend(line=b"x").words() == "line replaced"
