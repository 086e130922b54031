"""How a NAS is told: Disconnect- and CoA-Requests over UDP (RFC 5176); each is done once, and always answered."""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Final

from simulators import radius_packets as radius
from simulators.nas_settings import NasSettings

SESSION_CONTEXT_NOT_FOUND: Final = 503
MOST_REMEMBERED: Final = 10_000
"""Requests whose answers are remembered, for when they come again."""
_MOST_SHOWN: Final = 100


class Reaction(Enum):
    """What the NAS does with a Disconnect- or CoA-Request."""

    OBEY = "obey"
    """Do it, and answer ACK; NAK 503 where there is no such session."""
    REFUSE = "refuse"
    """Do nothing, and answer NAK."""
    IGNORE = "ignore"
    """Do nothing, and answer nothing."""
    LOSE_ACK = "lose the ACK"
    """Do it; the answer is lost, once."""
    LIE = "lie"
    """Answer ACK, and do nothing."""


Told = Callable[[int, dict[int, bytes]], tuple[Reaction, bool]]
"""Does what a request's code and attributes say: how the NAS reacts, and whether it has such a session."""


class Requests(asyncio.DatagramProtocol):
    """The requests to one NAS. Open it to be told."""

    def __init__(self, settings: NasSettings, told: Told) -> None:
        self._settings = settings
        self._carry_out = told
        self.told = 0
        """Requests, repeated ones included."""
        self.last: list[bytes] = []
        """The last of them, as they came."""
        self.senders: set[tuple[str, int]] = set()
        """The addresses that they came from."""
        self._transport: asyncio.DatagramTransport | None = None
        self._said: dict[tuple[tuple[str, int], bytes], bytes | None] = {}

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        assert self._transport
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    async def open(self) -> None:
        """Listen. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=self._settings.listen)

    def close(self) -> None:
        """Take no further request."""
        if self._transport:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a request; one that came before is answered as it was then."""
        if not radius.is_genuine_request(data, self._settings.secret):
            return
        self.told += 1
        self.last = [*self.last[1 - _MOST_SHOWN :], data]
        self.senders = {*self.senders, addr} if len(self.senders) < MOST_REMEMBERED else {addr}
        if (addr, data) in self._said:
            self._say(self._said[addr, data], addr)
            return
        reaction, is_known = self._carry_out(data[0], radius.attributes_of(data))
        said = self._said[addr, data] = self._answer(data, reaction, is_known=is_known)
        if len(self._said) > MOST_REMEMBERED:
            del self._said[next(iter(self._said))]
        if reaction is not Reaction.LOSE_ACK:
            self._say(said, addr)

    def _answer(self, data: bytes, reaction: Reaction, *, is_known: bool) -> bytes | None:
        ack, nak = data[0] + 1, data[0] + 2
        if reaction is Reaction.IGNORE:
            return None
        if reaction is Reaction.REFUSE or not is_known:
            cause = self._settings.nak_cause if reaction is Reaction.REFUSE else SESSION_CONTEXT_NOT_FOUND
            return radius.answer(nak, data, self._settings.secret, [(radius.ERROR_CAUSE, radius.number(cause))])
        return radius.answer(ack, data, self._settings.secret)

    def _say(self, said: bytes | None, sender: tuple[str, int]) -> None:
        transport, delay_s = self._transport, self._settings.faults.delay
        assert transport
        if said is None or transport.is_closing():
            return
        if delay_s:
            asyncio.get_running_loop().call_later(delay_s, transport.sendto, said, sender)
        else:
            transport.sendto(said, sender)
