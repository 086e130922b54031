"""The demo to be watched: pages up, calls coming in, until somebody ends it."""

import asyncio
import contextlib
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mediation.config import Listen
from mediation.demo.feeding import live, past, posting, send
from mediation.demo.site import LATE_LINES, PASSWORD, DemoSite, Say, demo_site
from simulators.pop import Pop
from simulators.sip_switch import SIPSwitch

USUAL: Final = Listen("127.0.0.1", 8080)
"""Where the pages are, unless somebody else is there."""
TELL_EVERY_S: Final = 10.0


async def show(directory: Path, say: Say, listen: Listen | None, stop: asyncio.Event) -> None:
    """Run the site, its past and its present, until `stop`."""
    switch = SIPSwitch(lambda number, what: say(f"{datetime.now(UTC):%H:%M:%S}  {number} is {what} at the switch"))
    async with contextlib.AsyncExitStack() as sending:
        switch_url = await sending.enter_async_context(switch.listening())
        site = await sending.enter_async_context(demo_site(directory, say, switch_url, listen or _free()))
        await asyncio.gather(*(send(site, name, past(lines, name)) for name, lines in site.shares()))
        pops = [
            (await sending.enter_async_context(posting(site, name, switch.refuse_barred(live(lines, name)))))[0]
            for name, lines in site.shares()
        ]
        _say_where(site, directory, say)
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TELL_EVERY_S):
                    await stop.wait()
            _say_how(pops, switch, say)


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
    say("Two POPs send calls as they end. Who is over the credit limit is barred at a simulated switch:")
    say("look at Live and Orders, and enter a payment on the account's page to give the lines back.")
    say("Ctrl-C ends it; nothing is left behind.")


def _say_how(pops: list[Pop], switch: SIPSwitch, say: Say) -> None:
    rated = sum(pop.totals.accepted for pop in pops)
    suspended = sum(pop.totals.suspended for pop in pops)
    words = f"{rated} live calls rated, {suspended} suspended, {switch.refused} refused to barred lines"
    say(f"{datetime.now(UTC):%H:%M:%S}  {words}")
