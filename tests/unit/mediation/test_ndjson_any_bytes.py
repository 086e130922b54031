"""Whatever a line's bytes: it is read or refused, never raised about; and its two ways of being read agree."""

import json
import signal
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mediation.formats.ndjson import MAX_LINE, Unreadable, parse_line
from rating.cdr import CDR
from tests.builders import cdr_json, raw

FIELDS = (
    "id", "calling", "called", "start", "duration", "answer", "type", "service", "charge_to", "units", "device",
    "place", "cause", "switch", "trunk_in", "trunk_out", "session", "leg", "username", "partial", "last",
)  # fmt: skip
VALID = json.loads(cdr_json())

numbers = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=7).map(str),
    st.sampled_from(["0", "-0", "-0.0", "1.0", "61.0", "6.1e1", "16.0", "1e2", "1e18", "1e400", "-1e-400", "1E+99999",
                     "1e9999999", "1e-9999999", "1e99999999999999999999", "9" * 400, "9" * 5000, "0." + "3" * 400]),
)  # fmt: skip
instants = st.sampled_from(
    ["2026-11-20T09:07:31.250-05:00", "2026-11-20T14:07:31.25Z", "2026-11-20T14:07:30.5Z", "2026-11-20 14:07:31Z",
     "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2016-12-31T23:59:60Z", "2026-11-20T14:07:31", "x"]
)  # fmt: skip
texts = st.one_of(instants, st.sampled_from(["+12125550142", "12125550142", "0", "direct", "sip:a"]), st.text())
values = st.recursive(
    st.one_of(numbers, texts.map(json.dumps), st.sampled_from(["null", "true", "false"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ",".join(items) + "]"),
        st.dictionaries(st.text(), inner, max_size=3).map(
            lambda items: "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in items.items()) + "}"
        ),
    ),
    max_leaves=6,
)
changes = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), values, max_size=4)
"""Fields that replace those of a valid record, or stand beside them, as JSON text."""


def spelled(changed: dict[str, str], order: int = 1, between: str = ",") -> bytes:
    fields = [*({name: json.dumps(value) for name, value in VALID.items()} | changed).items()][::order]
    return ("{" + between.join(f"{json.dumps(name)}:{value}" for name, value in fields) + "}").encode()


def normal(extra: dict[str, Any] | None) -> bytes:
    """Unknown fields as a transaction keeps and compares them."""
    return msgspec.json.Encoder(order="sorted", decimal_format="number").encode(extra or {})


def said(record: CDR | Unreadable, without: str | None = None) -> tuple[Any, ...]:
    """Everything about a record by which it is known, the field `without` left out."""
    if isinstance(record, Unreadable):
        return record.reason, record.id, record.start_at
    extra = {name: value for name, value in (record.extra or {}).items() if name != without}
    values = [getattr(record, name) for name in CDR.__struct_fields__ if name != "extra"]
    return *[(type(value), value) for value in values], normal(extra)


@settings(deadline=None)
@given(changes)
@example({"partial": "2.0"})
@example({"cause": "16.0"})
@example({"units": "3.0"})
@example({"start": '"2026-11-20T14:07:31.9999995Z"'})
@example({"answer": "null", "type": "null"})
@example({"type": '"telepathy"'})
@example({"duration": "1e9999999"})
@example({"last": "1"})
def test_a_record_with_an_unknown_field_is_the_same_record_but_for_that_field(changed: dict[str, str]) -> None:
    alone = parse_line(spelled(changed), "pop-nyc")
    along = parse_line(spelled(changed | {"unheard_of": "[1]"}), "pop-nyc")
    assert said(along, "unheard_of") == said(alone)


@settings(deadline=None)
@given(changes, st.sampled_from([1, -1]), st.sampled_from([",", " , ", "\t,\r"]))
def test_order_and_spacing_change_nothing(changed: dict[str, str], order: int, between: str) -> None:
    one, other = parse_line(spelled(changed), "pop-nyc"), parse_line(spelled(changed, order, between), "pop-nyc")
    assert said(one) == said(other)
    if isinstance(one, Unreadable) and one.id is not None and one.start_at is not None:
        assert isinstance(other, Unreadable)
        assert one.digest == other.digest


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_line(line: bytes) -> None:
    assert isinstance(parse_line(line, "pop-nyc"), CDR | Unreadable)


@settings(deadline=None)
@given(changes, st.integers(0, 400), st.integers(0, 3), st.binary(max_size=3))
def test_any_bytes_in_a_record_are_a_line(changed: dict[str, str], at: int, cut: int, put: bytes) -> None:
    line = spelled(changed)
    assert isinstance(parse_line(line[:at] + put + line[at + cut :], "pop-nyc"), CDR | Unreadable)


