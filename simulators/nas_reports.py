"""How a NAS reports: RADIUS accounting over UDP, each report sent until it is answered."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final

from simulators import radius_packets as radius
from simulators.nas_settings import NasSettings

_IDS: Final = 256


@dataclass(slots=True)
class Reported:
    """What became of reports."""

    reported: int = 0
    """Reports that were answered."""
    sent: int = 0
    """Datagrams of accounting."""


class Reports(asyncio.DatagramProtocol):
    """The reports of one NAS. Open it before the first."""

    def __init__(self, settings: NasSettings, rng: Random) -> None:
        self._settings = settings
        self._rng = rng
        self.totals = Reported()
        self._transport: asyncio.DatagramTransport | None = None
        self._answers: dict[int, tuple[bytes, asyncio.Future[None]]] = {}
        self._next_id = 0
        self._held_back: asyncio.Event | None = None

    async def open(self, accounting: tuple[str, int]) -> None:
        """Report there."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=accounting)

    def close(self) -> None:
        """Report no more."""
        if self._transport:
            self._transport.close()

    async def report(self, about: radius.Attributes) -> None:
        """Send a report until it is answered, each time with the delay since it happened: a new packet."""
        happened_at = time.monotonic()
        attributes = [*about, (radius.NAS_IDENTIFIER, self._settings.name.encode())]
        if self._settings.timestamps:
            attributes.append((radius.EVENT_TIMESTAMP, radius.number(int(time.time()))))
        await self._hold_back()
        faults = self._settings.faults
        deaf = self._rng.random() < faults.disconnect
        while True:
            await asyncio.sleep(faults.delay)
            delay_s = int(time.monotonic() - happened_at)
            answered = await self._ask([*attributes, (radius.ACCT_DELAY_TIME, radius.number(delay_s))], deaf=deaf)
            if answered:
                self.totals.reported += 1
                return
            deaf = False

    async def _hold_back(self) -> None:
        """Let this report be overtaken by the next one, now and then."""
        if self._held_back is not None:
            self._held_back.set()
            self._held_back = None
        elif self._rng.random() < self._settings.faults.reorder:
            self._held_back = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._held_back.wait(), self._settings.retry_s)

    async def _ask(self, attributes: radius.Attributes, *, deaf: bool) -> bool:
        """Send one Accounting-Request; whether its answer came. `deaf`: the answer is lost on its way."""
        assert self._transport
        while self._next_id in self._answers:
            await asyncio.sleep(0.001)
            self._next_id = (self._next_id + 1) % _IDS
        identifier, self._next_id = self._next_id, (self._next_id + 1) % _IDS
        data = radius.request(radius.ACCOUNTING_REQUEST, identifier, self._settings.secret, attributes)
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answers[identifier] = (data, answered)
        faults = self._settings.faults
        try:
            if self._rng.random() < faults.truncate:
                self._transport.sendto(data[: self._rng.randrange(1, len(data))])
            for _ in range(1 + (self._rng.random() < faults.dup)):
                self.totals.sent += 1
                self._transport.sendto(data)
            async with asyncio.timeout(self._settings.retry_s):
                await answered
            return not deaf
        except TimeoutError:
            return False
        finally:
            del self._answers[identifier]

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002  # connected: one address
        """Take an answer."""
        asked = self._answers.get(data[1]) if len(data) >= 20 and data[0] == radius.ACCOUNTING_RESPONSE else None
        if asked and not asked[1].done() and radius.is_genuine_answer(data, asked[0], self._settings.secret):
            asked[1].set_result(None)
