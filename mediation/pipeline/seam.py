"""The seam as a socket: deliveries go to another process that makes batches of them, and the batches come back.

Messages are MessagePack behind their length, four bytes. Each is answered, in order.
"""

import asyncio
import socket
import struct
from collections import deque
from typing import Any, Final

import msgspec

from mediation.pipeline.front import BatchMaker
from mediation.pipeline.preparing import Delivery
from mediation.pipeline.stopping import Stopping
from rating.allowances.parts import Parts
from rating.dial_plan import DialPlan
from rating.store.batch import Batch, Row, Suspended

LINES_OF_A_PIECE: Final = 2_000
"""A longer delivery goes over piece by piece, so that others have their turn between them."""
_LENGTH: Final = struct.Struct("<I")
_BUFFER: Final = 1 << 20


class Follow(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Rate from now on by what is provisioned in the store, which has changed. The first message says it too."""

    store: str
    """The store's path."""
    oldest_at: int
    """Starts before it are `too-old`, µs UTC."""
    default_tariff: str | None
    plans: dict[str, DialPlan] = {}
    """By source."""


class Piece(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Lines of a delivery."""

    source: str
    source_id: int
    arrived_at: int
    format: str
    feed: str | None
    first_line: int
    """Lines of the delivery before these."""
    lines: bytes
    """With LF between them."""


Message = Follow | Piece


class Followed(msgspec.Struct, frozen=True, array_like=True):
    """The answer to `Follow`."""

    problem: str | None = None
    """Why it could not be done, in words."""


class Prepared(msgspec.Struct, array_like=True, gc=False):
    """The answer to `Piece`: what a batch consists of, lines counted from the delivery's first."""

    received: int
    rows: dict[int, list[Row]]
    row_lines: dict[int, list[int]]
    suspended: list[Suspended]
    parts: dict[int, Parts]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_message: Final = msgspec.msgpack.Decoder(Message).decode
_decode_prepared: Final = msgspec.msgpack.Decoder(Prepared).decode
_decode_followed: Final = msgspec.msgpack.Decoder(Followed).decode


class FrontGone(Exception):
    """The process in front of the seam has ended: the daemon cannot go on without it."""


class FrontElsewhere:
    """This side of the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Of the socket to the process."""
        self._reader, self._writer = reader, writer
        self._asked: deque[asyncio.Future[bytes]] = deque()
        self._gone = False

    @property
    def outstanding(self) -> int:
        """Messages without an answer."""
        return len(self._asked)

    async def prepare(self, delivery: Delivery) -> Batch:
        """Decode, guide and rate. Raises Stopping when the process ends meanwhile."""
        lines = delivery.lines
        batch = Batch(
            delivery.source_id, delivery.arrived_at, 0, lines, {}, {}, [], delivery.position, delivery.format,
            delivery.feed,
        )  # fmt: skip
        for at in range(0, len(lines), LINES_OF_A_PIECE):
            some = b"\n".join(lines[at : at + LINES_OF_A_PIECE])
            asked = Piece(
                delivery.source, delivery.source_id, delivery.arrived_at, delivery.format, delivery.feed, at, some
            )
            _add(batch, _decode_prepared(await self._ask(asked)))
        return batch

    async def follow(self, follow: Follow) -> None:
        """Have the process rate by what is provisioned now. Raises FrontGone with the reason if it cannot."""
        try:
            followed = _decode_followed(await self._ask(follow))
        except Stopping:
            raise FrontGone("the process that rates records has ended") from None
        if followed.problem is not None:
            raise FrontGone(f"the process that rates records cannot go on: {followed.problem}")

    async def run(self) -> None:
        """Take the answers. Raises FrontGone when the process ends."""
        try:
            while True:
                (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
                answer = await self._reader.readexactly(length)
                asked = self._asked.popleft()
                if not asked.done():  # who asked may have gone
                    asked.set_result(answer)
        except (asyncio.IncompleteReadError, OSError):
            raise FrontGone("the process that rates records has ended: see what it wrote before this") from None
        finally:
            self._gone = True
            for asked in self._asked:
                if not asked.done():
                    asked.set_exception(Stopping())
                    asked.exception()  # looked at, should nobody wait for it any more

    async def _ask(self, message: Message) -> bytes:
        if self._gone:
            raise Stopping
        asked: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        body = _encode(message)
        self._writer.write(_LENGTH.pack(len(body)) + body)
        return await asked

    def close(self) -> None:
        """Let the process end."""
        self._writer.close()


def _add(batch: Batch, prepared: Prepared) -> None:
    batch.received += prepared.received
    if not batch.rows:
        batch.rows, batch.row_lines = prepared.rows, prepared.row_lines
    else:
        for month, rows in prepared.rows.items():
            batch.rows.setdefault(month, []).extend(rows)
            batch.row_lines.setdefault(month, []).extend(prepared.row_lines[month])
    batch.suspended += prepared.suspended
    batch.parts.update(prepared.parts)


def prepared_of(maker: BatchMaker, first_line: int) -> Prepared:
    """What a maker has made of a piece's lines."""
    batch = maker.batch
    if first_line:
        for month, numbers in batch.row_lines.items():
            batch.row_lines[month] = [number + first_line for number in numbers]
        batch.suspended = [msgspec.structs.replace(record, line=record.line + first_line) for record in batch.suspended]
        batch.parts = {number + first_line: parts for number, parts in batch.parts.items()}
    return Prepared(batch.received, batch.rows, batch.row_lines, batch.suspended, batch.parts)


class OtherSide:
    """The other side of the socket, for a process that does nothing else: it waits for a message and answers it."""

    def __init__(self, connection: socket.socket) -> None:
        self._file: Any = connection.makefile("rwb", _BUFFER)

    def next(self) -> Message | None:
        """The next message; None: there is nobody any more who asks."""
        head = self._read(_LENGTH.size)
        body = self._read(_LENGTH.unpack(head)[0]) if head else b""
        return _decode_message(body) if body else None

    def answer(self, answer: Followed | Prepared) -> None:
        """Answer it."""
        body = _encode(answer)
        self._file.write(_LENGTH.pack(len(body)))
        self._file.write(body)
        self._file.flush()

    def _read(self, length: int) -> bytes:
        try:
            read: bytes = self._file.read(length)
        except OSError:
            return b""
        return read if len(read) == length else b""
