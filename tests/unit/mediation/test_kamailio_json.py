"""Kamailio's posted calls: exact times, what the SIP code says, and what cannot be read.

Posts with their results are in tests/corpus/kamailio-json, read by tests/contract/test_formats.py.
"""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediation.formats.kamailio_json import parse_kamailio
from mediation.formats.unreadable import MAX_LINE, Unreadable
from rating.cdr import CDR
from tests.builders import ABSENT, CALLED, CALLING, micros, raw

START = "2026-11-20T14:07:35.250Z"
VALUES = {
    "start_time": "1795183655.250",
    "end_time": "1795183716.500",
    "duration": "61.250",
    "callid": "1-4242@127.0.0.1",
    "a": CALLING,
    "b": CALLED,
    "src_ip": "127.0.0.1",
    "endby": "caller",
    "code": "200",
}


def post(**fields: Any) -> bytes:
    """The usual call, `fields` replaced; `ABSENT` leaves one out."""
    return msgspec.json.encode({name: value for name, value in (VALUES | fields).items() if value is not ABSENT})


def cdr_of(line: bytes) -> CDR:
    record = parse_kamailio(line, "kam1")
    assert isinstance(record, CDR), record
    return record


def refused(line: bytes) -> Unreadable:
    record = parse_kamailio(line, "kam1")
    assert isinstance(record, Unreadable), record
    return record


def test_a_post_becomes_a_cdr() -> None:
    assert cdr_of(post()) == CDR(
        source="kam1",
        id="1-4242@127.0.0.1",
        calling=CALLING,
        called=CALLED,
        start_at=micros(START),
        offset_min=0,
        answer_at=micros(START),
        duration_us=61_250_000,
        cause=16,
        session="1-4242@127.0.0.1",
        extra={"end_time": "1795183716.500", "src_ip": "127.0.0.1", "endby": "caller", "code": "200"},
    )


@pytest.mark.parametrize(
    "line",
    [
        json.dumps(VALUES, indent=2).encode(),
        b" " + post() + b"\r\n",
        msgspec.json.encode(dict(reversed(VALUES.items()))),
        post(a="+" + CALLING, b="+" + CALLED),
        post(start_time="1795183655.25", duration="61.25000"),
        post(ftag="", ttag=None),
    ],
)
def test_another_spelling_of_the_same_values_is_the_same_record(line: bytes) -> None:
    assert cdr_of(line) == cdr_of(post())


@pytest.mark.parametrize(
    ("text", "micros_"),
    [
        ("0", 0),
        ("-0.000", 0),
        ("0.001", 1_000),
        ("61", 61_000_000),
        ("1.000001", 1_000_001),  # a binary float makes it a microsecond less
        ("8.2", 8_200_000),
        ("900719925.474099", 900_719_925_474_099),
        ("0.9999999", 999_999),
        ("61." + "3" * 5000, 61_333_333),
    ],
)
def test_seconds_are_exact_to_the_microsecond(text: str, micros_: int) -> None:
    assert cdr_of(post(duration=text)).duration_us == micros_
    assert cdr_of(post(start_time=text)).start_at == micros_


@pytest.mark.parametrize(
    ("code", "cause"),
    [("200", 16), ("202", 16), ("486", 17), ("480", 18), ("408", 102), ("404", 1), ("403", 21), ("503", 41),
     ("600", 17), ("603", 21), ("487", None), ("302", None), ("", None), (None, None), (ABSENT, None)],
)  # fmt: skip
def test_the_sip_code_is_told_as_a_cause(code: Any, cause: int | None) -> None:
    assert cdr_of(post(code=code, duration="0")).cause == cause


@pytest.mark.parametrize("code", ["200", "299", "", "487", "302"])
def test_a_call_that_lasted_was_answered_whatever_a_losing_branch_left_behind(code: str) -> None:
    assert cdr_of(post(code=code)).duration_us == 61_250_000


def test_a_call_that_was_ended_over_rpc_has_nobody_who_ended_it() -> None:
    record = cdr_of(post(endby=""))
    assert record.duration_us == 61_250_000
    assert record.extra is not None
    assert "endby" not in record.extra


