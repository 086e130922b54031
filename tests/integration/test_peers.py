"""Programs that we did not write, against a running daemon: curl, the sqlite3 command, the library websockets."""

import asyncio
import gzip
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.acceptance.daemon_process import DaemonProcess, Site
from tests.small_site import STRANGER, TOKENS, a_record, ndjson, some_records

WITHIN_S = 30.0


@pytest.fixture
def site(tmp_path: Path, provisioned_store: Path) -> Site:
    site = Site(tmp_path / "site")
    site.store.write_bytes(provisioned_store.read_bytes())
    return site


@pytest.fixture
def daemon(site: Site) -> Iterator[DaemonProcess]:
    with site.serving() as running:
        yield running


def run(*command: str, stdin: bytes = b"") -> bytes:
    """The stdout of a command that must succeed."""
    ended = subprocess.run(command, input=stdin, capture_output=True, timeout=WITHIN_S)
    assert ended.returncode == 0, (command, ended.returncode, ended.stdout, ended.stderr)
    return ended.stdout


# ------------------------------------------------------------------------------------------------------------- curl


class Curl:
    """The options that every request needs, and the URL of the feed."""

    def __init__(self, daemon: DaemonProcess) -> None:
        host, port = daemon.addresses["feeds.pops"]
        self.url = f"http://{host}:{port}"
        self.common = ("curl", "--silent", "--show-error", "--max-time", "20")
        self.token = ("--header", f"Authorization: Bearer {TOKENS['pop-a']}")

    def post(self, *options: str, stdin: bytes = b"") -> Any:
        """What a POST of a batch is answered."""
        return json.loads(run(*self.common, *self.token, *options, f"{self.url}/v1/transactions", stdin=stdin))

    def status(self, *options: str, path: str, stdin: bytes = b"") -> str:
        """Only the status of an answer."""
        told = run(*self.common, "--output", "/dev/null", "--write-out", "%{http_code}", *options, f"{self.url}{path}",
                   stdin=stdin)  # fmt: skip
        return told.decode()


@pytest.fixture
def curl(daemon: DaemonProcess) -> Curl:
    return Curl(daemon)


@pytest.mark.peers("curl")
def test_curl_posts_a_batch(curl: Curl) -> None:
    body = ndjson(*some_records(3), a_record("s", calling=STRANGER), b"")
    assert curl.post("--data-binary", "@-", stdin=body) == {
        "accepted": 3, "duplicate": 0, "suspended": 1,
        "records": [{"line": 4, "id": "s", "reason": "unknown-line"}],
    }  # fmt: skip
    assert curl.post("--data-binary", "@-", stdin=body) == {"accepted": 0, "duplicate": 4, "suspended": 0}


@pytest.mark.peers("curl", "gzip")
def test_curl_posts_what_gzip_packed(curl: Curl, tmp_path: Path) -> None:
    file = tmp_path / "batch.ndjson"
    file.write_bytes(ndjson(*some_records(500)))
    packed = run("gzip", "--stdout", "--best", str(file)) + run("gzip", "--stdout", stdin=ndjson(a_record("more")))
    answer = curl.post("--header", "Content-Encoding: gzip", "--data-binary", "@-", stdin=packed)
    assert answer == {"accepted": 501, "duplicate": 0, "suspended": 0}


@pytest.mark.peers("curl")
def test_curl_uploads_in_chunks_from_a_pipe(curl: Curl) -> None:
    body = ndjson(*some_records(2000))
    headers = ("--request", "POST", "--header", "Transfer-Encoding: chunked")
    assert curl.post(*headers, "--upload-file", "-", stdin=body)["accepted"] == 2000
    assert curl.post(*headers, "--upload-file", "-", stdin=body)["duplicate"] == 2000


@pytest.mark.peers("curl")
def test_curl_waits_for_100_continue_before_a_large_body(curl: Curl) -> None:
    body = ndjson(*some_records(5000))
    assert len(body) > 1 << 20
    expecting = ("--header", "Expect: 100-continue", "--expect100-timeout", "15")
    answer = curl.post(*expecting, "--data-binary", "@-", stdin=body)
    assert answer["accepted"] == 5000


@pytest.mark.peers("curl")
def test_curl_keeps_its_connection_for_a_second_request(curl: Curl, tmp_path: Path) -> None:
    batches = [tmp_path / "first", tmp_path / "second"]
    for n, file in enumerate(batches):
        file.write_bytes(ndjson(*some_records(10, f"b{n}")))
    arguments: list[str] = []
    for n, file in enumerate(batches):
        arguments += [
            *(["--next"] if n else []), "--silent", "--show-error", "--max-time", "20", *curl.token,
            "--write-out", "\n%{num_connects} %{http_code}\n", "--data-binary", f"@{file}",
            f"{curl.url}/v1/transactions",
        ]  # fmt: skip
    told = run("curl", *arguments).decode().split("\n")
    assert [json.loads(told[0])["accepted"], json.loads(told[2])["accepted"]] == [10, 10]
    assert [told[1], told[3]] == ["1 200", "0 200"]


