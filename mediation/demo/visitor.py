"""Somebody who uses the demo's pages and API from outside, as everybody does: over HTTP, with a token or a login."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

import aiohttp
import msgspec

_WITHIN_S: Final = 20.0


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return msgspec.json.decode(self.body)

    @property
    def text(self) -> str:
        """The body as it is read."""
        return self.body.decode()


class Unanswered(Exception):
    """A request was refused that should not have been; the message says which, and how."""


class Visitor:
    """One of them."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def get(self, path: str, **query: str | int) -> Any:
        """What the API has. Raises Unanswered."""
        return (await self._done("GET", path, params=query)).json

    async def page(self, path: str) -> str:
        """A page's HTML. Raises Unanswered."""
        return (await self._done("GET", path)).text

    async def sign_in(self, name: str, password: str) -> None:
        """By the form. Raises Unanswered."""
        await self._done("POST", "/login", data={"name": name, "password": password})

    async def post(self, path: str, body: object, **headers: str) -> Answer:
        """Send something to the API; whatever it answers."""
        return await self._ask("POST", path, json=body, headers=headers)

    async def _done(self, method: str, path: str, **how: Any) -> Answer:
        answer = await self._ask(method, path, **how)
        if answer.status != 200:
            raise Unanswered(f"{method} {path} was answered {answer.status}")
        return answer

    async def _ask(self, method: str, path: str, **how: Any) -> Answer:
        try:
            async with self._http.request(method, path, **how) as response:
                return Answer(response.status, await response.read())
        except aiohttp.ClientError as error:
            raise Unanswered(f"{method} {path} was not answered: {error}") from error


@contextlib.asynccontextmanager
async def visiting(url: str, token: str | None = None) -> AsyncIterator[Visitor]:
    """A program with its token; without one, a person, who keeps cookies and can sign in."""
    async with aiohttp.ClientSession(
        url,
        headers={"Authorization": f"Bearer {token}"} if token else {},
        cookie_jar=aiohttp.CookieJar(unsafe=True),  # cookies of an address that is a number
        timeout=aiohttp.ClientTimeout(total=_WITHIN_S),
    ) as http:
        yield Visitor(http)
