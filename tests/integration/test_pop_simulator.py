"""The simulated POP against a small daemon that fails in every way: what is acknowledged is what was sent, all of it.

The daemon here is a second reading of the contract's feed, and shares nothing with the product.
"""

import asyncio
import json
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, WSMsgType, web

from simulators import pacing
from simulators.call_records import Record
from simulators.courier import PopError, Retry
from simulators.faults import Faults, parse_faults
from simulators.journal import DirectoryJournal, Journal
from simulators.pop import Pop
from simulators.pop_link import HttpLink
from simulators.pop_settings import PopSettings
from simulators.pop_stream import StreamLink
from simulators.population import lines_of, make_population
from simulators.traffic import Traffic

TOKEN = "t0ken"
LIMIT_S = 60.0
"""No test takes as long, on however busy a machine."""
QUICK = Retry(first_s=0.01, most_s=0.05)

Links = Callable[[str, str], HttpLink | StreamLink]


def http(url: str, token: str = TOKEN) -> HttpLink:
    return HttpLink(url, token)


def http_gzip(url: str, token: str = TOKEN) -> HttpLink:
    return HttpLink(url, token, gzipped=True)


def websocket(url: str, token: str = TOKEN) -> StreamLink:
    return StreamLink(url, token)


class FakeDaemon:
    """Takes batches as the contract says, and fails as `failures` says: one word for each request, until they end."""

    def __init__(self, failures: Iterable[str] = (), limit_bytes: int = 16_000_000) -> None:
        self.failures = list(failures)
        self.limit_bytes = limit_bytes
        self.positions: dict[str, bytes] = {}
        self.records: dict[str, Record] = {}
        self.arrivals: list[str] = []
        """Ids in the order of their arrival, each time that they were stored or found again."""
        self.batches: list[str] = []
        """Positions in the order of their commit."""
        self.incomplete = 0
        # bound, but not listening yet: whoever connects before `listening` is refused
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["FakeDaemon"]:
        application = web.Application(client_max_size=100_000_000)
        application.router.add_post("/v1/transactions", self._post)
        application.router.add_get("/v1/stream", self._stream)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.SockSite(runner, self._socket).start()
            yield self
        finally:
            await runner.cleanup()
            self._socket.close()

    async def _post(self, request: web.Request) -> web.StreamResponse:
        assert request.transport
        if request.headers["Authorization"] != f"Bearer {TOKEN}":
            return web.Response(status=401, text="wrong token")
        try:
            body = await request.read()
        except Exception:
            self.incomplete += 1
            raise
        failure = self.failures.pop(0) if self.failures else ""
        if failure == "close":
            request.transport.close()
            return web.Response()
        if failure.startswith("503"):
            return web.Response(status=503, headers={"Retry-After": failure.partition(" ")[2] or "0"})
        if failure == "nonsense":
            return web.Response(text="<html>")
        if failure.isdecimal():
            return web.Response(status=int(failure), text="on purpose")
        if len(body) > self.limit_bytes:
            return web.Response(status=413)
        if not self._takes_position(request.headers["Tollkeeper-Batch"], body):
            return web.Response(status=409)
        answer = self._commit(body)
        if failure == "commit and close":
            request.transport.close()
        if failure == "miscount":
            answer["accepted"] += 1
        return web.json_response(answer)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] != f"Bearer {TOKEN}":
            return web.Response(status=401)
        socket = web.WebSocketResponse(max_msg_size=self.limit_bytes)
        await socket.prepare(request)
        count = 0
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            count += 1
            failure = self.failures.pop(0) if self.failures else ""
            if failure == "close":
                break
            answer = self._commit(message.data.encode())
            if failure == "commit and close":
                break
            await socket.send_json({"batch": count, **answer})
        return socket

    def _takes_position(self, position: str, body: bytes) -> bool:
        if self.positions.setdefault(position, body) != body:
            return False
        self.batches.append(position)
        return True

    def _commit(self, body: bytes) -> dict[str, int]:
        answer = Counter(accepted=0, duplicate=0, suspended=0)
        for line in body.splitlines():
            record = json.loads(line)
            known = self.records.setdefault(record["id"], record)
            assert known == record, "the same record came with other content"
            is_new = record["id"] not in self.arrivals
            self.arrivals.append(record["id"])
            answer["accepted" if is_new else "duplicate"] += 1
        return dict(answer)


