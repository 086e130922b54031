"""A NAS: it reports its calls by RADIUS accounting until each report is answered, and ends or changes them when it is
told to by Disconnect- and CoA-Requests.

`Nas` works in any event loop, for tests and the demo; `main` is the command `tollkeeper simulate nas`.
"""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import Enum
from random import Random
from typing import Any, Final

from simulators import radius_packets as radius
from simulators.circle import Acquaintances
from simulators.nas_settings import PROGRAM, NasOptions, NasSettings, UsageError, parse_options
from simulators.population import Line, callers
from simulators.status_page import status_page

SESSION_CONTEXT_NOT_FOUND: Final = 503
USER_REQUEST: Final = 1
ADMIN_RESET: Final = 6
MOST_REMEMBERED: Final = 10_000
"""Requests whose answers are remembered, for when they come again."""


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


@dataclass(slots=True)
class Call:
    """A call that is going on."""

    session: str
    calling: str
    called: str
    username: str
    begun_at: float
    changes: dict[int, bytes] = field(default_factory=dict)
    """Attributes that CoA-Requests have set."""


@dataclass(slots=True)
class Totals:
    """What a NAS has done."""

    begun: int = 0
    ended: int = 0
    reported: int = 0
    """Reports that were answered."""
    sent: int = 0
    """Datagrams of accounting."""
    told: int = 0
    """Disconnect- and CoA-Requests, repeated ones included."""
    cut: int = 0
    """Calls that a Disconnect-Request ended."""


