"""Reading a request's body within bounds of size and time, unpacking gzip as it comes."""

import asyncio
import zlib
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import PayloadEncodingError
from aiohttp.web_protocol import RequestPayloadError

from mediation.feeds.problems import Refusal
from mediation.pipeline.room import Held, Overloaded

MOST_EXPECTED: Final = 500
"""Records of a body that nothing is known of."""
RECORD_BYTES: Final = 100
"""About the shortest record that there is."""
_GZIP_WINDOW: Final = 31
"""zlib's number for a gzip wrapper."""


class BodyMemory:
    """What all bodies of a feed may hold in memory together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._freed = asyncio.Event()

    def share(self) -> "Share":
        """What one of them holds of it, as a block: nothing at first."""
        return Share(self)

    def take(self, size: int) -> None:
        """Hold `size` bytes more. Raises Overloaded if they do not fit."""
        if self._held + size > self._limit:
            raise Overloaded
        self._held += size

    async def share_patiently(self, size: int) -> "Share":
        """What a body of `size` bytes holds, as soon as it fits."""
        while 0 < self._held > self._limit - size:
            self._freed.clear()
            await self._freed.wait()
        self._held += size
        return Share(self, size)

    def give_back(self, size: int) -> None:
        """Let `size` bytes go."""
        self._held -= size
        self._freed.set()


class Share(Held):
    """What one body holds."""

    def __init__(self, memory: BodyMemory, held: int = 0) -> None:
        self._memory = memory
        self.held = held

    def take(self, size: int) -> None:
        """Hold `size` bytes more. Raises Overloaded if they do not fit."""
        self._memory.take(size)
        self.held += size

    def give_back(self) -> None:
        """Let others have it."""
        self._memory.give_back(self.held)


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


async def read_body(request: web.Request, limit: int, within_s: float, share: Share) -> bytes:
    """The decoded body. Raises Refusal: 400 cut short or not gzip, 408 too slow, 413 over `limit` bytes, 415 packed in
    another way; or Overloaded while too many bodies are held. It is held by `share`, as long as that is."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise Refusal(415, f"Content-Encoding {encoding} is not understood: send gzip or plain text")
    unpack = _Gunzip(limit) if encoding == "gzip" else None
    if unpack is None and (request.content_length or 0) > limit:
        raise _too_large(limit)
    pieces: list[bytes] = []
    try:
        async with asyncio.timeout(within_s):
            while piece := await request.content.readany():
                decoded = unpack.feed(piece) if unpack else piece
                share.take(len(decoded))
                pieces.append(decoded)
                if share.held > limit:
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
    return b"".join(pieces)


def records_announced(request: web.Request) -> int:
    """About how many records the body of a request has that was not read yet."""
    return expected_records(request.content_length, packed="Content-Encoding" in request.headers)


def expected_records(body_bytes: int | None, *, packed: bool) -> int:
    """About how many records a body has that was not read yet: never more than 500 for a body of 500, as long as they
    may be, for so many requests of 500 must not be refused."""
    if body_bytes is None or packed:
        return MOST_EXPECTED
    return min(MOST_EXPECTED, 1 + body_bytes // RECORD_BYTES)


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"the body is over {limit} bytes when decoded: send smaller batches; nothing of it was stored")