def some_records(count: int) -> list[Record]:
    calls = Traffic(lines_of(make_population(50, 1)), seed=1, start=datetime(2026, 11, 20, tzinfo=UTC))
    return list(islice(calls.records(), count))


async def deliver(
    daemon: FakeDaemon,
    records: list[Record],
    links: Links = http,
    *,
    token: str = TOKEN,
    batch_records: int = 10,
    in_flight: int = 4,
    faults: Faults | None = None,
    seed: int = 3,
    journal: Journal | None = None,
) -> Pop:
    settings = PopSettings(
        batch_records=batch_records,
        in_flight=in_flight,
        linger_s=LIMIT_S,
        retry=QUICK,
        faults=faults or Faults(),
        seed=seed,
        remember_ids=True,
    )
    async with asyncio.timeout(LIMIT_S), links(daemon.url, token) as link:
        pop = Pop("pop-test", link, journal or Journal("test"), settings)
        await pop.run(pacing.at_once(records))
    return pop


def assert_all_arrived(daemon: FakeDaemon, records: list[Record], pop: Pop) -> None:
    """Every record is stored exactly as it was made, was acknowledged, and the totals say so."""
    assert daemon.records == {record["id"]: json.loads(json.dumps(record)) for record in records}
    assert pop.acknowledged_ids == {record["id"] for record in records}
    totals = pop.totals
    assert totals.calls == len(records)
    assert totals.sent == totals.acknowledged == totals.accepted + totals.duplicate + totals.suspended
    assert pop.status()["unacknowledged"] == 0


@pytest.mark.parametrize("links", [http, http_gzip, websocket])
async def test_records_arrive_once_and_in_full_batches(links: Links) -> None:
    records = some_records(105)
    async with FakeDaemon().listening() as daemon:
        pop = await deliver(daemon, records, links)
    assert_all_arrived(daemon, records, pop)
    assert (pop.totals.batches, pop.totals.retried, pop.totals.duplicate) == (11, 0, 0)


async def test_batches_carry_the_epoch_and_a_sequence_that_counts_up_from_one() -> None:
    async with FakeDaemon().listening() as daemon:
        await deliver(daemon, some_records(30), in_flight=1, journal=Journal("e7"))
    assert daemon.batches == ["e7/1", "e7/2", "e7/3"]


@pytest.mark.parametrize(
    ("links", "failure", "duplicates"),
    [
        (http, "503 0", 0),
        (http, "429", 0),
        (http, "500", 0),
        (http, "400", 0),
        (http, "nonsense", 0),
        (http, "close", 0),
        (http, "commit and close", 10),
        (http_gzip, "commit and close", 10),
        (websocket, "close", 0),
        (websocket, "commit and close", 10),
    ],
)
async def test_a_batch_is_sent_again_after_a_failure(links: Links, failure: str, duplicates: int) -> None:
    records = some_records(60)
    async with FakeDaemon(["", failure, "", failure]).listening() as daemon:
        pop = await deliver(daemon, records, links, in_flight=1)
    assert_all_arrived(daemon, records, pop)
    assert pop.totals.retried == 2
    assert pop.totals.duplicate == 2 * duplicates


@pytest.mark.parametrize("links", [http, websocket])
async def test_failures_of_many_batches_in_flight_lose_nothing(links: Links) -> None:
    records = some_records(300)
    failures = ["close", "503", "", "commit and close", "500", "close", "commit and close"] * 5
    async with FakeDaemon(failures).listening() as daemon:
        pop = await deliver(daemon, records, links, in_flight=8)
    assert_all_arrived(daemon, records, pop)
    assert not daemon.failures


