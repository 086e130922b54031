"""The POP feed's answers beside the counts: who may not, what is not there, and how every answer is delivered."""

import asyncio
import gzip
import json
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.integration.daemon_in_thread import DaemonInThread
from tests.pop_by_hand import Answer, head, plug, read_answer
from tests.small_site import STRANGER, TOKENS, a_record, ndjson, some_records

PLAIN = ("POST", "/v1/transactions", ndjson(a_record("never")))
ENTRANCES = [
    pytest.param(*PLAIN, {}, id="transactions"),
    pytest.param("GET", "/v1/positions", None, {}, id="positions"),
    pytest.param("POST", "/v1/messages", b'{"kind":"transaction","records":[]}', {}, id="messages"),
    pytest.param(
        "GET", "/v1/stream", None,
        {
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        },
        id="stream",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "headers"), ENTRANCES)
@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("Bearer", id="no token"),
        pytest.param("Bearer ", id="empty token"),
        pytest.param("Bearer wrong", id="a wrong token"),
        pytest.param("Basic " + TOKENS["pop-a"], id="another scheme"),
        pytest.param(TOKENS["pop-a"], id="no scheme"),
        pytest.param(f"Bearer {TOKENS['pop-a']}x", id="one letter more"),
        pytest.param(f"Bearer {TOKENS['pop-a'].upper()}", id="in capitals"),
        pytest.param("Bearer \u00e9\u00ff", id="not ASCII"),
    ],
)
def test_without_a_sources_token_it_is_401(
    shared_daemon: DaemonInThread,
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
    authorization: str | None,
) -> None:
    given = {} if authorization is None else {"Authorization": authorization}
    with shared_daemon.pop(None) as nobody:
        answer = nobody.request(method, path, body, {**headers, **given})
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.is_problem
        assert nobody.get("/v1/positions").status == 401  # on the same connection
    assert "never" not in shared_daemon.stored()


def test_the_schemes_name_is_of_any_case(daemon: DaemonInThread) -> None:
    """RFC 9110, 11.1."""
    with daemon.pop(None) as pop:
        answer = pop.request(*PLAIN, {"Authorization": f"bearer {TOKENS['pop-a']}"})
    assert answer.counts == (1, 0, 0)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/transactions", 405),
        ("PUT", "/v1/transactions", 405),
        ("DELETE", "/v1/transactions", 405),
        ("POST", "/v1/positions", 405),
        ("POST", "/v1/stream", 405),
        ("GET", "/v1/messages", 405),
        ("POST", "/v1/transactions/", 404),
        ("POST", "/v2/transactions", 404),
        ("POST", "/", 404),
        ("GET", "/v1/../etc/passwd", 404),
        ("GET", "/%00", 404),
    ],
)
def test_a_wrong_method_or_path_is_a_problem(
    shared_daemon: DaemonInThread, method: str, path: str, status: int
) -> None:
    with shared_daemon.pop() as pop:
        answer = pop.request(method, path, PLAIN[2] if method == "POST" else None)
        assert answer.status == status
        assert answer.is_problem
        assert status == 404 or answer.headers["allow"]
        assert pop.send(b"").counts == (0, 0, 0)
    assert "never" not in shared_daemon.stored()


def test_a_stream_that_does_not_ask_for_an_upgrade_is_a_problem(daemon: DaemonInThread) -> None:
    with daemon.pop() as pop:
        answer = pop.get("/v1/stream")
        assert answer.status == 426
        assert answer.is_problem
        assert "WebSocket" in answer.json["detail"]
        assert answer.headers["upgrade"] == "websocket"
        broken = pop.request("GET", "/v1/stream", headers={"Connection": "Upgrade", "Upgrade": "websocket"})
        assert broken.status == 400
        assert broken.is_problem
        assert "WebSocket" in broken.json["detail"]


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(b"NONSENSE\r\n\r\n", id="no request"),
        pytest.param(b"POST /v1/transactions HTTP/1.1\r\nHost: t\r\nContent-Length: x\r\n\r\n", id="a wrong length"),
        pytest.param(head(TOKENS["pop-a"], "X: " + "a" * 20_000), id="a header too long"),
        pytest.param(head(TOKENS["pop-a"], "Content-Length: 2", "Transfer-Encoding: chunked"), id="two lengths"),
    ],
)
def test_what_is_no_request_is_a_problem_too(shared_daemon: DaemonInThread, request_: bytes) -> None:
    with plug(shared_daemon.feed) as wire:
        wire.sendall(request_)
        answer = read_answer(wire)
    assert 400 <= answer.status < 500
    assert answer.is_problem
    assert "server" not in answer.headers


async def test_no_answer_says_which_software_runs_here(daemon: DaemonInThread) -> None:
    answers = [answer for _, answer in await asyncio.to_thread(every_kind_of_answer, daemon)]
    answers += [await asyncio.to_thread(daemon.ask_ops, path) for path in ("/healthz", "/metrics", "/nowhere")]
    assert [answer for answer in answers if "server" in answer.headers] == []
    headers = {"Authorization": f"Bearer {TOKENS['pop-a']}"}
    async with ClientSession(headers=headers) as session, session.ws_connect(f"{daemon.base}/v1/stream") as stream:
        assert "Server" not in stream._response.headers


