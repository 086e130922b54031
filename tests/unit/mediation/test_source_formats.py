"""Every format with a dial plan: numbers brought to E.164, types told by them, and nothing changed for others."""

import csv
import io
from typing import Any

import msgspec
import pytest

from mediation.formats import Parse, Unreadable, parser_named
from mediation.formats.asterisk_csv import COLUMNS
from mediation.formats.ndjson import parse_line
from mediation.formats.source_formats import SourceFormats
from rating.cdr import CDR
from rating.dial_plan import DialPlan
from tests.builders import cdr_json

AMERICAN = DialPlan(country="US", classify=True)
BRITISH = DialPlan(country="GB")


def ndjson(calling: str, called: str, **fields: Any) -> bytes:
    return cdr_json(calling=calling, called=called, **fields)


def asterisk(calling: str, called: str) -> bytes:
    times = ["2026-11-20 09:07:31", "2026-11-20 09:07:35", "2026-11-20 09:08:36", "65", "61", "ANSWERED", ""]
    values = dict.fromkeys(COLUMNS, "") | {"src": calling, "dst": called} | dict(zip(COLUMNS[9:], times, strict=True))
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([*values.values(), "1795183651.1"])
    return out.getvalue().encode()


def kamailio(calling: str, called: str) -> bytes:
    post = {"callid": "1", "a": calling, "b": called, "start_time": "1795183655.250", "duration": "61"}
    return msgspec.json.encode(post)


LINES = {"ndjson": ndjson, "asterisk-csv": asterisk, "kamailio-json": kamailio}


def parser(name: str, plan: DialPlan | None) -> Parse:
    return SourceFormats({"s": plan} if plan else {}).parser(name, "s")


def cdr_of(parse: Parse, line: bytes) -> CDR:
    record = parse(line, "s")
    assert isinstance(record, CDR), record
    return record


def refused(parse: Parse, line: bytes) -> Unreadable:
    record = parse(line, "s")
    assert isinstance(record, Unreadable), record
    assert record.reason == "bad-number"
    return record


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize(
    ("plan", "calling", "called", "keys"),
    [
        (AMERICAN, "2125550142", "011442079460018", ("12125550142", "442079460018")),
        (BRITISH, "02079460018", "0012125550142", ("442079460018", "12125550142")),
        (AMERICAN, "+442079460018", "sip:bob@example.net", ("442079460018", "sip:bob@example.net")),
    ],
)
def test_numbers_are_read_by_the_plan_in_every_format(
    name: str, plan: DialPlan, calling: str, called: str, keys: tuple[str, str]
) -> None:
    cdr = cdr_of(parser(name, plan), LINES[name](calling, called))
    assert (cdr.calling, cdr.called) == keys
    assert cdr == cdr_of(parser_named(name), LINES[name](*(f"+{key}" if key.isdigit() else key for key in keys)))


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize(
    ("plan", "called", "type_"),
    [(None, "+18005550100", "direct"), (AMERICAN, "+18005550100", "toll-free"), (AMERICAN, "9005550100", "premium"),
     (AMERICAN, "2125550142", "direct"), (BRITISH, "08001111", "direct")],
)  # fmt: skip
def test_a_record_that_names_no_type_has_that_of_its_called_number(
    name: str, plan: DialPlan | None, called: str, type_: str
) -> None:
    more = {"type": None} if name == "ndjson" else {}
    assert cdr_of(parser(name, plan), LINES[name]("+12125550142", called, **more)).type == type_


def test_a_type_that_a_record_names_stays_and_who_pays_is_read_by_the_plan_too() -> None:
    line = ndjson("2125550142", "8005550100", type="third-number", charge_to="2125550143")
    cdr = cdr_of(parser("ndjson", AMERICAN), line)
    assert (cdr.type, cdr.charge_to) == ("third-number", "12125550143")
    assert cdr_of(parser("ndjson", AMERICAN), ndjson("2125550142", "8005550100", type="direct")).type == "direct"


@pytest.mark.parametrize("name", LINES)
def test_what_the_plan_cannot_place_says_what_was_tried(name: str) -> None:
    bad = refused(parser(name, AMERICAN), LINES[name]("+12125550142", "5550142"))
    assert "'5550142' cannot be brought to E.164 by the dial plan of US, +1" in bad.detail
    assert "area_code" in bad.detail
    bad = refused(parser(name, None), LINES[name]("+12125550142", "02079460018"))
    assert "a dial plan for its source, [dial_plans.SOURCE], would" in bad.detail
    assert "dial plan" not in refused(parser(name, None), LINES[name]("+12125550142", "nobody")).detail


@pytest.mark.parametrize("name", ["ndjson", "kamailio-json"])
def test_an_unreadable_record_is_known_again_however_its_numbers_are_written(name: str) -> None:
    parse = parser(name, AMERICAN)
    first = refused(parse, LINES[name]("2125550142", "101"))
    assert refused(parse, LINES[name]("+12125550142", "101")).digest == first.digest
    assert refused(parse, LINES[name]("+2125550142", "101")).digest != first.digest


def test_a_source_without_a_plan_has_its_format_as_it_is() -> None:
    formats = SourceFormats({"s": AMERICAN})
    assert formats.parser("ndjson", "another") is parse_line
    assert formats.dialling("another") is None


def test_plans_are_replaced_while_they_are_in_use() -> None:
    formats = SourceFormats({"s": AMERICAN})
    line = ndjson("+12125550142", "02079460018")
    old = formats.parser("ndjson", "s")
    refused(old, line)
    formats.use_plans({"s": BRITISH})
    assert cdr_of(formats.parser("ndjson", "s"), line).called == "442079460018"
    refused(old, line)
    formats.use_plans({})
    assert formats.plans == {}
    assert formats.parser("ndjson", "s") is parse_line


def test_plans_that_stay_as_they_are_keep_what_they_remember() -> None:
    formats = SourceFormats({"s": AMERICAN})
    dialling = formats.dialling("s")
    formats.use_plans({"s": DialPlan(country="US", classify=True)})
    assert formats.dialling("s") is dialling