def test_fields_that_are_not_known_are_kept() -> None:
    record = cdr_of(post(ftag="as7f3", gateway=7, x=raw("1.50"), list=[1, {"a": "b"}]))
    assert msgspec.json.Encoder(decimal_format="number").encode(record.extra) == (
        b'{"end_time":"1795183716.500","src_ip":"127.0.0.1","endby":"caller","code":"200",'
        b'"ftag":"as7f3","gateway":7,"x":1.5,"list":[1,{"a":"b"}]}'
    )


def test_a_number_may_be_an_address() -> None:
    assert cdr_of(post(a="sip:ada@example.net")).calling == "sip:ada@example.net"


REQUIRED = ("callid", "a", "b", "start_time", "duration")
REASONS = [
    *(("malformed", line) for line in (b"", b"x", b"\xff", b"null", b"[]", b'"x"', post()[:-1], post() * 2)),
    ("malformed", b"[" * 30_000),
    ("malformed", post(x="x" * MAX_LINE)),
    *(("malformed", post(**{name: value})) for name in REQUIRED for value in (ABSENT, None, 61, True, [], {})),
    *(("malformed", post(duration=text)) for text in ("", "-1", "-1.900", "-0.0000001", "NaN", "inf", "1e3", "x",
                                                     " 61", "61.", ".5", "1,5", "٣", "1000000001", "9" * 5000)),
    *(("malformed", post(code=code)) for code in ("20", "2000", "OK", "0xx", "٢٠٠", 200, True, raw("9" * 5000))),
    ("malformed", post(callid="")),
    ("malformed", post(callid="x" * 256)),
    *(("bad-number", post(**{name: text})) for name in ("a", "b")
      for text in ("", "anonymous", "ada", "12", "0123", "+1 212", "1" * 16)),
    *(("bad-time", post(start_time=text)) for text in ("", "x", "NaN", "-1", "-0.001", "2026-11-20T14:07:35Z",
                                                      "253402300800", "9" * 5000)),
    # of several the first
    ("malformed", post(duration="x", a="x", start_time="x")),
    ("malformed", post(code="x", a="x")),
    ("bad-number", post(b="x", start_time="x")),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "line"), REASONS, ids=range(len(REASONS)))
def test_what_cannot_be_read_has_a_reason(reason: str, line: bytes) -> None:
    record = refused(line)
    assert record.reason == reason
    assert record.detail.isprintable()


@pytest.mark.parametrize(
    ("line", "id_", "start"),
    [
        (post(duration="x"), "1-4242@127.0.0.1", START),
        (post(a="x"), "1-4242@127.0.0.1", START),
        (post(start_time="x"), "1-4242@127.0.0.1", None),
        (post(callid=7), None, None),
        (post(callid=""), None, None),
        (b"x", None, None),
    ],
)
def test_a_refused_post_has_its_key_as_far_as_it_can_be_read(line: bytes, id_: str | None, start: str | None) -> None:
    record = refused(line)
    assert (record.id, record.start_at) == (id_, start and micros(start))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_post(line: bytes) -> None:
    assert isinstance(parse_kamailio(line, "kam1"), CDR | Unreadable)


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(0, 3), st.binary(max_size=3))
def test_any_bytes_in_a_post_are_a_post(at: int, cut: int, put: bytes) -> None:
    line = post()
    assert isinstance(parse_kamailio(line[:at] + put + line[at + cut :], "kam1"), CDR | Unreadable)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["1e400", "-0", "61.5"]).map(raw),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*VALUES]) | st.text(max_size=3), values, max_size=4))
def test_any_values_are_a_post(changed: dict[str, Any]) -> None:
    line, turned = (json_of([*(VALUES | changed).items()][::order]) for order in (1, -1))
    one, other = parse_kamailio(line, "kam1"), parse_kamailio(turned, "kam1")
    assert type(one) is type(other)
    if isinstance(one, Unreadable) and isinstance(other, Unreadable) and one.start_at is not None:
        assert one.digest == other.digest


def json_of(fields: list[tuple[str, Any]]) -> bytes:
    return msgspec.json.encode(dict(fields))
