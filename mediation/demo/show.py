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

USUAL: Final = Listen("127.0.0.1", 8080)
"""Where the pages are, unless somebody else is there."""
TELL_EVERY_S: Final = 10.0


async def show(directory: Path, say: Say, listen: Listen | None, stop: asyncio.Event) -> None:
    """Run the site, its past and its present, until `stop`."""
    async with demo_site(directory, say, listen or _free()) as site, contextlib.AsyncExitStack() as sending:
        await asyncio.gather(*(send(site, name, past(lines, name)) for name, lines in site.shares()))
        pops = [
            (await sending.enter_async_context(posting(site, name, live(lines, name))))[0]
            for name, lines in site.shares()
        ]
        _say_where(site, directory, say)
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TELL_EVERY_S):
                    await stop.wait()
            _say_how(pops, say)


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
    say("Two POPs send calls as they end. Ctrl-C ends it; nothing is left behind.")


def _say_how(pops: list[Pop], say: Say) -> None:
    rated = sum(pop.totals.accepted for pop in pops)
    suspended = sum(pop.totals.suspended for pop in pops)
    say(f"{datetime.now(UTC):%H:%M:%S}  {rated} live calls rated, {suspended} suspended")