HUGE = ["1e400", "1e999999", "1e9999999", "-1e9999999", "1e-9999999", "1e99999999999999999999",
        "1e-99999999999999999999", "9" * 400, "9" * 5000, "9" * 60_000, "-" + "9" * 5000, "0." + "9" * 60_000,
        "9" * 30_000 + "." + "9" * 30_000, "1" + "0" * 60_000, "9" * 60_000 + "e-60000"]  # fmt: skip


@pytest.mark.parametrize("number", HUGE, ids=lambda number: f"{number[:12]} of {len(number)}")
@pytest.mark.parametrize("field", ["duration", "units", "cause", "partial", "id", "start", "place", "last", "x"])
def test_a_number_of_any_size_is_read_or_refused(field: str, number: str) -> None:
    line = cdr_json(**{field: raw(number)})
    assert len(line) <= MAX_LINE
    record = parse_line(line, "pop-nyc")
    if field in ("id", "start"):
        assert isinstance(record, Unreadable)
    if isinstance(record, Unreadable):
        assert record.reason == "malformed"
        assert len(record.detail) < 2 * MAX_LINE


DEPTHS = [10, 60, 100, 200, 300, 400, 450, 500, 700, 900, 990, 1000, 2000, 30_000]


def nested(depth: int, opening: str, closing: str) -> bytes:
    return cdr_json(x=raw(opening * depth + "1" + closing * depth))[: MAX_LINE + 1]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]"), ("[", "")])
@pytest.mark.parametrize("refused", [b"", b',"duration":-1'])
def test_nesting_of_any_depth_is_read_or_refused(depth: int, opening: str, closing: str, refused: bytes) -> None:
    line = nested(depth, opening, closing)
    record = parse_line(line[:-1] + refused + line[-1:], "pop-nyc")
    if isinstance(record, Unreadable):
        assert record.reason == "malformed"


HARD = {
    "quotes": b"[" * 65 + b'"' + b'\\"' * 32_700,
    "strings": b"[" * 65 + b'"a' * 32_700,
    "backslashes": b"[" * 65 + b'"' + b"\\" * 65_000,
    "brackets": b"[{" * 32_000,
    "brackets in a string": b'{"x":"' + b"[{" * 32_000 + b'"}',
    "exponents": cdr_json(x=raw("[" + ",".join(["1e900"] * 10_000) + "]")),
    "fractions": cdr_json(x=raw("[" + ",".join(["1e-900000000"] * 4_000) + "]")),
    "fields": cdr_json(**{str(number): number for number in range(5_000)}),
    "times": cdr_json(start="2026-11-20T09:07:31." + "1" * 60_000 + "Z"),
    "digits": cdr_json(calling="1" * 60_000),
}


@pytest.fixture
def watchdog() -> Iterator[None]:
    """Ends a test that would hang. What is watched takes a thousandth of the time."""

    def bark(*_: object) -> None:
        raise AssertionError("one line holds up all others for seconds")

    before = signal.signal(signal.SIGALRM, bark)
    signal.alarm(5)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("watchdog")
@pytest.mark.parametrize("line", HARD.values(), ids=HARD.keys())
def test_no_line_takes_longer_than_its_length_asks_for(line: bytes) -> None:
    assert len(line) <= MAX_LINE
    assert isinstance(parse_line(line, "pop-nyc"), CDR | Unreadable)


@pytest.mark.parametrize("depth", DEPTHS)
def test_what_a_line_is_does_not_depend_on_how_deep_in_the_program_it_is_read(depth: int) -> None:
    """The same line comes again another day, through another feed: it has to be the same then."""

    def below(calls: int) -> CDR | Unreadable:
        return below(calls - 1) if calls else parse_line(nested(depth, "[", "]"), "pop-nyc")

    assert type(below(300)) is type(below(0))


@pytest.mark.parametrize(
    "text", [b"\\u0000", b"\\u0000\\u0000", b"\\u001f", b"\\/", b"\\ud83d\\ude00", b"\x7f", b"\xc2\x80"]
)
@pytest.mark.parametrize("field", ["id", "place", "x"])
def test_every_character_that_json_can_write_is_kept(field: str, text: bytes) -> None:
    record = parse_line(cdr_json(**{field: "?"}).replace(b"?", text), "pop-nyc")
    assert isinstance(record, CDR)
    value = record.extra["x"] if field == "x" and record.extra else getattr(record, field, None)
    assert value == json.loads(b'"' + text + b'"')
