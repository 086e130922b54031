"""The http feed: a switch's posts become records, each is answered after its commit, and 200 wherever that is true."""

import asyncio
import gzip
import json
import select
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from mediation.directory_builder import DirectoryBuilder
from mediation.feeds.connections import Runner, listen
from mediation.feeds.http_posts import HttpPostsFeed
from mediation.pipeline.front import Front
from mediation.pipeline.metrics import PipelineMetrics
from mediation.pipeline.owner import StoreOwner
from mediation.pipeline.preparing import FrontHere
from mediation.pipeline.sender import Sender
from mediation.provisions import load_counters
from mediation.schema import all_migrations
from rating.store.errors import StoreFailed
from rating.store.port import Store
from rating.store.sqlite import open_store
from tests.builders import NOW
from tests.integration.daemon_in_thread import rows_of, running
from tests.pop_by_hand import Address, Answer, PopByHand, answers_until_close, plug, read_answer
from tests.small_site import LONDON, STRANGER, line, write_config

WITHIN_S = 20.0
PATH = "/cdr"
SECTION = f"""
[feeds.kamailio]
type = "http"
source = "kam1"
listen = "127.0.0.1:0"
path = "{PATH}"
format = "kamailio-json"
token = "kam1-secret"
max_body_bytes = 1000
"""


def a_post(callid: str, **fields: str) -> dict[str, str]:
    """What Kamailio posts of a call of 2.5 s from the first account's line to London."""
    call = {
        "start_time": "1763647655.250000", "end_time": "1763647657.750000", "duration": "2.500",
        "callid": callid, "a": line(0), "b": LONDON, "src_ip": "127.0.0.1", "endby": "caller", "code": "200",
    }  # fmt: skip
    return call | fields


def encoded(*posts: Any, indent: int | None = None) -> bytes:
    """One JSON text after another, a line end after each."""
    return b"".join(json.dumps(post, indent=indent).encode() + b"\n" for post in posts)


@dataclass
class FeedAtWork:
    """A feed on its listener, and the store behind it."""

    address: Address
    owner: StoreOwner
    store: Store
    file: Path
    committing: "asyncio.Task[None] | None" = None

    async def request(
        self, body: bytes | None, headers: Mapping[str, str] = {}, *, method: str = "POST", path: str = PATH
    ) -> Answer:
        """One request on a connection of its own."""

        def ask() -> Answer:
            with PopByHand(self.address, None) as client:
                return client.request(method, path, body, headers)

        async with asyncio.timeout(WITHIN_S):
            return await asyncio.to_thread(ask)

    async def counts(self, body: bytes, headers: Mapping[str, str] = {}) -> tuple[int, int, int]:
        """Accepted, duplicate, suspended."""
        return (await self.request(body, headers)).counts

    def begin_committing(self) -> None:
        self.committing = asyncio.create_task(self.owner.run())

    async def queued(self, records: int) -> None:
        """Until so many records wait for their commit."""
        async with asyncio.timeout(WITHIN_S):
            while self.owner.queued != records:
                await asyncio.sleep(0.001)

    def stored(self) -> list[str]:
        """Ids of all transactions; every call here is of one month."""
        months = rows_of(self.file, "SELECT month FROM partitions")
        return [
            id_ for (month,) in months for (id_,) in
            rows_of(self.file, f"SELECT record_id FROM transactions_{month} ORDER BY id")
        ]  # fmt: skip

    def suspended(self) -> list[tuple[str, bytes]]:
        """Reason and raw record of everything in suspense."""
        return [(str(why), raw) for why, raw in rows_of(self.file, "SELECT reason, raw FROM suspense ORDER BY id")]


@asynccontextmanager
async def feed_at_work(
    site: Path, *, committing: bool = True, max_queued: int = 1000, **options: Any
) -> AsyncIterator[FeedAtWork]:
    """A feed of Kamailio's records; `options` are the feed's."""
    file = site / "tollkeeper.db"
    store = await open_store(file, all_migrations(), NOW)
    runner = None
    try:
        sources = await store.register_sources(["kam1"])
        directory = DirectoryBuilder(None).build(await store.provisioned())
        counters = await load_counters(store, directory.accounts)
        metrics = PipelineMetrics(CollectorRegistry(), sources)
        owner = StoreOwner(store, counters, metrics, max_queued=max_queued, max_commit=100)
        sender = Sender(
            "kam1", sources["kam1"], FrontHere(Front(directory)), owner, lambda: NOW,
            "kamailio-json",
        )  # fmt: skip
        given = {"max_body_bytes": 100_000, "read_timeout_s": WITHIN_S, "token": None} | options
        runner = Runner(HttpPostsFeed(PATH, sender, owner, **given).application)
        await runner.setup()
        feed = FeedAtWork(await listen(runner, "127.0.0.1", 0, None), owner, store, file)
        if committing:
            feed.begin_committing()
        yield feed
        owner.stop()
        if feed.committing:
            with suppress(StoreFailed):
                await feed.committing
    finally:
        if runner:
            await runner.cleanup()
        await store.close()