def every_kind_of_answer(daemon: DaemonInThread) -> list[tuple[int, Answer]]:
    """Asked one after the other on one connection: expected statuses, and what came."""
    body = ndjson(*some_records(3))
    with daemon.pop() as pop:
        pop.connection.connect()
        first = pop.connection.sock
        answers = [
            (200, pop.send(body, "e/1")),
            (200, pop.send(body, "e/1")),
            (409, pop.send(b"", "e/1")),
            (422, pop.send(body, "no position")),
            (400, pop.send(b"no gzip", headers={"Content-Encoding": "gzip"})),
            (413, pop.send(gzip.compress(bytes(17 << 20)), headers={"Content-Encoding": "gzip"})),
            (415, pop.send(body, headers={"Content-Encoding": "br"})),
            (200, pop.get("/v1/positions")),
            (404, pop.get("/nowhere")),
            (405, pop.get("/v1/transactions")),
            (200, pop.say({"kind": "transaction", "records": []})),
            (403, pop.say({"kind": "search"})),
            (422, pop.say({"kind": "?"})),
            (200, pop.send(iter([body]))),
        ]
        pop.token = "wrong"
        answers.append((401, pop.send(body)))
        assert pop.connection.sock is first, "the daemon has closed the connection"
    return answers


def test_every_answer_has_its_length_and_keeps_the_connection(daemon: DaemonInThread) -> None:
    answers = every_kind_of_answer(daemon)
    assert [answer.status for _, answer in answers] == [status for status, _ in answers]
    for _, answer in answers:
        assert int(answer.headers["content-length"]) == len(answer.body) > 0
        assert answer.headers.get("connection", "keep-alive").lower() == "keep-alive"
        assert "transfer-encoding" not in answer.headers
        if answer.status == 200:
            assert answer.headers["content-type"].startswith("application/json")
        else:
            assert answer.is_problem


def test_requests_sent_without_waiting_are_answered_in_their_order(daemon: DaemonInThread) -> None:
    """HTTP/1.1 pipelining (RFC 9112, 9.3.2)."""
    bodies = [ndjson(*some_records(n, f"p{n}")) for n in range(1, 6)]
    with plug(daemon.feed) as wire:
        wire.sendall(b"".join(head(TOKENS["pop-a"], f"Content-Length: {len(body)}") + body for body in bodies))
        got, data = [], b""
        while len(got) < len(bodies):
            data += wire.recv(65_536)
            got = [json.loads(piece.partition(b"\r\n\r\n")[2]) for piece in data.split(b"HTTP/1.1 200 OK")[1:]]
    assert [told["accepted"] for told in got] == [1, 2, 3, 4, 5]


def test_http_1_0_is_answered_too(daemon: DaemonInThread) -> None:
    body = ndjson(a_record("x"))
    with plug(daemon.feed) as wire:
        wire.sendall(head(TOKENS["pop-a"], f"Content-Length: {len(body)}").replace(b"HTTP/1.1", b"HTTP/1.0") + body)
        assert read_answer(wire).counts == (1, 0, 0)


def test_a_message_carries_records(daemon: DaemonInThread) -> None:
    records = [a_record("x"), a_record("x"), a_record("y", calling=STRANGER), 7, "text", None, [], {}]
    with daemon.pop() as pop:
        answer = pop.say({"kind": "transaction", "records": records})
        assert answer.counts == (1, 1, 6)
        assert [record["reason"] for record in answer.json["records"]] == ["unknown-line", *["malformed"] * 5]
        assert pop.send(ndjson(a_record("x"))).counts == (0, 1, 0)
    assert daemon.stored() == ["x"]


def test_a_message_may_be_written_over_many_lines(daemon: DaemonInThread) -> None:
    with daemon.pop() as pop:
        pretty = json.dumps({"kind": "transaction", "records": some_records(2)}, indent=4).replace("\n", "\r\n")
        assert pop.say(pretty.encode()).counts == (2, 0, 0)
        assert pop.send(ndjson(*some_records(2))).counts == (0, 2, 0)


@pytest.mark.parametrize(
    ("message", "status"),
    [
        pytest.param({"kind": "batch", "period": "2025-11"}, 403, id="batch is for staff"),
        pytest.param({"kind": "search", "where": [["charge", ">", "1"]]}, 403, id="search is for people"),
        pytest.param({"kind": "unknown"}, 422, id="an unknown kind"),
        pytest.param({"kind": ""}, 422, id="an empty kind"),
        pytest.param({"kind": 1}, 422, id="a kind that is no text"),
        pytest.param({"records": []}, 422, id="no kind"),
        pytest.param({"kind": "transaction"}, 422, id="no records"),
        pytest.param({"kind": "transaction", "records": {}}, 422, id="records that are no list"),
        pytest.param([], 422, id="a list"),
        pytest.param(b"", 422, id="nothing"),
        pytest.param(b"{", 422, id="no JSON"),
        pytest.param(b"\xff\xfe", 422, id="no text"),
        pytest.param(b"[" * 100_000, 422, id="nested too deeply"),
    ],
)
def test_a_message_that_may_not_be_or_is_none_is_refused(
    shared_daemon: DaemonInThread, message: Any, status: int
) -> None:
    with shared_daemon.pop() as pop:
        answer = pop.say(message)
        assert answer.status == status
        assert answer.is_problem


def test_a_message_over_the_limit_or_of_broken_gzip_is_refused_as_a_batch_is(daemon: DaemonInThread) -> None:
    packed = gzip.compress(b'{"kind":"transaction","records":[' + b" " * (16 << 20) + b"]}")
    with daemon.pop() as pop:
        gzipped = {"Content-Encoding": "gzip"}
        assert pop.request("POST", "/v1/messages", packed, gzipped).status == 413
        assert pop.request("POST", "/v1/messages", packed[:-20], gzipped).status in (400, 413)
        assert pop.request("POST", "/v1/messages", b"no gzip", gzipped).status == 400
