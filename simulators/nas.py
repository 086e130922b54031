"""A NAS: it reports the calls of an exchange by RADIUS accounting, and ends or changes them when it is told to by
Disconnect- and CoA-Requests.

`Nas` works in any event loop, for tests and the demo; `main` is the command `tollkeeper simulate nas`.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any, Final

from simulators import exchange as exchanges
from simulators import radius_packets as radius
from simulators.call_records import Record
from simulators.command_line import run_command
from simulators.conversation import NORMAL_CLEARING
from simulators.exchange import Exchange, Plan
from simulators.live_calls import Clock, wall_clock
from simulators.nas_calls import make_calls, until_drained
from simulators.nas_reports import Reports
from simulators.nas_requests import Reaction, Requests
from simulators.nas_settings import PROGRAM, NasOptions, NasSettings, parse_options
from simulators.status_page import status_page

__all__ = ["Call", "Nas", "Reaction", "Totals", "main"]

USER_REQUEST: Final = 1
ADMIN_RESET: Final = 6


@dataclass(slots=True, eq=False)
class Call:
    """A call that is going on, as the NAS knows it."""

    session: str
    calling: str
    called: str
    username: str
    at_exchange: exchanges.Call
    changes: dict[int, bytes] = field(default_factory=dict)
    """Attributes that CoA-Requests have set."""
    started: "asyncio.Task[None] | None" = None
    """Its Start is being reported."""
    stopped: "asyncio.Task[None] | None" = None
    """Its Stop is."""


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
    """Calls that a request ended."""
    refused: int = 0
    """Calls of barred lines, which failed at once."""


class Nas:
    """One NAS. Open it, make calls at it or at its exchange, close it."""

    def __init__(
        self,
        settings: NasSettings,
        react: Callable[[int, Call | None], Reaction] | None = None,
        exchange: Exchange | None = None,
        clock: Clock = wall_clock,
    ) -> None:
        """`react` decides what happens to a request of a code about a call, instead of the settings' probabilities. Of
        an exchange that others share it reports every call that is answered."""
        self._settings = settings
        self._react = react or self._by_chance
        self._clock = clock
        self._rng = Random(f"{settings.seed}/nas")
        self.exchange = Exchange() if exchange is None else exchange
        self.calls: dict[str, Call] = {}
        self._barred: dict[str, Call] = {}
        """Calls that a bar ended: their sessions are known until the line is restored."""
        self._totals = Totals()
        self._reports = Reports(settings, self._rng)
        self._requests = Requests(settings, self._told)
        self._sessions = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.exchange.watch(self)

    @property
    def address(self) -> tuple[str, int]:
        """Where it takes Disconnect- and CoA-Requests."""
        return self._requests.address

    @property
    def requests(self) -> list[bytes]:
        """The last Disconnect- and CoA-Requests, as they came."""
        return self._requests.last

    @property
    def senders(self) -> set[tuple[str, int]]:
        """The addresses that they came from."""
        return self._requests.senders

    @property
    def totals(self) -> Totals:
        """What it has done."""
        totals, reports = self._totals, self._reports.totals
        totals.reported, totals.sent, totals.told = reports.reported, reports.sent, self._requests.told
        return totals

    async def __aenter__(self) -> "Nas":
        if self._settings.accounting is not None:
            await self.report_to(self._settings.accounting)
        await self._requests.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._reports.close()
        self._requests.close()
        await asyncio.sleep(0)

    async def report_to(self, accounting: tuple[str, int]) -> None:
        """Its reports go there."""
        await self._reports.open(accounting)

    def stop_listening(self) -> None:
        """Take no further request, as a NAS that goes down."""
        self._requests.close()

    def status(self) -> dict[str, Any]:
        """Name, totals and live calls: what the status page shows."""
        return {"nas": self._settings.name, **asdict(self.totals), "live": len(self.calls)}

    async def begin(self, calling: str, called: str, username: str | None = None) -> Call | None:
        """Begin a call that goes on until it is ended; returns when its Start was answered. None: the line is barred,
        and the call has failed."""
        self._sessions += 1
        session = f"{self._settings.seed:x}-{self._sessions:08x}"
        plan = Plan({"calling": calling, "called": called}, username=username)
        if self.exchange.place(plan, self._clock(), session) is None:
            return None
        call = self.calls[session]
        assert call.started
        await call.started
        return call

    async def end(self, call: Call, cause: int = USER_REQUEST) -> None:
        """End a call, unless that was done; returns when its Stop was answered."""
        if call.session in self.calls:
            self.exchange.end(call.at_exchange, self._clock(), _released(cause))
            assert call.stopped
            await call.stopped

    async def hear(self, call: Call) -> None:
        """Report that a call goes on."""
        answered_at = call.at_exchange.answered_at
        assert answered_at
        lasted_s = round((self._clock() - answered_at).total_seconds())
        await self._report(call, radius.INTERIM, [(radius.ACCT_SESSION_TIME, radius.number(lasted_s))])

    async def reported(self) -> None:
        """Until the reports that are under way are answered."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def answered(self, at_exchange: exchanges.Call) -> None:
        """A call has begun: report it."""
        calling = at_exchange.calling
        username = at_exchange.plan.username or calling
        call = Call(at_exchange.session, calling, at_exchange.called, username, at_exchange)
        self.calls[call.session] = call
        self._totals.begun += 1
        call.started = self._spawn(self._report(call, radius.START))

    def ended(self, at_exchange: exchanges.Call, record: Record) -> None:
        """A call has ended: report it. One that was not answered is none to a NAS."""
        self._totals.refused += record.get("cause") == exchanges.REFUSED
        call = self.calls.pop(at_exchange.session, None)
        if call is None:
            return
        self._totals.ended += 1
        if call.calling in self.exchange.barred:
            self._barred[call.session] = call
        cause = ADMIN_RESET if record.get("cause") == exchanges.CUT else USER_REQUEST
        call.stopped = self._spawn(self._report_stop(call, round(record["duration"]), cause))

    async def _report_stop(self, call: Call, lasted_s: int, cause: int) -> None:
        """After its Start: a NAS tells of a call in order."""
        if call.started:
            await asyncio.wait({call.started})
        stop = [
            (radius.ACCT_SESSION_TIME, radius.number(lasted_s)),
            (radius.ACCT_TERMINATE_CAUSE, radius.number(cause)),
        ]
        await self._report(call, radius.STOP, stop)

    async def _report(self, call: Call, status: int, more: radius.Attributes = ()) -> None:
        await self._reports.report(
            [
                (radius.ACCT_STATUS_TYPE, radius.number(status)),
                (radius.ACCT_SESSION_ID, call.session.encode()),
                (radius.USER_NAME, call.username.encode()),
                (radius.CALLING_STATION_ID, call.calling.encode()),
                (radius.CALLED_STATION_ID, call.called.encode()),
                *more,
            ]
        )

    def _told(self, code: int, named: dict[int, bytes]) -> tuple[Reaction, bool]:
        """Do what a request says, if the NAS reacts so."""
        session = named.get(radius.ACCT_SESSION_ID, b"").decode("utf-8", "replace")
        call = self.calls.get(session)
        reaction = self._react(code, call)
        if call is None and code == radius.COA_REQUEST:
            call = self._barred.get(session)
        if call is not None and reaction in (Reaction.OBEY, Reaction.LOSE_ACK):
            if code == radius.DISCONNECT_REQUEST:
                self._totals.cut += self.exchange.end(call.at_exchange, self._clock(), exchanges.CUT)
            else:
                self._change(call, named)
        return reaction, call is not None

    def _change(self, call: Call, named: dict[int, bytes]) -> None:
        """Let attributes be in force: one of them may bar the line, or give it back."""
        call.changes |= {kind: named[kind] for kind in (radius.FILTER_ID, radius.CLASS) if kind in named}
        if self._settings.bar_filter is None or radius.FILTER_ID not in named:
            return
        if named[radius.FILTER_ID].decode("utf-8", "replace") == self._settings.bar_filter:
            self.exchange.bar(call.calling, self._settings.bar_filter)
            self._totals.cut += self.exchange.end_calls(call.calling, self._clock())
        else:
            self.exchange.restore(call.calling)
            self._barred = {key: known for key, known in self._barred.items() if known.calling != call.calling}

    def _spawn(self, work: Any) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

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


def _released(cause: int) -> int:
    """The release cause of a call that ends by an Acct-Terminate-Cause."""
    return NORMAL_CLEARING if cause == USER_REQUEST else exchanges.CUT


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    return run_command(PROGRAM, lambda: partial(_run, parse_options(argv)))


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
                nas.begin, nas.end, options.lines, rate=options.rate, count=options.count, talk_s=options.talk_s,
                seed=options.settings.seed, stop=stop,
            )  # fmt: skip
            await until_drained(making, stop, options.drain_s)
            await nas.reported()
        finally:
            print(json.dumps(nas.status()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