async def test_a_retry_waits_as_long_as_the_daemon_asks() -> None:
    loop = asyncio.get_running_loop()
    async with FakeDaemon(["503 1"]).listening() as daemon:
        begun_at = loop.time()
        await deliver(daemon, some_records(5))
    assert loop.time() - begun_at >= 1.0


@pytest.mark.parametrize("links", [http, websocket])
async def test_a_batch_over_the_limit_is_split(links: Links) -> None:
    records = some_records(64)
    async with FakeDaemon(limit_bytes=1500).listening() as daemon:
        pop = await deliver(daemon, records, links, batch_records=32)
    assert_all_arrived(daemon, records, pop)
    assert pop.totals.batches >= 8
    assert pop.totals.duplicate == 0 or links is websocket, "what came before a close 1009 may have been committed"


async def test_a_record_over_the_limit_is_refused_by_name_and_kept() -> None:
    records = some_records(1)
    journal = Journal("test")
    async with FakeDaemon(limit_bytes=20).listening() as daemon:
        with pytest.raises(PopError, match=f"record {records[0]['id']} alone is over"):
            await deliver(daemon, records, journal=journal)
    assert [batch.ids for batch in journal] == [(records[0]["id"],)]


async def test_a_taken_position_is_left_for_another_one() -> None:
    records = some_records(20)
    async with FakeDaemon().listening() as daemon:
        daemon.positions["test/1"] = b"another POP was here"
        pop = await deliver(daemon, records)
    assert_all_arrived(daemon, records, pop)
    assert sorted(daemon.batches) == ["test/2", "test/3"]


@pytest.mark.parametrize("links", [http, websocket])
async def test_a_wrong_token_is_not_tried_for_ever(links: Links) -> None:
    async with FakeDaemon().listening() as daemon:
        with pytest.raises(PopError, match="401"):
            await deliver(daemon, some_records(40), links, token="another")
    assert not daemon.records


async def test_an_answer_that_does_not_add_up_is_an_error() -> None:
    async with FakeDaemon(["miscount"]).listening() as daemon:
        with pytest.raises(PopError, match="10 records, its answer accounts for 11"):
            await deliver(daemon, some_records(10))


@pytest.mark.parametrize("links", [http, http_gzip, websocket])
@pytest.mark.parametrize(
    "faults",
    ["dup=1", "reorder=1", "truncate=1", "disconnect=1", "dup=0.3,reorder=0.3,truncate=0.3,disconnect=0.3,delay=0.01"],
)
async def test_whatever_the_faults_each_record_is_acknowledged_as_it_was_sent(links: Links, faults: str) -> None:
    records = some_records(200)
    async with FakeDaemon().listening() as daemon:
        pop = await deliver(daemon, records, links, faults=parse_faults(faults))
    assert_all_arrived(daemon, records, pop)
    assert pop.totals.duplicate >= pop.totals.repeated
    # a batch whose answer nobody read is found to be stored when it comes again
    assert pop.totals.accepted == len(records) or "disconnect" in faults


async def test_the_fault_dup_repeats_whole_batches_in_their_position_and_single_records_later() -> None:
    async with FakeDaemon().listening() as daemon:
        pop = await deliver(daemon, some_records(200), faults=Faults(dup=1.0))
    repeated_positions = [position for position, count in Counter(daemon.batches).items() if count > 1]
    assert pop.totals.duplicate == pop.totals.repeated
    assert 0 < len(repeated_positions) < 20, "some batches are repeated whole, the others by one record"
    assert any(len(body.splitlines()) == 11 for body in daemon.positions.values())


async def test_the_last_batch_is_repeated_as_well() -> None:
    async with FakeDaemon().listening() as daemon:
        pops = [
            await deliver(daemon, some_records(10), faults=Faults(dup=1.0), seed=seed, journal=Journal(f"e{seed}"))
            for seed in range(8)
        ]
    assert {pop.totals.repeated for pop in pops} == {1, 10}


