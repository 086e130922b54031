"""An accounting feed at work on a provisioned store, and a NAS written by hand that reports to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from access import session_rows
from access.migrations import access_migrations
from access.radius.dictionary import Dictionary
from access.sessions import LiveSessions
from mediation.directory_builder import DirectoryBuilder
from mediation.feeds.radius import AccountingClient, AccountingFeed
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
from simulators import radius_packets as radius
from tests.builders import NOW
from tests.integration.daemon_in_thread import rows_of
from tests.small_site import LONDON, line

WITHIN_S = 20.0
SECRET = b"s3cret"
NOW_S = NOW // 1_000_000
Address = tuple[str, int]


@dataclass
class FeedAtWork:
    """A feed, what is behind it, and its file."""

    feed: AccountingFeed
    address: Address
    sessions: LiveSessions
    owner: StoreOwner
    store: Store
    file: Path
    committing: "asyncio.Task[None] | None" = None
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    def begin_committing(self) -> None:
        self.committing = asyncio.create_task(self.owner.run())

    def stored(self) -> list[tuple[Any, ...]]:
        """Id, start, duration in seconds, detail of all transactions, in order of their ids."""
        found: list[tuple[Any, ...]] = []
        for (month,) in rows_of(self.file, "SELECT month FROM partitions"):
            query = f"SELECT record_id, start_at, duration_us / 1000000, detail FROM transactions_{month} ORDER BY id"
            found += [(*row[:3], json.loads(row[3] or "{}")) for row in rows_of(self.file, query)]
        return found

    def suspended(self) -> list[tuple[str, dict[str, Any]]]:
        rows = rows_of(self.file, "SELECT reason, raw FROM suspense ORDER BY id")
        return [(str(reason), json.loads(raw)) for reason, raw in rows]

    def live(self) -> list[str]:
        return [session.key.session for session in self.sessions.of_line(line(0).removeprefix("+"))]


def migrations() -> tuple[Any, ...]:
    """A whole site's, with access's."""
    steps = all_migrations()
    return steps if any(step.package == "access" for step in steps) else (*steps, *access_migrations())


@asynccontextmanager
async def feed_at_work(
    site: Path,
    clock: Callable[[], int] = lambda: NOW,
    *,
    committing: bool = True,
    network: str = "127.0.0.1/32",
    shared: bool = False,
    **options: Any,
) -> AsyncIterator[FeedAtWork]:
    """A feed with one client; `options` are the feed's."""
    file = site / "tollkeeper.db"
    store = await open_store(file, migrations(), NOW)
    try:
        sources = await store.register_sources(["kam1"])
        directory = DirectoryBuilder(None).build(await store.provisioned())
        counters = await load_counters(store, directory.accounts)
        metrics = PipelineMetrics(CollectorRegistry(), sources)
        owner = StoreOwner(store, counters, metrics, max_queued=1000, max_commit=100)
        sender = Sender("kam1", sources["kam1"], FrontHere(Front(directory)), owner, clock)
        sessions = LiveSessions(await store.read(session_rows.all_live))
        client = AccountingClient("nas1", ip_network(network), SECRET, sender, Dictionary("kamailio"), shared)
        feed = AccountingFeed("radius", [client], store, sessions, clock, **options)
        work = FeedAtWork(feed, await feed.open("127.0.0.1", 0), sessions, owner, store, file)
        if committing:
            work.begin_committing()
        running = asyncio.create_task(feed.run())
        try:
            yield work
        finally:
            owner.stop()
            feed.stop()
            if work.committing:
                with suppress(StoreFailed):
                    await work.committing
            else:
                running.cancel()
            async with asyncio.timeout(WITHIN_S):
                await asyncio.gather(running, return_exceptions=True)
    finally:
        await store.close()


class NasByHand(asyncio.DatagramProtocol):
    """Sends packets, and keeps what comes back."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport: asyncio.DatagramTransport | None = None
        self._next_id = 0

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.answers.put_nowait(data)

    def send(self, data: bytes) -> bytes:
        assert self.transport
        self.transport.sendto(data)
        return data

    async def ask(self, data: bytes) -> bytes:
        """Send a packet; its answer, which must be genuine."""
        self.send(data)
        async with asyncio.timeout(WITHIN_S):
            answer = await self.answers.get()
        assert radius.is_genuine_answer(answer, data, SECRET)
        return answer

    async def report(self, status: int, session: str = "s1", **fields: Any) -> bytes:
        """Report something of a session, in a packet with an identifier of its own."""
        self._next_id += 1
        return await self.ask(a_report(status, session, identifier=self._next_id, **fields))


@asynccontextmanager
async def nas_by_hand(address: Address) -> AsyncIterator[NasByHand]:
    nas = NasByHand()
    nas.transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: nas, remote_addr=address)
    try:
        yield nas
    finally:
        nas.transport.close()
        await asyncio.sleep(0)


def a_report(
    status: int,
    session: str = "s1",
    *,
    identifier: int = 1,
    at: int | None = NOW_S,
    lasted: int | None = None,
    delay: int | None = None,
    calling: str | None = line(0),
    called: str | None = LONDON,
    nas: str = "gw1",
    more: radius.Attributes = (),
    secret: bytes = SECRET,
) -> bytes:
    """An Accounting-Request; `at` is its Event-Timestamp, None where it has none."""
    attributes: list[tuple[int, bytes]] = [
        (radius.ACCT_STATUS_TYPE, radius.number(status)),
        (radius.ACCT_SESSION_ID, session.encode()),
        (radius.NAS_IDENTIFIER, nas.encode()),
    ]
    if calling is not None:
        attributes += [(radius.CALLING_STATION_ID, calling.encode()), (radius.USER_NAME, b"bob")]
    if called is not None:
        attributes.append((radius.CALLED_STATION_ID, called.encode()))
    for kind, value in (
        (radius.EVENT_TIMESTAMP, at),
        (radius.ACCT_SESSION_TIME, lasted),
        (radius.ACCT_DELAY_TIME, delay),
    ):
        if value is not None:
            attributes.append((kind, radius.number(value)))
    return radius.request(radius.ACCOUNTING_REQUEST, identifier, secret, [*attributes, *more])
