"""`tollkeeper rate` over lines in every spelling that a switch may come up with, as tables of data."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from mediation.formats.ndjson import Unreadable, parse_line
from rating.explanation import as_json
from rating.rater import Rater
from rating.tariff import TariffText, parse_tariff

TABLES: dict[str, dict[str, list[list[str]]]] = tomllib.loads(
    (Path(__file__).parent / "cases/odd_lines.toml").read_text()
)
EXAMPLE = {
    "id": "a81f-0001",
    "calling": "+12125550142",
    "called": "+442079460018",
    "start": "2026-11-20T09:07:31.250-05:00",
    "answer": "2026-11-20T09:07:35-05:00",
    "duration": 61,
    "type": "direct",
    "service": "long-distance",
}
TOML = 'name = "odd"\ncurrency = "USD"\ntimezone = "America/New_York"\ndeck = "odd.csv"\n'
DECK = """prefix,destination,period,after_s,connect_fee,rate,per_s,increments
442,UK,,0,0,0.06,60,1/1
1,America,,0,0,0.60,60,1/1
sip:,Internet,,0,0,6,60,1/1
"""


def answered(line: str | bytes) -> dict[str, Any]:
    """What the command prints for a line."""
    record = parse_line(line if isinstance(line, bytes) else line.encode(), "")
    if isinstance(record, Unreadable):
        return {"id": record.id, "suspended": record.reason}
    explanation = Rater(parse_tariff(TariffText(TOML, DECK, "odd.toml", "odd.csv"))).explain(record, None, None)
    if isinstance(explanation, str):
        return {"id": record.id, "suspended": explanation}
    return as_json(record.id, explanation)


def example_with(**fields: Any) -> str:
    return json.dumps({name: value for name, value in (EXAMPLE | fields).items() if value != "-"})


def outcome(answer: dict[str, Any]) -> str:
    return str(answer.get("suspended") or answer["charge"])


@pytest.mark.parametrize(("duration", "expected"), TABLES["durations"]["rows"])
def test_a_duration_is_read_exactly_or_refused(duration: str, expected: str) -> None:
    line = example_with(duration="HERE").replace('"HERE"', duration)
    assert outcome(answered(line)) == expected


@pytest.mark.parametrize(("start", "answer", "expected"), TABLES["instants"]["rows"])
def test_an_instant_is_rfc_3339_or_bad_time(start: str, answer: str, expected: str) -> None:
    printed = answered(example_with(start=start, answer=answer or "-"))
    assert (printed.get("suspended") or printed["explain"][0]["from"]) == expected


@pytest.mark.parametrize(("fields", "expected"), TABLES["fields"]["rows"])
def test_fields_are_of_their_kinds_and_reasons_come_in_their_order(fields: str, expected: str) -> None:
    assert outcome(answered(example_with(**json.loads(fields)))) == expected


@pytest.mark.parametrize(("line", "id_"), TABLES["lines"]["rows"])
def test_what_is_no_cdr_is_malformed_and_known_by_its_id_if_that_can_be_read(line: str, id_: str) -> None:
    assert answered(line) == {"id": id_ or None, "suspended": "malformed"}


@pytest.mark.parametrize("line", [b"\xff", b"\x00", b'{"id": "\xc3"}', b"{" * 10_000, b'{"id": "' + b"x" * 70_000])
def test_bytes_that_are_no_text_or_never_end_are_malformed(line: bytes) -> None:
    assert answered(line) == {"id": None, "suspended": "malformed"}