async def test_the_fault_reorder_lets_later_batches_go_first() -> None:
    async with FakeDaemon().listening() as daemon:
        await deliver(daemon, some_records(200), in_flight=1, faults=Faults(reorder=0.3))
    sequences = [int(position.partition("/")[2]) for position in daemon.batches]
    assert sequences != sorted(sequences)
    assert sorted(sequences) == list(range(1, 21))


async def test_the_fault_truncate_cuts_requests_that_the_daemon_does_not_take() -> None:
    async with FakeDaemon().listening() as daemon:
        pop = await deliver(daemon, some_records(100), faults=Faults(truncate=1.0))
    assert daemon.incomplete == 10
    assert (pop.totals.retried, pop.totals.duplicate) == (10, 0)


async def test_the_fault_disconnect_leaves_the_answer_unread_and_sends_again() -> None:
    async with FakeDaemon().listening() as daemon:
        pop = await deliver(daemon, some_records(100), faults=Faults(disconnect=1.0))
    assert pop.totals.retried == 10
    assert len(daemon.batches) > 10, "the daemon took batches whose answers nobody read"


async def test_a_daemon_that_comes_later_gets_everything() -> None:
    records = some_records(50)
    daemon = FakeDaemon()
    delivery = asyncio.create_task(deliver(daemon, records))
    await asyncio.sleep(0.2)
    async with daemon.listening():
        pop = await delivery
    assert_all_arrived(daemon, records, pop)
    assert pop.totals.retried > 0


async def test_a_pop_that_is_started_again_resends_what_its_journal_holds(tmp_path: Path) -> None:
    records = some_records(70)
    daemon = FakeDaemon()
    settings = PopSettings(batch_records=10, in_flight=3, linger_s=LIMIT_S, drain_s=0.2, retry=QUICK, remember_ids=True)
    async with asyncio.timeout(LIMIT_S):
        async with HttpLink(daemon.url, TOKEN) as link:
            first = Pop("pop-test", link, DirectoryJournal(tmp_path, "e1"), settings)
            first_run = asyncio.create_task(first.run(pacing.at_once(records)))
            while first.totals.calls < 40:  # three batches in flight, and one that waits for room
                await asyncio.sleep(0.02)
            first.stop()
            await first_run
        taken = first.totals.calls
        assert 0 < taken < len(records)
        assert first.status()["unacknowledged"] == taken
        async with daemon.listening(), HttpLink(daemon.url, TOKEN) as link:
            second = Pop("pop-test", link, DirectoryJournal(tmp_path, "not taken"), settings)
            await second.run(pacing.at_once(records[taken:]))
    assert second.totals.restored == taken
    assert second.acknowledged_ids == daemon.records.keys() == {record["id"] for record in records}
    assert sorted(daemon.batches) == [f"e1/{sequence}" for sequence in range(1, 8)]
    assert [file.name for file in tmp_path.iterdir()] == ["position.json"]


async def test_records_are_sent_when_they_are_due_and_linger_for_others() -> None:
    records = some_records(4)
    an_hour_s = 3600.0
    async with asyncio.timeout(LIMIT_S), FakeDaemon().listening() as daemon, http(daemon.url) as link:
        pop = Pop("pop-test", link, Journal("test"), PopSettings(linger_s=0.8))
        running = asyncio.create_task(pop.run(zip([0.0, 0.01, 1.2, an_hour_s], records, strict=True)))
        while pop.totals.calls < 3:
            await asyncio.sleep(0.02)
        pop.stop()
        await running
    assert [len(daemon.positions[position].splitlines()) for position in ("test/1", "test/2")] == [2, 1]
    assert pop.totals.calls == pop.totals.acknowledged == 3


