"""A NAS by hand: it reports its calls until each report is answered, and tells of every Disconnect- and CoA-Request
before it does anything, and after it has answered."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from simulators import radius_packets as radius
from tests.acceptance.aimed_kill import Deed, Moments, Scene
from tests.small_site import LONDON, line

SECRET: Final = b"s3cret"
RETRY_S: Final = 0.1
"""A report that is not answered within it is sent again: the daemon is back soon."""
USER_REQUEST: Final = 1
ADMIN_RESET: Final = 6
NOT_NOW: Final = 506
NO_SUCH_SESSION: Final = 503

Address = tuple[str, int]


@dataclass(slots=True)
class Call:
    """A call, also when it has ended."""

    session: str
    number: str
    begun_at: float
    is_live: bool = True
    was_cut: bool = False
    """A Disconnect-Request ended it."""
    filter: bytes | None = None
    """As the last CoA-Request set it."""


class AimedNas:
    """One NAS, whose calls are found by line: each has one."""

    def __init__(self, scene: Scene, name: str, accounting: Address) -> None:
        self._scene, self._name, self._accounting = scene, name, accounting
        self.address: Address = ("127.0.0.1", 0)
        self.calls: dict[str, Call] = {}
        self.changed: list[tuple[int, str, bool]] = []
        """When the call of which line was to be barred, or not any more, µs UTC."""
        self._reports: asyncio.DatagramTransport
        self._requests: asyncio.DatagramTransport
        self._asked: dict[int, tuple[bytes, asyncio.Future[None]]] = {}
        self._said: dict[tuple[Address, bytes], bytes | None] = {}
        self._next_id = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """It takes requests at `address`, and reports."""
        loop = asyncio.get_running_loop()
        self._reports, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(self._answered), remote_addr=self._accounting
        )
        self._requests, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(self._told), local_addr=("127.0.0.1", 0)
        )
        self.address = self._requests.get_extra_info("sockname")[:2]
        try:
            yield
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._reports.close()
            self._requests.close()
            await asyncio.sleep(0)

    async def begin(self, number: int) -> None:
        """The line of an account begins a call; it is reported when this returns."""
        key = line(number)
        call = self.calls[key] = Call(f"{self._name}-{number}", key, time.time())
        await self._report(call, radius.START)

    async def end(self, number: int) -> None:
        """Its call ends, unless it has; likewise."""
        call = self.calls.get(line(number))
        if call is not None and call.is_live:
            await self._end(call, USER_REQUEST)
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _end(self, call: Call, cause: int) -> None:
        call.is_live = False
        call.was_cut = cause == ADMIN_RESET
        lasted_s = round(time.time() - call.begun_at)
        await self._report(
            call, radius.STOP,
            (radius.ACCT_SESSION_TIME, radius.number(lasted_s)), (radius.ACCT_TERMINATE_CAUSE, radius.number(cause)),
        )  # fmt: skip
        if call.number == self._scene.moments.line:
            self._scene.moments.reached("Stop reported")

    async def _report(self, call: Call, status: int, *more: tuple[int, bytes]) -> None:
        """Send the same packet until it is answered."""
        about = [
            (radius.ACCT_STATUS_TYPE, radius.number(status)),
            (radius.ACCT_SESSION_ID, call.session.encode()),
            (radius.USER_NAME, call.number.encode()),
            (radius.CALLING_STATION_ID, call.number.encode()),
            (radius.CALLED_STATION_ID, LONDON.encode()),
            (radius.NAS_IDENTIFIER, self._name.encode()),
            (radius.EVENT_TIMESTAMP, radius.number(int(time.time()))),
            *more,
        ]
        self._next_id = (self._next_id + 1) % 256
        identifier = self._next_id
        data = radius.request(radius.ACCOUNTING_REQUEST, identifier, SECRET, about)
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked[identifier] = (data, answered)
        while not answered.done():
            self._reports.sendto(data)
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(answered), RETRY_S)
        del self._asked[identifier]

    def _answered(self, data: bytes, _: Address) -> None:
        asked = self._asked.get(data[1])
        if asked and not asked[1].done() and radius.is_genuine_answer(data, asked[0], SECRET):
            asked[1].set_result(None)

    def _told(self, data: bytes, sender: Address) -> None:
        """A request; one that comes again from the same port is answered as it was."""
        assert radius.is_genuine_request(data, SECRET)
        if (sender, data) in self._said:
            self._say(self._said[sender, data], sender)
            return
        named = radius.attributes_of(data)
        call = self.calls[named[radius.USER_NAME].decode()]
        assert call.session == named[radius.ACCT_SESSION_ID].decode()
        moments, is_disconnect = self._scene.moments, data[0] == radius.DISCONNECT_REQUEST
        name = moments.asked("Disconnect" if is_disconnect else "CoA", call.number)
        self.changed.append((time.time_ns() // 1000, call.number, named.get(radius.FILTER_ID) != b"open"))
        deed = self._deed(moments, name)
        said = self._said[sender, data] = self._carry_out(data, named, call, deed)
        if deed in (Deed.LOST, Deed.UNSAID):
            return
        self._say(said, sender)
        if name is not None:
            moments.reached(f"{name} answered", later=True)

    @staticmethod
    def _deed(moments: Moments, name: str | None) -> Deed:
        """A NAS that holds its answer back says nothing: it is asked again long after the daemon was killed."""
        deed = moments.arrived(name)
        if moments.is_held(name):
            return Deed.LOST if moments.step.is_lost else Deed.UNSAID
        return deed

    def _carry_out(self, data: bytes, named: dict[int, bytes], call: Call, deed: Deed) -> bytes | None:
        """Do what is asked; the answer."""
        ack, nak = data[0] + 1, data[0] + 2
        if deed is Deed.LOST:
            return None
        cause = NOT_NOW if deed is Deed.REFUSED else NO_SUCH_SESSION
        if deed is Deed.REFUSED or not call.is_live:
            return radius.answer(nak, data, SECRET, [(radius.ERROR_CAUSE, radius.number(cause))])
        if data[0] == radius.DISCONNECT_REQUEST:
            task = asyncio.get_running_loop().create_task(self._end(call, ADMIN_RESET))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            call.filter = named[radius.FILTER_ID]
        return radius.answer(ack, data, SECRET)

    def _say(self, said: bytes | None, receiver: Address) -> None:
        if said is not None:
            self._requests.sendto(said, receiver)


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, Any], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._take(data, addr)
