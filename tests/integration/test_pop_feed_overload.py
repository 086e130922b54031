"""A store that is slow, full up, failing or closing: what is refused, what is not, and what operations see of it."""

import itertools
import select
import time
from contextlib import AsyncExitStack, suppress
from http.client import HTTPException
from pathlib import Path

import pytest
from aiohttp import ClientSession

from rating.store.errors import StoreFailed
from tests.integration.daemon_in_thread import DaemonInThread, running
from tests.pop_by_hand import WITHIN_S, PopByHand, head, plug, read_answer
from tests.small_site import STRANGER, TOKENS, a_record, ndjson, some_records, write_config

IN_FLIGHT = 32
RECORDS = 500


def begin(pop: PopByHand, body: bytes, position: str | None = None) -> None:
    """Post a batch, and do not wait for the answer."""
    headers = {"Authorization": f"Bearer {pop.token}"} | ({"Tollkeeper-Batch": position} if position else {})
    pop.connection.request("POST", "/v1/transactions", body, headers)


def end(pop: PopByHand) -> int:
    """The status of the answer."""
    with pop.connection.getresponse() as response:
        response.read()
        return response.status


def batch_of(n: int) -> bytes:
    return ndjson(*some_records(RECORDS, f"b{n}"))


def send_until(pop: PopByHand, body: bytes, status: int) -> None:
    """Post the same until it is answered so."""
    deadline = time.monotonic() + WITHIN_S
    while (answered := pop.send(body).status) != status:
        assert time.monotonic() < deadline, f"still answered {answered}, not {status}"


def test_32_requests_of_500_records_are_never_refused_and_beyond_the_queue_it_is_503(site: Path) -> None:
    with running(write_config(site, feed="max_queue_records = 16000")) as daemon:
        daemon.committing.shut()
        pops = [daemon.pop() for _ in range(IN_FLIGHT)]
        with daemon.pop() as late:
            for n, pop in enumerate(pops):
                begin(pop, batch_of(n), f"e/{n}")
            daemon.wait_queued(IN_FLIGHT * RECORDS)
            refused = late.send(ndjson(a_record("late")), "e/100")
            assert refused.status in (429, 503)
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.is_problem
            daemon.committing.open()
            assert [end(pop) for pop in pops] == [200] * IN_FLIGHT
            assert late.get("/v1/positions").json == {"e": {"last": IN_FLIGHT - 1, "gaps": []}}
            assert "late" not in daemon.stored()
            assert late.send(ndjson(a_record("late")), "e/100").counts == (1, 0, 0)
        for pop in pops:
            pop.connection.close()
        assert len(daemon.stored()) == IN_FLIGHT * RECORDS + 1


def test_one_pops_huge_batch_does_not_have_the_others_refused(site: Path) -> None:
    with running(write_config(site, feed="max_queue_records = 16000")) as daemon:
        daemon.committing.shut()
        with daemon.pop("pop-a") as huge, daemon.pop("pop-a") as late, daemon.pop("pop-b") as other:
            begin(huge, b"?\n" * 40_000)
            daemon.wait_queued(40_000)
            begin(other, batch_of(0))
            daemon.wait_queued(40_000 + RECORDS)
            assert late.send(b"?").status == 503
            assert late.say({"kind": "transaction", "records": []}).status == 503
            daemon.committing.open()
            assert (end(huge), end(other)) == (200, 200)


def test_who_is_refused_is_refused_before_the_body_is_read(site: Path) -> None:
    with running(write_config(site, feed="max_queue_records = 16000")) as daemon:
        daemon.committing.shut()
        with daemon.pop() as full:
            begin(full, b"?\n" * 16_000)
            daemon.wait_queued(16_000)
            for path in ("/v1/transactions", "/v1/messages"):
                with plug(daemon.feed) as wire:
                    wire.sendall(head(TOKENS["pop-a"], "Content-Length: 1000", path=path))
                    assert read_answer(wire).status == 503
            daemon.committing.open()
            assert end(full) == 200


