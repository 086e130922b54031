"""The http feed: a switch posts records in a format of its own, and is answered after their commit.

Such a switch rarely sends again what was not answered 200 (Kamailio drops it): so a record that cannot be used is
answered 200 too, it is kept in suspense, and a queue that is full is waited for.
"""

import asyncio
from typing import Final

import msgspec
from aiohttp import web

from mediation.feeds.bearer import digest_sent, token_digest, unknown_sender
from mediation.feeds.bodies import BodyMemory, read_body
from mediation.feeds.outcomes import answer
from mediation.feeds.problems import as_problems, stopping
from mediation.pipeline.owner import StoreOwner
from mediation.pipeline.room import Overloaded
from mediation.pipeline.sender import Sender
from rating.store.batch import Outcome

BODIES_IN_MEMORY: Final = 32
"""Bodies of the greatest size that may be read at once, and so many again that may wait for room, on one feed."""
PATIENCE_S: Final = 10.0
"""How long a post waits for room in the queue before it is refused."""

_decode_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_NOT_JSON: Final = (msgspec.MsgspecError, ValueError, RecursionError)


class HttpPostsFeed:
    """One listener for one switch. `application` is what an HTTP server runs."""

    def __init__(
        self,
        path: str,
        sender: Sender,
        owner: StoreOwner,
        *,
        max_body_bytes: int,
        read_timeout_s: float,
        token: str | None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`token`: what a post must carry; None: whoever reaches the listener may post."""
        self._sender = sender
        self._owner = owner
        self._max_body_bytes = max_body_bytes
        self._read_timeout_s = read_timeout_s
        self._patience_s = patience_s
        self._digest = None if token is None else token_digest(token)
        self._being_read = BodyMemory(BODIES_IN_MEMORY * max_body_bytes)
        self._waiting = BodyMemory(BODIES_IN_MEMORY * max_body_bytes)
        self.application = web.Application(middlewares=[as_problems])
        self.application.router.add_post(path, self._post)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        if self._digest is not None and digest_sent(request) != self._digest:
            raise unknown_sender()
        if self._owner.is_stopping:
            return stopping()
        with self._being_read.share() as share:
            body = await read_body(request, self._max_body_bytes, self._read_timeout_s, share)
        return await answer(request, self._send(body))

    async def _send(self, body: bytes) -> Outcome:
        """The outcome of a body's records. Raises Overloaded or Stopping: then nothing was stored."""
        with self._waiting.share() as share:
            share.take(len(body))
            try:
                async with asyncio.timeout(self._patience_s):
                    queued = await self._sender.send_patiently(records_of(body))
            except TimeoutError:
                raise Overloaded from None
        return await asyncio.shield(queued)


def records_of(body: bytes) -> list[bytes]:
    """A body's records: one a line, but for a body that is one JSON object, which may have line ends inside, or a JSON
    list of them."""
    whole = body.strip()
    try:
        if whole.startswith(b"["):
            return [_on_one_line(bytes(record)) for record in _decode_list(whole)]
        if whole.startswith(b"{") and b"\n" in whole:
            _decode_object(whole)
            return [_on_one_line(whole)]
    except _NOT_JSON:
        pass  # lines, then
    return body.split(b"\n")


def _on_one_line(record: bytes) -> bytes:
    """Between the fields of valid JSON a line end is a blank; inside a string there is none."""
    return record.replace(b"\r", b" ").replace(b"\n", b" ")
