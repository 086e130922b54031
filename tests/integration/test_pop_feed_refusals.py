"""A full queue and senders of all kinds: each gets its 503 whole, whatever it is still sending, and may come again."""

import asyncio
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.integration.certificates import make_certificate
from tests.integration.daemon_in_thread import DaemonInThread, running
from tests.integration.test_pop_feed_overload import begin, end, send_until
from tests.pop_by_hand import answers_until_close, head, plug, read_answer
from tests.small_site import TOKENS, a_record, ndjson, some_records, write_config

QUEUE = 16_000
TOKEN = TOKENS["pop-a"]
BATCH = ndjson(*some_records(500))
LONG = b"?" * 12_000_000
"""More than the buffers of a connection hold: whoever sends it whole before it reads has to be read."""
UNAVAILABLE = 503
IDLE_S = 1.0
"""Instead of a minute: so long a connection may be silent."""


def post(body: bytes, *lines: str, token: str = TOKEN) -> bytes:
    return head(token, f"Content-Length: {len(body)}", *lines) + body


@pytest.fixture
def full(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DaemonInThread]:
    """A daemon that has no room for pop-a, until its commits go on."""
    monkeypatch.setattr("mediation.feeds.connections.IDLE_S", IDLE_S)
    with running(write_config(site, feed=f"max_queue_records = {QUEUE}")) as daemon:
        daemon.committing.shut()
        with daemon.pop() as pop:
            begin(pop, b"?\n" * QUEUE)
            daemon.wait_queued(QUEUE)
            yield daemon
            daemon.committing.open()
            assert end(pop) == 200


@pytest.mark.parametrize("body", [b"", BATCH, LONG], ids=["nothing", "500 records", "12 MB"])
def test_who_sends_all_before_it_reads_is_refused_and_comes_again_on_the_same_connection(
    full: DaemonInThread, body: bytes
) -> None:
    with plug(full.feed) as wire:
        for _ in range(3):
            wire.sendall(post(body))
            refused = read_answer(wire)
            assert refused.status == UNAVAILABLE
            assert refused.is_problem
            assert 1 <= int(refused.headers["retry-after"]) <= 30
            assert "server" not in refused.headers
        full.committing.open()
        with full.pop() as other:
            send_until(other, b"", 200)
        wire.sendall(post(ndjson(a_record("later"))))
        assert read_answer(wire).counts == (1, 0, 0)


def test_who_hears_of_it_while_it_still_sends_may_send_the_rest_and_the_next_request(full: DaemonInThread) -> None:
    with plug(full.feed) as wire:
        for _ in range(2):
            wire.sendall(post(BATCH)[:-50_000])
            assert read_answer(wire).status == UNAVAILABLE
            wire.sendall(BATCH[-50_000:])
        wire.sendall(post(b"", token="wrong"))
        assert read_answer(wire).status == 401


@pytest.mark.parametrize("path", ["/v1/transactions", "/v1/messages"])
def test_who_will_send_no_more_is_answered_all_the_same_and_the_connection_ends(
    full: DaemonInThread, path: str
) -> None:
    with plug(full.feed) as wire:
        wire.sendall(head(TOKEN, f"Content-Length: {len(BATCH)}", path=path) + BATCH)
        wire.shutdown(socket.SHUT_WR)
        assert [answer.status for answer in answers_until_close(wire)] == [UNAVAILABLE]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(post(BATCH, "Connection: close"), id="the last one"),
        pytest.param(post(BATCH) * 2 + post(BATCH, "Connection: close"), id="several at once"),
        pytest.param(
            head(TOKEN, "Transfer-Encoding: chunked", "Connection: close") + b"2\r\n{}\r\n0\r\n\r\n", id="in chunks"
        ),
    ],
)
def test_what_is_left_to_the_parser_is_refused_there(full: DaemonInThread, sent: bytes) -> None:
    with plug(full.feed) as wire:
        wire.sendall(sent)
        answers = answers_until_close(wire)
    assert [answer.status for answer in answers] == [UNAVAILABLE] * max(1, sent.count(BATCH))
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)


def test_who_is_refused_now_and_then_is_not_silent(full: DaemonInThread) -> None:
    """A connection is closed after some silence, and refusals are none."""
    with full.pop() as pop:
        pop.connection.connect()
        kept = pop.connection.sock
        for _ in range(8):
            assert pop.send(BATCH).status == UNAVAILABLE
            assert pop.connection.sock is kept
            time.sleep(IDLE_S / 5)


def test_a_full_queue_tells_nothing_to_who_has_no_token(full: DaemonInThread) -> None:
    for credentials in ("Bearer wrong", "Bearer", f"Basic {TOKEN}", ""):
        with plug(full.feed) as wire:
            wire.sendall(post(BATCH).replace(f"Bearer {TOKEN}".encode(), credentials.encode()))
            answer = read_answer(wire)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"


def test_what_is_no_batch_is_answered_on_a_connection_that_was_refused(full: DaemonInThread) -> None:
    with full.pop() as pop:
        assert pop.send(BATCH).status == UNAVAILABLE
        assert pop.get("/v1/positions").json == {}
        assert pop.get("/nowhere").status == 404
        assert pop.send(BATCH).status == UNAVAILABLE


async def test_a_crowd_that_comes_again_at_once_gets_every_answer(full: DaemonInThread) -> None:
    """By a client library, which keeps its connections, and reads answers while it sends."""
    crowd, times = 50, 4

    async def come_again(session: ClientSession, body: bytes) -> list[int]:
        statuses = []
        for _ in range(times):
            async with session.post(f"{full.base}/v1/transactions", data=BytesIO(body)) as answer:
                assert int(answer.headers["Retry-After"]) >= 1
                assert (await answer.json(content_type=None))["status"] == answer.status
                statuses.append(answer.status)
        return statuses

    async with ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session, asyncio.TaskGroup() as group:
        bodies = [BATCH] * crowd + [LONG]
        crowding = [group.create_task(come_again(session, body)) for body in bodies]
    assert [each.result() for each in crowding] == [[UNAVAILABLE] * times] * len(bodies)


def test_one_source_is_refused_while_another_is_let_in(full: DaemonInThread) -> None:
    with full.pop("pop-a") as refused, full.pop("pop-b") as other:
        assert refused.send(BATCH).status == UNAVAILABLE
        begin(other, ndjson(a_record("x")))
        full.wait_queued(QUEUE + 1)
        full.committing.open()
        assert end(other) == 200


def test_a_refusal_over_tls_is_the_same(site: Path) -> None:
    key, certificate = make_certificate(site)
    served = f'tls_certificate = "{certificate.name}"\ntls_key = "{key.name}"'
    context = ssl.create_default_context(cafile=certificate)

    @contextmanager
    def plug_in(daemon: DaemonInThread) -> Iterator[socket.socket]:
        with plug(daemon.feed) as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as wire:
            yield wire

    with running(write_config(site, feed=f"max_queue_records = {QUEUE}\n{served}")) as daemon:
        daemon.committing.shut()
        with plug_in(daemon) as filling, plug_in(daemon) as wire:
            filling.sendall(post(b"?\n" * QUEUE))
            daemon.wait_queued(QUEUE)
            for body in (BATCH, LONG, b"", BATCH):
                wire.sendall(post(body))
                assert read_answer(wire).status == UNAVAILABLE
            daemon.committing.open()
            assert read_answer(filling).status == 200
            wire.sendall(post(BATCH))
            assert read_answer(wire).counts == (500, 0, 0)
