"""The POP feed's bodies: packed, too long, cut short, too slow. What is refused leaves nothing behind."""

import gzip
import random
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.daemon_in_thread import DaemonInThread, running
from tests.pop_by_hand import Answer, answers_until_close, head, plug, read_answer
from tests.small_site import TOKENS, a_record, ndjson, some_records, write_config

TOKEN = TOKENS["pop-a"]
LIMIT = 100_000
GZIP = {"Content-Encoding": "gzip"}


@pytest.fixture
def small(site: Path) -> Iterator[DaemonInThread]:
    """A daemon that takes no body over LIMIT bytes, and waits a second for one."""
    config = write_config(site, feed=f'max_body_bytes = {LIMIT}\nread_timeout = "1s"')
    with running(config) as daemon:
        yield daemon


def nothing_was_stored(daemon: DaemonInThread) -> bool:
    """Nor a position taken."""
    return not daemon.stored() and not daemon.suspended() and not daemon.rows("SELECT * FROM batches")


def faults_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What a log says that somebody should look at."""
    return [record.message for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def test_gzip_of_several_members_is_one_body(daemon: DaemonInThread) -> None:
    parts = [ndjson(a_record(f"m-{n}")) for n in range(5)]
    cut = len(parts[0]) // 2
    members = [parts[0][:cut], parts[0][cut:] + parts[1], b"", b"".join(parts[2:])]
    with daemon.pop() as pop:
        assert pop.send(b"".join(map(gzip.compress, members)), headers=GZIP).counts == (5, 0, 0)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing at all"),
        pytest.param(gzip.compress(b""), id="a member of nothing"),
        pytest.param(gzip.compress(b"\r\n\n"), id="blank lines"),
    ],
)
def test_an_empty_gzip_body_is_three_zeros(daemon: DaemonInThread, body: bytes) -> None:
    with daemon.pop() as pop:
        assert pop.send(body, headers=GZIP).counts == (0, 0, 0)


PACKED = gzip.compress(ndjson(*some_records(50)))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"this is no gzip", id="no gzip"),
        pytest.param(ndjson(a_record("x")), id="plain NDJSON"),
        pytest.param(b"\x1f", id="one byte of gzip"),
        pytest.param(PACKED[:9], id="cut in the header"),
        pytest.param(PACKED[: len(PACKED) // 2], id="cut in the middle"),
        pytest.param(PACKED[:-1], id="cut in the trailer"),
        pytest.param(PACKED + PACKED[:30], id="the second member cut"),
        pytest.param(PACKED + b"junk", id="junk behind it"),
        pytest.param(PACKED[:-8] + bytes(4) + PACKED[-4:], id="a wrong checksum"),
        pytest.param(PACKED[:-4] + bytes(4), id="a wrong length"),
        pytest.param(PACKED[:60] + b"\xff\xff\xff\xff" + PACKED[64:], id="bytes changed inside"),
        pytest.param(zlib.compress(b"{}\n"), id="zlib instead of gzip"),
    ],
)
def test_broken_gzip_is_400_and_nothing_is_stored(daemon: DaemonInThread, body: bytes) -> None:
    with daemon.pop() as pop:
        answer = pop.send(body, "e/1", GZIP)
        assert answer.status == 400
        assert answer.is_problem
        assert nothing_was_stored(daemon)
        assert pop.send(PACKED, "e/1", GZIP).counts == (50, 0, 0)


def test_a_packing_that_is_not_understood_is_refused(daemon: DaemonInThread) -> None:
    with daemon.pop() as pop:
        answer = pop.send(ndjson(a_record("x")), headers={"Content-Encoding": "br"})
    assert answer.status == 415
    assert answer.is_problem
    assert nothing_was_stored(daemon)


def test_a_gzip_bomb_is_413_and_nothing_is_stored(daemon: DaemonInThread) -> None:
    """64 MB in 64 kB, the very first line of which is fine."""
    bomb = gzip.compress(ndjson(a_record("x")) + bytes(64 << 20), 6)
    assert len(bomb) < 100_000
    with daemon.pop() as pop:
        answer = pop.send(bomb, "e/1", GZIP)
    assert answer.status == 413
    assert answer.is_problem
    assert nothing_was_stored(daemon)


def filled(length: int) -> bytes:
    """A batch of exactly so many bytes: one record, and blanks."""
    record = ndjson(a_record("x"))
    return record + b" " * (length - len(record))


@pytest.mark.parametrize("way", ["Content-Length", "chunked", "gzip"])
def test_the_limit_is_of_the_decoded_body_and_inclusive(small: DaemonInThread, way: str) -> None:
    def send(body: bytes) -> Answer:
        with small.pop() as pop:
            if way == "gzip":
                return pop.send(gzip.compress(body), headers=GZIP)
            return pop.send(body if way == "Content-Length" else iter([body[:50_000], body[50_000:]]))

    over = send(filled(LIMIT + 1))
    assert over.status == 413
    assert over.is_problem
    assert nothing_was_stored(small)
    assert send(filled(LIMIT)).counts == (1, 0, 0)


def test_the_packed_form_may_be_longer_than_the_limit(small: DaemonInThread) -> None:
    """Noise does not pack: the packed body is longer than what is in it, and the limit counts what is in it."""
    noise = random.Random(1).randbytes(LIMIT - 1).replace(b"\n", b"\0")
    packed = gzip.compress(noise + b"\n")
    assert len(packed) > LIMIT
    with small.pop() as pop:
        assert pop.send(packed, headers=GZIP).counts == (0, 0, 1)


def test_a_body_announced_too_long_is_413_before_it_is_sent(small: DaemonInThread) -> None:
    with plug(small.feed) as wire:
        wire.sendall(head(TOKEN, "Content-Length: 1000000000"))
        answer = read_answer(wire)
    assert answer.status == 413
    assert answer.is_problem


def test_an_endless_chunked_body_is_413_while_it_comes(small: DaemonInThread) -> None:
    piece = chunk(b" " * 10_000)
    with plug(small.feed) as wire:
        wire.sendall(head(TOKEN, "Transfer-Encoding: chunked") + piece * 11)
        answer = read_answer(wire)
    assert answer.status == 413
    assert answer.is_problem
    assert nothing_was_stored(small)


def test_a_chunked_body_is_a_body(daemon: DaemonInThread) -> None:
    body = ndjson(*some_records(3))
    with daemon.pop() as pop:
        assert pop.send(iter([body[:10], body[10:300], body[300:]])).counts == (3, 0, 0)


WHOLE = ndjson(*some_records(3))
CUT_SHORT = [
    pytest.param(head(TOKEN, f"Content-Length: {len(WHOLE)}") + WHOLE[:-2], id="by two bytes"),
    pytest.param(head(TOKEN, f"Content-Length: {len(WHOLE) + 1}") + WHOLE, id="after the last line"),
    pytest.param(head(TOKEN, f"Content-Length: {len(WHOLE)}"), id="before the first byte"),
    pytest.param(head(TOKEN, "Transfer-Encoding: chunked") + chunk(WHOLE), id="without the last chunk"),
    pytest.param(head(TOKEN, "Transfer-Encoding: chunked") + chunk(WHOLE)[:-5], id="in a chunk"),
    pytest.param(head(TOKEN, "Transfer-Encoding: chunked") + chunk(WHOLE) + b"0\r\n", id="in the last chunk"),
    pytest.param(
        head(TOKEN, "Content-Encoding: gzip", "Content-Length: 9999") + gzip.compress(WHOLE), id="after whole gzip"
    ),
]


@pytest.mark.parametrize("sent", CUT_SHORT)
def test_a_body_cut_short_by_a_sender_that_still_listens_is_400(
    daemon: DaemonInThread, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with plug(daemon.feed) as wire:
        wire.sendall(sent)
        _let_it_arrive(daemon)
        wire.shutdown(socket.SHUT_WR)
        (answer,) = answers_until_close(wire)
    assert answer.status == 400
    assert answer.is_problem
    assert nothing_was_stored(daemon)
    daemon.stop()
    assert faults_in(caplog) == []


@pytest.mark.parametrize("sent", CUT_SHORT)
def test_the_end_may_come_together_with_the_cut_body(daemon: DaemonInThread, sent: bytes) -> None:
    for _ in range(5):
        with plug(daemon.feed) as wire:
            wire.sendall(sent)
            wire.shutdown(socket.SHUT_WR)
            answers = answers_until_close(wire)
        assert [answer.status for answer in answers] == [400]
        assert answers[0].is_problem
    assert nothing_was_stored(daemon)


def test_a_whole_request_is_answered_though_its_sender_will_send_no_more(daemon: DaemonInThread) -> None:
    for n in range(10):
        body = ndjson(*some_records(3, f"b{n}"))
        with plug(daemon.feed) as wire:
            wire.sendall(head(TOKEN, f"Content-Length: {len(body)}") + body)
            wire.shutdown(socket.SHUT_WR)
            answers = answers_until_close(wire)
        assert [answer.counts for answer in answers] == [(3, 0, 0)]


@pytest.mark.parametrize("token", [TOKEN, "wrong"])
def test_a_sender_that_is_refused_and_sends_no_more_costs_nothing(daemon: DaemonInThread, token: str) -> None:
    """Its connection may linger, for the answer to get through; meanwhile the processor has nothing to do."""
    with plug(daemon.feed) as wire:
        wire.sendall(head(token, "Content-Encoding: br", f"Content-Length: {len(WHOLE)}") + WHOLE[:-2])
        assert read_answer(wire).status == (415 if token == TOKEN else 401)
        before_s = time.process_time()
        wire.shutdown(socket.SHUT_WR)
        assert answers_until_close(wire) == []
        assert time.process_time() - before_s < 0.5
    assert nothing_was_stored(daemon)


@pytest.mark.parametrize("sent", CUT_SHORT)
def test_a_connection_dropped_in_the_body_stores_nothing(daemon: DaemonInThread, sent: bytes) -> None:
    announced = sent.replace(b"Host: test", b"Tollkeeper-Batch: e/1\r\nHost: test")
    for linger in (b"\0" * 8, b"\1\0\0\0\0\0\0\0"):  # closed in order, and by a reset
        with plug(daemon.feed) as wire:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            wire.sendall(announced)
            _let_it_arrive(daemon)
    with daemon.pop() as pop:
        assert pop.send(b"").counts == (0, 0, 0)
        assert pop.get("/v1/positions").json == {}
    assert nothing_was_stored(daemon)


def test_a_dropped_connection_is_no_fault_of_ours(daemon: DaemonInThread, caplog: pytest.LogCaptureFixture) -> None:
    with plug(daemon.feed) as wire:
        wire.sendall(head(TOKEN, f"Content-Length: {len(WHOLE)}") + WHOLE[:-2])
        _let_it_arrive(daemon)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    daemon.stop()
    assert faults_in(caplog) == []


@pytest.mark.parametrize(
    "body",
    [pytest.param(b"zz\r\n{}\r\n0\r\n\r\n", id="no number"), pytest.param(b"-1\r\n{}\r\n0\r\n\r\n", id="below zero")],
)
def test_chunks_that_are_none_are_400(daemon: DaemonInThread, body: bytes) -> None:
    with plug(daemon.feed) as wire:
        wire.sendall(head(TOKEN, "Transfer-Encoding: chunked") + body)
        answer = read_answer(wire)
    assert answer.status == 400
    assert answer.is_problem
    assert nothing_was_stored(daemon)


def test_a_slow_sender_gets_408_and_does_not_delay_the_others(small: DaemonInThread) -> None:
    with plug(small.feed) as wire, small.pop("pop-b") as other:
        wire.sendall(head(TOKEN, f"Content-Length: {len(WHOLE)}") + WHOLE[:-2])
        for n in range(5):
            assert other.send(ndjson(a_record(f"other-{n}"))).counts == (1, 0, 0)
        answer = read_answer(wire)
        assert answer.status == 408
        assert answer.is_problem
        assert other.send(ndjson(a_record("other-5"))).counts == (1, 0, 0)
    assert small.stored() == [f"other-{n}" for n in range(6)]


def _let_it_arrive(daemon: DaemonInThread) -> None:
    """The daemon's loop has taken what was sent before, once it has answered something that was sent later."""
    for _ in range(2):
        assert daemon.ask_ops("/healthz").status == 200
