"""Asterisk's Master.csv: columns, local times over clock changes, what one row is, and what cannot be read.

Whole files with their results are in tests/corpus/asterisk-csv, read by tests/contract/test_formats.py.
"""

import csv
import io
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mediation.formats.asterisk_csv import COLUMNS, NEW_COLUMNS, AsteriskCsv
from mediation.formats.unreadable import MAX_LINE, Unreadable
from rating.cdr import CDR, MICROS
from tests.builders import CALLED, CALLING, micros

NEW_YORK = AsteriskCsv(ZoneInfo("America/New_York"))
EPOCH = micros("2026-11-20T14:07:31Z") // MICROS
VALUES = {
    "accountcode": "",
    "src": CALLING,
    "dst": CALLED,
    "dcontext": "from-internal",
    "clid": f'"Ada" <{CALLING}>',
    "channel": "PJSIP/ada-00000001",
    "dstchannel": "PJSIP/carrier-00000002",
    "lastapp": "Dial",
    "lastdata": "PJSIP/carrier,60",
    "start": "2026-11-20 09:07:31",
    "answer": "2026-11-20 09:07:35",
    "end": "2026-11-20 09:08:36",
    "duration": "65",
    "billsec": "61",
    "disposition": "ANSWERED",
    "amaflags": "DOCUMENTATION",
    "uniqueid": f"{EPOCH}.1",
    "userfield": "",
}


def written(values: list[str], quoting: Any = csv.QUOTE_ALL) -> bytes:
    out = io.StringIO()
    csv.writer(out, quoting=quoting, lineterminator="").writerow(values)
    return out.getvalue().encode()


def row(**columns: str) -> bytes:
    """The usual call with uniqueid and userfield, `columns` replaced or added behind."""
    return written([*(VALUES | columns).values()])


def cdr_of(line: bytes, parser: AsteriskCsv = NEW_YORK) -> CDR:
    record = parser.parse(line, "pbx1")
    assert isinstance(record, CDR), record
    return record


def refused(line: bytes) -> Unreadable:
    record = NEW_YORK.parse(line, "pbx1")
    assert isinstance(record, Unreadable), record
    return record


def test_a_row_becomes_a_cdr() -> None:
    assert cdr_of(row(userfield="gold")) == CDR(
        source="pbx1",
        id=f"{EPOCH}.1 PJSIP/carrier-00000002",
        calling=CALLING,
        called=CALLED,
        start_at=micros("2026-11-20T14:07:31Z"),
        offset_min=-300,
        answer_at=micros("2026-11-20T14:07:35Z"),
        duration_us=61 * MICROS,
        cause=16,
        trunk_in="PJSIP/ada-00000001",
        trunk_out="PJSIP/carrier-00000002",
        session=f"{EPOCH}.1",
        leg="PJSIP/carrier-00000002",
        extra={
            "dcontext": "from-internal",
            "clid": f'"Ada" <{CALLING}>',
            "lastapp": "Dial",
            "lastdata": "PJSIP/carrier,60",
            "end": "2026-11-20 09:08:36",
            "duration": "65",
            "disposition": "ANSWERED",
            "amaflags": "DOCUMENTATION",
            "userfield": "gold",
        },
    )


def test_asterisks_own_quoting_and_any_other_are_the_same_row() -> None:
    plain = row(userfield="gold")
    as_asterisk = plain.replace(b'"65","61"', b"65,61")
    sparse = written([*(VALUES | {"userfield": "gold"}).values()], csv.QUOTE_MINIMAL)
    assert as_asterisk != plain != sparse
    assert cdr_of(as_asterisk) == cdr_of(sparse) == cdr_of(plain)


@pytest.mark.parametrize(
    ("disposition", "cause", "duration_s"),
    [("ANSWERED", 16, 61), ("BUSY", 17, 0), ("NO ANSWER", 19, 0), ("CONGESTION", 34, 0), ("FAILED", None, 0),
     ("UNKNOWN", None, 0)],
)  # fmt: skip
def test_only_an_answered_row_has_its_billsec_for_duration(
    disposition: str, cause: int | None, duration_s: int
) -> None:
    record = cdr_of(row(disposition=disposition))
    assert (record.cause, record.duration_us) == (cause, duration_s * MICROS)