def test_32_bodies_of_500_records_may_be_on_their_way_at_once(site: Path) -> None:
    """Each is well below the limit; all of them have begun to arrive, and none is whole yet."""
    with running(write_config(site, feed="max_body_bytes = 1000000")) as daemon:
        wires = [plug(daemon.feed) for _ in range(IN_FLIGHT)]
        try:
            for n, wire in enumerate(wires):
                body = ndjson(*(a_record(f"b{n}-{m}", note="x" * 500) for m in range(RECORDS)))
                assert len(body) < 1_000_000 / 2
                wire.sendall(head(TOKENS["pop-a"], f"Content-Length: {len(body)}") + body[:-1])
            for wire in wires:
                wire.sendall(b"\n")
            statuses = [read_answer(wire).status for wire in wires]
        finally:
            for wire in wires:
                wire.close()
        assert statuses == [200] * IN_FLIGHT


def test_requests_whose_bodies_are_still_to_come_take_room_and_give_it_back(site: Path) -> None:
    with running(write_config(site, feed="max_queue_records = 16000")) as daemon, daemon.pop() as late:
        wires = [plug(daemon.feed) for _ in range(IN_FLIGHT)]
        for wire in wires:
            wire.sendall(head(TOKENS["pop-a"], "Content-Length: 100000"))
        send_until(late, b"?", 503)
        assert late.send(ndjson(a_record("late"))).status == 503
        with daemon.pop("pop-b") as other:
            assert other.send(ndjson(a_record("other"))).counts == (1, 0, 0)
        for wire in wires:
            wire.close()
        send_until(late, ndjson(a_record("late")), 200)
        assert daemon.stored() == ["other", "late"]


@pytest.mark.parametrize(("body", "status"), [(b"?\n" * 501, 503), (b"?\n\r\n" * 500, 200)])
def test_a_body_takes_room_for_the_records_in_it_and_not_for_its_blank_lines(
    site: Path, body: bytes, status: int
) -> None:
    with running(write_config(site, feed="max_queue_records = 16000")) as daemon, daemon.pop() as late:
        daemon.committing.shut()
        with daemon.pop() as full:
            begin(full, b"?\n" * (IN_FLIGHT - 1) * RECORDS)
            daemon.wait_queued((IN_FLIGHT - 1) * RECORDS)
            begin(late, body)
            if status == 200:
                daemon.wait_queued(IN_FLIGHT * RECORDS)
            else:
                assert end(late) == 503
            daemon.committing.open()
            assert end(full) == 200
            if status == 200:
                assert end(late) == 200


def test_bodies_are_held_until_they_are_answered_and_no_more_than_there_is_memory_for(site: Path) -> None:
    with running(write_config(site, feed="max_body_bytes = 1000")) as daemon, daemon.pop() as late:
        daemon.committing.shut()
        pops = [daemon.pop() for _ in range(IN_FLIGHT)]
        for pop in pops:
            begin(pop, b"?" * 1000)
        daemon.wait_queued(IN_FLIGHT)
        refused = late.send(b"?")
        assert refused.status == 503
        assert int(refused.headers["retry-after"]) >= 1
        daemon.committing.open()
        assert [end(pop) for pop in pops] == [200] * IN_FLIGHT
        assert late.send(b"?").status == 200
        for pop in pops:
            pop.connection.close()


async def test_a_stream_that_has_filled_the_queue_does_not_have_requests_refused(site: Path) -> None:
    """Never at 32 requests of 500 records in flight or fewer: here there is one."""
    with running(write_config(site, feed="max_queue_records = 16000")) as daemon:
        daemon.committing.shut()
        headers = {"Authorization": f"Bearer {TOKENS['pop-b']}"}
        async with (
            ClientSession(headers=headers) as session,
            session.ws_connect(f"{daemon.base}/v1/stream", compress=0) as socket,
        ):
            for n in range(10):
                await socket.send_bytes(ndjson(*some_records(1600, f"s{n}")))
            daemon.wait_queued(16_000)
            with daemon.pop() as pop:
                begin(pop, batch_of(0))
                assert daemon.ask_ops("/healthz").status == 200
                daemon.committing.open()
                assert end(pop) == 200