class Nas:
    """One NAS. Open it, make calls, close it."""

    def __init__(self, settings: NasSettings, react: Callable[[int, Call | None], Reaction] | None = None) -> None:
        """`react` decides what happens to a request of a code about a call, instead of the settings' probabilities."""
        self._settings = settings
        self._react = react or self._by_chance
        self._rng = Random(f"{settings.seed}/nas")
        self.calls: dict[str, Call] = {}
        self.totals = Totals()
        self.requests: list[bytes] = []
        """The last Disconnect- and CoA-Requests, as they came."""
        self.senders: set[tuple[str, int]] = set()
        """The addresses that they came from."""
        self._accounting: asyncio.DatagramTransport | None = None
        self._listening: asyncio.DatagramTransport | None = None
        self._answers: dict[int, tuple[bytes, asyncio.Future[None]]] = {}
        self._said: dict[bytes, bytes | None] = {}
        self._next_id = 0
        self._sessions = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._held_back: asyncio.Event | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it takes Disconnect- and CoA-Requests."""
        assert self._listening
        host, port = self._listening.get_extra_info("sockname")[:2]
        return host, port

    async def __aenter__(self) -> "Nas":
        loop = asyncio.get_running_loop()
        self._accounting, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(self._accounting_answered), remote_addr=self._settings.accounting
        )
        self._listening, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(self._told), local_addr=self._settings.listen
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._accounting
        assert self._listening
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._accounting.close()
        self._listening.close()
        await asyncio.sleep(0)

    def stop_listening(self) -> None:
        """Take no further request, as a NAS that goes down."""
        assert self._listening
        self._listening.close()

    def status(self) -> dict[str, Any]:
        """Name, totals and live calls: what the status page shows."""
        return {"nas": self._settings.name, **asdict(self.totals), "live": len(self.calls)}

    async def begin(self, calling: str, called: str, username: str | None = None) -> Call:
        """Begin a call; returns when its Start was answered."""
        self._sessions += 1
        session = f"{self._settings.seed:x}-{self._sessions:08x}"
        call = Call(session, calling, called, username or calling, time.time())
        self.calls[session] = call
        self.totals.begun += 1
        await self._report(call, radius.START)
        return call

    async def end(self, call: Call, cause: int = USER_REQUEST) -> None:
        """End a call, unless that was done; returns when its Stop was answered."""
        if self.calls.pop(call.session, None) is None:
            return
        self.totals.ended += 1
        lasted_s = round(time.time() - call.begun_at)
        stop = [
            (radius.ACCT_SESSION_TIME, radius.number(lasted_s)),
            (radius.ACCT_TERMINATE_CAUSE, radius.number(cause)),
        ]
        await self._report(call, radius.STOP, stop)

    async def hear(self, call: Call) -> None:
        """Report that a call goes on."""
        lasted_s = round(time.time() - call.begun_at)
        await self._report(call, radius.INTERIM, [(radius.ACCT_SESSION_TIME, radius.number(lasted_s))])

    async def reported(self) -> None:
        """Until the Stops of calls that were cut are answered."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _report(self, call: Call, status: int, more: radius.Attributes = ()) -> None:
        """Send a report until it is answered, each time with the delay since it happened: a new packet."""
        happened_at = time.monotonic()
        about: list[tuple[int, bytes]] = [
            (radius.ACCT_STATUS_TYPE, radius.number(status)),
            (radius.ACCT_SESSION_ID, call.session.encode()),
            (radius.USER_NAME, call.username.encode()),
            (radius.CALLING_STATION_ID, call.calling.encode()),
            (radius.CALLED_STATION_ID, call.called.encode()),
            (radius.NAS_IDENTIFIER, self._settings.name.encode()),
            *more,
        ]
        if self._settings.timestamps:
            about.append((radius.EVENT_TIMESTAMP, radius.number(int(time.time()))))
        await self._hold_back()
        faults = self._settings.faults
        deaf = self._rng.random() < faults.disconnect
        while True:
            await asyncio.sleep(faults.delay)
            delay_s = int(time.monotonic() - happened_at)
            answered = await self._ask([*about, (radius.ACCT_DELAY_TIME, radius.number(delay_s))], deaf=deaf)
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
        assert self._accounting
        while self._next_id in self._answers:
            await asyncio.sleep(0.001)
            self._next_id = (self._next_id + 1) % 256
        identifier, self._next_id = self._next_id, (self._next_id + 1) % 256
        data = radius.request(radius.ACCOUNTING_REQUEST, identifier, self._settings.secret, attributes)
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answers[identifier] = (data, answered)
        faults = self._settings.faults
        try:
            if self._rng.random() < faults.truncate:
                self._accounting.sendto(data[: self._rng.randrange(1, len(data))])
            for _ in range(1 + (self._rng.random() < faults.dup)):
                self.totals.sent += 1
                self._accounting.sendto(data)
            async with asyncio.timeout(self._settings.retry_s):
                await answered
            return not deaf
        except TimeoutError:
            return False
        finally:
            del self._answers[identifier]

    def _accounting_answered(self, data: bytes, _: tuple[str, int]) -> None:
        asked = self._answers.get(data[1]) if len(data) >= 20 and data[0] == radius.ACCOUNTING_RESPONSE else None
        if asked and not asked[1].done() and radius.is_genuine_answer(data, asked[0], self._settings.secret):
            asked[1].set_result(None)

    def _told(self, data: bytes, sender: tuple[str, int]) -> None:
        """Take a Disconnect- or CoA-Request; one that came before is answered as it was then."""
        if not radius.is_genuine_request(data, self._settings.secret):
            return
        self.totals.told += 1
        self.requests = [*self.requests[-99:], data]
        self.senders = {*self.senders, sender} if len(self.senders) < MOST_REMEMBERED else {sender}
        if data in self._said:
            self._say(self._said[data], sender)
            return
        named = radius.attributes_of(data)
        call = self.calls.get(named.get(radius.ACCT_SESSION_ID, b"").decode("utf-8", "replace"))
        reaction = self._react(data[0], call)
        said = self._carry_out(data, named, call, reaction)
        self._said[data] = said
        if len(self._said) > MOST_REMEMBERED:
            del self._said[next(iter(self._said))]
        if reaction is not Reaction.LOSE_ACK:
            self._say(said, sender)

    def _carry_out(self, data: bytes, named: dict[int, bytes], call: Call | None, reaction: Reaction) -> bytes | None:
        """Do what the reaction says; the answer."""
        ack, nak = data[0] + 1, data[0] + 2
        if reaction is Reaction.IGNORE:
            return None
        if reaction is Reaction.REFUSE:
            cause = radius.number(self._settings.nak_cause)
            return radius.answer(nak, data, self._settings.secret, [(radius.ERROR_CAUSE, cause)])
        if call is None:
            cause = radius.number(SESSION_CONTEXT_NOT_FOUND)
            return radius.answer(nak, data, self._settings.secret, [(radius.ERROR_CAUSE, cause)])
        if reaction is not Reaction.LIE:
            if data[0] == radius.DISCONNECT_REQUEST:
                self.totals.cut += 1
                self._spawn(self.end(call, ADMIN_RESET))
            else:
                call.changes |= {kind: named[kind] for kind in (radius.FILTER_ID, radius.CLASS) if kind in named}
        return radius.answer(ack, data, self._settings.secret)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _say(self, said: bytes | None, sender: tuple[str, int]) -> None:
        if said is None:
            return
        listening, delay_s = self._listening, self._settings.faults.delay
        assert listening
        if listening.is_closing():
            return
        if delay_s:
            asyncio.get_running_loop().call_later(delay_s, listening.sendto, said, sender)
        else:
            listening.sendto(said, sender)

    def _by_chance(self, code: int, call: Call | None) -> Reaction:  # noqa: ARG002  # others look at them
        drawn = self._rng.random()
        for reaction, share in (
            (Reaction.REFUSE, self._settings.nak),
            (Reaction.IGNORE, self._settings.silence),
            (Reaction.LOSE_ACK, self._settings.lost_ack),
        ):
            if drawn < share:
                return reaction
            drawn -= share
        return Reaction.OBEY


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._take(data, addr)


