"""The demo to be watched: pages up, calls coming in, until somebody ends it."""

import asyncio
import contextlib
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mediation.config import Listen
from mediation.demo import script
from mediation.demo.billing import BillRunFailed, bill_run
from mediation.demo.feeding import ReportingNas, make_live_calls, past, reporting, send
from mediation.demo.mailbox import Letter, Mailbox
from mediation.demo.provisioning import LATE_LINES
from mediation.demo.site import PASSWORD, POPS, DemoSite, Say, demo_site
from mediation.failure import Failure
from simulators import pacing
from simulators.call_records import Record
from simulators.exchange import CUT, REFUSED, Call, Exchange
from simulators.pop import Pop
from simulators.sip_switch import SIPSwitch

USUAL: Final = Listen("127.0.0.1", 8080)
"""Where the pages are, unless somebody else is there."""
TELL_EVERY_S: Final = 10.0
_WHAT: Final = (
    "Two POPs report the calls of an exchange as they end. Who is over the credit limit is barred at its switch:",
    "what the line has going on ends, and its next calls fail. Local calls of one POP a NAS reports too, by RADIUS",
    "accounting: they are charged once.",
    "Staff look at Live and Orders, and enter a payment on an account's page to give its lines back.",
    "The customer has invoices to look at (Statements) and to pay, once. The agent sees those of the own accounts.",
    "The newcomer may enrol for invoices (Payment options): the agent gets a mail of it.",
)
_WORDS: Final = {CUT: "was cut off", REFUSED: "failed"}


async def show(directory: Path, say: Say, listen: Listen | None, stop: asyncio.Event) -> None:
    """Run the site, its past and its present, until `stop`. Raises Failure for an address that is taken."""
    if listen is not None:
        _require_free(listen)
    exchange = Exchange()
    switch = SIPSwitch(
        exchange, lambda number, what: say(f"{datetime.now(UTC):%H:%M:%S}  {number} is {what} at the switch")
    )
    exchange.watch(_Bars(say))
    mailbox = Mailbox(directory / "mail", lambda letter: say(f"{datetime.now(UTC):%H:%M:%S}  {_of(letter)}"))
    async with contextlib.AsyncExitStack() as sending:
        switch_url = await sending.enter_async_context(switch.listening())
        smtp = await sending.enter_async_context(mailbox.listening())
        site = await sending.enter_async_context(
            demo_site(directory, say, switch_url=switch_url, smtp=smtp, listen=listen or _free())
        )
        await _make_past(site, say)
        pops = [await sending.enter_async_context(reporting(site, name, exchange)) for name, _ in site.shares()]
        nas = await sending.enter_async_context(ReportingNas(site, exchange))
        calling = asyncio.create_task(make_live_calls(exchange, site.shares(), stop), name="calls of the exchange")
        calling.add_done_callback(lambda _: stop.set())
        _say_where(site, directory, say)
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TELL_EVERY_S):
                    await stop.wait()
            _say_how(pops, exchange, say)
        await calling
        await nas.reported()


async def _make_past(site: DemoSite, say: Say) -> None:
    """The calls of two months, and the bills of the cycles that ended in them."""
    before = script.calls_before(site.customer, script.cycle_before(site.customer, datetime.now(UTC)), POPS[0])
    await send(site, POPS[0], pacing.at_once(before))
    await asyncio.gather(*(send(site, name, past(lines, name)) for name, lines in site.shares()))
    try:
        ran = await bill_run(site.config, "--ended-for", "1")
    except BillRunFailed as error:
        say(f"no bills: {error}")
    else:
        say(f"issued {ran['bills']} bills of the past bill cycles, charges {ran['charges']} USD")


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


def _of(letter: Letter) -> str:
    return f"mail to {letter.recipient}: {letter.subject} ({letter.file.name})"


def _free() -> Listen:
    """The usual address, or a free one where that is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((USUAL.host, USUAL.port))
        except OSError:
            return Listen(USUAL.host, 0)
    return USUAL


def _require_free(listen: Listen) -> None:
    """Said before anything is imported and mailed, not after. Raises Failure."""
    try:
        family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        socket.create_server((listen.host, listen.port), family=family).close()
    except OSError as error:
        raise Failure(f"--listen {listen}: {error.strerror or error}: choose another address", 2) from None


def _say_where(site: DemoSite, directory: Path, say: Say) -> None:
    say("")
    say(f"open      {site.addresses['web']}/")
    for login in site.logins:
        say(f"sign in   {login.name:<9} password: {PASSWORD}   ({login.words})")
    say("")
    say(f"POP feed  {site.addresses['feeds.pops']}/v1/transactions")
    say(f"mail      is kept in {directory / 'mail'}")
    say(f"health    {site.addresses['ops']}/readyz   metrics {site.addresses['ops']}/metrics")
    program = sys.argv[0] if sys.argv[0].endswith("tollkeeper") else "tollkeeper"  # it need not be on the path
    say(f"try       {program} export transactions --config {site.config}")
    say(f"          {program} import lines {directory / LATE_LINES} --config {site.config}")
    say("          (a line that calls already: then recycle its records on the page Suspense)")
    say("")
    for line in _WHAT:
        say(line)
    say("Ctrl-C ends it; nothing is left behind.")


def _say_how(pops: list[Pop], exchange: Exchange, say: Say) -> None:
    rated = sum(pop.totals.acknowledged - pop.totals.suspended for pop in pops)  # the NAS may have told of a call first
    suspended = sum(pop.totals.suspended for pop in pops)
    words = (
        f"{exchange.live} calls going on, {rated} rated, {suspended} suspended, {exchange.refused} refused to barred"
        f" lines, {exchange.cut} cut off"
    )
    say(f"{datetime.now(UTC):%H:%M:%S}  {words}")
