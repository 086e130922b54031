"""The POP feed's batches: what is counted, what is a duplicate or a conflict, and what the answer names."""

import gzip
import json

import pytest

from tests.integration.daemon_in_thread import DaemonInThread
from tests.pop_by_hand import PopByHand
from tests.small_site import BOSTON, NOWHERE, STRANGER, a_record, line, ndjson, some_records


def test_a_batch_is_counted_and_stored(daemon: DaemonInThread) -> None:
    with daemon.pop() as pop:
        answer = pop.send(ndjson(a_record("one"), a_record("two"), a_record("three", calling=STRANGER)))
    assert answer.json == {
        "accepted": 2,
        "duplicate": 0,
        "suspended": 1,
        "records": [{"line": 3, "id": "three", "reason": "unknown-line"}],
    }
    assert daemon.stored() == ["one", "two"]


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        pytest.param(b"", (0, 0, 0), id="an empty body"),
        pytest.param(b"\n", (0, 0, 0), id="one line end"),
        pytest.param(b"\r\n\r\n", (0, 0, 0), id="only CRLF"),
        pytest.param(b"\n\n \n\t\n", (0, 0, 0), id="only blank lines"),
        pytest.param(ndjson(*some_records(3)), (3, 0, 0), id="LF"),
        pytest.param(ndjson(*some_records(3), end=b"\r\n"), (3, 0, 0), id="CRLF"),
        pytest.param(ndjson(*some_records(3)).rstrip(), (3, 0, 0), id="no end of the last line"),
        pytest.param(ndjson(*some_records(3), end=b"\r\n").rstrip(), (3, 0, 0), id="no CRLF at the end"),
        pytest.param(ndjson(b"", *some_records(3), b"  ", end=b"\n\n\r\n"), (3, 0, 0), id="blank lines between"),
        pytest.param(ndjson(a_record("x"), end=b"\n") + ndjson(a_record("y"), end=b"\r\n"), (2, 0, 0), id="both ends"),
        pytest.param(ndjson(*some_records(2), *some_records(2)), (2, 2, 0), id="each line twice"),
        pytest.param(ndjson(b"{}", b"{}", b"{}"), (0, 2, 1), id="a bad line three times"),
        pytest.param(ndjson(a_record("x"), b"\xff\xfe", a_record("y")), (2, 0, 1), id="a line that is no text"),
    ],
)
def test_the_three_numbers_sum_to_the_lines_that_are_not_blank(
    daemon: DaemonInThread, body: bytes, counts: tuple[int, int, int]
) -> None:
    with daemon.pop() as pop:
        assert pop.send(body).counts == counts
    assert len(daemon.stored()) == counts[0]
    assert len(daemon.suspended()) == counts[2]


def test_a_line_that_stands_twice_with_other_content_is_a_conflict_once(daemon: DaemonInThread) -> None:
    longer = a_record("x", duration=62)
    with daemon.pop() as pop:
        answer = pop.send(ndjson(a_record("x"), longer, a_record("x"), longer))
        assert answer.counts == (1, 2, 1)
        assert answer.json["records"] == [{"line": 2, "id": "x", "reason": "conflict"}]
        assert pop.send(ndjson(longer, a_record("x"))).counts == (0, 2, 0)
    assert daemon.rows("SELECT record_id, duration_us FROM transactions_202511") == [("x", 61_000_000)]
    assert [raw for _, raw in daemon.suspended()] == [json.dumps(longer).encode()]


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(a_record("x"), id="as it was"),
        pytest.param(dict(reversed(a_record("x").items())), id="other key order"),
        pytest.param(a_record("x", duration=61.0), id="61.0 for 61"),
        pytest.param(a_record("x", start="2025-11-20T14:07:31.25Z", answer="2025-11-20T14:07:35+00:00"), id="in UTC"),
        pytest.param(a_record("x", calling=line(0).lstrip("+")), id="without the plus"),
        pytest.param(a_record("x", type=None), id="the default type left out"),
        pytest.param(json.dumps(a_record("x"), indent=None, separators=(" ,  ", " : ")).encode(), id="other spacing"),
    ],
)
def test_equal_values_make_a_duplicate(daemon: DaemonInThread, again: dict[str, object] | bytes) -> None:
    with daemon.pop() as pop:
        assert pop.send(ndjson(a_record("x"))).counts == (1, 0, 0)
        assert pop.send(ndjson(again)).counts == (0, 1, 0)
    assert daemon.stored() == ["x"]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(a_record("x", duration=61.000001), id="a microsecond"),
        pytest.param(a_record("x", called=BOSTON), id="another called number"),
        pytest.param(a_record("x", calling=line(1)), id="another account's line"),
        pytest.param(a_record("x", answer="2025-11-20T09:07:36-05:00"), id="another answer"),
        pytest.param(a_record("x", type="operator"), id="another type"),
        pytest.param(a_record("x", service=None), id="no service"),
        pytest.param(a_record("x", trunk_in="t1"), id="a trunk"),
        pytest.param(a_record("x", note="new"), id="a field of its own"),
        pytest.param(a_record("x", calling=STRANGER), id="an unknown line"),
        pytest.param(a_record("x", called=NOWHERE), id="a number without a rate"),
    ],
)
def test_another_content_under_the_same_key_is_a_conflict(daemon: DaemonInThread, other: dict[str, object]) -> None:
    with daemon.pop() as pop:
        assert pop.send(ndjson(a_record("x"))).counts == (1, 0, 0)
        answer = pop.send(ndjson(other))
        assert answer.counts == (0, 0, 1)
        assert answer.json["records"] == [{"line": 1, "id": "x", "reason": "conflict"}]
        assert pop.send(ndjson(other)).counts == (0, 1, 0)
    assert daemon.stored() == ["x"]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(a_record("y"), id="another id"),
        pytest.param(a_record("X"), id="an id in capitals"),
        pytest.param(a_record("x", start="2025-11-20T09:07:31.250001-05:00"), id="another start"),
        pytest.param(a_record("x", start="2025-12-20T09:07:31.250-05:00", answer=None), id="another month"),
    ],
)
def test_another_key_is_another_call(daemon: DaemonInThread, other: dict[str, object]) -> None:
    with daemon.pop() as pop:
        assert pop.send(ndjson(a_record("x"))).counts == (1, 0, 0)
        assert pop.send(ndjson(other)).counts == (1, 0, 0)