def test_a_call_without_an_answer_counts_from_its_start() -> None:
    record = cdr_of(row(answer="", disposition="NO ANSWER", billsec="0"))
    assert record.answer_at == record.start_at


@pytest.mark.parametrize(
    ("zone", "start", "offset_min"),
    [
        (None, "2026-11-20T09:07:31Z", 0),
        ("America/New_York", "2026-11-20T14:07:31Z", -300),
        ("Asia/Kathmandu", "2026-11-20T03:22:31Z", 345),
        ("Australia/Lord_Howe", "2026-11-19T22:07:31Z", 660),
    ],
)
def test_times_are_those_of_the_feeds_zone_and_without_one_utc(zone: str | None, start: str, offset_min: int) -> None:
    record = cdr_of(row(), AsteriskCsv(zone and ZoneInfo(zone)))
    assert (record.start_at, record.offset_min) == (micros(start), offset_min)


FIRST, SECOND = "2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00"


@pytest.mark.parametrize(
    ("made", "end", "duration", "start"),
    [
        (FIRST, "01:31:05", "65", FIRST),
        (SECOND, "01:31:05", "65", SECOND),
        ("2026-11-01T01:30:01-05:00", "01:31:05", "65", SECOND),  # the start was cut off to a second
        ("2026-11-01T01:50:00-04:00", "01:31:05", "65", SECOND),  # a transfer, later than the channel
        ("2026-11-20T00:00:00-05:00", "01:31:05", "65", FIRST),  # an epoch that rules out both tells nothing
        (None, "01:31:05", "65", FIRST),
        (None, "02:30:00", "3600", SECOND),
        (None, "02:30:00", "7200", FIRST),
        (None, "01:10:00", "2400", FIRST),
        (None, "", "65", FIRST),
        (None, "02:30:00", "x", FIRST),
    ],
)
def test_a_start_in_the_hour_that_is_repeated_is_found_by_its_uniqueid_and_its_end(
    made: str | None, end: str, duration: str, start: str
) -> None:
    line = row(
        start="2026-11-01 01:30:00",
        answer="",
        end=end and f"2026-11-01 {end}",
        duration=duration,
        uniqueid=f"{micros(made) // MICROS}.1" if made else "",
    )
    record = cdr_of(line)
    assert record.start_at == micros(start)
    assert record.offset_min == (-240 if start is FIRST else -300)


@pytest.mark.parametrize(
    ("start", "answer", "duration", "billsec", "answered"),
    [
        ("00:59:50", "01:00:05", "5415", "5400", "2026-11-01T01:00:05-04:00"),
        ("01:59:50", "01:00:05", "75", "60", "2026-11-01T01:00:05-05:00"),
        ("00:30:00", "01:10:00", "6000", "0", "2026-11-01T01:10:00-05:00"),
        ("02:10:00", "02:10:05", "65", "60", "2026-11-01T02:10:05-05:00"),
    ],
)
def test_an_answer_in_the_hour_that_is_repeated_is_where_the_durations_put_it(
    start: str, answer: str, duration: str, billsec: str, answered: str
) -> None:
    line = row(
        start=f"2026-11-01 {start}",
        answer=f"2026-11-01 {answer}",
        end="",
        duration=duration,
        billsec=billsec,
        uniqueid="",
    )
    assert cdr_of(line).answer_at == micros(answered)
    assert cdr_of(line).duration_us == int(billsec) * MICROS


@pytest.mark.parametrize("column", ["start", "answer"])
def test_a_time_that_the_clock_left_out_is_refused_with_the_zone(column: str) -> None:
    columns = {"start": "2026-03-08 01:59:59", column: "2026-03-08 02:00:00"}
    record = refused(row(**columns))
    assert record.reason == "bad-time"
    assert "America/New_York" in record.detail
    assert cdr_of(row(**{"start": "2026-03-08 01:59:59", column: "2026-03-08 03:00:00"}))


