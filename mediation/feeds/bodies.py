"""Reading a request's body within bounds of size and time, unpacking gzip as it comes."""

import asyncio
import zlib
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import PayloadEncodingError
from aiohttp.web_protocol import RequestPayloadError

from mediation.feeds.problems import Refusal, overloaded

_GZIP_WINDOW: Final = 31
"""zlib's number for a gzip wrapper."""


class BodyMemory:
    """What all bodies being read may hold in memory together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0

    def take(self, size: int) -> bool:
        """Hold `size` bytes more, if they still fit."""
        if self._held + size > self._limit:
            return False
        self._held += size
        return True

    def give_back(self, size: int) -> None:
        """Let `size` bytes go."""
        self._held -= size


class _Gunzip:
    """Unpacks gzip in pieces, its output bounded however small the input is; several members may follow each other."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        """Raises zlib.error for what is not gzip, OverflowError past the limit."""
        out = []
        while data:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP_WINDOW)
            self._begun = True
            out.append(self._member.decompress(data, self._left + 1))
            self._left -= len(out[-1])
            if self._left < 0:
                raise OverflowError
            data = self._member.unused_data or self._member.unconsumed_tail
        return b"".join(out)

    def finish(self) -> None:
        """Raises zlib.error if the last member is not whole."""
        if self._begun and not self._member.eof:
            raise zlib.error("the gzip data ends too early")


async def read_body(request: web.Request, limit: int, within_s: float, memory: BodyMemory) -> bytes:
    """The decoded body. Raises Refusal: 400 cut short or not gzip, 408 too slow, 413 over `limit` bytes, 415 packed in
    another way, 503 while too many bodies are being read."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise Refusal(415, f"Content-Encoding {encoding} is not understood: send gzip or plain text")
    unpack = _Gunzip(limit) if encoding == "gzip" else None
    if unpack is None and (request.content_length or 0) > limit:
        raise _too_large(limit)
    pieces: list[bytes] = []
    held = 0
    try:
        async with asyncio.timeout(within_s):
            while piece := await request.content.readany():
                decoded = unpack.feed(piece) if unpack else piece
                if not memory.take(len(decoded)):
                    refusal = Refusal(503, "")
                    refusal.response = overloaded(1)
                    raise refusal
                held += len(decoded)
                pieces.append(decoded)
                if held > limit:
                    raise _too_large(limit)
        if unpack:
            unpack.finish()
    except TimeoutError:
        raise Refusal(408, f"the body did not arrive within {within_s:g} s; nothing of it was stored") from None
    except (RequestPayloadError, PayloadEncodingError, ConnectionError) as error:
        raise Refusal(400, f"the body was cut short ({error}); nothing of it was stored") from None
    except zlib.error as error:
        raise Refusal(400, f"the body is not whole gzip ({error}); nothing of it was stored") from None
    except OverflowError:
        raise _too_large(limit) from None
    finally:
        memory.give_back(held)
    return b"".join(pieces)


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"the body is over {limit} bytes when decoded: send smaller batches; nothing of it was stored")