@pytest.fixture
async def feed(site: Path) -> AsyncIterator[FeedAtWork]:
    async with feed_at_work(site) as working:
        yield working


async def test_a_post_is_answered_with_its_counts_and_sent_again_it_is_a_duplicate(feed: FeedAtWork) -> None:
    body = encoded(a_post("a"))
    answer = await feed.request(body, {"Content-Type": "application/json"})
    assert answer.json == {"accepted": 1, "duplicate": 0, "suspended": 0}
    assert answer.headers["content-type"].startswith("application/json")
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert await feed.counts(body) == (0, 1, 0)
    assert feed.stored() == ["a"]


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        pytest.param(encoded(a_post("a")).strip(), ["a"], id="an object without a line end"),
        pytest.param(encoded(a_post("a"), a_post("b")), ["a", "b"], id="an object a line"),
        pytest.param(
            b"\r\n\r\n" + encoded(a_post("a"), a_post("b")).replace(b"\n", b"\r\n\r\n"), ["a", "b"],
            id="lines that end in CRLF, and blank ones",
        ),
        pytest.param(encoded(a_post("a"), indent=4), ["a"], id="an object over several lines"),
        pytest.param(
            b"\n " + encoded(a_post("a"), indent=4).replace(b"\n", b"\r\n"), ["a"], id="the same with CRLF, indented"
        ),
        pytest.param(encoded([a_post("a"), a_post("b")]), ["a", "b"], id="a list of objects"),
        pytest.param(encoded([a_post("a"), a_post("b")], indent=2), ["a", "b"], id="a list over several lines"),
        pytest.param(b" [ ] ", [], id="a list of nothing"),
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"\n \r\n", [], id="blank lines"),
    ],
)  # fmt: skip
async def test_a_body_holds_records_in_one_of_three_shapes(feed: FeedAtWork, body: bytes, ids: list[str]) -> None:
    assert await feed.counts(body) == (len(ids), 0, 0)
    assert feed.stored() == ids
    assert await feed.counts(encoded(a_post("a"), a_post("b"))) == (2 - len(ids), len(ids), 0)


@pytest.mark.parametrize(
    ("body", "reasons"),
    [
        pytest.param(encoded(a_post("s", a=STRANGER)), ["unknown-line"], id="a line that nobody has"),
        pytest.param(encoded(a_post("s", a="anonymous")), ["bad-number"], id="a number that is none"),
        pytest.param(encoded(a_post("s", start_time="now")), ["bad-time"], id="a time that is none"),
        pytest.param(b"no JSON", ["malformed"], id="text"),
        pytest.param(b"\xff\xfe\x00", ["malformed"], id="bytes"),
        pytest.param(b'"text"', ["malformed"], id="a JSON text"),
        pytest.param(b'["text",7,{}]', ["malformed"] * 3, id="a list of other things"),
        pytest.param(b"[" * 50_000, ["malformed"], id="nested too deeply"),
        pytest.param(b"[{}", ["malformed"], id="a list without its end"),
        pytest.param(encoded(a_post("s"))[:-3] + b"\n", ["malformed"], id="an object without its end"),
    ],
)
async def test_a_record_that_cannot_be_used_is_kept_and_answered_200(
    feed: FeedAtWork, body: bytes, reasons: list[str]
) -> None:
    answer = await feed.request(body)
    assert answer.counts == (0, 0, len(reasons))
    assert [record["reason"] for record in answer.json["records"]] == reasons
    assert [reason for reason, _ in feed.suspended()] == reasons
    assert await feed.counts(body) == (0, len(reasons), 0)
    assert await feed.counts(encoded(a_post("next"))) == (1, 0, 0)


async def test_a_bad_line_does_not_fail_the_others(feed: FeedAtWork) -> None:
    body = encoded(a_post("a")) + b"{\n" + encoded(a_post("b"), a_post("c", a=STRANGER))
    answer = await feed.request(body)
    assert answer.json == {
        "accepted": 2, "duplicate": 0, "suspended": 2,
        "records": [
            {"line": 2, "id": None, "reason": "malformed"}, {"line": 4, "id": "c", "reason": "unknown-line"},
        ],
    }  # fmt: skip
    assert feed.stored() == ["a", "b"]
    assert feed.suspended()[0] == ("malformed", b"{")