@pytest.mark.peers("curl")
def test_curl_sees_positions_problems_and_who_may(curl: Curl) -> None:
    batch = ("--header", "Tollkeeper-Batch: curl/1", "--data-binary")
    assert curl.post(*batch, "@-", stdin=ndjson(a_record("x")))["accepted"] == 1
    assert curl.status(*curl.token, *batch, "other", path="/v1/transactions") == "409"
    assert curl.status("--data-binary", "{}", path="/v1/transactions") == "401"
    no_gzip = ("--header", "Content-Encoding: gzip", "--data-binary", "x")
    assert curl.status(*curl.token, *no_gzip, path="/v1/transactions") == "400"
    assert curl.status(*curl.token, "--request", "DELETE", path="/v1/transactions") == "405"
    positions = run(*curl.common, *curl.token, f"{curl.url}/v1/positions")
    assert json.loads(positions) == {"curl": {"last": 1, "gaps": []}}
    said = run(*curl.common, "--include", f"{curl.url}/v1/positions").decode().lower()
    assert "www-authenticate: bearer" in said
    assert "content-type: application/problem+json" in said


# ---------------------------------------------------------------------------------------------------------- sqlite3


@pytest.mark.peers("sqlite3")
def test_the_sqlite3_command_finds_a_whole_file_that_says_what_export_says(site: Site, daemon: DaemonProcess) -> None:
    with daemon.pop() as pop:
        for month in range(1, 7):
            start = f"2025-0{month}-10T12:00:00Z"
            records = (a_record(f"{month}-{n}", start=start, answer=None, duration=n) for n in range(40))
            assert pop.send(ndjson(*records, b"{", a_record("s", calling=STRANGER))).counts[0] == 40
    for state in ("while the daemon runs", "after its end"):
        if state == "after its end":
            assert daemon.terminate() == 0
        tables = sql(site, "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'transactions_[0-9]*'")
        assert len(tables) == 6
        union = " UNION ALL ".join(f"SELECT account, charge_micros FROM {table}" for (table,) in tables)
        ((count, charge),) = sql(site, f"SELECT count(*), sum(charge_micros) FROM ({union})")
        rows = site.export()
        assert int(count) == len(rows) == 240
        assert int(charge) == sum(int(row["charge"].replace(".", "")) * 100 for row in rows)
        assert sql(site, "SELECT reason, count(*) FROM suspense GROUP BY reason ORDER BY reason") == [
            ["malformed", "1"],
            ["unknown-line", "1"],
        ]
        assert sql(site, "PRAGMA integrity_check") == [["ok"]]


def sql(site: Site, statement: str) -> list[list[str]]:
    """What the command says, line by line."""
    told = run("sqlite3", "-readonly", "-batch", "-separator", "\t", str(site.store), statement).decode()
    return [line.split("\t") for line in told.splitlines()]


# ------------------------------------------------------------------------------------------------------- websockets


@asynccontextmanager
async def stream(
    daemon: DaemonProcess, token: str = TOKENS["pop-a"], **options: Any
) -> AsyncIterator[ClientConnection]:
    host, port = daemon.addresses["feeds.pops"]
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        asyncio.timeout(WITHIN_S),
        connect(f"ws://{host}:{port}/v1/stream", additional_headers=headers, proxy=None, **options) as socket,
    ):
        yield socket


@pytest.mark.peers
@pytest.mark.parametrize("compression", ["deflate", None])
async def test_websockets_streams_batches(daemon: DaemonProcess, compression: str | None) -> None:
    async with stream(daemon, compression=compression) as socket:
        for n in range(50):
            batch = ndjson(*some_records(20, f"b{n}"))
            await socket.send(batch if n % 2 else batch.decode())
        told = [json.loads(await socket.recv()) for _ in range(50)]
        await (await socket.ping())
    assert [(answer["batch"], answer["accepted"]) for answer in told] == [(n + 1, 20) for n in range(50)]
    assert socket.close_code == 1000


@pytest.mark.peers
async def test_websockets_sends_a_message_in_fragments(daemon: DaemonProcess) -> None:
    body = ndjson(*some_records(10))
    async with stream(daemon) as socket:
        await socket.send(body[at : at + 100] for at in range(0, len(body), 100))
        assert json.loads(await socket.recv()) == {"batch": 1, "accepted": 10, "duplicate": 0, "suspended": 0}


@pytest.mark.peers
async def test_websockets_is_refused_without_a_token(daemon: DaemonProcess) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with stream(daemon, "wrong"):
            pass
    assert refused.value.response.status_code == 401
    assert refused.value.response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.peers
@pytest.mark.parametrize("compression", ["deflate", None])
async def test_websockets_sees_1009_for_a_message_that_is_too_long(
    daemon: DaemonProcess, compression: str | None
) -> None:
    async with stream(daemon, compression=compression) as socket:
        with pytest.raises(ConnectionClosed) as closed:  # noqa: PT012  # the sending, too, may find it closed
            await socket.send(b" " * 16_000_001)
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


@pytest.mark.peers
async def test_websockets_sees_1001_when_the_daemon_ends(daemon: DaemonProcess) -> None:
    async with stream(daemon) as socket:
        await socket.send(ndjson(a_record("x")))
        assert json.loads(await socket.recv())["accepted"] == 1
        ended = asyncio.create_task(asyncio.to_thread(daemon.terminate))
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert await ended == 0
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


@pytest.mark.peers("curl")
async def test_curl_and_websockets_of_one_source_send_the_same_records_once(curl: Curl, daemon: DaemonProcess) -> None:
    body = ndjson(*some_records(100))
    async with stream(daemon) as socket:
        await socket.send(body)
        assert json.loads(await socket.recv())["accepted"] == 100
    packed = gzip.compress(body)
    answer = await asyncio.to_thread(
        curl.post, "--header", "Content-Encoding: gzip", "--data-binary", "@-", stdin=packed
    )
    assert answer == {"accepted": 0, "duplicate": 100, "suspended": 0}
