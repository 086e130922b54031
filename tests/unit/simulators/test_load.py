"""The load generator's bodies: the same for a seed, valid records, spread as documented."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain
from statistics import mean
from typing import Any

import pytest
from yarl import URL

from simulators.load import build_requests, main
from simulators.load_client import Request, due, percentile_ms
from simulators.load_records import LoadSpec, build_bodies, build_marked, line_number, read_prefixes

NOW = datetime(2026, 11, 20, 15, 0, 0, 500_000, tzinfo=UTC)
SPEC = LoadSpec(records=5001, batch_records=500, lines=1000, prefixes=("4420", "1212", "86"), seed=1, now=NOW)


def records_of(spec: LoadSpec) -> list[dict[str, Any]]:
    lines = chain.from_iterable(body.splitlines() for body, _ in build_bodies(spec))
    return [json.loads(line, parse_float=Decimal) for line in lines]


def test_a_specification_makes_the_same_bytes() -> None:
    assert list(build_bodies(SPEC)) == list(build_bodies(SPEC))


def test_batches_are_full_but_for_the_last() -> None:
    assert [count for _, count in build_bodies(SPEC)] == [500] * 10 + [1]
    assert [len(body.splitlines()) for body, _ in build_bodies(SPEC)] == [500] * 10 + [1]


def test_records_are_calls_of_the_last_hour_from_documented_lines() -> None:
    records = records_of(SPEC)
    starts = [datetime.fromisoformat(record["start"]) for record in records]
    assert min(starts) >= NOW - timedelta(hours=1, seconds=1)
    assert max(starts) <= NOW
    age_s = mean((NOW - start).total_seconds() for start in starts)
    assert age_s == pytest.approx(1800, abs=60)
    assert {record["calling"] for record in records} <= {line_number(index) for index in range(1000)}
    for record, start in zip(records, starts, strict=True):
        assert len(record["id"]) == 16
        assert int(record["id"], 16) >= 0
        assert record["called"].startswith(("+4420", "+1212", "+86"))
        assert len(record["called"]) == 13
        assert record["called"][1:].isdecimal()
        if record["duration"]:
            assert timedelta(0) < datetime.fromisoformat(record["answer"]) - start < timedelta(minutes=1)
        else:
            assert "answer" not in record
    assert len({record["id"] for record in records}) == len(records)
    assert mean(record["duration"] == 0 for record in records) == pytest.approx(0.28, abs=0.03)
    assert any(isinstance(record["duration"], Decimal) for record in records)


def test_the_line_of_an_index_is_the_base_and_the_index() -> None:
    assert line_number(0) == "+12120000000"
    assert line_number(99_999) == f"+{12120000000 + 99_999}"


def test_requests_are_whole_and_count_their_positions() -> None:
    spec = LoadSpec(records=5, batch_records=2, lines=10, prefixes=("4420",), seed=1, now=NOW)
    requests = build_requests(spec, URL("http://127.0.0.1:8081"), "t0ken", "e1")
    assert [request.records for request in requests] == [2, 2, 1]
    for sequence, request in enumerate(requests, start=1):
        head, _, body = request.content.partition(b"\r\n\r\n")
        request_line, *headers = head.decode().split("\r\n")
        assert request_line == "POST /v1/transactions HTTP/1.1"
        assert dict(header.split(": ") for header in headers) == {
            "Host": "127.0.0.1:8081",
            "Authorization": "Bearer t0ken",
            "Content-Type": "application/x-ndjson",
            "Tollkeeper-Batch": f"e1/{sequence}",
            "Content-Length": str(len(body)),
        }
    assert b"Tollkeeper-Batch" not in build_requests(spec, URL("http://h:1"), "t", "")[0].content


def test_marked_records_are_spread_over_the_requests_each_once_and_of_a_line_of_its_own() -> None:
    spec = LoadSpec(records=10, batch_records=2, lines=10, prefixes=("4420",), seed=1, now=NOW)
    marked = build_marked(spec, 12, 500)
    requests = build_requests(spec, URL("http://127.0.0.1:8081"), "t0ken", "e1", marked)
    assert [request.marked for request in requests] == [(0, 1), (2, 3), (4, 5, 6), (7, 8), (9, 10, 11)]
    for request in requests:
        head, _, body = request.content.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        lines = [json.loads(line) for line in body.splitlines()]
        assert len(lines) == request.records == 2 + len(request.marked)
        assert [line["calling"] for line in lines[2:]] == [line_number(500 + index) for index in request.marked]
        assert {line["duration"] for line in lines[2:]} == {3540}
        starts = [datetime.fromisoformat(line["start"]) for line in lines[2:]]
        assert all(start + timedelta(seconds=3540) <= NOW for start in starts)
    assert len({json.loads(line)["id"] for line in marked}) == 12


@pytest.mark.parametrize(("records_per_s", "due_s"), [(None, [0, 0, 0]), (500, [0, 1, 1.5]), (1000, [0, 0.5, 0.75])])
def test_a_request_is_due_when_the_records_before_it_took_their_time(
    records_per_s: float | None, due_s: list[float]
) -> None:
    requests = [Request(b"", 500), Request(b"", 250), Request(b"", 1)]
    assert list(due(requests, records_per_s)) == list(zip(due_s, requests, strict=True))


@pytest.mark.parametrize(
    ("text", "prefixes"), [("4420\n", ("4420",)), ("# UK\n+4420\n\n 1212 \r\n", ("4420", "1212")), ("1", ("1",))]
)
def test_prefixes_are_read(text: str, prefixes: tuple[str, ...]) -> None:
    assert read_prefixes(text) == prefixes


@pytest.mark.parametrize("text", ["", "# none\n", "44x\n", "0044\n", "123456789012\n", "٤٤\n"])
def test_prefixes_that_no_number_can_have_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"prefix|digits"):
        read_prefixes(text)


@pytest.mark.parametrize("prefix", ["1", "1212", "12345678901"])
def test_called_numbers_stay_within_e164(prefix: str) -> None:
    spec = LoadSpec(records=200, batch_records=200, lines=1, prefixes=(prefix,), seed=1, now=NOW)
    assert {len(record["called"]) for record in records_of(spec)} == {max(12, len(prefix) + 4) + 1}


@pytest.mark.parametrize(
    ("ordered_s", "percent", "milliseconds"),
    [
        ([], 50, None),
        ([0.002], 99, 2.0),
        ([0.001, 0.002, 0.003, 0.004], 50, 2.0),
        ([0.001] * 98 + [1.0, 2.0], 99, 1000.0),
    ],
)
def test_percentiles_are_measured_values(ordered_s: Sequence[float], percent: int, milliseconds: float | None) -> None:
    assert percentile_ms(ordered_s, percent) == milliseconds


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--url", "https://h:1"],
        ["--records", "0"],
        ["--rate", "0"],
        ["--lines-count", "10000001"],
        ["--now", "noon"],
        ["--prefixes", "nowhere"],
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    enough = ["--url", "http://h:1", "--token", "t", "--records", "1", "--prefixes", "nowhere"] if arguments else []
    with pytest.raises(SystemExit) as end:
        main([*enough, *arguments])
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