async def test_messages_of_streams_are_held_until_they_are_answered_and_others_wait(site: Path) -> None:
    """The memory of one feed is that of 32 messages, however many streams there are."""
    with running(write_config(site, feed="max_body_bytes = 1000")) as daemon, daemon.pop() as pop:
        daemon.committing.shut()
        headers = {"Authorization": f"Bearer {TOKENS['pop-a']}"}
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(ClientSession(headers=headers))
            url = f"{daemon.base}/v1/stream"
            sockets = [await stack.enter_async_context(session.ws_connect(url, compress=0)) for _ in range(3)]
            for n, socket in itertools.product(range(16), sockets):
                await socket.send_bytes(f"{n}".encode().ljust(1000, b"?"))
            daemon.wait_queued(IN_FLIGHT)
            begin(pop, b"?")
            daemon.wait_queued(IN_FLIGHT + 1)
            daemon.committing.open()
            assert end(pop) == 200
            answers = [await socket.receive_json() for _, socket in itertools.product(range(16), sockets)]
            assert [answer["batch"] for answer in answers] == [n for n in range(1, 17) for _ in sockets]


def test_an_answer_comes_after_the_commit_and_not_before(daemon: DaemonInThread) -> None:
    daemon.committing.shut()
    with daemon.pop() as pop:
        begin(pop, ndjson(a_record("x")))
        daemon.committing.wait_reached()
        assert daemon.ask_ops("/healthz").status == 200
        readable, _, _ = select.select([pop.connection.sock], [], [], 0)
        assert not readable
        assert daemon.stored() == []
        daemon.committing.open()
        assert end(pop) == 200
    assert daemon.stored() == ["x"]


def test_what_a_sender_sent_before_it_went_away_is_stored_and_then_a_duplicate(daemon: DaemonInThread) -> None:
    daemon.committing.shut()
    with daemon.pop() as pop:
        begin(pop, ndjson(*some_records(3)), "e/1")
        daemon.committing.wait_reached()
    assert daemon.ask_ops("/healthz").status == 200
    daemon.committing.open()
    with daemon.pop() as pop:
        assert pop.send(ndjson(*some_records(3)), "e/1").counts == (0, 3, 0)
    assert daemon.stored() == ["r-0", "r-1", "r-2"]


def test_a_failed_commit_ends_the_daemon_and_nothing_is_acknowledged(site: Path) -> None:
    config = write_config(site)
    with running(config, may_fail=True) as daemon:
        daemon.committing.shut()
        with daemon.pop() as pop, daemon.pop() as queued:
            begin(pop, ndjson(a_record("x")), "e/1")
            daemon.committing.wait_reached()
            begin(queued, ndjson(a_record("y")), "e/2")
            assert daemon.ask_ops("/healthz").status == 200
            daemon.committing.fail(StoreFailed("on purpose"))
            for waiting in (pop, queued):
                with suppress(OSError, HTTPException):  # to close without a word is as good
                    assert end(waiting) == 503
            daemon.wait_end()
    assert str(daemon.failure) == "on purpose"
    with running(config) as daemon, daemon.pop() as pop:
        assert pop.get("/v1/positions").json == {}
        assert pop.send(ndjson(a_record("x"), a_record("y"))).counts == (2, 0, 0)


def test_a_commit_that_failed_when_it_was_durable_is_not_said_to_have_stored_nothing(site: Path) -> None:
    """After a failed sync nobody knows what is on the disk; a 503 would say that nothing of the batch was stored."""
    config = write_config(site)
    status = None
    with running(config, may_fail=True) as daemon:
        daemon.committed.fail(StoreFailed("the sync failed"))
        with daemon.pop() as pop, suppress(OSError, HTTPException):
            begin(pop, ndjson(a_record("x")), "e/1")
            status = end(pop)
        daemon.wait_end()
    assert daemon.stored() == ["x"]
    assert status not in (200, 429, 503)


