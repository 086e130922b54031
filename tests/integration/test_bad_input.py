"""Bad records over the POP feed: each ends in suspense with its reason, as it arrived; the good ones beside it are
stored, and nothing that a sender can write stops the daemon."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mediation.cli import main
from tests.integration.daemon_in_thread import DaemonInThread, running
from tests.small_site import BOSTON, NOWHERE, STRANGER, a_record, line, ndjson, write_config

GOOD = (a_record("good-1"), a_record("good-2"))
_numbers = count(1)


def with_number(field: str, number: str, **fields: Any) -> bytes:
    """A record with a JSON number that Python would not write so."""
    return bad(**{**fields, field: "NUMBER"}).replace(b'"NUMBER"', number.encode())


def bad(**fields: Any) -> bytes:
    """A record with an id of its own, unless it is given one."""
    return json.dumps(a_record(f"bad-{next(_numbers)}") | fields).encode()


def without(field: str, **fields: Any) -> bytes:
    record = json.loads(bad(**fields))
    del record[field]
    return json.dumps(record).encode()


def ago(**duration: float) -> str:
    return (datetime.now(UTC) - timedelta(**duration)).isoformat()


@pytest.fixture
def tried(site: Path) -> Iterator[DaemonInThread]:
    """A daemon that must be alive at the end."""
    with running(write_config(site), may_fail=True) as daemon:
        yield daemon
    assert daemon.failure is None, f"the daemon has died: {daemon.failure!r}"


MALFORMED = {
    "no JSON": b"call from +12125550000 to London",
    "a brace": b"{",
    "cut off": bad()[:-1],
    "two objects": bad() * 2,
    "a comma too many": bad()[:-1] + b",}",
    "single quotes": str(a_record("bad")).encode(),
    "an empty object": b"{}",
    "a list": b"[]",
    "a list of a record": b"[" + bad() + b"]",
    "a string": b'"text"',
    "a number": b"17",
    "null": b"null",
    "true": b"true",
    "a byte that is no UTF-8": b'{"id":"\xff"}',
    "a byte that is no UTF-8 in a good record": bad(place="?").replace(b"?", b"\xe9"),
    "an encoded surrogate": bad(place="?").replace(b"?", b"\xed\xa0\x80"),
    "bytes": bytes(byte for byte in range(256) if byte != 10),
    "NUL": b"\0",
    "UTF-16": bad().decode().encode("utf-16-le").replace(b"\n", b""),
    "a control character in a string": bad(place="?").replace(b"?", b"\x01"),
    "nested deeply": b"[" * 30_000 + b"]" * 30_000,
    "nested deeply and never closed": b'{"a":' * 10_000,
    "NaN": with_number("duration", "NaN"),
    "Infinity": with_number("duration", "Infinity"),
    "a plus": with_number("duration", "+61"),
    "a leading zero": with_number("duration", "061"),
    "no id": without("id"),
    "no calling": without("calling"),
    "no called": without("called"),
    "no start": without("start"),
    "no duration": without("duration"),
    "id null": with_number("id", "null"),
    "id a number": bad(id=7),
    "id a list": bad(id=["bad"]),
    "calling a number": bad(calling=12125550000),
    "called an object": bad(called={"number": BOSTON}),
    "start a number": bad(start=1763647651),
    "start null": with_number("start", "null"),
    "duration null": with_number("duration", "null"),
    "duration a string": bad(duration="61"),
    "duration true": bad(duration=True),
    "duration a list": bad(duration=[61]),
    "duration below zero": bad(duration=-1),
    "duration a little below zero": with_number("duration", "-0.000001"),
    "duration without bounds": with_number("duration", "1e400"),
    "duration of thousands of digits": with_number("duration", "9" * 5000),
    "missing comes before a bad number": without("id", calling="x"),
    "negative comes before a bad time": bad(duration=-1, start="x"),
}  # fmt: skip

BAD_NUMBERS = ("", "+", "12", "+12", "1234567890123456", "0123456", "+0123456", "+1212555O000", "+1 212 555 0000",
               "+1-212-555-0000", "tel:+12125550000", "++12125550000", "12125550000+", "\u0661\u0662\u0663\u0664", "x",
               "sip:", "+12125550000\u0000", "-12125550000", "1.5")  # fmt: skip

BAD_TIMES = ("", "yesterday", "2025-11-20", "09:07:31Z", "2025-11-20T09:07:31", "2025-02-30T09:07:31Z",
             "2025-13-01T09:07:31Z", "2025-11-20T25:00:00Z", "2025-11-20T09:60:00Z", "2025-11-20T09:07:31+25:00",
             "2025-11-20T09:07:31 EST", "1763647651", "20251120T090731Z", "2025-11-20T09:07:31.Z",
             "99999-11-20T09:07:31Z", "0000-01-01T00:00:00Z", "-2025-11-20T09:07:31Z")  # fmt: skip

WELL_FORMED: dict[str, tuple[str, Callable[[], bytes]]] = {
    **{f"calling {number!r}": ("bad-number", lambda n=number: bad(calling=n)) for number in BAD_NUMBERS},
    "called bad": ("bad-number", lambda: bad(called="x")),
    "charge_to bad": ("bad-number", lambda: bad(type="third-number", charge_to="x")),
    "a bad number comes before a bad time": ("bad-number", lambda: bad(called="x", start="x")),
    **{f"start {text!r}": ("bad-time", lambda t=text: bad(start=t, answer=None)) for text in BAD_TIMES},
    "answer unreadable": ("bad-time", lambda: bad(answer="2025-11-20T09:07:35")),
    "answer a second before start": ("bad-time", lambda: bad(answer="2025-11-20T09:07:30.250-05:00")),
    "answer a day before start": ("bad-time", lambda: bad(answer="2025-11-19T09:07:35-05:00")),
    "a bad time comes before the future": ("bad-time", lambda: bad(start=ago(minutes=-60), answer=ago(minutes=-58))),
    "eleven minutes ahead": ("future", lambda: bad(start=ago(minutes=-11), answer=None)),
    "a year ahead": ("future", lambda: bad(start=ago(days=-365), answer=None)),
    "the year 9999": ("future", lambda: bad(start="9999-12-31T23:59:59Z", answer=None)),
    "the future comes before an unknown line": (
        "future", lambda: bad(start=ago(minutes=-11), answer=None, calling=STRANGER)
    ),
    "before 1970": ("too-old", lambda: bad(start="1969-12-31T23:59:59Z", answer=None)),
    "the year 1": ("too-old", lambda: bad(start="0001-01-01T00:00:00Z", answer=None)),
    "nobody's line": ("unknown-line", lambda: bad(calling=STRANGER)),
    "a line's other service": ("unknown-line", lambda: bad(service="fax")),
    "collect to nobody's line": ("unknown-line", lambda: bad(type="collect", called=STRANGER)),
    "a calling card without charge_to": ("unknown-line", lambda: bad(type="calling-card")),
    "an unknown line comes before no rate": ("unknown-line", lambda: bad(calling=STRANGER, called=NOWHERE)),
    "no prefix": ("no-rate", lambda: bad(called=NOWHERE)),
    "an unassigned number is none the less a number": ("no-rate", lambda: bad(called="+999123")),
    "before the tariff": ("no-rate", lambda: bad(start="2019-12-31T23:59:59-05:00", answer=None)),
}  # fmt: skip


def goes_to_suspense(daemon: DaemonInThread, raw: bytes, reason: str) -> None:
    n = next(_numbers)
    good = [a_record(f"good-{n}"), a_record(f"also-good-{n}")]
    known = {row for (row,) in daemon.rows("SELECT id FROM suspense")}
    with daemon.pop() as pop:
        answer = pop.send(ndjson(good[0], raw, good[1]))
        assert answer.counts == (2, 0, 1)
        assert [(record["line"], record["reason"]) for record in answer.json["records"]] == [(2, reason)]
        assert pop.send(ndjson(good[0], raw, good[1])).counts == (0, 3, 0)
    new = [row for row in daemon.rows("SELECT id, reason, raw, detail, state FROM suspense") if row[0] not in known]
    ((_, *said, detail, state),) = new
    assert said == [reason, raw]
    assert detail
    assert state == "open"
    assert {record["id"] for record in good} <= set(daemon.stored())


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_line_that_is_no_record_is_malformed(shared_daemon: DaemonInThread, raw: bytes) -> None:
    goes_to_suspense(shared_daemon, raw, "malformed")


@pytest.mark.parametrize(("reason", "raw"), WELL_FORMED.values(), ids=WELL_FORMED.keys())
def test_a_record_that_cannot_be_charged_has_its_reason(
    shared_daemon: DaemonInThread, reason: str, raw: Callable[[], bytes]
) -> None:
    goes_to_suspense(shared_daemon, raw(), reason)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'\t {"id": "bad"} \t', id="blanks around"),
        pytest.param(b'{"id": "bad"}\r\r', id="two CR"),
        pytest.param(b'{"id":\r"bad"}', id="a CR inside"),
        pytest.param("\ufeff{}".encode(), id="a byte order mark"),
        pytest.param(b'{"id": "\\u0062ad", "note": "\\/"}', id="escapes"),
    ],
)
def test_the_raw_line_is_kept_byte_for_byte(tried: DaemonInThread, raw: bytes) -> None:
    with tried.pop() as pop:
        assert pop.send(raw + b"\r\n").counts == (0, 0, 1)
    assert tried.suspended() == [("malformed", raw)]


def test_a_record_older_than_the_retention_is_too_old(site: Path) -> None:
    config = write_config(site, in_store="retention_months = 3")
    with running(config) as daemon, daemon.pop() as pop:
        answer = pop.send(
            ndjson(
                a_record("kept", start=ago(days=60), answer=None),
                a_record("old", start=ago(days=130), answer=None),
                a_record("an old stranger", start=ago(days=130), answer=None, calling=STRANGER),
            )
        )
        assert answer.counts == (1, 0, 2)
        assert [record["reason"] for record in answer.json["records"]] == ["too-old", "too-old"]


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(a_record("x", start=ago(minutes=-9), answer=None), id="nine minutes ahead"),
        pytest.param(a_record("x", answer="2025-11-20T09:07:30.250001-05:00"), id="answered just before its start"),
        pytest.param(a_record("x", duration=0, called=NOWHERE), id="not answered, and without a rate"),
        pytest.param(a_record("x", type="message", duration=None) | {"duration": 0}, id="a message"),
        pytest.param(a_record("x", cause=None, place=None, answer=None, type=None, service=None), id="only the least"),
        pytest.param(a_record("x", called="911") | {"duration": 0}, id="a number of three digits"),
        pytest.param(a_record("x", called=line(0), calling=BOSTON, type="collect"), id="collect"),
        pytest.param(a_record("x", calling=BOSTON, type="third-number", charge_to=line(0)), id="third number"),
        pytest.param(a_record("\u00e9\u4e16\U0001f600"), id="any text for an id"),
    ],
)
def test_what_is_strange_but_allowed_is_stored(tried: DaemonInThread, record: dict[str, Any]) -> None:
    with tried.pop() as pop:
        answer = pop.send(ndjson(record))
        assert answer.counts == (1, 0, 0), answer.json
        assert pop.send(ndjson(record)).counts == (0, 1, 0)


VENOMOUS = {
    "an answer at the end of time": bad(answer="9999-12-31T23:59:59Z"),
    "an answer in the last month of time": bad(answer="9999-12-01T00:00:00Z"),
    "an answer a thousand years ahead": bad(answer="2999-12-31T23:59:59Z"),
    "a start before the first year": bad(start="0001-01-01T00:00:00+14:00", answer=None),
    "a start after the last year": bad(start="9999-12-31T23:59:59-14:00", answer=None),
    "a bad record before the first year": bad(start="0001-01-01T00:00:00+14:00", answer=None, duration=-1),
    "a bad record after the last year": bad(start="9999-12-31T23:59:59-14:00", answer=None, called="x"),
    "an answer after the last year": bad(answer="9999-12-31T23:59:59-14:00"),
    "a number beyond floats in a field of its own": with_number("note", "1e400"),
    "a number beyond decimals in a field of its own": with_number("note", "1e999999999"),
    "a number beyond reason in a field of its own": with_number("note", "-1e99999999999999999999"),
    "a number below decimals in a field of its own": with_number("note", "1e-999999999"),
    "a whole number of 60,000 digits": with_number("note", "7" * 60_000),
    "a fraction of 60,000 digits": with_number("duration", "61." + "0" * 60_000),
    "a number beyond floats as the cause": with_number("cause", "1e400"),
    "a number beyond 64 bits as a part": with_number("partial", "7" * 400),
    "a surrogate": with_number("place", r'"\ud800"'),
    "a surrogate in a field of its own": with_number("note", r'"\udfff"'),
    "a surrogate for a name": bad(**{"\ud800": 1}),
    "a surrogate in the id": with_number("id", r'"bad\ud800"'),
    "NUL in the id": bad(id="bad\0"),
    "a field of its own nested 100 times": with_number("note", "[" * 100 + "]" * 100),
    "a field of its own nested 400 times": with_number("note", '{"a":' * 400 + "1" + "}" * 400),
    "a field of its own nested 900 times": with_number("note", "[" * 900 + "]" * 900),
    "a field of its own nested 2000 times": with_number("note", "[" * 2000 + "]" * 2000),
    "fields named like those of an answer": bad(transaction="1", account="1", charge="0", extra={"extra": 1}, detail=0),
    "a field twice": b'{"id":"bad","id":"bad2",' + bad()[1:],
    "an id of 60,000 characters": bad(id="x" * 60_000),
    "a line of a megabyte": bad(note="x" * 1_000_000),
    "the longest call": bad(duration=1_000_000_000),
    "the most units": bad(type="data", units=1_000_000_000_000),
    "units beyond 64 bits": bad(type="data", units=10**30),
}


@pytest.mark.parametrize("raw", VENOMOUS.values(), ids=VENOMOUS.keys())
def test_no_record_stops_the_daemon_or_fails_its_batch_or_spoils_the_export(
    tried: DaemonInThread, raw: bytes, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    with tried.pop() as pop:
        answer = pop.send(ndjson(GOOD[0], raw, GOOD[1]))
        accepted, duplicate, suspended = answer.counts
        assert accepted + suspended == 3
        assert duplicate == 0
        assert pop.send(ndjson(raw, *GOOD)).counts == (0, 3, 0)
    assert {"good-1", "good-2"} <= set(tried.stored())
    config = str(tried.config.file)
    capsysbinary.readouterr()
    assert main(["export", "transactions", "--config", config]) == 0
    exported = capsysbinary.readouterr().out.splitlines()
    assert len(exported) == accepted
    assert all(json.loads(one)["account"] == "4000000000" for one in exported)
    assert main(["recount", "--config", config]) == 0


def test_a_batch_of_nothing_but_rubbish_is_acknowledged(tried: DaemonInThread) -> None:
    rubbish = [bytes([byte]) * 3 for byte in range(256) if not bytes([byte]).isspace()]
    with tried.pop() as pop:
        assert pop.send(ndjson(*rubbish)).counts == (0, 0, len(rubbish))
    assert [raw for _, raw in tried.suspended()] == rubbish
