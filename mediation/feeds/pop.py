"""The POP feed: call records over HTTP and WebSocket, acknowledged after their commit (the contract's "POP feed")."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from mediation.feeds.bodies import BodyMemory, read_body
from mediation.feeds.problems import Refusal, as_problems, json_response, overloaded, problem
from mediation.feeds.stream import PopStream
from mediation.pipeline.front import Front
from mediation.pipeline.owner import Overloaded, Stopping, StoreOwner, Unknown
from mediation.pipeline.sender import Clock, Sender
from rating.store.batch import Outcome, Position
from rating.store.port import Store

BODIES_IN_MEMORY: Final = 32
"""Bodies of the greatest size that may be read at once, on one feed."""
MAX_EPOCH: Final = 100
"""Characters of an epoch's name."""
_MAX_SEQUENCE: Final = (1 << 63) - 1


class Envelope(msgspec.Struct):
    """The one message that dispatches itself by its kind."""

    kind: str
    records: list[msgspec.Raw] | None = None


_decode_envelope: Final = msgspec.json.Decoder(Envelope).decode


class PopFeed:
    """One listener for POPs. `application` is what an HTTP server runs."""

    def __init__(
        self,
        tokens: Mapping[str, tuple[str, int]],
        front: Front,
        owner: StoreOwner,
        store: Store,
        clock: Clock,
        *,
        max_body_bytes: int,
        read_timeout_s: float,
    ) -> None:
        """`tokens`: the source's name and number of each bearer token."""
        self._senders = {_token_digest(token): Sender(*source, front, owner, clock) for token, source in tokens.items()}
        self._owner = owner
        self._store = store
        self._max_body_bytes = max_body_bytes
        self._read_timeout_s = read_timeout_s
        self._memory = BodyMemory(BODIES_IN_MEMORY * max_body_bytes)
        self._streams: set[PopStream] = set()
        self.application = web.Application(middlewares=[as_problems])
        self.application.router.add_post("/v1/transactions", self._transactions)
        self.application.router.add_get("/v1/positions", self._positions)
        self.application.router.add_get("/v1/stream", self._stream)
        self.application.router.add_post("/v1/messages", self._messages)

    async def close_streams(self) -> None:
        """Read no further message; each stream gets its outstanding answers, then close 1001."""
        for stream in self._streams:
            stream.stop()

    async def _transactions(self, request: web.Request) -> web.StreamResponse:
        sender = self._sender(request)
        announced = _announced(request)
        if self._owner.is_full:
            return overloaded(Overloaded.retry_after_s)
        body = await self._body(request)
        return await self._answer(request, sender, body.split(b"\n"), _position(announced, body))

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        sender = self._sender(request)
        announced = _announced(request)
        body = await self._body(request)
        try:
            envelope = _decode_envelope(body)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            return problem(422, f'the message is not {{"kind": …}}: {error}')
        if envelope.kind in ("batch", "search"):
            return problem(403, f"a source's token may not send {envelope.kind!r}, only 'transaction'")
        if envelope.kind != "transaction":
            return problem(422, f"kind {envelope.kind!r} is unknown: send transaction, batch or search")
        if envelope.records is None:
            return problem(422, 'a transaction has its CDRs in "records"')
        # A record may have been sent with line ends between its fields; as a line it has none.
        lines = [bytes(record).replace(b"\r", b" ").replace(b"\n", b" ") for record in envelope.records]
        return await self._answer(request, sender, lines, _position(announced, body))

    async def _answer(
        self, request: web.Request, sender: Sender, lines: list[bytes], position: Position | None
    ) -> web.Response:
        try:
            outcome = await sender.send(lines, position)
        except Overloaded as full:
            return overloaded(full.retry_after_s)
        except Unknown:
            # Neither 200 nor 503 would be true. Without an answer the sender sends it again, and finds out.
            if request.transport is not None:
                request.transport.abort()
            return problem(500, "the store failed: whether this was stored is not known, send it again")
        except Stopping:
            return overloaded(5)
        if outcome.conflict:
            assert position is not None
            return problem(
                409,
                f"position {position.epoch}/{position.sequence} was taken by another body: nothing of this one was"
                " stored; send it with the next sequence",
            )
        return json_response(_told(outcome))

    async def _positions(self, request: web.Request) -> web.Response:
        return json_response(await self._store.positions(self._sender(request).source_id))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        sender = self._sender(request)
        if self._owner.is_stopping:
            return overloaded(5)
        stream = PopStream(sender, self._max_body_bytes, _told)
        self._streams.add(stream)
        try:
            return await stream.serve(request)
        finally:
            self._streams.discard(stream)

    def _sender(self, request: web.Request) -> Sender:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        sender = self._senders.get(_token_digest(token.strip())) if scheme.lower() == "bearer" else None
        if sender is None:
            raise Refusal(
                401, "send Authorization: Bearer with the token of a configured source", {"WWW-Authenticate": "Bearer"}
            )
        return sender

    async def _body(self, request: web.Request) -> bytes:
        return await read_body(request, self._max_body_bytes, self._read_timeout_s, self._memory)


def _token_digest(token: str) -> bytes:
    """Tokens are looked up by their digests, so that the time it takes says nothing about them."""
    return hashlib.blake2b(token.encode("utf-8", "surrogateescape"), digest_size=32).digest()


def _announced(request: web.Request) -> tuple[str, int] | None:
    """Epoch and sequence of the header Tollkeeper-Batch."""
    text = request.headers.get("Tollkeeper-Batch")
    if text is None:
        return None
    epoch, slash, sequence = text.strip().rpartition("/")
    plain = sequence.isascii() and sequence.isdigit() and len(sequence) <= 19 and int(sequence) <= _MAX_SEQUENCE
    if not (slash and plain and 0 < len(epoch) <= MAX_EPOCH and epoch.isprintable()):
        raise Refusal(422, f"Tollkeeper-Batch: {text!r} is not EPOCH/SEQUENCE, such as 2026-11-20T09:00/17")
    return epoch, int(sequence)


def _position(announced: tuple[str, int] | None, body: bytes) -> Position | None:
    """Where a body stands in its source's stream, if that was announced."""
    return None if announced is None else Position(*announced, hashlib.blake2b(body, digest_size=16).digest())


def _told(outcome: Outcome) -> dict[str, Any]:
    told: dict[str, Any] = {
        "accepted": outcome.accepted,
        "duplicate": outcome.duplicate,
        "suspended": outcome.suspended,
    }
    if outcome.records:
        told["records"] = outcome.records
    return told