async def test_a_record_of_several_lines_is_in_suspense_as_one_that_can_be_read_again(feed: FeedAtWork) -> None:
    post = a_post("s", a=STRANGER)
    assert await feed.counts(encoded(post, indent=4)) == (0, 0, 1)
    ((reason, raw),) = feed.suspended()
    assert (reason, json.loads(raw)) == ("unknown-line", post)
    assert b"\n" not in raw
    assert await feed.counts(encoded(post)) == (0, 1, 0)


async def test_what_gzip_packed_is_unpacked(feed: FeedAtWork) -> None:
    gzipped = {"Content-Encoding": "gzip"}
    packed = gzip.compress(encoded(a_post("a")))
    assert await feed.counts(packed, gzipped) == (1, 0, 0)
    assert (await feed.request(packed[:-4], gzipped)).status == 400
    assert (await feed.request(encoded(a_post("b")), gzipped)).status == 400
    assert feed.stored() == ["a"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", PATH, 405), ("PUT", PATH, 405), ("POST", "/", 404), ("POST", f"{PATH}/", 404), ("GET", "/else", 404)],
)
async def test_another_method_or_path_is_a_problem(feed: FeedAtWork, method: str, path: str, status: int) -> None:
    answer = await feed.request(encoded(a_post("never")), method=method, path=path)
    assert answer.status == status
    assert answer.is_problem
    assert status == 404 or answer.headers["allow"] == "POST"
    assert feed.stored() == []


async def test_a_body_over_the_limit_is_413(site: Path) -> None:
    body = encoded(a_post("a"))
    async with feed_at_work(site, max_body_bytes=len(body)) as feed:
        for refused in (await feed.request(body + b" "), await feed.request(gzip.compress(bytes(len(body) + 1)),
                                                                            {"Content-Encoding": "gzip"})):  # fmt: skip
            assert refused.status == 413
            assert refused.is_problem
        assert feed.stored() == []
        assert await feed.counts(body) == (1, 0, 0)


async def test_a_body_that_stops_half_way_is_400_and_one_that_does_not_come_is_408(site: Path) -> None:
    body = encoded(a_post("never"))
    head = f"POST {PATH} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    def cut_short(address: Address) -> list[Answer]:
        with plug(address) as wire:
            wire.sendall(head + body[:-10])
            wire.shutdown(1)
            return answers_until_close(wire)

    def stop_sending(address: Address) -> Answer:
        with plug(address) as wire:
            wire.sendall(head + body[:-10])
            return read_answer(wire)

    async with feed_at_work(site, read_timeout_s=0.2) as feed:
        (answer,) = await asyncio.to_thread(cut_short, feed.address)
        assert answer.status == 400
        assert answer.is_problem
        answer = await asyncio.to_thread(stop_sending, feed.address)
        assert answer.status == 408
        assert answer.is_problem
        assert feed.stored() == []
        assert feed.suspended() == []


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer wrong", "Bearer kam1-secre", "Basic kam1-secret", "kam1-secret"]
)
async def test_where_a_token_is_configured_a_post_without_it_is_401(site: Path, authorization: str | None) -> None:
    async with feed_at_work(site, token="kam1-secret") as feed:
        refused = await feed.request(
            encoded(a_post("never")), {} if authorization is None else {"Authorization": authorization}
        )
        assert refused.status == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.is_problem
        assert await feed.counts(encoded(a_post("a")), {"Authorization": "bearer kam1-secret"}) == (1, 0, 0)
        assert feed.stored() == ["a"]


async def test_an_answer_comes_after_the_commit_and_not_before(site: Path) -> None:
    async with feed_at_work(site, committing=False) as feed:
        with PopByHand(feed.address, None) as client:
            await asyncio.to_thread(client.connection.request, "POST", PATH, encoded(a_post("a")))
            await feed.queued(1)
            readable, _, _ = select.select([client.connection.sock], [], [], 0)
            assert not readable
            assert feed.stored() == []
            feed.begin_committing()
            assert (await asyncio.to_thread(client.connection.getresponse)).status == 200
        assert feed.stored() == ["a"]


async def test_what_a_switch_posted_before_it_went_away_is_stored(site: Path) -> None:
    async with feed_at_work(site, committing=False) as feed:
        with PopByHand(feed.address, None) as client:
            await asyncio.to_thread(client.connection.request, "POST", PATH, encoded(a_post("a")))
            await feed.queued(1)
        feed.begin_committing()
        assert await feed.counts(encoded(a_post("a"))) == (0, 1, 0)


