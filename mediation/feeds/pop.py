"""The POP feed: call records over HTTP and WebSocket, acknowledged after their commit (the contract's "POP feed")."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
from aiohttp import web

from mediation.feeds.bearer import digest_sent, token_digest, token_in, token_sent, unknown_sender
from mediation.feeds.bodies import BodyMemory, Share, expected_records, read_body, records_announced
from mediation.feeds.door import on_the_wire
from mediation.feeds.heads import PlainHead
from mediation.feeds.outcomes import answer, told
from mediation.feeds.problems import Refusal, as_problems, json_response, overloaded, problem, stopping
from mediation.feeds.stream import PopStream
from mediation.pipeline.owner import StoreOwner
from mediation.pipeline.room import Place
from mediation.pipeline.sender import Sender, records_in
from mediation.pipeline.stopping import Stopping
from rating.store.batch import Position
from rating.store.port import Store

BODIES_IN_MEMORY: Final = 32
"""Bodies of the greatest size that may be on their way at once, on one feed, until they are answered; and as many
again of its streams' messages."""
MAX_EPOCH: Final = 100
"""Characters of an epoch's name."""
_POST_RECORDS: Final = b"POST /v1/transactions"
_MAX_SEQUENCE: Final = (1 << 63) - 1


class Envelope(msgspec.Struct):
    """The one message that dispatches itself by its kind."""

    kind: str
    records: list[msgspec.Raw] | None = None
    """Of a transaction: its CDRs."""
    where: list[tuple[str, str, str]] | None = None
    """Of a search: column, operator and value of each condition."""
    limit: int | None = None
    after: str | None = None
    """Of a search: rows of a page, and the key of the page before."""
    period: str | None = None
    account: str | int | None = None
    """Of a batch: the month in which the cycle begins, and the account that it is of alone."""


Take = Callable[[Envelope], Awaitable[web.Response]]
"""Answers the messages of somebody who is known."""
Messages = Callable[[str], Take | None]
"""Who may send messages beside sources, by their token; None for a token that nobody has."""

_decode_envelope: Final = msgspec.json.Decoder(Envelope).decode