def test_while_it_drains_what_was_taken_is_answered_and_new_work_is_refused(daemon: DaemonInThread) -> None:
    with daemon.pop() as pop, daemon.pop() as late:
        assert late.send(b"").counts == (0, 0, 0)  # a connection that is open already
        daemon.committing.shut()
        begin(pop, ndjson(*some_records(3)), "e/1")
        daemon.wait_queued(3)
        daemon.ask_stop()
        while daemon.ask_ops("/readyz").status == 200:
            pass
        refused = late.send(ndjson(a_record("late")), "e/2")
        assert refused.status == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.is_problem
        assert "the daemon is stopping" in refused.json["detail"]
        with pytest.raises(ConnectionError):
            plug(daemon.feed)
        daemon.committing.open()
        assert end(pop) == 200
    daemon.wait_end()
    assert daemon.stored() == ["r-0", "r-1", "r-2"]
    assert daemon.rows("SELECT epoch, sequence FROM batches") == [("e", 1)]


# When the store's thread goes on at last, the event loop that it would tell is gone.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_store_that_hangs_does_not_keep_the_daemon_from_ending(
    daemon: DaemonInThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It drains for so long and no longer; what was not stored is not acknowledged."""
    monkeypatch.setattr("mediation.daemon.DRAIN_S", 0.3)
    monkeypatch.setattr("rating.store.sqlite.CLOSE_S", 0.3)
    daemon.committing.shut()
    with daemon.pop() as pop, suppress(OSError, HTTPException):
        begin(pop, ndjson(a_record("x")), "e/1")
        daemon.wait_queued(1)
        daemon.ask_stop()
        assert end(pop) != 200
    daemon.wait_end()
    assert daemon.failure is None
    assert daemon.stored() == []


def test_ready_is_said_between_the_start_and_the_end_and_alive_throughout(site: Path) -> None:
    with running(write_config(site), held_at_opening=True) as daemon:
        daemon.opening.wait_reached()
        assert daemon.ask_ops("/readyz").status == 503
        assert daemon.ask_ops("/healthz").status == 200
        daemon.opening.open()
        daemon.wait_ready()
        assert daemon.ask_ops("/readyz").status == 200
        assert daemon.ask_ops("/healthz").status == 200
        daemon.committing.shut()
        with daemon.pop() as pop:
            begin(pop, ndjson(a_record("x")))
            daemon.wait_queued(1)
            daemon.ask_stop()
            while (ready := daemon.ask_ops("/readyz")).status == 200:
                pass
            assert ready.status == 503
            assert daemon.ask_ops("/healthz").status == 200
            daemon.committing.open()
            assert end(pop) == 200


def test_operations_see_what_came_in_and_what_became_of_it(daemon: DaemonInThread) -> None:
    with daemon.pop("pop-a") as a, daemon.pop("pop-b") as b:
        a.send(ndjson(*some_records(5), a_record("s", calling=STRANGER)), "e/1")
        a.send(ndjson(*some_records(2)), "e/2")
        a.send(b"", "e/2")
        b.send(ndjson(*some_records(3)))
    metrics = daemon.ask_ops("/metrics")
    assert metrics.status == 200
    assert metrics.headers["content-type"].startswith("text/plain")
    records = "tollkeeper_records_total"
    assert daemon.metric(f'{records}{{outcome="accepted",source="pop-a"}}') == 5
    assert daemon.metric(f'{records}{{outcome="suspended",source="pop-a"}}') == 1
    assert daemon.metric(f'{records}{{outcome="duplicate",source="pop-a"}}') == 2
    assert daemon.metric(f'{records}{{outcome="accepted",source="pop-b"}}') == 3
    assert daemon.metric(f'{records}{{outcome="duplicate",source="pop-b"}}') == 0
    assert daemon.metric("tollkeeper_batches_refused_total") == 1
    assert daemon.metric("tollkeeper_last_transaction") >= 8
    assert daemon.metric("tollkeeper_commit_seconds_count") >= 1
    assert daemon.metric("tollkeeper_queued_records") == 0


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/", 404)])
def test_the_ops_listener_answers_errors_as_problems(daemon: DaemonInThread, path: str, status: int) -> None:
    answer = daemon.ask_ops(path)
    assert answer.status == status
    assert answer.is_problem
