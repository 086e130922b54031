"""A POP's WebSocket: each message is a batch; each is answered, in order, after its commit."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from mediation.pipeline.owner import Stopping
from mediation.pipeline.sender import Sender
from rating.store.batch import Outcome

OUTSTANDING: Final = 16
"""Messages of one stream that wait for their answers at most; then it is not read any further."""
SEND_WITHIN_S: Final = 30.0
"""A client that does not take its answers for so long is disconnected; what it sent is stored all the same."""

_encode: Final = msgspec.json.Encoder().encode
_END: Final = None


class PopStream:
    """Serves one connection; `stop` ends it in order."""

    def __init__(self, sender: Sender, max_message_bytes: int, tell: Callable[[Outcome], dict[str, Any]]) -> None:
        self._sender = sender
        self._max_message_bytes = max_message_bytes
        self._tell = tell
        self._stopping = asyncio.Event()
        self._waiting: asyncio.Queue[asyncio.Future[Outcome] | None] = asyncio.Queue(OUTSTANDING)

    def stop(self) -> None:
        """Read no further message; the outstanding ones are answered, then the stream is closed with 1001."""
        self._stopping.set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Read messages and answer them until either side ends it."""
        # Text is taken as bytes: what is wrong in a record is the record's affair, not the connection's.
        socket = web.WebSocketResponse(
            max_msg_size=self._max_message_bytes + 1, timeout=3.0, heartbeat=30.0, decode_text=False
        )
        await socket.prepare(request)
        answers = asyncio.create_task(self._answer(socket), name=f"answers to {self._sender.source}")
        try:
            await self._read(socket)
        finally:
            await self._waiting.put(_END)
            await answers
        if self._stopping.is_set():
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the daemon is stopping")
        elif not socket.closed:
            await socket.close()
        return socket

    async def _read(self, socket: web.WebSocketResponse) -> None:
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
                    await socket.close(code=WSCloseCode.MESSAGE_TOO_BIG, message=b"the message is too long")
                    return
                await self._waiting.put(await self._sender.send_patiently(message.data.split(b"\n")))
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
