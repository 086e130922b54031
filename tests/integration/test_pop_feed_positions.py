"""The POP feed's transport positions: taken with the commit, and not otherwise; repeats, gaps, other bodies."""

import gzip

import pytest

from tests.integration.daemon_in_thread import DaemonInThread, running
from tests.small_site import STRANGER, a_record, ndjson, some_records


def test_positions_count_up_and_gaps_are_named_until_they_are_filled(daemon: DaemonInThread) -> None:
    with daemon.pop() as pop:
        assert pop.get("/v1/positions").json == {}
        for sequence in (1, 2, 5, 6, 9, 12):
            assert pop.send(ndjson(a_record(f"r-{sequence}")), f"boot-1/{sequence}").counts == (1, 0, 0)
        assert pop.get("/v1/positions").json == {"boot-1": {"last": 12, "gaps": [[3, 4], [7, 8], [10, 11]]}}
        for sequence in (3, 8, 11, 10):
            assert pop.send(b"", f"boot-1/{sequence}").counts == (0, 0, 0)
        assert pop.get("/v1/positions").json == {"boot-1": {"last": 12, "gaps": [[4, 4], [7, 7]]}}
        for sequence in (4, 7):
            pop.send(b"", f"boot-1/{sequence}")
        assert pop.get("/v1/positions").json == {"boot-1": {"last": 12, "gaps": []}}


def test_each_epoch_counts_for_itself(daemon: DaemonInThread) -> None:
    with daemon.pop() as pop:
        pop.send(b"", "first/1")
        pop.send(b"", "first/2")
        pop.send(b"", "second/7")
        pop.send(b"", "a/b c/1")
        assert pop.get("/v1/positions").json == {
            "first": {"last": 2, "gaps": []},
            "second": {"last": 7, "gaps": []},
            "a/b c": {"last": 1, "gaps": []},
        }


def test_one_sources_positions_do_not_disturb_anothers(daemon: DaemonInThread) -> None:
    with daemon.pop("pop-a") as a, daemon.pop("pop-b") as b:
        assert a.send(ndjson(a_record("a-1")), "e/1").counts == (1, 0, 0)
        assert b.send(ndjson(a_record("b-1")), "e/1").counts == (1, 0, 0)
        assert b.send(ndjson(a_record("b-5")), "e/5").counts == (1, 0, 0)
        assert a.send(ndjson(a_record("a-2")), "e/2").counts == (1, 0, 0)
        assert a.get("/v1/positions").json == {"e": {"last": 2, "gaps": []}}
        assert b.get("/v1/positions").json == {"e": {"last": 5, "gaps": [[2, 4]]}}


def test_the_same_position_with_the_same_body_is_all_duplicate(daemon: DaemonInThread) -> None:
    body = ndjson(*some_records(3), a_record("s", calling=STRANGER), b"{", b"")
    with daemon.pop() as pop:
        assert pop.send(body, "e/1").counts == (3, 0, 2)
        again = pop.send(body, "e/1")
        assert again.json == {"accepted": 0, "duplicate": 5, "suspended": 0}
        packed = pop.send(gzip.compress(body), "e/1", {"Content-Encoding": "gzip"})
        assert packed.json == {"accepted": 0, "duplicate": 5, "suspended": 0}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(ndjson(a_record("other")), id="another record"),
        pytest.param(ndjson(*some_records(2)), id="a part of it"),
        pytest.param(ndjson(*some_records(3), end=b"\r\n"), id="other line ends"),
        pytest.param(ndjson(*reversed(some_records(3))), id="another order"),
    ],
)
def test_the_same_position_with_another_body_is_409_and_nothing_of_it_is_stored(
    daemon: DaemonInThread, other: bytes
) -> None:
    with daemon.pop() as pop:
        assert pop.send(ndjson(*some_records(3)), "e/1").counts == (3, 0, 0)
        answer = pop.send(other, "e/1")
        assert answer.status == 409
        assert answer.is_problem
        assert daemon.stored() == ["r-0", "r-1", "r-2"]
        assert pop.send(other, "e/2").status == 200


