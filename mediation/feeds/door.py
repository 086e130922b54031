"""In front of a listener's connections: a request that there is no room for is refused here, before it is parsed.

A crowd that is refused comes again at once, whatever it was told. So it must cost little: its head is looked at, its
body is read into a buffer that all share, and its answer comes when it is its turn.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, cast

from aiohttp import web

from mediation.feeds.heads import PlainHead, plain_head

TURN_S: Final = 0.02
"""Between two turns in which refusals are answered."""
ANSWERED_IN_A_TURN: Final = 80
"""At most, so that refusals never take more than a part of the time, however many come; the others wait. A listener's
connections are bounded, and so is how long a refused one waits: a quarter of a second when there are a thousand."""
BUFFER_BYTES: Final = 1 << 18

Refuses = Callable[[PlainHead], bytes | None]
"""The answer to a request that is refused, as it goes over the wire; None if it is let in."""
CallLater = Callable[[float, Callable[[], None]], asyncio.TimerHandle]
"""The event loop's."""


class Behind(Protocol):
    """The connection that a door lets requests through to; else it is an `asyncio.Protocol`."""

    @property
    def is_idle(self) -> bool:
        """Whether it has answered all that came, and is not about to close."""

    def stay_open(self) -> None:
        """A request was answered in front of it just now."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool | None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class Refusals:
    """Those of one listener that are still to be answered: some in each turn, in the order in which they came."""

    def __init__(self, call_later: CallLater) -> None:
        self._call_later = call_later
        self._waiting: deque[Door] = deque()
        self._turn: asyncio.TimerHandle | None = None

    def add(self, door: "Door") -> None:
        """One more is refused."""
        self._waiting.append(door)
        if self._turn is None:
            self._arrange()

    def _arrange(self) -> None:
        self._turn = self._call_later(TURN_S, self._answer)

    def _answer(self) -> None:
        self._turn = None
        for _ in range(min(ANSWERED_IN_A_TURN, len(self._waiting))):
            self._waiting.popleft().answer()
        if self._waiting:
            self._arrange()


class Lobby:
    """What the doors of one listener share."""

    def __init__(self, refuses: Refuses, linger_s: float, call_later: CallLater) -> None:
        """`linger_s`: how long the rest of a refused body is read and thrown away, so that its sender gets to see the
        answer."""
        self.refuses = refuses
        self.linger_s = linger_s
        self.call_later = call_later
        self.refusals = Refusals(call_later)
        self.buffer = bytearray(BUFFER_BYTES)
        """What is read is in it until the protocol has been called with it: one for all."""
        self.view = memoryview(self.buffer)


class Door(asyncio.BufferedProtocol):
    """Of one connection."""

    __slots__ = ("_answer", "_behind", "_expected", "_lingers", "_lobby", "_looks", "_transport")

    def __init__(self, behind: Behind, lobby: Lobby) -> None:
        self._behind = behind
        self._lobby = lobby
        self._transport: asyncio.Transport | None = None
        self._looks = True
        """False from a request on that is not plain: where the next one begins is not known."""
        self._expected = 0
        """Bytes of the last request that are still to come."""
        self._answer: bytes | None = None
        """To the last request, if it is refused, until all of it was thrown away."""
        self._lingers: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one, and does not say so
        self._behind.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._stop_lingering()
        self._behind.connection_lost(exc)

    def pause_writing(self) -> None:
        self._behind.pause_writing()

    def resume_writing(self) -> None:
        self._behind.resume_writing()

    def eof_received(self) -> bool | None:
        if self._answer is not None:
            return None  # it was answered, and is not whole
        return self._behind.eof_received()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # asyncio's signature
        """Of what is thrown away not a byte too much is read."""
        return self._lobby.view if self._answer is None else self._lobby.view[: self._expected]

    def buffer_updated(self, nbytes: int) -> None:
        if self._answer is not None:
            self._expected -= nbytes
            if not self._expected:
                self._be_open()
        elif not (self._looks and self._is_refused(nbytes)):
            self._behind.data_received(bytes(self._lobby.view[:nbytes]))

    def _is_refused(self, nbytes: int) -> bool:
        """Look at what was read."""
        if self._expected:
            self._expected -= nbytes
            self._looks = self._expected >= 0  # beyond it, what is sent before the answer is there
            return False
        head = plain_head(self._lobby.buffer, nbytes)
        if head is None or head.ends + head.body_bytes < nbytes:
            self._looks = False
            return False
        self._expected = head.ends + head.body_bytes - nbytes
        self._answer = self._lobby.refuses(head) if self._behind.is_idle else None
        if self._answer is None:
            return False
        assert self._transport is not None
        self._transport.pause_reading()  # what it sends meanwhile is its own affair, and is read at one go
        self._behind.stay_open()
        self._lobby.refusals.add(self)
        return True

    def answer(self) -> None:
        """It is its turn."""
        if self._transport is None or self._transport.is_closing():
            return
        assert self._answer is not None
        self._transport.write(self._answer)
        if self._expected:
            self._lingers = self._lobby.call_later(self._lobby.linger_s, self._transport.close)
        else:
            self._be_open()
        self._transport.resume_reading()

    def _be_open(self) -> None:
        self._answer = None
        self._stop_lingering()

    def _stop_lingering(self) -> None:
        if self._lingers is not None:
            self._lingers.cancel()
            self._lingers = None


def on_the_wire(answer: web.Response) -> bytes:
    """An answer with its body as it goes over a connection that stays open (RFC 9112)."""
    assert isinstance(answer.body, bytes)
    fields = (*answer.headers.items(), ("Content-Length", len(answer.body)))
    lines = (f"HTTP/1.1 {answer.status} {answer.reason}", *(f"{name}: {value}" for name, value in fields), "", "")
    return "\r\n".join(lines).encode() + answer.body