async def make_calls(
    nas: Nas, lines: Sequence[Line], *, rate: float, count: int, talk_s: float, seed: int, stop: asyncio.Event
) -> None:
    """Calls of some lines at a mean rate, each for an exponential time; until `count` have ended (0: without an end),
    or `stop`: then those that go on are ended."""
    rng, circles = Random(f"{seed}/nas calls"), Acquaintances(lines, seed)
    calling = list(callers(lines))

    async def one_call() -> None:
        line = rng.choice(calling)
        call = await nas.begin(line.number, circles.draw_called(line, rng))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), rng.expovariate(1 / talk_s))
        await nas.end(call)

    async with asyncio.TaskGroup() as group:
        made = 0
        while not stop.is_set() and (not count or made < count):
            made += 1
            group.create_task(one_call())
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), rng.expovariate(rate))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    try:
        options = parse_options(argv)
    except UsageError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    try:
        return asyncio.run(_run(options))
    except OSError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1


async def _run(options: NasOptions) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for end in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(end, stop.set)
    async with Nas(options.settings) as nas, status_page("127.0.0.1", 0, nas.status) as page:
        host, port = nas.address
        about = {"nas": options.settings.name, "coa": f"{host}:{port}", "status": page}
        print(json.dumps(about | {"at": datetime.now(UTC).isoformat()}), flush=True)
        try:
            making = make_calls(
                nas, options.lines, rate=options.rate, count=options.count, talk_s=options.talk_s,
                seed=options.settings.seed, stop=stop,
            )  # fmt: skip
            await _until_drained(making, stop, options.drain_s)
            await nas.reported()
        finally:
            print(json.dumps(nas.status()), flush=True)
    return 0


async def _until_drained(making: Any, stop: asyncio.Event, drain_s: float) -> None:
    """Until all calls were made and reported; after `stop` no longer than `drain_s`."""
    task = asyncio.ensure_future(making)
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not task.done():
        await asyncio.wait({task}, timeout=drain_s)
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    else:
        task.result()


if __name__ == "__main__":
    sys.exit(main())