def test_another_sources_ids_are_anothers(daemon: DaemonInThread) -> None:
    with daemon.pop("pop-a") as a, daemon.pop("pop-b") as b:
        assert a.send(ndjson(a_record("x"))).counts == (1, 0, 0)
        assert b.send(ndjson(a_record("x", duration=5))).counts == (1, 0, 0)
        assert a.send(ndjson(a_record("x"))).counts == (0, 1, 0)


def test_a_duplicate_of_another_months_record_is_found(daemon: DaemonInThread) -> None:
    months = [a_record("x", start=f"2025-{month:02}-01T00:00:00Z", answer=None) for month in range(1, 13)]
    with daemon.pop() as pop:
        assert pop.send(ndjson(*months)).counts == (12, 0, 0)
        assert pop.send(ndjson(*reversed(months))).counts == (0, 12, 0)


def test_the_first_hundred_suspended_are_named(daemon: DaemonInThread) -> None:
    strangers = [a_record(f"s-{n}", calling=STRANGER) for n in range(150)]
    with daemon.pop() as pop:
        answer = pop.send(ndjson(a_record("good"), b"", *strangers))
    assert answer.counts == (1, 0, 150)
    assert answer.json["records"] == [{"line": n + 3, "id": f"s-{n}", "reason": "unknown-line"} for n in range(100)]


def test_the_suspended_are_named_in_the_order_of_their_lines_whatever_their_reasons(daemon: DaemonInThread) -> None:
    strangers = [a_record(f"s-{n}", calling=STRANGER) for n in range(100)]
    with daemon.pop() as pop:
        pop.send(ndjson(a_record("known")))
        answer = pop.send(ndjson(b"{", *strangers, a_record("known", duration=62)))
    assert answer.counts == (0, 0, 102)
    named = [(record["line"], record["reason"]) for record in answer.json["records"]]
    assert named == [(1, "malformed"), *((n + 2, "unknown-line") for n in range(99))]


def test_a_gzipped_batch_is_the_same_batch(daemon: DaemonInThread) -> None:
    body = ndjson(*some_records(20))
    with daemon.pop() as pop:
        assert pop.send(gzip.compress(body), headers={"Content-Encoding": "gzip"}).counts == (20, 0, 0)
        assert pop.send(body).counts == (0, 20, 0)
        assert pop.send(gzip.compress(body), headers={"Content-Encoding": "GZIP"}).counts == (0, 20, 0)


def test_a_large_batch_is_counted_whole(daemon: DaemonInThread) -> None:
    body = ndjson(*some_records(3_000), b"{")
    with daemon.pop() as pop:
        assert pop.send(body).counts == (3_000, 0, 1)
        assert pop.send(body).counts == (0, 3_001, 0)


def test_batches_at_once_on_many_connections_charge_each_record_once(daemon: DaemonInThread) -> None:
    """The same records, cut into batches in two ways, sent by four connections at the same time."""
    records = some_records(400)
    pops = [daemon.pop() for _ in range(4)]
    bodies = [ndjson(*records[at : at + 100]) for at in range(0, 400, 100)] * 2
    bodies += [ndjson(*records[n::5]) for n in range(5)]
    accepted = 0
    try:
        for at in range(0, len(bodies), len(pops)):
            together = list(zip(pops, bodies[at:]))  # noqa: B905  # the last round has fewer
            for pop, body in together:
                _begin(pop, body)
            accepted += sum(_end(pop) for pop, _ in together)
    finally:
        for pop in pops:
            pop.connection.close()
    assert accepted == 400
    assert sorted(daemon.stored()) == sorted(record["id"] for record in records)


def _begin(pop: PopByHand, body: bytes) -> None:
    pop.connection.request("POST", "/v1/transactions", body, {"Authorization": f"Bearer {pop.token}"})


def _end(pop: PopByHand) -> int:
    with pop.connection.getresponse() as response:
        told = json.loads(response.read())
    return int(told["accepted"])
