"""A POP's WebSocket: each message is a batch; each is answered, in order, after its commit."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from mediation.feeds.bodies import BodyMemory
from mediation.feeds.problems import Refusal
from mediation.pipeline.sender import Sender
from mediation.pipeline.stopping import Stopping
from rating.store.batch import Outcome

OUTSTANDING: Final = 16
"""Messages of one stream that wait for their answers at most; then it is not read any further."""
SEND_WITHIN_S: Final = 30.0
"""A client that does not take its answers for so long is disconnected; what it sent is stored all the same."""

_encode: Final = msgspec.json.Encoder().encode
_END: Final = None


class _Socket(web.WebSocketResponse):
    """aiohttp's, but what it finds wrong with a message (its size, its frames) does not close it at once: what came
    before is answered first."""

    fault: int | None = None
    """The close code of what was found wrong."""

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True) -> bool:
        if code == WSCloseCode.OK:
            return await super().close(code=code, message=message, drain=drain)
        self.fault = code
        return False

    async def end(self, code: int, message: bytes) -> None:
        """Close it for a reason."""
        await super().close(code=code, message=message)


class PopStream:
    """Serves one connection; `stop` ends it in order."""

    def __init__(
        self, sender: Sender, max_message_bytes: int, memory: BodyMemory, tell: Callable[[Outcome], dict[str, Any]]
    ) -> None:
        """`memory` is that of all messages of all streams that wait for their answers."""
        self._sender = sender
        self._memory = memory
        self._max_message_bytes = max_message_bytes
        self._tell = tell
        self._stopping = asyncio.Event()
        self._waiting: asyncio.Queue[asyncio.Future[Outcome] | None] = asyncio.Queue(OUTSTANDING)

    @property
    def source(self) -> str:
        """Whose stream it is."""
        return self._sender.source

    def stop(self) -> None:
        """Read no further message; the outstanding ones are answered, then the stream is closed with 1001."""
        self._stopping.set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Read messages and answer them until either side ends it."""
        # Text is taken as bytes: what is wrong in a record is the record's affair, not the connection's.
        socket = _Socket(max_msg_size=self._max_message_bytes + 1, timeout=3.0, heartbeat=30.0, decode_text=False)
        try:
            await socket.prepare(request)
        except web.HTTPBadRequest as error:
            raise _no_websocket(request, error) from None
        answers = asyncio.create_task(self._answer(socket), name=f"answers to {self._sender.source}")
        try:
            await self._read(socket)
        finally:
            await self._waiting.put(_END)
            await answers
        if socket.fault is not None:
            too_long = socket.fault == WSCloseCode.MESSAGE_TOO_BIG
            await socket.end(socket.fault, b"the message is too long" if too_long else b"")
        elif self._stopping.is_set():
            await socket.end(WSCloseCode.GOING_AWAY, b"the daemon is stopping")
        elif not socket.closed:
            await socket.close()
        return socket

    async def _read(self, socket: _Socket) -> None:
        stopped = asyncio.create_task(self._stopping.wait(), name="a stream's stop")
        try:
            while not self._stopping.is_set():
                reading = asyncio.create_task(socket.receive(), name="a stream's message")
                await asyncio.wait({reading, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    reading.cancel()
                    await asyncio.wait({reading})
                    return
                message = reading.result()
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    return
                if len(message.data) > self._max_message_bytes:  # packed, a byte more would pass aiohttp's limit
                    socket.fault = WSCloseCode.MESSAGE_TOO_BIG
                    return
                with await self._memory.share_patiently(len(message.data)) as share:
                    queued = await self._sender.send_patiently(message.data.split(b"\n"))
                    share.hold_until(queued)
                    await self._waiting.put(queued)
        except Stopping:
            self._stopping.set()
        finally:
            stopped.cancel()

    async def _answer(self, socket: web.WebSocketResponse) -> None:
        number = 0
        gone = False
        while (waiting := await self._waiting.get()) is not _END:
            number += 1
            try:
                outcome = await waiting
                if not gone:
                    async with asyncio.timeout(SEND_WITHIN_S):
                        await socket.send_str(_encode({"batch": number} | self._tell(outcome)).decode())
            except (ConnectionError, TimeoutError, Stopping):
                gone = True  # what was sent is stored all the same: the sender learns it from the duplicates


def _no_websocket(request: web.Request, error: web.HTTPException) -> Refusal:
    """Why a request could not be made a WebSocket."""
    if request.headers.get("Upgrade", "").strip().lower() != "websocket":
        detail = f"{request.path} is a WebSocket: connect to it with a WebSocket client (RFC 6455), or POST the records"
        return Refusal(426, f"{detail} to /v1/transactions", {"Upgrade": "websocket", "Connection": "Upgrade"})
    return Refusal(400, f"the WebSocket's opening is not understood: {' '.join((error.text or '').split())}")