class PopFeed:
    """One listener for POPs. `application` is what an HTTP server runs."""

    def __init__(
        self,
        tokens: Mapping[str, tuple[str, int]],
        make_sender: Callable[[str, int], Sender],
        owner: StoreOwner,
        store: Store,
        *,
        max_body_bytes: int,
        read_timeout_s: float,
    ) -> None:
        """`tokens`: the source's name and number of each bearer token; `make_sender` makes the way of one."""
        self._make_sender = make_sender
        self._senders = {token_digest(token): self._make_sender(*source) for token, source in tokens.items()}
        self._owner = owner
        self._store = store
        self._max_body_bytes = max_body_bytes
        self._read_timeout_s = read_timeout_s
        self._memory = BodyMemory(BODIES_IN_MEMORY * max_body_bytes)
        self._memory_of_streams = BodyMemory(BODIES_IN_MEMORY * max_body_bytes)
        self._streams: dict[PopStream, Sender] = {}
        self._connects: dict[str, int] = {}
        self._others: Messages = lambda _: None
        self._overloaded: dict[int, bytes] = {}
        self.application = web.Application(middlewares=[as_problems])
        self.application.router.add_post("/v1/transactions", self._transactions)
        self.application.router.add_get("/v1/positions", self._positions)
        self.application.router.add_get("/v1/stream", self._stream)
        self.application.router.add_post("/v1/messages", self._messages)

    def replace_tokens(self, tokens: Mapping[str, tuple[str, int]]) -> None:
        """From the next request on these are the tokens, as in the constructor. What is under way is answered; a stream
        whose token is gone gets its outstanding answers, and is closed."""
        before, self._senders = self._senders, {}
        for token, source in tokens.items():
            digest = token_digest(token)
            known = before.get(digest)
            same = known is not None and (known.source, known.source_id) == source
            self._senders[digest] = known if known is not None and same else self._make_sender(*source)
        for stream, sender in self._streams.items():
            if sender not in self._senders.values():
                stream.stop()

    def answer_others(self, messages: Messages) -> None:
        """From now on take messages of people and programs that are no source, too."""
        self._others = messages

    async def close_streams(self) -> None:
        """Read no further message; each stream gets its outstanding answers, then close 1001."""
        for stream in self._streams:
            stream.stop()

    def streams_of(self, source: str) -> tuple[int, int]:
        """Streams of a source that are open, and how many were opened since the start."""
        return sum(stream.source == source for stream in self._streams), self._connects.get(source, 0)

    def refusal(self, head: PlainHead) -> bytes | None:
        """The answer to a batch of a source that there is no room for, as it goes over the wire. None: it is let in,
        or it is to be answered otherwise."""
        token = token_in(head.authorization)
        if head.target != _POST_RECORDS or token is None or self._owner.is_stopping:
            return None
        sender = self._senders.get(token_digest(token))
        records = expected_records(head.body_bytes, packed=head.packed)
        if sender is None:
            return None
        if self._owner.room.has_room(sender.source_id, records):
            self._owner.room.expect(sender.source_id, records)
            return None
        again_s = self._owner.room.retry_after_s(sender.source_id)
        if again_s not in self._overloaded:
            self._overloaded[again_s] = on_the_wire(overloaded(again_s))
        return self._overloaded[again_s]

    async def _transactions(self, request: web.Request) -> web.StreamResponse:
        sender = self._sender(request)
        with self._place(request, sender) as place, self._memory.share() as share:
            announced = _announced(request)
            body = await self._body(request, share)
            lines = body.split(b"\n")
            place.correct(records_in(lines))
            position = _position(announced, body)
            return await answer(request, sender.send(lines, position, place), position)

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        take = self._others(token_sent(request) or "")
        if take is not None:
            if self._owner.is_stopping:
                return stopping()
            with self._memory.share() as share:
                return await take(_envelope(await self._body(request, share)))
        sender = self._sender(request)
        with self._place(request, sender) as place, self._memory.share() as share:
            announced = _announced(request)
            body = await self._body(request, share)
            return await self._dispatch(request, sender, announced, body, place)

    async def _dispatch(
        self, request: web.Request, sender: Sender, announced: tuple[str, int] | None, body: bytes, place: Place
    ) -> web.Response:
        """The answer to a source's message."""
        envelope = _envelope(body)
        if envelope.kind in ("batch", "search"):
            return problem(403, f"a source's token may not send {envelope.kind!r}, only 'transaction'")
        if envelope.kind != "transaction":
            return problem(422, f"kind {envelope.kind!r} is unknown: send transaction, batch or search")
        if envelope.records is None:
            return problem(422, 'a transaction has its CDRs in "records"')
        # A record may have been sent with line ends between its fields; as a line it has none.
        lines = [bytes(record).replace(b"\r", b" ").replace(b"\n", b" ") for record in envelope.records]
        place.correct(len(lines))
        position = _position(announced, body)
        return await answer(request, sender.send(lines, position, place), position)

    async def _positions(self, request: web.Request) -> web.Response:
        return json_response(await self._store.positions(self._sender(request).source_id))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        sender = self._sender(request)
        if self._owner.is_stopping:
            return stopping()
        self._connects[sender.source] = self._connects.get(sender.source, 0) + 1
        stream = PopStream(sender, self._max_body_bytes, self._memory_of_streams, told)
        self._streams[stream] = sender
        try:
            return await stream.serve(request)
        finally:
            del self._streams[stream]

    def _sender(self, request: web.Request) -> Sender:
        digest = digest_sent(request)
        sender = None if digest is None else self._senders.get(digest)
        if sender is None:
            raise unknown_sender()
        return sender

    def _place(self, request: web.Request, sender: Sender) -> Place:
        """Room for a request. Raises Overloaded or Stopping: then there is no need to read it first."""
        if self._owner.is_stopping:
            raise Stopping
        return self._owner.room.take(sender.source_id, records_announced(request))

    async def _body(self, request: web.Request, share: Share) -> bytes:
        return await read_body(request, self._max_body_bytes, self._read_timeout_s, share)


def _envelope(body: bytes) -> Envelope:
    """Raises Refusal."""
    try:
        return _decode_envelope(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Refusal(422, f'the message is not {{"kind": …}}: {error}') from None


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