@pytest.mark.parametrize(
    ("behind", "names"),
    [
        ([], ()),
        ([f"{EPOCH}.1"], ("uniqueid",)),
        ([f"pbx-7-{EPOCH}.12"], ("uniqueid",)),
        (["gold"], ("userfield",)),
        ([""], ("userfield",)),
        (["uuid-of-an-originate", "gold"], ("uniqueid", "userfield")),
        (["peer", "linked", "7"], NEW_COLUMNS),
        ([f"{EPOCH}.1", "peer", "linked", "7"], ("uniqueid", *NEW_COLUMNS)),
        (["gold", "peer", "linked", "7"], ("userfield", *NEW_COLUMNS)),
        ([f"{EPOCH}.1", "gold", "peer", "linked", "7"], ("uniqueid", "userfield", *NEW_COLUMNS)),
    ],
)
def test_the_optional_columns_are_known_by_their_number_and_looks(behind: list[str], names: tuple[str, ...]) -> None:
    record = cdr_of(written([*(VALUES[name] for name in COLUMNS), *behind]))
    values = dict(zip(names, behind, strict=True))
    extra = record.extra or {}
    assert record.session == (values.get("linkedid") or values.get("uniqueid"))
    assert extra.get("userfield", "") == values.get("userfield", "")
    assert extra.get("peeraccount") == values.get("peeraccount")
    assert record.leg == values.get("sequence", VALUES["dstchannel"])
    assert record.id.startswith(values["uniqueid"]) if "uniqueid" in values else len(record.id) == 32


def test_the_channels_that_a_queue_rings_are_records_of_their_own() -> None:
    ids = {cdr_of(row(dstchannel=channel)).id for channel in ("", "PJSIP/a-00000001", "PJSIP/a-00000002")}
    assert len(ids) == 3


def test_with_the_new_columns_rows_are_told_apart_by_their_sequence() -> None:
    new = {"peeraccount": "", "linkedid": f"{EPOCH}.1"}
    assert cdr_of(row(**new, sequence="7")).id == f"{EPOCH}.1 7"
    assert cdr_of(row(**new, sequence="8")).id == f"{EPOCH}.1 8"


def test_without_uniqueid_the_same_row_is_the_same_record_and_every_other_another() -> None:
    columns = [VALUES[name] for name in COLUMNS]
    assert cdr_of(written(columns)).id == cdr_of(written(columns, csv.QUOTE_MINIMAL)).id
    for at, name in enumerate(COLUMNS):
        if name in ("start", "answer", "end", "disposition"):
            continue
        other = [*columns[:at], columns[at] + "0", *columns[at + 1 :]]
        assert cdr_of(written(other)).id != cdr_of(written(columns)).id, name


SHORT = [VALUES[name] for name in COLUMNS]
REASONS = [
    ("malformed", b"\xff"),
    ("malformed", row().replace(b"gold", b"").replace(b"ada", b"\xe9")),
    ("malformed", row().decode().encode("utf-16")),
    ("malformed", b""),
    ("malformed", b"x"),
    ("malformed", b"x" * (MAX_LINE + 1)),
    ("malformed", written(SHORT[:-1])),
    ("malformed", written([*SHORT, *"123456"])),
    ("malformed", ";".join(SHORT).encode()),
    ("malformed", row()[:-1]),
    ("malformed", row()[1:]),
    ("malformed", row().replace(b'"Dial"', b'"Di"al"')),
    ("malformed", row().replace(b'"Dial"', b'Di"al')),
    ("malformed", row(accountcode="a", src="b") + b"\n" + row()),
    ("malformed", ",".join(COLUMNS).encode()),
    *(("malformed", row(billsec=text)) for text in ("", "-1", "x", "6.5", "1e3", "٣", " 61", "61 ", "10000000000",
                                                   "9" * 5000)),
    *(("malformed", row(disposition=text)) for text in ("", "answered", "ANSWERED ", "16")),
    ("malformed", row(uniqueid="1" * 256)),
    *(("bad-number", row(**{name: text})) for name in ("src", "dst")
      for text in ("", "s", "anonymous", "0012125550142", "*97", "12", "+1 212", "1" * 16)),
    *(("bad-time", row(**{name: text})) for name in ("start", "answer")
      for text in ("now", "2026-11-20", "2026-11-20T09:07:31", "2026-11-20 09:07:31Z", "2026-11-20 09:07",
                   "2026-11-20 24:00:00", "2026-11-20 29:00:00", "2026-11-20 09:60:00", "2026-11-20 09:07:60",
                   "2026-02-29 09:07:31", "0000-01-01 00:00:00", "٢٠٢٦-11-20 09:07:31", " 2026-11-20 09:07:31")),
    ("bad-time", row(start="")),
    ("bad-time", row(answer="2026-11-20 09:07:30")),
    # of several the first
    ("malformed", row(billsec="x", src="s", start="x")),
    ("malformed", row(disposition="x", dst="s")),
    ("bad-number", row(dst="s", start="x")),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "line"), REASONS)
