"""Pages and API on a real store: a small site with calls and suspended records, and somebody of each role."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientResponse, CookieJar
from aiohttp.test_utils import TestClient, TestServer
from argon2 import Parameters
from argon2.low_level import Type
from prometheus_client import CollectorRegistry

from control.enrolment import Enrolments
from control.payments.service import Payments
from control.users import Role, Users
from control.users.passwords import Passwords
from mediation.acting import acting_on
from mediation.config import Config
from mediation.config.sections import Store as StoreSection
from mediation.directory_builder import DirectoryBuilder
from mediation.feeds.pop import PopFeed
from mediation.feeds.status import FeedStatus, SourceStatus
from mediation.pipeline.activity import SourceActivity
from mediation.pipeline.front import Front
from mediation.pipeline.metrics import PipelineMetrics
from mediation.pipeline.owner import StoreOwner
from mediation.pipeline.preparing import FrontHere
from mediation.pipeline.recycling import Recycler
from mediation.pipeline.sender import Sender
from mediation.provisions import load_counters
from mediation.schema import all_migrations
from rating.store.port import Store
from rating.store.readers import open_readers
from rating.store.sqlite import open_store
from rating.tariff import parse_tariff
from tests.builders import ABSENT, NOW, a_batch, a_tariff_text, accounts_csv, cdr_json, lines_csv, raw
from web.application import ControlPlane
from web.messages import Messages
from web.site import Site

CHEAP: Final = Parameters(Type.ID, 19, 8, 16, time_cost=1, memory_cost=8, parallelism=1)
PASSWORD: Final = "correct horse battery"
SOURCES: Final = ("pop-lax", "pop-nyc")
POP_TOKEN: Final = "token-of-pop-nyc"

ADA: Final = "4000012345"
BOB: Final = "4000067890"
"""Two accounts, each with a line and a user of its number."""
ADAS_LINE: Final = "+12125550142"
BOBS_LINE: Final = "+12125550199"
STRANGER: Final = "+19995550100"
"""A line that nobody has."""
NOWHERE: Final = "+8835100012345"
"""A number without a rate."""

USERS: Final = {
    "stella": (Role.STAFF, None), "ada": (Role.CUSTOMER, ADA), "bob": (Role.CUSTOMER, BOB),
    "olga": (Role.OPERATOR, None), "agnes": (Role.AGENT, None), "axel": (Role.AUDITOR, None),
}  # fmt: skip

MOST_ORDERED: Final = 3
"""Bill runs that messages may order."""

CALLS: Final = (
    cdr_json(id="ada-1"),
    cdr_json(id="ada-2", called="+16175550123", duration=raw("12.5")),
    cdr_json(id="bob-1", calling=BOBS_LINE),
)  # fmt: skip
SUSPENDED: Final = (
    cdr_json(id="s-1", calling=STRANGER),
    cdr_json(id="s-2", calling=STRANGER, duration=30),
    cdr_json(id="s-3", called=NOWHERE, trunk_group=7),
    cdr_json(id="s-4", duration=ABSENT),
    b"\xff<script>alert(1)</script>",
)
"""Records 1 to 5: unknown-line twice, no-rate, malformed for want of a duration, and malformed altogether."""


class Visitor:
    """Somebody with a browser that keeps cookies and follows no redirect by itself."""

    def __init__(self, client: TestClient[Any, Any]) -> None:
        self.client = client
        self.csrf = ""

    async def get(self, path: str, status: int = 200, **how: Any) -> str:
        """A page's text."""
        answer = await self.client.get(path, allow_redirects=False, **how)
        assert answer.status == status, await answer.text()
        return await answer.text()

    async def post(self, path: str, *fields: tuple[str, str], **more: str) -> ClientResponse:
        """Send a form as a page has it."""
        form = [("csrf", self.csrf), *fields, *more.items()]
        return await self.client.post(path, data=form, allow_redirects=False)

    async def follow(self, answer: ClientResponse) -> str:
        """The page that a form leads to."""
        assert answer.status == 303, await answer.text()
        return await self.get(answer.headers["Location"])

    async def json(self, path: str, status: int = 200) -> Any:
        answer = await self.client.get(path)
        assert answer.status == status, await answer.text()
        return json.loads(await answer.read())

    async def send(self, path: str, body: object, status: int = 200, **headers: str) -> Any:
        """An unsafe call of the API."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await self.client.post(path, data=data, headers={"X-CSRF-Token": self.csrf} | headers)
        assert answer.status == status, await answer.text()
        return json.loads(await answer.read())


class WebSite:
    """The control plane, and what is behind it."""

    store: Store
    site: Site

    def __init__(self, directory: Path) -> None:
        self.path = directory / "tollkeeper.db"
        self.now = NOW
        self.ordered: list[tuple[str, str | None, str]] = []
        """The bill runs that messages have ordered: period, account, actor."""
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        self.store = await open_store(self.path, all_migrations(), self.now)
        self._stack.push_async_callback(self.store.close)
        await self.store.import_accounts(
            accounts_csv(
                f"{ADA},Ada Lovelace,ada@customers.example,USD,America/New_York,2500.00,standard,agnes,1",
                f"{BOB},Bob & Sons,,USD,America/New_York,,standard,,1",
            ),
            self.now,
        )
        await self.store.import_lines(
            lines_csv(
                f"{ADAS_LINE},{ADA},Transcontinental,long-distance,,,",
                f"{BOBS_LINE},{BOB},Transcontinental,long-distance,,,",
            )
        )
        text = a_tariff_text()
        await self.store.import_tariff(text, parse_tariff(text), self.now)
        self.sources = await self.store.register_sources(SOURCES)
        await self._seat()

    async def _seat(self) -> None:
        directory = DirectoryBuilder(None).build(await self.store.provisioned())
        counters = await load_counters(self.store, directory.accounts)
        metrics = PipelineMetrics(CollectorRegistry(), self.sources)
        self.front = Front(directory)
        config = Config(file=self.path, store=StoreSection(path=self.path))
        self.acting = await acting_on(config, self.store, counters, self.front, lambda: self.now)
        self.owner = StoreOwner(
            self.store,
            counters,
            metrics,
            max_queued=1000,
            max_commit=1000,
            watch=lambda cx, rows: self.acting.control.watch(cx, rows, self.now),
        )
        self.users = await Users.load(self.store, lambda: self.now, Passwords(CHEAP))
        self._stack.callback(self.users.close)
        for name, (role, account) in USERS.items():
            await self.users.add_user(name, role, account, None, PASSWORD, "test")
        self.site = Site(
            readers=await self._stack.enter_async_context(open_readers(self.path)),
            users=self.users,
            owner=self.owner,
            front=self.front,
            recycler=Recycler(self.store, FrontHere(self.front), self.owner, lambda: self.now, self.sources),
            room=self.acting.room,
            exposure=self.acting.exposure,
            enrolments=await Enrolments.load(self.store, lambda: self.now, self.acting.wake),
            payments=Payments(self.store, self.acting.room.ledger, lambda: self.now, self.acting.acted),
            feeds=self._feeds,
            clock=lambda: self.now,
            secure_cookies=False,
            version="0.0.0",
        )
        self.application = ControlPlane(self.site).application
        self.server = await self._stack.enter_async_context(TestServer(self.application))
        await self.receive(*CALLS, *SUSPENDED)

    async def _order_run(self, period: str, account: str | None, actor: str) -> str | None:
        if len(self.ordered) == MOST_ORDERED:
            return None
        self.ordered.append((period, account, actor))
        return f"{period}-{account}"

    async def _feeds(self) -> list[FeedStatus]:
        activity = SourceActivity("pop-nyc", accepted=3, suspended=5, last_arrived_at=self.now, lag_us=1_500_000)
        return [FeedStatus("pops", "pop", "http://127.0.0.1:1", "open", [SourceStatus("pop-nyc", "live", activity, 8)])]

    async def receive(self, *lines: bytes) -> None:
        """A batch of pop-nyc, committed and counted."""
        batch = a_batch(self.front.directory, *lines, source=self.sources["pop-nyc"], arrived_at=self.now)
        await self.store.write(lambda: [batch], lambda _, rows: self.owner.counters.add(rows))

    async def import_stranger(self) -> None:
        """The line that nobody had is Ada's."""
        await self.store.import_lines(lines_csv(f"{STRANGER},{ADA},Transcontinental,long-distance,,,"))
        self.front.directory = DirectoryBuilder(None).build(await self.store.provisioned())

    async def visitor(self, name: str | None = None, **headers: str) -> Visitor:
        """Somebody, signed in if they have a name."""
        client = TestClient(self.server, cookie_jar=CookieJar(unsafe=True), headers=headers)
        self._stack.push_async_callback(client.session.close)
        visitor = Visitor(client)
        if name is not None:
            answer = await client.post("/login", data={"name": name, "password": PASSWORD}, allow_redirects=False)
            assert answer.status == 303, await answer.text()
            found = re.search(r'name="csrf" value="([^"]+)"', await visitor.get("/account"))
            assert found
            visitor.csrf = found[1]
        return visitor

    async def program(self, role: Role, account: str | None = None) -> Visitor:
        """A program with an API token of its own."""
        token = await self.users.add_token(f"a program of {role}", role, account, "test")
        return await self.visitor(Authorization=f"Bearer {token}")

    async def pop(self) -> TestClient[Any, Any]:
        """The POP feed's listener, which takes messages of people too."""
        feed = PopFeed(
            {POP_TOKEN: ("pop-nyc", self.sources["pop-nyc"])},
            lambda name, number: Sender(name, number, FrontHere(self.front), self.owner, lambda: self.now),
            self.owner, self.store,
            max_body_bytes=100_000, read_timeout_s=5,
        )  # fmt: skip
        feed.answer_others(Messages(self.site, self._order_run).taker)
        return await self._stack.enter_async_context(TestClient(TestServer(feed.application)))

    async def close(self) -> None:
        await self._stack.aclose()


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[WebSite]:
    site = WebSite(directory)
    try:
        await site.open()
        yield site
    finally:
        await site.close()
