"""The demo to be watched: pages up, calls coming in, until somebody ends it."""

import asyncio
import contextlib
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mediation.config import Listen
from mediation.demo.feeding import make_live_calls, past, reporting, send
from mediation.demo.site import LATE_LINES, PASSWORD, DemoSite, Say, demo_site
from simulators.call_records import Record
from simulators.exchange import CUT, REFUSED, Call, Exchange
from simulators.pop import Pop
from simulators.sip_switch import SIPSwitch

USUAL: Final = Listen("127.0.0.1", 8080)
"""Where the pages are, unless somebody else is there."""
TELL_EVERY_S: Final = 10.0
_WORDS: Final = {CUT: "was cut off", REFUSED: "failed"}


async def show(directory: Path, say: Say, listen: Listen | None, stop: asyncio.Event) -> None:
    """Run the site, its past and its present, until `stop`."""
    exchange = Exchange()
    switch = SIPSwitch(
        exchange, lambda number, what: say(f"{datetime.now(UTC):%H:%M:%S}  {number} is {what} at the switch")
    )
    exchange.watch(_Bars(say))
    async with contextlib.AsyncExitStack() as sending:
        switch_url = await sending.enter_async_context(switch.listening())
        site = await sending.enter_async_context(demo_site(directory, say, switch_url, listen or _free()))
        await asyncio.gather(*(send(site, name, past(lines, name)) for name, lines in site.shares()))
        pops = [await sending.enter_async_context(reporting(site, name, exchange)) for name, _ in site.shares()]
        calling = asyncio.create_task(make_live_calls(exchange, site.shares(), stop), name="calls of the exchange")
        calling.add_done_callback(lambda _: stop.set())
        _say_where(site, directory, say)
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TELL_EVERY_S):
                    await stop.wait()
            _say_how(pops, exchange, say)
        await calling


class _Bars:
    """Says of each barred line once that a call of it is cut off, and once that one failed."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._told: set[tuple[str, int]] = set()

    def answered(self, call: Call) -> None:
        """It is not barred, or not any more."""
        self._told -= {(call.calling, cause) for cause in _WORDS}

    def ended(self, call: Call, record: Record) -> None:
        """The bar may have ended it, or let it fail at once."""
        cause = record.get("cause")
        if cause in _WORDS and (call.calling, cause) not in self._told:
            self._told.add((call.calling, cause))
            words = f"{call.calling} is barred, and its call to {call.called} {_WORDS[cause]}"
            self._say(f"{datetime.now(UTC):%H:%M:%S}  {words}")


def _free() -> Listen:
    """The usual address, or a free one where that is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((USUAL.host, USUAL.port))
        except OSError:
            return Listen(USUAL.host, 0)
    return USUAL


def _say_where(site: DemoSite, directory: Path, say: Say) -> None:
    say("")
    say(f"open      {site.addresses['web']}/")
    for name, words in site.logins.items():
        say(f"sign in   {name:<9} password: {PASSWORD}   ({words})")
    say("")
    say(f"POP feed  {site.addresses['feeds.pops']}/v1/transactions")
    say(f"health    {site.addresses['ops']}/readyz   metrics {site.addresses['ops']}/metrics")
    program = sys.argv[0] if sys.argv[0].endswith("tollkeeper") else "tollkeeper"  # it need not be on the path
    say(f"try       {program} export transactions --config {site.config}")
    say(f"          {program} import lines {directory / LATE_LINES} --config {site.config}")
    say("          (a line that calls already: then recycle its records on the page Suspense)")
    say("")
    say("Two POPs report the calls of an exchange as they end. Who is over the credit limit is barred at its switch:")
    say("what the line has going on ends, and its next calls fail.")
    say("Look at Live and Orders, and enter a payment on the account's page to give the lines back.")
    say("Ctrl-C ends it; nothing is left behind.")


def _say_how(pops: list[Pop], exchange: Exchange, say: Say) -> None:
    rated = sum(pop.totals.accepted for pop in pops)
    suspended = sum(pop.totals.suspended for pop in pops)
    words = (
        f"{exchange.live} calls going on, {rated} rated, {suspended} suspended, {exchange.refused} refused to barred"
        f" lines, {exchange.cut} cut off"
    )
    say(f"{datetime.now(UTC):%H:%M:%S}  {words}")
