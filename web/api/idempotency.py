"""Idempotency-Key: an unsafe call that is sent again is answered again, and not done again.

Answers are kept in memory, the newest of them; after a restart a call is done as if it came first.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from web.refusals import Refused
from web.request import principal_of
from web.routing import Handler

HEADER: Final = "Idempotency-Key"
KEPT: Final = 1_000
"""Answers that are kept."""
LONGEST_ANSWER: Final = 1 << 20
LONGEST_KEY: Final = 255


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was given."""

    status: int
    body: bytes
    content_type: str
    location: str | None

    @classmethod
    def of(cls, answer: web.StreamResponse) -> "Kept":
        """What to keep of an answer."""
        assert isinstance(answer, web.Response)
        assert isinstance(answer.body, bytes | None)
        return cls(answer.status, answer.body or b"", answer.content_type, answer.headers.get("Location"))

    def again(self) -> web.Response:
        """The answer, to be sent once more."""
        headers = {"Location": self.location} if self.location else None
        return web.Response(body=self.body, status=self.status, content_type=self.content_type, headers=headers)


class KeptAnswers:
    """The answers to calls that carried a key, by who called and the key. Only what was done is kept: a call that was
    refused changed nothing, and may be put right and sent again."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._known: OrderedDict[tuple[str, str], tuple[bytes, asyncio.Future[Kept | None]]] = OrderedDict()

    def guarded(self, handler: Handler) -> Handler:
        """The handler, called once for each key."""

        async def answer(request: web.Request) -> web.StreamResponse:
            key = request.headers.get(HEADER)
            if key is None:
                return await handler(request)
            if not (0 < len(key) <= LONGEST_KEY and key.isprintable()):
                raise Refused(422, f"{HEADER} has 1 to {LONGEST_KEY} printable characters")
            body = await request.read()
            asked = hashlib.blake2b(f"{request.method} {request.path_qs}\n".encode("utf-8", "replace") + body).digest()
            return await self._once((principal_of(request).actor, key), asked, lambda: handler(request))

        return answer

    async def _once(
        self, name: tuple[str, str], asked: bytes, call: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        while name in self._known:
            known, answered = self._known[name]
            if known != asked:
                raise Refused(422, f"this {HEADER} came with another call: give every call a key of its own")
            kept = await asyncio.shield(answered)
            if kept is not None:
                return kept.again()
            # The first one came to nothing: this one takes its place, unless another was quicker.
        done: asyncio.Future[Kept | None] = asyncio.get_running_loop().create_future()
        self._known[name] = (asked, done)
        kept = None
        try:
            answer = await call()
            if answer.status < 300:
                kept = Kept.of(answer)
            return answer
        finally:
            if kept is None or len(kept.body) > LONGEST_ANSWER:
                del self._known[name]
            done.set_result(kept)
            self._forget()

    def _forget(self) -> None:
        """Let the oldest answers go; calls that are under way stay."""
        surplus = len(self._known) - self._most
        for name in [name for name, (_, done) in self._known.items() if done.done()][: max(0, surplus)]:
            del self._known[name]