async def test_records_of_a_queue_leave_when_the_batch_is_full_or_the_first_has_lingered() -> None:
    records = some_records(7)
    queue: asyncio.Queue[Record] = asyncio.Queue()
    async with asyncio.timeout(LIMIT_S), FakeDaemon().listening() as daemon, http(daemon.url) as link:
        pop = Pop("pop-test", link, Journal("test"), PopSettings(batch_records=3, linger_s=0.05))
        for record in records[:4]:
            queue.put_nowait(record)
        running = asyncio.create_task(pop.run_live(queue))
        while pop.totals.acknowledged < 4:
            await asyncio.sleep(0.01)
        for record in records[4:6]:
            queue.put_nowait(record)
        while pop.totals.acknowledged < 6:
            await asyncio.sleep(0.01)
        queue.put_nowait(records[6])
        pop.stop()
        await running
    sizes = [len(body.splitlines()) for body in daemon.positions.values()]
    assert sizes[:2] == [3, 1]
    assert sum(sizes) == pop.totals.acknowledged == 7, "what was in the queue when it was stopped is sent"


async def test_a_pop_that_is_stopped_before_it_runs_sends_nothing_more_than_is_due() -> None:
    async with FakeDaemon().listening() as daemon, HttpLink(daemon.url, TOKEN) as link:
        pop = Pop("pop-test", link, Journal("test"))
        pop.stop()
        async with asyncio.timeout(LIMIT_S):
            await pop.run(pacing.at_once(some_records(10)))
    assert pop.totals.calls == 0


# The command `tollkeeper simulate pop`, as a process


async def start_module(module: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )


