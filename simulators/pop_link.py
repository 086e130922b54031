"""The way from a POP to the daemon, one request a batch: `POST /v1/transactions`.

A link carries a batch and brings the answer back; what to do with the answer is `simulators.courier`'s.
"""

import asyncio
import gzip
import json
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Protocol, Self

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector
from yarl import URL

from simulators.journal import Batch


class LinkError(Exception):
    """The batch may have arrived or not: there is no answer. Sending it again is safe, and the only way to know."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the daemon said about one batch."""

    status: int
    """An HTTP status, also where a stream says the same in another way."""
    retry_after_s: float | None = None
    accepted: int = 0
    duplicate: int = 0
    suspended: int = 0
    problem: str = ""
    """The beginning of an answer that is not 200."""

    @property
    def acknowledged(self) -> int:
        """Records that the daemon answers for."""
        return self.accepted + self.duplicate + self.suspended


class Link(Protocol):
    """Used as an asynchronous context manager; several batches may be on their way at once."""

    async def send(self, batch: Batch) -> Answer:
        """Send a batch and wait for the answer.

        Raises:
            LinkError: no answer came.
        """

    async def send_and_hang_up(self, batch: Batch, cut_at: float | None) -> None:
        """The fault: break the line after this share of the body, or after all of it (None), and read no answer.

        Raises:
            LinkError: not even that was possible.
        """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class HttpLink:
    """POSTs over keep-alive connections."""

    def __init__(self, url: str, token: str, *, gzipped: bool = False, timeout_s: float = 30.0) -> None:
        """`url` is the listener's, such as http://127.0.0.1:8081."""
        self._url = URL(url).joinpath("v1", "transactions")
        self._gzipped = gzipped
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}
        if gzipped:
            self._headers["Content-Encoding"] = "gzip"
        self._timeout_s = timeout_s
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = ClientTimeout(total=self._timeout_s)
        # how many requests are open is the POP's in-flight limit, not the connector's
        self._session = ClientSession(timeout=timeout, connector=TCPConnector(limit=0), headers=self._headers)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def send(self, batch: Batch) -> Answer:
        assert self._session, "a link is used inside `async with`"
        headers = {"Tollkeeper-Batch": batch.position}
        try:
            async with self._session.post(self._url, data=self._encoded(batch), headers=headers) as response:
                content = await response.read()
                retry_after_s = seconds_of(response.headers.get("Retry-After"))
                return read_answer(response.status, content, retry_after_s)
        except (ClientError, OSError, TimeoutError) as error:
            raise LinkError(f"{self._url}: {error or type(error).__name__}") from error

    async def send_and_hang_up(self, batch: Batch, cut_at: float | None) -> None:
        """On a connection of its own, by hand: no well-behaved client can be made to promise more than it sends."""
        body = self._encoded(batch)
        headers = self._headers | {
            "Host": f"{self._url.host_port_subcomponent}",
            "Tollkeeper-Batch": batch.position,
            "Content-Length": str(len(body)),
        }
        head = f"POST {self._url.raw_path} HTTP/1.1\r\n" + "".join(f"{key}: {headers[key]}\r\n" for key in headers)
        part = body if cut_at is None else cut_short(body, cut_at)
        await hang_up_after(self._url, head.encode() + b"\r\n" + part, self._timeout_s)

    def _encoded(self, batch: Batch) -> bytes:
        return compressed(batch.body) if self._gzipped else batch.body


def compressed(body: bytes) -> bytes:
    """The body in gzip, without a time stamp: the same position must have the same bytes whenever it is sent."""
    return gzip.compress(body, compresslevel=1, mtime=0)


def read_answer(status: int, content: bytes, retry_after_s: float | None = None) -> Answer:
    """An answer from its status and content.

    Raises:
        LinkError: a 200 without the three counts, so nobody knows what became of the batch.
    """
    if status != HTTPStatus.OK:
        return Answer(status, retry_after_s, problem=content[:500].decode(errors="replace"))
    try:
        counts = json.loads(content)
        return Answer(
            status,
            accepted=int(counts["accepted"]),
            duplicate=int(counts["duplicate"]),
            suspended=int(counts["suspended"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise LinkError(f"the answer {content[:200]!r} has not the three counts") from error


def seconds_of(retry_after: str | None) -> float | None:
    """Seconds of a Retry-After header; None if it has none that can be read (RFC 9110, 10.2.3, also allows a date)."""
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None


def cut_short(body: bytes, cut_at: float) -> bytes:
    """The body's beginning, this share of it, never ending where a record does."""
    assert 0 < cut_at < 1
    end = max(1, int(len(body) * cut_at))
    # two bytes back from a line end is the inside of the record before it: none is that short
    return body[: end - 2] if b"\n" in body[end - 1 : end + 1] and end > 2 else body[:end]


async def hang_up_after(url: URL, request: bytes, timeout_s: float, *, upgrade: bytes = b"") -> None:
    """Connect, send these bytes and close; with `upgrade`, send that first and wait for the answer's header.

    Raises:
        LinkError: it cannot connect, or the other side hung up first.
    """
    assert url.host
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(url.host, url.port, ssl=url.scheme == "https" or None)
            try:
                if upgrade:
                    writer.write(upgrade)
                    await reader.readuntil(b"\r\n\r\n")
                writer.write(request)
                await writer.drain()
            finally:
                writer.close()
                await writer.wait_closed()
    except (OSError, EOFError, TimeoutError) as error:
        raise LinkError(f"{url}: {error or type(error).__name__}") from error
