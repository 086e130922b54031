"""Every format keeps the port's promises, and makes of its corpus the calls that stand beside it.

tests/corpus/<format>/ holds raw samples; NAME.ndjson beside a sample says for each of its records the same call in the
native format (`extra` as it is kept), or the reason that it is suspended for, with the key as far as it can be read.
"""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediation.config.feeds import FORMATS
from mediation.formats import Parse, Unreadable, parser_of
from mediation.formats.ndjson import parse_line
from mediation.formats.unreadable import MAX_LINE
from mediation.pipeline.front import content_of_cdr
from rating.cdr import CDR
from tests.builders import cdr_json, micros

CORPUS = Path(__file__).parent.parent / "corpus"
ZONES = {"asterisk-csv/calls.csv": "America/New_York", "asterisk-csv/clock-changes.csv": "America/New_York"}
SAMPLES = sorted(
    path.relative_to(CORPUS).as_posix()
    for name in FORMATS
    for path in (CORPUS / name).glob("*")
    if path.suffix != ".ndjson"
)

POST = (
    b'{"start_time":"1795183655.250","end_time":"1795183716.500","duration":"61.250","callid":"c1","a":"12125550142",'
    b'"b":"442079460018","src_ip":"127.0.0.1","endby":"caller","code":"200"}'
)
ROW = (
    b'"","12125550142","442079460018","internal","ada","PJSIP/ada-1","PJSIP/out-2","Dial","x","2026-11-20 09:07:31",'
    b'"2026-11-20 09:07:35","2026-11-20 09:08:36",65,61,"ANSWERED","DOCUMENTATION","1795183651.1",""'
)
LINES = {
    "ndjson": (cdr_json(), cdr_json().replace(b",", b" , "), cdr_json(service="fax")),
    "asterisk-csv": (ROW, ROW.replace(b'"ada"', b"ada").replace(b",65,", b',"65",'), ROW.replace(b"Dial", b"Queue")),
    "kamailio-json": (POST, POST.replace(b",", b" ,\n"), POST.replace(b"caller", b"callee")),
}
"""Of each format a record, the same spelled otherwise, and one with its key that says something else."""

SPOILT = {
    "ndjson": (b"+442079460018", b"anonymous"),
    "asterisk-csv": (b"442079460018", b"anonymous"),
    "kamailio-json": (b"442079460018", b"anonymous"),
}


def read(name: str, line: bytes) -> CDR | Unreadable:
    return parser_of(name, ZoneInfo("America/New_York"))(line, "source")


def said(record: CDR | Unreadable) -> tuple[Any, ...]:
    """What the store compares: the natural key, and the content."""
    if isinstance(record, Unreadable):
        return record.id, record.start_at, record.digest
    return record.id, record.start_at, content_of_cdr(record)


def test_there_is_a_sample_of_every_format_and_a_format_of_every_name() -> None:
    assert set(LINES) == set(SPOILT) == set(FORMATS)
    assert {sample.split("/")[0] for sample in SAMPLES} == set(FORMATS) - {"ndjson"}
    for name in FORMATS:
        parser: Parse = parser_of(name, None)
        assert isinstance(parser(LINES[name][0], "source"), CDR)
    with pytest.raises(AssertionError):
        parser_of("morse", None)


@pytest.mark.parametrize("name", FORMATS)
def test_equal_records_are_equal_and_others_are_not(name: str) -> None:
    record, same, other = (read(name, line) for line in LINES[name])
    assert isinstance(record, CDR)
    assert said(record) == said(same)
    assert said(record)[:2] == said(other)[:2]
    assert said(record)[2] != said(other)[2]


@pytest.mark.parametrize("name", FORMATS)
def test_equal_refused_records_have_equal_digests_and_others_do_not(name: str) -> None:
    record, same, other = (read(name, line.replace(*SPOILT[name])) for line in LINES[name])
    assert isinstance(record, Unreadable)
    assert record.reason == "bad-number"
    assert "anonymous" in record.detail
    assert None not in (record.id, record.start_at)
    assert said(record) == said(same)
    assert said(record)[2] != said(other)[2]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("line", [b"", b"x", b"\0", b"\xff", b"{}", b",", b'"', b"x" * (MAX_LINE + 1)])
def test_what_is_no_record_is_known_by_its_bytes_and_says_why(name: str, line: bytes) -> None:
    record, longer = read(name, line), read(name, line + b" ")
    assert isinstance(record, Unreadable)
    assert record.reason == "malformed"
    assert record.detail.isprintable()
    assert record.detail
    assert said(record) == (None, None, said(read(name, line))[2])
    assert record.digest != said(longer)[2]


@settings(deadline=None)
@given(st.sampled_from(FORMATS), st.binary(max_size=100), st.integers(0, 400), st.integers(0, 400))
def test_no_bytes_are_too_much_for_a_format(name: str, put: bytes, at: int, cut: int) -> None:
    line = LINES[name][0]
    for text in (put, line[:at] + put + line[at + cut :]):
        record = read(name, text)
        assert isinstance(record, CDR) or record.detail.isprintable()


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_corpus_is_read_as_it_is_said_to_be(sample: str) -> None:
    path = CORPUS / sample
    raw = path.read_bytes()
    zone = ZONES.get(sample)
    parse = parser_of(sample.split("/")[0], None if zone is None else ZoneInfo(zone))
    lines = raw.splitlines() if path.suffix == ".csv" else [raw]
    expected = path.with_suffix(".ndjson").read_bytes().splitlines()
    assert [outcome(parse(line, "source")) for line in lines] == [expected_outcome(line) for line in expected]


def outcome(record: CDR | Unreadable) -> CDR | tuple[str | None, str, int | None]:
    return record if isinstance(record, CDR) else (record.id, record.reason, record.start_at)


def expected_outcome(line: bytes) -> CDR | tuple[str | None, str, int | None]:
    fields = msgspec.json.decode(line)
    if "suspended" in fields:
        return fields["id"], fields["suspended"], fields["start"] and micros(fields["start"])
    record = parse_line(line, "source")
    assert isinstance(record, CDR), record
    return msgspec.structs.replace(record, extra=fields.get("extra"))
