"""What Accounting-Requests report, and the call records that are made of Stops."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from access.radius.codec import Malformed, Packet, read_packet
from access.radius.dictionary import Dictionary
from access.sessions import LiveSession
from mediation.feeds.accounting import Event, Status, call_record, number_of, read_event
from mediation.feeds.duplicates import KEEP_US, Duplicates
from mediation.feeds.h323_time import h323_at, h323_cause
from mediation.formats import parser_of
from rating.cdr import CDR, MICROS
from rating.dial_plan import Dialling, DialPlan
from simulators import radius_packets as radius
from tests.builders import NOW, micros

SECRET = b"s3cret"
KAMAILIO = Dictionary("kamailio")
NOW_S = NOW // MICROS
FIELDS: dict[str, tuple[int, bytes]] = {
    "status": (40, radius.number(2)),
    "session": (44, b"s1"),
    "nas": (32, b"gw1"),
    "user": (1, b"bob"),
    "calling": (31, b"+12125550142"),
    "called": (30, b"+442079460018"),
    "at": (55, radius.number(NOW_S)),
    "lasted": (46, radius.number(61)),
}


def event_of(
    attributes: radius.Attributes, arrived_at: int = NOW, dialling: Dialling | None = None
) -> Event | Malformed:
    packet = read_packet(radius.request(4, 1, SECRET, attributes))
    assert isinstance(packet, Packet)
    return read_event(
        packet, KAMAILIO, source="kam1", client="nas1", peer="192.0.2.7", arrived_at=arrived_at, dialling=dialling
    )


def an_event(more: radius.Attributes = (), arrived_at: int = NOW, **fields: bytes | None) -> Event:
    """A Stop; None takes a field away."""
    attributes = [(kind, fields.get(name, value)) for name, (kind, value) in FIELDS.items()]
    event = event_of([*((kind, value) for kind, value in attributes if value is not None), *more], arrived_at)
    assert isinstance(event, Event), event
    return event


def a_record(event: Event, known: LiveSession | None = None, *, shared: bool = False) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(call_record(event, known, shared=shared))
    return fields


AMERICAN = Dialling(DialPlan(country="US"))


@pytest.mark.parametrize(
    ("dialling", "calling", "line", "written", "mended"),
    [
        (None, "2125550142", "2125550142", "+2125550142", "2125550142"),
        (AMERICAN, "2125550142", "12125550142", "+12125550142", "12125550142"),
        (AMERICAN, "+2125550142", "2125550142", "+2125550142", "2125550142"),
        (AMERICAN, "sip:2125550142@example.net", *["sip:2125550142@example.net"] * 3),
        (AMERICAN, "5550142", "tel:5550142", "tel:5550142", "12125550142"),
        (AMERICAN, "anonymous", "anonymous", "anonymous", None),
    ],
)
def test_who_called_is_read_by_the_dial_plan_and_what_it_cannot_place_waits_for_another(
    dialling: Dialling | None, calling: str, line: str, written: str, mended: str | None
) -> None:
    event = event_of([(40, radius.number(2)), (44, b"s1"), (31, calling.encode())], dialling=dialling)
    assert isinstance(event, Event)
    assert event.session.line == line
    assert a_record(event)["calling"] == written
    assert Dialling(DialPlan(country="US", area_code="212", local_digits=(7,))).to_e164(written) == mended


@pytest.mark.parametrize(
    ("more", "fields", "at", "started_at"),
    [
        pytest.param([], {}, NOW_S, NOW_S - 61, id="the NAS's time"),
        pytest.param([(41, radius.number(9))], {}, NOW_S, NOW_S - 61, id="the NAS's time, whatever the delay"),
        pytest.param([], {"at": None}, NOW_S, NOW_S - 61, id="the arrival"),
        pytest.param([(41, radius.number(9))], {"at": None}, NOW_S - 9, NOW_S - 70, id="the arrival less the delay"),
        pytest.param([], {"at": radius.number(86_400)}, NOW_S, NOW_S - 61, id="a clock that was never set"),
        pytest.param([], {"lasted": None}, NOW_S, NOW_S, id="without a session time"),
        pytest.param([], {"lasted": b"\xff" * 4}, NOW_S, 0, id="longer than there is time"),
        pytest.param([(41, b"\xff" * 4)], {"at": None}, 0, 0, id="a delay longer than there is time"),
    ],
)
def test_when_it_happened(more: radius.Attributes, fields: dict[str, bytes | None], at: int, started_at: int) -> None:
    event = an_event(more, **fields)
    assert (event.at, event.session.started_at) == (at * MICROS, started_at * MICROS)


@pytest.mark.parametrize(
    ("fields", "more", "nas", "line", "username"),
    [
        ({}, [], "gw1", "12125550142", "bob"),
        ({"nas": None}, [(4, bytes((192, 0, 2, 9)))], "192.0.2.9", "12125550142", "bob"),
        ({"nas": None}, [], "192.0.2.7", "12125550142", "bob"),
        ({"calling": None}, [], "gw1", "bob", "bob"),
        ({"calling": None, "user": b"+12125550142"}, [], "gw1", "12125550142", "+12125550142"),
        ({"calling": b"", "user": b""}, [], "gw1", None, None),
        ({"calling": b"sip:bob@pbx.example;user=phone"}, [], "gw1", "sip:bob@pbx.example", "bob"),
    ],
)
def test_whose_session_it_is(
    fields: dict[str, bytes | None], more: radius.Attributes, nas: str, line: str | None, username: str | None
) -> None:
    session = an_event(more, **fields).session
    assert (session.key, session.line, session.username) == (("kam1", nas, "s1"), line, username)


@pytest.mark.parametrize(
    ("number", "status"),
    [(1, Status.START), (2, Status.STOP), (3, Status.INTERIM), (7, Status.ON), (8, Status.OFF), (15, Status.FAILED),
     (9, Status.OTHER), (0, Status.OTHER), (1 << 31, Status.OTHER)],
)  # fmt: skip
def test_what_is_reported(number: int, status: Status) -> None:
    assert an_event(status=radius.number(number)).status is status


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ([], "no Acct-Status-Type"),
        ([(44, b"s1")], "no Acct-Status-Type"),
        ([(40, radius.number(2))], "no Acct-Session-Id"),
        ([(40, radius.number(2)), (44, b"")], "no Acct-Session-Id"),
        ([(40, b"x"), (44, b"s1")], "Acct-Status-Type has 1 octets"),
    ],
)
def test_what_is_no_report_is_told(attributes: radius.Attributes, words: str) -> None:
    event = event_of(attributes)
    assert isinstance(event, Malformed)
    assert words in event.words


def test_a_report_sent_again_is_known_by_its_content() -> None:
    first = an_event([(41, radius.number(0)), (33, b"proxy")])
    assert an_event([(41, radius.number(9)), (80, bytes(16))], arrived_at=NOW + 9 * MICROS).digest == first.digest
    assert an_event(lasted=radius.number(62)).digest != first.digest
    assert an_event(called=b"+442079460019").digest != first.digest


def test_a_stop_is_a_record_of_the_native_format() -> None:
    record = a_record(an_event())
    assert record == {
        "id": "s1", "calling": "+12125550142", "called": "+442079460018", "start": "2026-11-20T14:58:59Z",
        "duration": 61, "session": "s1", "switch": "gw1", "username": "bob",
    }  # fmt: skip
    cdr = parser_of("ndjson", None)(call_record(an_event(), None, shared=False), "kam1")
    assert isinstance(cdr, CDR)
    assert (cdr.start_at, cdr.duration_us) == (NOW - 61 * MICROS, 61 * MICROS)
    assert a_record(an_event(), shared=True)["id"] == "s1@gw1"


@pytest.mark.parametrize(
    ("fields", "started_at", "start", "duration"),
    [
        pytest.param({}, NOW - 99 * MICROS, "2026-11-20T14:58:59Z", 61, id="the session time counts"),
        pytest.param(
            {"lasted": None}, NOW - 99_500_000, "2026-11-20T14:58:20.500000Z", 99.5, id="else from Start to Stop"
        ),
        pytest.param({"lasted": None}, NOW + MICROS, "2026-11-20T15:00:01Z", 0, id="never below nothing"),
        pytest.param({"lasted": None}, None, "2026-11-20T15:00:00Z", None, id="and unknown without either"),
        pytest.param({"lasted": radius.number(100)}, None, "2026-11-20T14:58:20Z", 100, id="of whole hundreds"),
        pytest.param({"lasted": radius.number(0)}, None, "2026-11-20T15:00:00Z", 0, id="of nothing"),
        pytest.param({"status": radius.number(15)}, NOW - 9, "2026-11-20T15:00:00Z", 0, id="a failed attempt"),
    ],
)
def test_when_a_call_began_and_how_long_it_lasted(
    fields: dict[str, bytes | None], started_at: int | None, start: str, duration: float | None
) -> None:
    known = None if started_at is None else replace(an_event().session, started_at=started_at)
    record = a_record(an_event(**fields), known)
    assert (record["start"], record.get("duration")) == (start, duration)


def test_who_called_whom_is_what_the_start_said() -> None:
    start = an_event(status=radius.number(1)).session
    hung_up_by_the_called = an_event(calling=b"+442079460018", called=None, user=b"ann")
    record = a_record(hung_up_by_the_called, start)
    assert (record["calling"], record["called"], record["username"]) == ("+12125550142", "+442079460018", "bob")
    without = a_record(hung_up_by_the_called)
    assert (without["calling"], without.get("called")) == ("+442079460018", None)


def test_a_call_given_up_before_its_answer_lasted_nothing() -> None:
    assert a_record(an_event([(101, radius.number(2))], lasted=None))["duration"] == 0
    assert "duration" not in a_record(an_event([(101, radius.number(8))], lasted=None))


def cisco(kind: int, text: str) -> tuple[int, bytes]:
    return 26, radius.number(9) + bytes((kind, 2 + len(text))) + text.encode()


def test_a_gateways_own_times_count() -> None:
    times = [
        cisco(25, "h323-setup-time=14:58:50.500 UTC Fri Nov 20 2026"),
        cisco(28, "h323-connect-time=14:58:57.250 UTC Fri Nov 20 2026"),
        cisco(29, "h323-disconnect-time=14:59:58.500 UTC Fri Nov 20 2026"),
        cisco(24, "h323-conf-id=ABCD 1234"),
    ]
    record = a_record(an_event(times))
    assert record["start"] == "2026-11-20T14:58:50.500000Z"
    assert record["answer"] == "2026-11-20T14:58:57.250000Z"
    assert record["duration"] == 61
    assert record["conf_id"] == "ABCD 1234"
    assert a_record(an_event(times, lasted=None))["duration"] == 61.25


@pytest.mark.parametrize(
    ("more", "cause"),
    [
        ([], None),
        ([(49, radius.number(1))], 16),
        ([(49, radius.number(2))], 27),
        ([(49, radius.number(99))], None),
        ([cisco(30, "h323-disconnect-cause=10"), (49, radius.number(2))], 16),
        ([cisco(30, "h323-disconnect-cause=7F")], 127),
        ([cisco(30, "h323-disconnect-cause=zz")], None),
        ([(102, radius.number(200))], None),
    ],
)
def test_why_a_call_ended(more: radius.Attributes, cause: int | None) -> None:
    assert a_record(an_event(more)).get("cause") == cause


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+12125550142", "+12125550142"),
        (" 12125550142 ", "12125550142"),
        ("tel:+1212555;phone-context=x", "+1212555"),
        ("tel:911;phone-context=x", "911"),
        ("sip:+12125550142@gw.example:5060;user=phone", "+12125550142"),
        ("<sips:+12125550142@gw.example>", "+12125550142"),
        ("sip:bob@gw.example;transport=tcp?x=y", "sip:bob@gw.example"),
        ("SIP:12125550142@gw.example", "sip:12125550142@gw.example"),
        ("ip:192.0.2.1", "ip:192.0.2.1"),
        ("", ""),
    ],
)
def test_numbers_and_addresses(text: str, number: str) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("15:59:47.000 EET Sun Dec 25 2005", "2005-12-25T13:59:47Z"),
        ("*09:30:00.250 EST Fri Nov 20 2026", "2026-11-20T14:30:00.25Z"),
        (".09:30:00 UTC Fri Nov 20 2026", "2026-11-20T09:30:00Z"),
        ("09:30:00.000 UTC Fri Nov 6 2026", "2026-11-06T09:30:00Z"),
        ("09:30:00.000 XYZ Fri Nov 20 2026", None),
        ("25:30:00.000 UTC Fri Nov 20 2026", None),
        ("09:30:00.000 UTC Fri Nox 20 2026", None),
        ("09:30:00.000 UTC Fri Feb 30 2026", None),
        ("", None),
        (None, None),
    ],
)
def test_ciscos_times(text: str | None, instant: str | None) -> None:
    assert h323_at(text) == (None if instant is None else micros(instant))


@pytest.mark.parametrize(
    ("text", "cause"), [("10", 16), ("0x1F", 31), ("7f", 127), ("", None), ("100", None), (7, None)]
)
def test_ciscos_causes(text: object, cause: int | None) -> None:
    assert h323_cause(text) == cause


@given(
    st.lists(
        st.tuples(st.sampled_from([1, 4, 26, 30, 31, 32, 40, 41, 44, 46, 49, 55, 95, 102]), st.binary(max_size=30))
    )
)
def test_no_report_raises_and_every_stop_makes_a_line(attributes: list[tuple[int, bytes]]) -> None:
    event = event_of(attributes)
    if isinstance(event, Event):
        for shared in (True, False):
            assert b"\n" not in call_record(event, None, shared=shared)
            json.loads(call_record(event, event.session, shared=shared))


KEY = ("192.0.2.1", 1, 4, 1, bytes(16))


def test_a_request_is_new_once() -> None:
    seen = Duplicates()
    assert seen.begin(KEY, NOW) is True
    assert seen.begin(KEY, NOW) is False
    assert seen.in_flight == 1
    seen.answered(KEY, b"answer", NOW)
    assert seen.begin(KEY, NOW + KEEP_US) == b"answer"
    assert seen.in_flight == 0
    assert seen.begin(KEY, NOW + KEEP_US + 1) is True


def test_a_request_that_was_dropped_is_new_again() -> None:
    seen = Duplicates()
    seen.begin(KEY, NOW)
    seen.dropped(KEY)
    assert seen.begin(KEY, NOW) is True


def test_answers_are_forgotten_when_their_time_is_over() -> None:
    seen = Duplicates()
    for n in range(100):
        key = (*KEY[:3], n, bytes(16))
        seen.begin(key, NOW + n * MICROS)
        seen.answered(key, b"answer", NOW + n * MICROS)
    assert len(seen._answers) == 31
