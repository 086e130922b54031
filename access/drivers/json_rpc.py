"""JSON-RPC 2.0 over HTTP as a client: an answer, a fault, or none, and never an exception for what a peer does."""

import asyncio
import itertools
from typing import Any, Final

import aiohttp
import msgspec

ANSWER_BYTES: Final = 8 << 20
"""An answer that is longer is none."""


class Result(msgspec.Struct, frozen=True):
    """It was done."""

    value: Any


class Fault(msgspec.Struct, frozen=True):
    """It was refused."""

    code: int
    message: str


class NoAnswer(msgspec.Struct, frozen=True):
    """It was done or not: nobody knows. Says what came instead."""

    words: str


class JSONRPC:
    """Calls the methods of one peer. Each call has a connection of its own: on one that is kept, a peer's closing it
    looks like an answer that was lost."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url, self._timeout_s = url, timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._ids = itertools.count(1)

    async def call(self, method: str, *parameters: str | int) -> Result | Fault | NoAnswer:
        """What the peer says within the time that it is given."""
        number = next(self._ids)
        request = {"jsonrpc": "2.0", "method": method, "params": parameters, "id": number}
        try:
            async with asyncio.timeout(self._timeout_s):
                status, body = await self._post(msgspec.json.encode(request))
        except TimeoutError:
            return NoAnswer(f"no answer to {method} within {self._timeout_s:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return NoAnswer(f"no answer to {method}: {error or type(error).__name__}")
        return _read(method, number, status, body)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, request: bytes) -> tuple[int, bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        headers = {"Content-Type": "application/json"}
        async with self._session.post(self._url, data=request, headers=headers, allow_redirects=False) as response:
            body = bytearray()
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > ANSWER_BYTES:
                    raise aiohttp.ClientPayloadError(f"the answer is longer than {ANSWER_BYTES} bytes")
            return response.status, bytes(body)


def _read(method: str, number: int, status: int, body: bytes) -> Result | Fault | NoAnswer:
    """The meaning of an HTTP answer; its status says little, as faults come with several."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return NoAnswer(f"HTTP {status} and no JSON to {method}: does the url lead to JSON-RPC?")
    match answer:
        case {"id": answered, "result": value} if answered == number:
            return Result(value)
        case {"id": answered, "error": {"code": int(code), "message": str(message)}} if answered == number:
            return Fault(code, message)
    return NoAnswer(f"HTTP {status} and JSON that is no answer to {method}")