def test_a_batch_that_was_not_committed_has_not_taken_its_position(daemon: DaemonInThread) -> None:
    with daemon.pop() as pop:
        assert pop.send(gzip.compress(ndjson(a_record("x")))[:-3], "e/1", {"Content-Encoding": "gzip"}).status == 400
        assert pop.send(iter([bytes(10 << 20)] * 2), "e/1").status == 413
        assert pop.get("/v1/positions").json == {}
        assert pop.send(ndjson(a_record("y")), "e/1").counts == (1, 0, 0)
        assert pop.get("/v1/positions").json == {"e": {"last": 1, "gaps": []}}


def test_a_position_that_waits_for_its_commit_is_not_taken_yet(daemon: DaemonInThread) -> None:
    daemon.committing.shut()
    with daemon.pop() as pop, daemon.pop() as looking:
        pop.connection.request(
            "POST", "/v1/transactions", ndjson(a_record("x")),
            {"Authorization": f"Bearer {pop.token}", "Tollkeeper-Batch": "e/1"},
        )  # fmt: skip
        daemon.committing.wait_reached()
        assert looking.get("/v1/positions").json == {}
        daemon.committing.open()
        assert pop.connection.getresponse().status == 200
        assert looking.get("/v1/positions").json == {"e": {"last": 1, "gaps": []}}


def test_two_bodies_for_one_position_in_one_commit_are_one_batch_and_a_409(daemon: DaemonInThread) -> None:
    daemon.committing.shut()
    pops = [daemon.pop() for _ in range(4)]
    bodies = [ndjson(a_record("first")), ndjson(a_record("x")), ndjson(a_record("y")), ndjson(a_record("x"))]
    try:
        for pop, body, position in zip(pops, bodies, ("e/1", "e/2", "e/2", "e/2"), strict=True):
            headers = {"Authorization": f"Bearer {pop.token}", "Tollkeeper-Batch": position}
            pop.connection.request("POST", "/v1/transactions", body, headers)
            assert daemon.ask_ops("/healthz").status == 200  # the daemon has seen it
        daemon.committing.wait_reached()
        daemon.committing.open()
        statuses = [pop.connection.getresponse().status for pop in pops]
    finally:
        for pop in pops:
            pop.connection.close()
    assert statuses == [200, 200, 409, 200]
    assert daemon.stored() == ["first", "x"]


@pytest.mark.parametrize(
    "position",
    ["", "/", "e", "e/", "/1", "e/x", "e/-1", "e/1.5", "e/+1", "e/ 1", "e/\u0661", "e/" + "9" * 20, "e" * 300 + "/1"],
)
def test_a_position_that_is_none_is_refused_and_nothing_is_stored(shared_daemon: DaemonInThread, position: str) -> None:
    with shared_daemon.pop() as pop:
        answer = pop.send(ndjson(a_record("x")), headers={"Tollkeeper-Batch": position.encode().decode("latin-1")})
        assert answer.status == 422
        assert answer.is_problem
        assert pop.get("/v1/positions").json == {}
    assert shared_daemon.stored() == []


def test_positions_are_as_they_were_after_the_next_start(daemon: DaemonInThread) -> None:
    body = ndjson(*some_records(3))
    with daemon.pop() as pop:
        pop.send(body, "e/1")
        pop.send(b"", "e/4")
    daemon.stop()
    with running(daemon.config.file) as next_run, next_run.pop() as pop:
        assert pop.get("/v1/positions").json == {"e": {"last": 4, "gaps": [[2, 3]]}}
        assert pop.send(body, "e/1").counts == (0, 3, 0)
        assert pop.send(b"", "e/1").status == 409


def test_an_enveloped_batch_takes_its_position_too(daemon: DaemonInThread) -> None:
    body = b'{"kind":"transaction","records":[' + ndjson(a_record("enveloped")).strip() + b"]}"
    with daemon.pop() as pop:
        for counts in ((1, 0, 0), (0, 1, 0)):
            answer = pop.request("POST", "/v1/messages", body, {"Tollkeeper-Batch": "e/3"})
            assert answer.counts == counts
        other = body.replace(b"enveloped", b"another")
        assert pop.request("POST", "/v1/messages", other, {"Tollkeeper-Batch": "e/3"}).status == 409
        assert pop.get("/v1/positions").json == {"e": {"last": 3, "gaps": []}}
