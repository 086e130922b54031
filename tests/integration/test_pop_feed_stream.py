"""The POP feed's WebSocket: order and numbers of the answers, limits, a slow store, and the end."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from tests.integration.daemon_in_thread import WITHIN_S, DaemonInThread, running
from tests.small_site import STRANGER, TOKENS, a_record, ndjson, some_records, write_config

LIMIT = 100_000


@asynccontextmanager
async def stream(
    daemon: DaemonInThread, source: str = "pop-a", compress: int = 0
) -> AsyncIterator[ClientWebSocketResponse]:
    headers = {"Authorization": f"Bearer {TOKENS[source]}"}
    async with (
        asyncio.timeout(WITHIN_S),
        ClientSession(headers=headers) as session,
        session.ws_connect(f"{daemon.base}/v1/stream", compress=compress, max_msg_size=0) as socket,
    ):
        yield socket


async def answers(socket: ClientWebSocketResponse, count: int) -> list[dict[str, Any]]:
    return [await socket.receive_json() for _ in range(count)]


@pytest.fixture
def small(site: Path) -> Iterator[DaemonInThread]:
    """A daemon that takes no message over LIMIT bytes."""
    with running(write_config(site, feed=f"max_body_bytes = {LIMIT}")) as daemon:
        yield daemon


async def test_each_message_is_a_batch_with_an_answer(daemon: DaemonInThread) -> None:
    async with stream(daemon) as socket:
        await socket.send_str(ndjson(*some_records(2), a_record("s", calling=STRANGER)).decode())
        assert await socket.receive_json() == {
            "batch": 1, "accepted": 2, "duplicate": 0, "suspended": 1,
            "records": [{"line": 3, "id": "s", "reason": "unknown-line"}],
        }  # fmt: skip
        await socket.send_bytes(ndjson(*some_records(3)))
        assert await socket.receive_json() == {"batch": 2, "accepted": 1, "duplicate": 2, "suspended": 0}
        await socket.send_str("")
        assert await socket.receive_json() == {"batch": 3, "accepted": 0, "duplicate": 0, "suspended": 0}
        await socket.send_bytes(b"\r\n\n" + ndjson(a_record("x"), end=b"\r\n") + ndjson(a_record("y")).rstrip())
        assert await socket.receive_json() == {"batch": 4, "accepted": 2, "duplicate": 0, "suspended": 0}
    assert daemon.stored() == ["r-0", "r-1", "r-2", "x", "y"]


async def test_answers_come_in_the_order_of_the_messages_however_many_are_sent_at_once(daemon: DaemonInThread) -> None:
    async with stream(daemon) as socket:
        for n in range(100):
            await socket.send_bytes(ndjson(*some_records(n % 7, f"m{n}")))
        told = await answers(socket, 100)
    assert [(answer["batch"], answer["accepted"]) for answer in told] == [(n + 1, n % 7) for n in range(100)]


async def test_each_connection_counts_from_one_and_pings_do_not_count(daemon: DaemonInThread) -> None:
    async with stream(daemon) as first, stream(daemon) as second:
        for socket, counts in ((first, (1, 2)), (second, (1,)), (first, (3,))):
            for count in counts:
                await socket.ping(b"?")
                await socket.send_str("")
                assert (await socket.receive_json())["batch"] == count


async def test_wrong_bytes_in_a_frame_of_either_kind_are_suspended_as_they_came(daemon: DaemonInThread) -> None:
    lines = [b'{"id":"\xff\xfe"}', b"\x80", b"\xed\xa0\x80"]
    async with stream(daemon) as socket:
        await socket.send_bytes(ndjson(a_record("x"), lines[0], lines[1]))
        assert (await socket.receive_json())["suspended"] == 2
        await socket._writer.send_frame(ndjson(lines[2], a_record("y")), WSMsgType.TEXT)
        told = await socket.receive_json()
        assert (told["accepted"], told["suspended"]) == (1, 1)
    assert daemon.suspended() == [("malformed", line) for line in lines]
    assert daemon.stored() == ["x", "y"]


async def test_a_message_of_the_limit_is_taken_and_one_byte_more_is_1009(small: DaemonInThread) -> None:
    record = ndjson(a_record("x"))
    async with stream(small) as socket:
        await socket.send_bytes(record + b" " * (LIMIT - len(record)))
        assert (await socket.receive_json())["accepted"] == 1
        other = ndjson(a_record("y"))
        await socket.send_bytes(other + b" " * (LIMIT + 1 - len(other)))
        message = await socket.receive()
    assert message.type is WSMsgType.CLOSE
    assert message.data == 1009
    assert small.stored() == ["x"]


async def test_a_packed_message_is_measured_unpacked(small: DaemonInThread) -> None:
    """permessage-deflate (RFC 7692): 10 MB of blanks are 10 kB on the wire."""
    async with stream(small, compress=15) as socket:
        assert socket.compress
        await socket.send_bytes(ndjson(*some_records(400)))
        assert (await socket.receive_json())["accepted"] == 400
        await socket.send_bytes(bytes(10_000_000))
        message = await socket.receive()
    assert message.data == 1009


async def test_what_was_sent_before_a_message_that_is_too_long_is_stored(small: DaemonInThread) -> None:
    async with stream(small) as socket:
        for n in range(10):
            await socket.send_bytes(ndjson(a_record(f"r-{n}")))
        await socket.send_bytes(bytes(LIMIT + 1))
        while (message := await socket.receive()).type is WSMsgType.TEXT:
            pass
    assert message.data == 1009
    with small.pop() as pop:
        assert pop.send(ndjson(*some_records(10))).counts == (0, 10, 0)


@pytest.mark.parametrize(("over", "compress"), [(1, 0), (1000, 0), (1, 15), (2, 15)])
async def test_what_came_before_a_message_that_is_too_long_is_answered_first(
    small: DaemonInThread, over: int, compress: int
) -> None:
    """A packed one that is a byte too long is found by the daemon, the others by aiohttp."""
    small.committing.shut()
    async with stream(small, compress=compress) as socket:
        for n in range(10):
            await socket.send_bytes(ndjson(a_record(f"r-{n}")))
        await socket.send_bytes(bytes(LIMIT + over))
        await asyncio.to_thread(_wait_queued_at_least, small, 10)
        receiving = asyncio.ensure_future(socket.receive())
        await asyncio.wait({receiving}, timeout=0.2)
        assert not receiving.done()  # nothing of it is durable
        small.committing.open()
        told = [json.loads((await receiving).data), *await answers(socket, 9)]
        message = await socket.receive()
    assert [(answer["batch"], answer["accepted"]) for answer in told] == [(n + 1, 1) for n in range(10)]
    assert message.type is WSMsgType.CLOSE
    assert message.data == 1009


async def test_what_came_before_a_broken_frame_is_answered_first(small: DaemonInThread) -> None:
    async with stream(small) as socket:
        for n in range(5):
            await socket.send_bytes(ndjson(a_record(f"r-{n}")))
        await socket._writer.send_frame(b"", 0x3)  # type: ignore[arg-type]  # an opcode that nobody has
        told = await answers(socket, 5)
        message = await socket.receive()
    assert [answer["accepted"] for answer in told] == [1] * 5
    assert message.data == 1002


async def test_http_and_websocket_of_one_source_are_one_source(daemon: DaemonInThread) -> None:
    with daemon.pop("pop-a") as a, daemon.pop("pop-b") as b:
        async with stream(daemon, "pop-a") as socket:
            assert (await asyncio.to_thread(a.send, ndjson(a_record("x")))).counts == (1, 0, 0)
            await socket.send_bytes(ndjson(a_record("x"), a_record("y"), a_record("x", duration=5)))
            told = await socket.receive_json()
            assert (told["accepted"], told["duplicate"], told["suspended"]) == (1, 1, 1)
            assert (await asyncio.to_thread(a.send, ndjson(a_record("y")))).counts == (0, 1, 0)
            assert (await asyncio.to_thread(b.send, ndjson(a_record("y")))).counts == (1, 0, 0)


async def test_an_answer_comes_after_the_commit_and_not_before(daemon: DaemonInThread) -> None:
    daemon.committing.shut()
    async with stream(daemon) as socket:
        await socket.send_bytes(ndjson(a_record("x")))
        await asyncio.to_thread(daemon.committing.wait_reached)
        answer = asyncio.ensure_future(socket.receive_json())
        assert (await asyncio.to_thread(daemon.ask_ops, "/healthz")).status == 200
        assert not answer.done()
        assert daemon.stored() == []
        daemon.committing.open()
        assert (await answer)["accepted"] == 1
        assert daemon.stored() == ["x"]


async def test_a_slow_store_slows_the_stream_and_loses_nothing(site: Path) -> None:
    """Far more is sent than the queue takes; nothing is refused, and all of it is answered in the end."""

    async def send(socket: ClientWebSocketResponse) -> None:
        for n in range(20):
            await socket.send_bytes(ndjson(*some_records(1500, f"m{n}")))

    with running(write_config(site, feed="max_queue_records = 16000")) as daemon:
        daemon.committing.shut()
        async with stream(daemon) as socket:
            sending = asyncio.create_task(send(socket))
            await asyncio.to_thread(_wait_until_no_more_is_taken, daemon)
            daemon.committing.open()
            told = await answers(socket, 20)
            await sending
        assert [(answer["batch"], answer["accepted"]) for answer in told] == [(n + 1, 1500) for n in range(20)]
        assert len(daemon.stored()) == 30_000


async def test_what_a_client_sent_before_it_went_away_is_stored(daemon: DaemonInThread) -> None:
    daemon.committing.shut()
    async with stream(daemon) as socket:
        await socket.send_bytes(ndjson(*some_records(5)))
        await asyncio.to_thread(daemon.committing.wait_reached)
        assert socket._response.connection is not None
        assert socket._response.connection.transport is not None
        socket._response.connection.transport.abort()
    daemon.committing.open()
    with daemon.pop() as pop:
        assert (await asyncio.to_thread(pop.send, ndjson(*some_records(6)))).counts == (1, 5, 0)


async def test_nobody_waits_for_a_client_that_takes_no_answers(daemon: DaemonInThread) -> None:
    async def send_and_never_read(socket: ClientWebSocketResponse) -> None:
        for n in range(400):
            await socket.send_bytes(ndjson(*(a_record(f"m{n}-{m}", calling=STRANGER) for m in range(100))))

    async with stream(daemon) as mute, stream(daemon, "pop-b") as other:
        sending = asyncio.create_task(send_and_never_read(mute))
        for n in range(20):
            await other.send_bytes(ndjson(a_record(f"o-{n}")))
            assert (await other.receive_json())["accepted"] == 1
        sending.cancel()


@pytest.mark.parametrize("messages", [0, 1, 5, 40])
async def test_at_shutdown_a_stream_gets_its_outstanding_answers_then_1001(
    daemon: DaemonInThread, messages: int
) -> None:
    daemon.committing.shut()
    async with stream(daemon) as socket:
        for n in range(messages):
            await socket.send_bytes(ndjson(a_record(f"r-{n}")))
        taken = min(messages, 10)
        if messages:
            await asyncio.to_thread(daemon.committing.wait_reached)
            await asyncio.to_thread(_wait_queued_at_least, daemon, taken)
        daemon.ask_stop()
        await asyncio.to_thread(_wait_not_ready, daemon)
        daemon.committing.open()
        told = []
        while (message := await socket.receive()).type is WSMsgType.TEXT:
            told.append(json.loads(message.data))
    assert message.type is WSMsgType.CLOSE
    assert message.data == 1001
    assert len(told) >= taken
    assert [(answer["batch"], answer["accepted"]) for answer in told] == [(n + 1, 1) for n in range(len(told))]
    await asyncio.to_thread(daemon.wait_end)
    assert daemon.stored() == [f"r-{n}" for n in range(len(told))]


def _wait_until_no_more_is_taken(daemon: DaemonInThread) -> None:
    daemon.committing.wait_reached()
    seen: list[float] = []
    while len(seen) < 30 or seen[-1] != seen[-30]:
        assert len(seen) < 2000, "the queue grows without end"
        seen.append(daemon.metric("tollkeeper_queued_records"))


def _wait_queued_at_least(daemon: DaemonInThread, records: int) -> None:
    for _ in range(2000):
        if daemon.metric("tollkeeper_queued_records") >= records:
            return
    pytest.fail("not so many records were taken")


def _wait_not_ready(daemon: DaemonInThread) -> None:
    """Until the daemon has begun to end; without anything to drain it may have ended."""
    for _ in range(2000):
        try:
            if daemon.ask_ops("/readyz").status == 503:
                return
        except OSError:
            return
    pytest.fail("still ready")