async def test_a_full_queue_is_waited_for(site: Path) -> None:
    async with feed_at_work(site, committing=False, max_queued=2, patience_s=WITHIN_S) as feed:
        first = asyncio.create_task(feed.counts(encoded(a_post("a"), a_post("b"))))
        await feed.queued(2)
        with PopByHand(feed.address, None) as client:
            await asyncio.to_thread(client.connection.request, "POST", PATH, encoded(a_post("c")))
            assert (await feed.request(None, method="GET")).status == 405  # the feed has seen the post, then
            readable, _, _ = select.select([client.connection.sock], [], [], 0)
            assert not readable
            feed.begin_committing()
            assert (await asyncio.to_thread(client.connection.getresponse)).status == 200
        assert await first == (2, 0, 0)
        assert feed.stored() == ["a", "b", "c"]


async def test_a_queue_that_stays_full_is_503_and_nothing_of_the_post_is_stored(site: Path) -> None:
    async with feed_at_work(site, committing=False, max_queued=2, patience_s=0.05) as feed:
        first = asyncio.create_task(feed.counts(encoded(a_post("a"), a_post("b"))))
        await feed.queued(2)
        refused = await feed.request(encoded(a_post("c")))
        assert refused.status == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.is_problem
        feed.begin_committing()
        assert await first == (2, 0, 0)
        assert feed.stored() == ["a", "b"]
        assert await feed.counts(encoded(a_post("c"))) == (1, 0, 0)


async def test_what_waits_for_room_is_bounded(site: Path) -> None:
    """No more than 32 bodies of the greatest size: a further one is refused at once, however patient the feed is."""
    bodies = [encoded(a_post(f"{n:03d}")) for n in range(40)]
    limit = len(bodies[0])
    head = f"POST {PATH} HTTP/1.1\r\nHost: test\r\nContent-Length: {limit}\r\n\r\n".encode()
    async with feed_at_work(
        site, committing=False, max_queued=1, max_body_bytes=limit, patience_s=4 * WITHIN_S
    ) as feed:
        wires = [plug(feed.address) for _ in bodies]
        try:
            for wire, body in zip(wires, bodies, strict=True):
                wire.sendall(head + body)
            refused, _, _ = await asyncio.to_thread(select.select, wires, [], [], WITHIN_S)
            assert [(await asyncio.to_thread(read_answer, wire)).status for wire in refused] == [503] * len(refused)
            feed.begin_committing()
            answers = [await asyncio.to_thread(read_answer, wire) for wire in wires if wire not in refused]
        finally:
            for wire in wires:
                wire.close()
        taken = [answer for answer in answers if answer.status == 200]
        assert refused
        assert len(taken) >= 32
        assert len(feed.stored()) == len(taken)


async def test_a_daemon_that_ends_takes_no_post(site: Path) -> None:
    async with feed_at_work(site, committing=False, max_queued=1, patience_s=WITHIN_S) as feed:
        first = asyncio.create_task(feed.counts(encoded(a_post("a"))))
        await feed.queued(1)
        waiting = asyncio.create_task(feed.request(encoded(a_post("b"))))
        await asyncio.sleep(0)
        feed.owner.stop()
        for refused in (await waiting, await feed.request(encoded(a_post("c")))):
            assert refused.status == 503
            assert int(refused.headers["retry-after"]) >= 1
            assert "the daemon is stopping" in refused.json["detail"]
        feed.begin_committing()
        assert await first == (1, 0, 0)
        assert feed.stored() == ["a"]


async def test_a_store_that_fails_is_no_200(site: Path) -> None:
    async with feed_at_work(site, committing=False) as feed:

        async def fail(*_: object) -> None:
            raise StoreFailed("no space left")

        feed.store.write = fail  # type: ignore[method-assign, assignment]  # as a full disk would
        asked = asyncio.create_task(feed.request(encoded(a_post("a"))))
        await feed.queued(1)
        feed.begin_committing()
        with suppress(OSError):  # an answer that says so, or none: never 200
            assert (await asked).status >= 500
        assert feed.stored() == []


def test_the_daemon_serves_what_is_configured(site: Path) -> None:
    with running(write_config(site, feed=SECTION)) as daemon:
        with PopByHand(daemon.addresses["feeds.kamailio"], "kam1-secret") as switch:
            assert switch.request("POST", PATH, encoded(a_post("a"), a_post("s", a=STRANGER))).counts == (1, 0, 1)
            assert switch.request("POST", PATH, bytes(1001)).status == 413
            switch.token = "token-of-pop-a"
            assert switch.request("POST", PATH, encoded(a_post("never"))).status == 401
        assert daemon.stored() == ["a"]
        assert daemon.metric('tollkeeper_records_total{outcome="suspended",source="kam1"}') == 1
