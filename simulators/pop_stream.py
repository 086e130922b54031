"""The way from a POP to the daemon, one message a batch: the WebSocket `GET /v1/stream`."""

import asyncio
import base64
import json
from collections import deque
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self

from aiohttp import (
    ClientError,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    WSCloseCode,
    WSMsgType,
    WSServerHandshakeError,
)
from yarl import URL

from simulators.journal import Batch
from simulators.pop_link import Answer, LinkError, cut_short, hang_up_after, read_answer, seconds_of

_TEXT_FRAME: Final = 0x81
"""FIN and opcode 1 (RFC 6455, 5.2)."""
_MASKED_64_BIT_LENGTH: Final = 0x80 | 127

_LAST_WORDS_S: Final = 1.0
"""How long a stream that cannot be written to may still be read for the reason."""


class StreamLink:
    """One WebSocket at a time, opened when a batch needs it; answers come in the order of the messages."""

    def __init__(self, url: str, token: str, *, timeout_s: float = 30.0) -> None:
        """`url` is the listener's, such as http://127.0.0.1:8081."""
        self._url = URL(url).joinpath("v1", "stream")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._timeout_s = timeout_s
        self._connecting = asyncio.Lock()
        self._connection: _Connection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._break()

    async def send(self, batch: Batch) -> Answer:
        try:
            connection = await self._connected()
        except WSServerHandshakeError as refusal:
            retry_after = refusal.headers.get("Retry-After") if refusal.headers else None
            return Answer(refusal.status, seconds_of(retry_after), problem=refusal.message)
        except (ClientError, OSError, TimeoutError) as error:
            raise LinkError(f"{self._url}: {error or type(error).__name__}") from error
        try:
            async with asyncio.timeout(self._timeout_s):
                return await connection.ask(batch.body)
        except TimeoutError as error:
            # an answer that comes after all would be taken for the next one's
            await self._break()
            raise LinkError(f"{self._url}: no answer within {self._timeout_s:g} s") from error

    async def send_and_hang_up(self, batch: Batch, cut_at: float | None) -> None:
        """Cut: half a frame on a connection of its own. Left early: the stream itself breaks, for all batches on it."""
        if cut_at is not None:
            await self._send_half_a_frame(batch.body, cut_at)
            return
        try:
            connection = await self._connected()
        except (ClientError, OSError, TimeoutError) as error:
            raise LinkError(f"{self._url}: {error or type(error).__name__}") from error
        await connection.tell(batch.body)
        await self._break()

    async def _send_half_a_frame(self, body: bytes, cut_at: float) -> None:
        key = base64.b64encode(bytes(16)).decode()
        upgrade = (
            f"GET {self._url.raw_path} HTTP/1.1\r\nHost: {self._url.host_port_subcomponent}\r\n"
            f"Authorization: {self._headers['Authorization']}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        )
        # a mask of zeros leaves the payload as it is
        frame = bytes((_TEXT_FRAME, _MASKED_64_BIT_LENGTH)) + len(body).to_bytes(8) + bytes(4)
        part = frame + cut_short(body, cut_at)
        await hang_up_after(self._url, part, self._timeout_s, upgrade=upgrade.encode())

    async def _connected(self) -> "_Connection":
        async with self._connecting:
            if self._connection is None or self._connection.is_broken:
                await self._break()
                self._connection = await _Connection.open(self._url, self._headers, self._timeout_s)
            return self._connection

    async def _break(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            await connection.cut()


class _Connection:
    """An open WebSocket and the messages on it that wait for their answers."""

    def __init__(self, session: ClientSession, socket: ClientWebSocketResponse) -> None:
        self._session = session
        self._socket = socket
        self._writing = asyncio.Lock()
        self._waiting: deque[tuple[int, asyncio.Future[Answer]]] = deque()
        self._answered = 0
        self.is_broken = False
        self._reader = asyncio.create_task(self._read(), name="stream answers")

    @classmethod
    async def open(cls, url: URL, headers: dict[str, str], timeout_s: float) -> Self:
        session = ClientSession(timeout=ClientTimeout(total=None))
        try:
            async with asyncio.timeout(timeout_s):
                return cls(session, await session.ws_connect(url, headers=headers))
        except BaseException:
            await session.close()
            raise

    async def ask(self, body: bytes) -> Answer:
        """Send a message and wait for its answer.

        Raises:
            LinkError: the connection ended first.
        """
        answer = await self.tell(body)
        return await answer

    async def tell(self, body: bytes) -> asyncio.Future[Answer]:
        """Send a message; the future is its answer, or the LinkError that came instead.

        Raises:
            LinkError: the connection had ended before.
        """
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        # answers are matched by order, so the queue must have the order of the wire
        async with self._writing:
            if self.is_broken:
                raise LinkError("the stream ended")
            self._waiting.append((len(body), answer))
            try:
                await self._socket.send_str(body.decode())
            except (ClientError, OSError):
                # the other side hung up, perhaps with a reason: that is read before the connection is given up
                await asyncio.wait([self._reader], timeout=_LAST_WORDS_S)
                await self.cut()
        return answer

    async def cut(self) -> None:
        """End the connection without a close frame, as a broken line does."""
        self._reader.cancel()
        await asyncio.wait([self._reader])
        self._fail_waiting("the stream was cut")
        await self._session.close()
        # the line is gone, so this sends nothing: it makes the socket let go of its connection
        await self._socket.close()

    async def _read(self) -> None:
        reason = "the stream ended"
        try:
            async for message in self._socket:
                if message.type is not WSMsgType.TEXT:
                    break
                self._take_answer(message.data)
        except LinkError as error:
            reason = str(error)
        if self._socket.close_code == WSCloseCode.MESSAGE_TOO_BIG:
            self._refuse_largest()
        self._fail_waiting(reason)

    def _take_answer(self, text: str) -> None:
        self._answered += 1
        try:
            number = json.loads(text)["batch"]
        except (ValueError, KeyError, TypeError) as error:
            raise LinkError(f"the stream answered without a batch: {text[:200]}") from error
        if not self._waiting or number != self._answered:
            raise LinkError(f"the stream answered out of turn: {text[:200]}")
        _, waiting = self._waiting.popleft()
        answer = read_answer(HTTPStatus.OK, text.encode())
        if not waiting.done():
            waiting.set_result(answer)

    def _refuse_largest(self) -> None:
        """1009 does not say which message is over the limit: if any of them is, the largest one is."""
        open_answers = [(size, answer) for size, answer in self._waiting if not answer.done()]
        if open_answers:
            _, answer = max(open_answers, key=lambda sized: sized[0])
            answer.set_result(Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, problem="close 1009"))

    def _fail_waiting(self, reason: str) -> None:
        self.is_broken = True
        while self._waiting:
            _, answer = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(LinkError(reason))
                # whoever waited may be gone; nobody is to be told of an exception that nobody reads
                answer.exception()