async def test_the_command_sends_count_records_and_prints_address_and_totals(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(f"{TOKEN}\n")
    async with asyncio.timeout(LIMIT_S), FakeDaemon().listening() as daemon:
        arguments = f"--url {daemon.url} --source pop-nyc --token-file {token_file} --rate 0 --count 250 --batch 100"
        process = await start_module("simulators.pop", *arguments.split(), "--faults", "dup=0.5,truncate=0.5")
        stdout, stderr = await process.communicate()
    assert (process.returncode, stderr) == (0, b"")
    address, totals = map(json.loads, stdout.splitlines())
    assert address["pop"] == totals["pop"] == "pop-nyc"
    assert address["status"].startswith("http://127.0.0.1:")
    assert (totals["calls"], totals["accepted"], totals["unacknowledged"]) == (250, 250, 0)
    assert len(daemon.records) == 250
    assert {record["switch"] for record in daemon.records.values()} == {"pop-nyc"}


async def test_the_command_shows_its_totals_while_it_runs_and_ends_orderly_on_sigterm() -> None:
    async with asyncio.timeout(LIMIT_S), FakeDaemon().listening() as daemon:
        arguments = f"--url {daemon.url} --token {TOKEN} --rate 200 --websocket --listen 127.0.0.1:0"
        process = await start_module("simulators.pop", *arguments.split())
        assert process.stdout
        address = json.loads(await process.stdout.readline())
        while not daemon.records:
            await asyncio.sleep(0.05)
        async with ClientSession() as session, session.get(address["status"]) as response:
            assert (await response.json())["accepted"] > 0
        process.send_signal(signal.SIGTERM)
        stdout, stderr = await process.communicate()
    totals = json.loads(stdout)
    assert (process.returncode, stderr) == (0, b"")
    assert totals["calls"] == totals["acknowledged"] == len(daemon.records)


async def test_the_command_ends_with_1_when_records_are_lost_with_it() -> None:
    async with asyncio.timeout(LIMIT_S), FakeDaemon().listening() as daemon:
        process = await start_module("simulators.pop", "--url", daemon.url, "--token", "wrong", "--rate", "0")
        stdout, stderr = await process.communicate()
    assert process.returncode == 1
    assert b"refused with 401" in stderr.splitlines()[-1]
    assert json.loads(stdout.splitlines()[-1])["unacknowledged"] > 0


async def test_a_command_that_was_killed_resends_when_it_is_started_again(tmp_path: Path) -> None:
    async with asyncio.timeout(LIMIT_S), FakeDaemon(["503 60"] * 3).listening() as daemon:
        arguments = f"--url {daemon.url} --token {TOKEN} --batch 10 --in-flight 3 --journal {tmp_path} --rate 0".split()
        first = await start_module("simulators.pop", *arguments)
        while daemon.failures:
            await asyncio.sleep(0.02)
        first.kill()
        await first.communicate()
        kept = {json.loads(line)["id"] for file in tmp_path.glob("*.ndjson") for line in file.read_bytes().splitlines()}
        second = await start_module("simulators.pop", *arguments, "--count", "5", "--seed", "2")
        stdout, stderr = await second.communicate()
    totals = json.loads(stdout.splitlines()[-1])
    assert (second.returncode, stderr) == (0, b"")
    assert totals["restored"] == len(kept) > 0
    assert totals["calls"] == 5
    assert len(daemon.records) == len(kept) + 5
    assert daemon.records.keys() >= kept
    assert len({position.partition("/")[0] for position in daemon.batches}) == 1, "one epoch for both"


# The load generator, which posts to the same feed


async def start_load(daemon: FakeDaemon, prefixes: Path, *arguments: str) -> asyncio.subprocess.Process:
    prefixes.write_text("4420\n1212\n")
    options = f"--url {daemon.url} --token {TOKEN} --prefixes {prefixes} --batch 50 --in-flight 3 --epoch load"
    return await start_module("simulators.load", *options.split(), *arguments)


async def finished_load(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout
    assert json.loads(await process.stdout.readline()) == {"ready": True}
    stdout, stderr = await process.communicate(b"go\n")
    assert (process.returncode, stderr) == (0, b"")
    result: dict[str, Any] = json.loads(stdout)
    return result


async def test_the_load_generator_posts_its_records_when_it_is_told_to(tmp_path: Path) -> None:
    async with asyncio.timeout(LIMIT_S), FakeDaemon().listening() as daemon:
        process = await start_load(daemon, tmp_path / "prefixes", "--records", "620", "--lines-count", "7")
        assert not daemon.records
        result = await finished_load(process)
    counts = {key: result[key] for key in ("sent", "accepted", "duplicate", "suspended", "errors")}
    assert counts == {"sent": 620, "accepted": 620, "duplicate": 0, "suspended": 0, "errors": 0}
    assert 0 < result["ack_p50_ms"] <= result["ack_p99_ms"] <= result["seconds"] * 1000
    assert result["cpu_s"] > 0
    assert len(daemon.records) == 620
    assert {record["calling"] for record in daemon.records.values()} == {f"+1212000000{index}" for index in range(7)}
    assert sorted(daemon.batches) == sorted(f"load/{sequence}" for sequence in range(1, 14))


async def test_the_load_generator_says_when_it_posted_each_marked_record(tmp_path: Path) -> None:
    async with asyncio.timeout(LIMIT_S), FakeDaemon().listening() as daemon:
        before_s = time.monotonic()
        process = await start_load(
            daemon,
            tmp_path / "prefixes",
            "--records",
            "100",
            "--lines-count",
            "7",
            "--marked",
            "4",
            "--marked-from",
            "50",
        )
        result = await finished_load(process)
    assert (result["sent"], result["accepted"]) == (104, 104)
    assert [index for index, _ in result["marked_at_s"]] == [0, 1, 2, 3]
    assert all(before_s < at_s < time.monotonic() for _, at_s in result["marked_at_s"])
    dear = {record["calling"] for record in daemon.records.values() if record["duration"] == 3540}
    assert dear == {f"+121200000{index}" for index in range(50, 54)}


async def test_the_load_generator_waits_after_a_503_and_counts_every_other_failure(tmp_path: Path) -> None:
    failures = ["503 0", "503 0", "500", "close"]
    async with asyncio.timeout(LIMIT_S), FakeDaemon(failures).listening() as daemon:
        result = await finished_load(await start_load(daemon, tmp_path / "prefixes", "--records", "500"))
    assert (result["sent"], result["accepted"], result["retried"], result["errors"]) == (500, 400, 2, 2)
    assert result["first_error"].startswith(("500 on purpose", "IncompleteReadError"))
