"""The control plane over a real store, and who may ask it: a test client that follows nothing and keeps no cookies."""

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from aiohttp import DummyCookieJar, FormData, web
from aiohttp.test_utils import TestClient, TestServer
from argon2 import Parameters
from argon2.low_level import Type
from multidict import CIMultiDictProxy
from prometheus_client import CollectorRegistry

from control.users import Role, Users
from control.users.passwords import Passwords
from mediation.assembly import Parts, assemble, control_plane, fronts_of
from mediation.config import read_config
from mediation.daemon import wall_clock
from mediation.pipeline.preparing import FrontHere
from mediation.pipeline.sender import Sender
from mediation.schema import all_migrations
from rating.store.sqlite import open_store
from tests.small_site import a_record, account, accounts_csv, line, write_config
from web.gate import cookie_name
from web.request import SITE
from web.routing import DECLARED, Route

CHEAP: Final = Parameters(Type.ID, 19, 8, 16, time_cost=1, memory_cost=8, parallelism=1)
PASSWORD: Final = "correct horse battery"
WITHIN_S: Final = 20.0

OURS, THEIRS, NOBODYS = account(0), account(1), account(99_999)
"""Carol's and Agnes' account, Carl's, and one that there is not; all of one length."""


@dataclass(frozen=True)
class Person:
    """Somebody who may sign in."""

    name: str
    role: Role
    sees: frozenset[str] = frozenset({OURS, THEIRS})
    """Accounts, as far as a route is theirs at all."""
    account: str | None = None


PEOPLE: Final = (
    Person("stella", Role.STAFF),
    Person("carol", Role.CUSTOMER, frozenset({OURS}), OURS),
    Person("carl", Role.CUSTOMER, frozenset({THEIRS}), THEIRS),
    Person("agnes", Role.AGENT, frozenset({OURS})),
    Person("audrey", Role.AUDITOR),
    Person("oscar", Role.OPERATOR),
)


@dataclass(frozen=True)
class Said:
    """What came back; of a stream only its head."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def looks(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """Everything that tells one answer from another, but the time."""
        return self.status, sorted((n, v) for n, v in self.headers.items() if n != "Date"), self.body


@dataclass
class Plane:
    """One control plane, served."""

    parts: Parts
    application: web.Application
    client: "TestClient[web.Request, web.Application]"
    store: Path
    keys: dict[str, str] = field(default_factory=dict)
    """API tokens, by the name of the person who might have sent them."""

    def routes(self) -> Iterator[tuple[Route, str]]:
        """Every declared route with its path, parameters as {name}."""
        for made, route in self.application[DECLARED].items():
            assert made.resource is not None
            yield route, made.resource.canonical

    async def session(self, name: str, password: str = PASSWORD) -> dict[str, str]:
        """Headers of a browser in which somebody has just signed in, with the form's token."""
        token = await self.parts.users.sign_in(name, password, "192.0.2.1", wall_clock())
        assert isinstance(token, str), token
        return {"Cookie": self.cookie(token), "X-CSRF-Token": self.parts.users.csrf_token(token)}

    def cookie(self, token: str) -> str:
        return f"{cookie_name(self.application[SITE])}={token}"

    async def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, **form: str) -> Said:
        """One request; a redirect is an answer."""
        async with (
            asyncio.timeout(WITHIN_S),
            self.client.request(
                method, path, headers=headers, data=FormData(form) if form else None, allow_redirects=False
            ) as answer,
        ):
            streams = answer.content_type == "text/event-stream"
            return Said(answer.status, answer.headers, b"" if streams else await answer.read())

    async def send(self, *records: dict[str, Any]) -> None:
        """Records of pop-a, stored when this returns."""
        numbers = await self.parts.store.register_sources(("pop-a",))
        sender = Sender("pop-a", numbers["pop-a"], FrontHere(self.parts.front), self.parts.owner, wall_clock)
        await sender.send([json.dumps(record).encode() for record in records], None)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query on the store's file says, by a connection of its own."""
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as cx:
            return cx.execute(sql, values).fetchall()

    def transaction_of(self, number: str) -> str:
        """A transaction of an account."""
        for (month,) in self.rows("SELECT month FROM partitions"):
            for (found,) in self.rows(f"SELECT max(id) FROM transactions_{month} WHERE account = ?", number):
                if found is not None:
                    return str(found)
        raise AssertionError(f"account {number} has no transaction")

    @contextmanager
    def changes(self) -> Iterator["list[bool]"]:
        """Collects, at the end of the block, whether anything was committed in it."""
        found: list[bool] = []
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as cx:
            before = cx.execute("PRAGMA data_version").fetchone()
            yield found
            found.append(cx.execute("PRAGMA data_version").fetchone() != before)


def filled(path: str, **values: str) -> str:
    """A path with values in the place of its parameters; those that are not given are 1."""
    return re.sub(r"\{(\w+)\}", lambda name: values.get(name[1], "1"), path)


@asynccontextmanager
async def serving(directory: Path, *, secure_cookies: bool = False) -> AsyncIterator[Plane]:
    """A control plane on the provisioned store of a directory, with a call of each account and one in suspense."""
    pages = f'[web]\nlisten = "127.0.0.1:0"\nsecure_cookies = {str(secure_cookies).lower()}'
    config = read_config(write_config(directory, directory / "tollkeeper.db", in_store=pages))
    async with AsyncExitStack() as stack:
        store = await open_store(config.store.path, all_migrations(), wall_clock())
        stack.push_async_callback(store.close)
        agnes = accounts_csv([0]).replace(",standard,,", ",standard,agnes,")
        await store.import_accounts(agnes, wall_clock())
        parts = await assemble(config, store, fronts_of(config, wall_clock), wall_clock, CollectorRegistry())
        parts.users.close()
        parts = replace(parts, users=await Users.load(store, wall_clock, Passwords(CHEAP)))
        stack.callback(parts.users.close)
        writing = asyncio.create_task(parts.owner.run())
        stack.push_async_callback(asyncio.wait, {writing})
        stack.callback(parts.owner.stop)
        pages_of = await control_plane(config, parts, wall_clock, stack)
        client = TestClient(TestServer(pages_of.application), cookie_jar=DummyCookieJar())
        await client.start_server()
        stack.push_async_callback(client.close)
        stack.callback(pages_of.close_streams)
        plane = Plane(parts, pages_of.application, client, config.store.path)
        await _people(plane)
        calls = (a_record(f"{n}", calling=line(n)) for n in range(2))
        await plane.send(*calls, a_record("suspended", called="+8835100012345"))
        yield plane


async def _people(plane: Plane) -> None:
    for person in PEOPLE:
        await plane.parts.users.add_user(person.name, person.role, person.account, None, PASSWORD, "a test")
        plane.keys[person.name] = await plane.parts.users.add_token(person.name, person.role, person.account, "a test")
