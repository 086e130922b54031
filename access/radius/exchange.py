"""Asking one NAS: requests over UDP, sent again byte for byte from the same port until a genuine answer comes.

pyrad's own client waits equally long each time, has 256 identifiers in all, does not look at an answer's code, and
sleeps through an ICMP refusal: so that only its codec is used here.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from access.radius.codec import Malformed, Packet, answer_is_genuine, read_packet, signature_holds
from access.radius.dictionary import Dictionary, Value
from access.radius.pacing import Patience, Port
from access.radius.requests import ANSWERS, Reply, encode_request, reply_of

MAX_PORTS: Final = 256
"""Sockets to one NAS: 65,536 requests in the replay window."""


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer that counts: nobody knows whether the NAS did what it was asked to."""

    words: str


@dataclass(slots=True)
class _Waiting:
    code: int
    authenticator: bytes
    answer: "asyncio.Future[Reply | Silence]"


@dataclass(slots=True)
class ExchangeCounts:
    """Since the start."""

    sent: int = 0
    """Datagrams, those that were sent again included."""
    answered: int = 0
    dropped: int = 0
    """Answers that were malformed, not genuine, of a wrong code, asked for by nobody, or there already."""


@dataclass(slots=True)
class _Socket:
    port: Port = field(default_factory=Port)
    transport: asyncio.DatagramTransport | None = None
    waiting: dict[int, _Waiting] = field(default_factory=dict)


class Exchange:
    """The requests to one NAS."""

    def __init__(
        self,
        host: str,
        port: int,
        secret: bytes,
        dictionary: Dictionary,
        *,
        patience: Patience | None = None,
        rng: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` measures the replay window, `wall_clock` is what Event-Timestamp says; both in seconds."""
        self._address = (host, port)
        self._secret = secret
        self._dictionary = dictionary
        self._patience = patience or Patience()
        self._rng = rng or Random()  # noqa: S311  # it spreads the waits, and guards nothing
        self._clock = clock
        self._wall_clock = wall_clock
        self._sockets: list[_Socket] = []
        self._opening = asyncio.Lock()
        self._closed = False
        self.counts = ExchangeCounts()

    async def ask(self, code: int, attributes: Sequence[tuple[str, Value]]) -> Reply | Silence:
        """The answer to a Disconnect- or CoA-Request. Raises CannotEncode, and nothing for what the network does."""
        try:
            found = await self._free_id()
        except OSError as error:
            return Silence(f"{self._where} cannot be reached: {error.strerror or error}")
        if found is None:
            return Silence(f"over {MAX_PORTS * 256} requests to {self._where} in five minutes: none is free")
        socket, identifier = found
        try:
            stamped = [*attributes, ("Event-Timestamp", int(self._wall_clock()))]
            data = encode_request(code, identifier, self._secret, self._dictionary, stamped)
            return await self._insist(socket, identifier, code, data)
        finally:
            socket.waiting.pop(identifier, None)
            socket.port.give_back(identifier, self._clock())

    async def close(self) -> None:
        """Close the sockets; who still waits is told that nothing came."""
        self._closed = True
        for socket in self._sockets:
            _end(socket, Silence("the daemon is ending"))
            if socket.transport:
                socket.transport.close()
        await asyncio.sleep(0)  # the transports close at the loop's next turn

    @property
    def _where(self) -> str:
        host, port = self._address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def _free_id(self) -> tuple[_Socket, int] | None:
        """A socket and an identifier on it; None: there are none. Raises OSError."""
        async with self._opening:
            for socket in self._sockets:
                if socket.transport and not socket.transport.is_closing():
                    identifier = socket.port.take(self._clock())
                    if identifier is not None:
                        return socket, identifier
            self._sockets = [s for s in self._sockets if s.transport and not s.transport.is_closing()]
            if self._closed or len(self._sockets) >= MAX_PORTS:
                return None
            socket = _Socket()
            # Connected: the kernel then drops what others send, and tells of an ICMP refusal.
            socket.transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Protocol(self, socket), remote_addr=self._address
            )
            self._sockets.append(socket)
            identifier = socket.port.take(self._clock())
            assert identifier is not None
            return socket, identifier

    async def _insist(self, socket: _Socket, identifier: int, code: int, data: bytes) -> Reply | Silence:
        """Send the same bytes until an answer comes, or patience ends."""
        assert socket.transport
        dropped = self.counts.dropped
        waiting = _Waiting(code, data[4:20], asyncio.get_running_loop().create_future())
        socket.waiting[identifier] = waiting
        for wait_s in self._patience.waits_s(self._rng):
            if socket.transport.is_closing():
                return Silence("the daemon is ending")
            self.counts.sent += 1
            socket.transport.sendto(data)
            done, _ = await asyncio.wait({waiting.answer}, timeout=wait_s)
            if done:
                return waiting.answer.result()
        words = f"{self._where} did not answer {self._patience.tries} times"
        if self.counts.dropped > dropped:
            words += "; answers came that are not genuine: compare the secret with the NAS's"
        return Silence(words)

    def answer_received(self, socket: _Socket, data: bytes) -> None:
        """Take an answer, or drop and count it."""
        packet = read_packet(data)
        waiting = socket.waiting.get(packet.id) if isinstance(packet, Packet) else None
        if waiting is None or isinstance(packet, Malformed) or not self._counts_for(packet, waiting):
            self.counts.dropped += 1
            return
        values = self._dictionary.read(packet)
        if isinstance(values, Malformed) or waiting.answer.done():
            self.counts.dropped += 1
            return
        self.counts.answered += 1
        waiting.answer.set_result(reply_of(packet.code, values, self._dictionary))

    def _counts_for(self, packet: Packet, waiting: _Waiting) -> bool:
        return (
            packet.code in ANSWERS[waiting.code]
            and answer_is_genuine(packet, waiting.authenticator, self._secret)
            and signature_holds(packet, self._secret, waiting.authenticator) is not False
        )

    def refused(self, socket: _Socket, error: Exception) -> None:
        """The host says that nobody listens, or cannot be reached: waiting longer would not help."""
        words = getattr(error, "strerror", None) or str(error)
        _end(socket, Silence(f"{self._where} cannot be reached: {words}"))


def _end(socket: _Socket, silence: Silence) -> None:
    for waiting in socket.waiting.values():
        if not waiting.answer.done():
            waiting.answer.set_result(silence)


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, exchange: Exchange, socket: _Socket) -> None:
        self._exchange = exchange
        self._socket = socket

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002  # connected: one address
        self._exchange.answer_received(self._socket, data)

    def error_received(self, exc: Exception) -> None:
        self._exchange.refused(self._socket, exc)