def test_what_cannot_be_read_has_a_reason(reason: str, line: bytes) -> None:
    record = refused(line)
    assert record.reason == reason
    assert record.detail.isprintable()


def test_a_number_that_is_none_points_to_the_dial_plan() -> None:
    assert "[dial_plans.SOURCE]" in refused(row(dst="02079460018")).detail
    assert "dial plan" not in refused(row(dst="s")).detail
    assert cdr_of(row(src="+12125550142", dst="101")).called == "101"


@pytest.mark.parametrize(
    ("line", "has_id", "start"),
    [
        (row(billsec="x"), True, "2026-11-20T14:07:31Z"),
        (row(dst="s"), True, "2026-11-20T14:07:31Z"),
        (row(start="x"), True, None),
        (row(uniqueid="1" * 256), True, None),
        (b"x", False, None),
    ],
)
def test_a_refused_row_has_its_key_as_far_as_it_can_be_read(line: bytes, has_id: bool, start: str | None) -> None:
    record = refused(line)
    assert (record.id is not None, record.start_at) == (has_id, start and micros(start))


ends = st.sampled_from(["0001-01-01 00:00:00", "9999-12-31 23:59:59", "1883-11-18 12:03:58", "2026-11-01 01:30:00"])


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_line(line: bytes) -> None:
    assert isinstance(NEW_YORK.parse(line, "pbx1"), CDR | Unreadable)


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(0, 3), st.binary(max_size=3))
def test_any_bytes_in_a_row_are_a_line(at: int, cut: int, put: bytes) -> None:
    line = row()
    assert isinstance(NEW_YORK.parse(line[:at] + put + line[at + cut :], "pbx1"), CDR | Unreadable)


@settings(deadline=None)
@given(st.lists(st.text(max_size=8) | ends | st.sampled_from(["ANSWERED", CALLING, "61"]), min_size=14, max_size=23))
def test_any_columns_are_a_row(values: list[str]) -> None:
    assert isinstance(NEW_YORK.parse(written(values), "pbx1"), CDR | Unreadable)


@settings(deadline=None)
@given(ends, ends, st.sampled_from(["Europe/London", "Asia/Kathmandu", "Pacific/Kiritimati", "America/New_York"]))
def test_a_time_at_either_end_of_the_calendar_is_read_or_refused(start: str, answer: str, zone: str) -> None:
    record = AsteriskCsv(ZoneInfo(zone)).parse(row(start=start, answer=answer), "pbx1")
    assert isinstance(record, CDR) or record.reason == "bad-time"


TEXTS = ("accountcode", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata", "amaflags", "userfield")


@settings(deadline=None)
@given(st.fixed_dictionaries({name: st.text(max_size=20) for name in TEXTS}))
@example(dict.fromkeys(TEXTS, 'a "b", c'))
@example(dict.fromkeys(TEXTS, '"'))
@example(dict.fromkeys(TEXTS, "\r\n"))
def test_what_a_writer_of_csv_quotes_comes_back(columns: dict[str, str]) -> None:
    record = cdr_of(row(**columns))
    found = (record.extra or {}) | {"channel": record.trunk_in or "", "dstchannel": record.trunk_out or ""}
    assert {name: found.get(name, "") for name in TEXTS} == columns
