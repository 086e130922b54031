"""The command `tollkeeper simulate switch`: an exchange with its calls, a SIP switch that bars them, a POP that reports
them."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from simulators.command_line import run_command
from simulators.courier import PopError
from simulators.exchange import Exchange
from simulators.journal import Journal
from simulators.live_calls import WARM_UP, Records, as_they_begin, make_calls, wall_clock
from simulators.pop import Pop
from simulators.pop_link import HttpLink
from simulators.pop_settings import PopSettings
from simulators.sip_switch import SIPSwitch
from simulators.status_page import status_page
from simulators.switch_settings import PROGRAM, SwitchOptions, parse_options
from simulators.traffic import Traffic


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    return run_command(PROGRAM, lambda: partial(_run, parse_options(argv)), PopError)


async def _run(options: SwitchOptions) -> int:
    stop = asyncio.Event()
    for end in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(end, stop.set)
    exchange = Exchange(options.name)
    async with SIPSwitch(exchange).listening(*options.listen) as url, _reporting(options, exchange, stop) as pop:

        def status() -> dict[str, Any]:
            totals = {"live": exchange.live, "barred": len(exchange.barred), "refused": exchange.refused}
            return {"switch": options.name, **totals, "cut": exchange.cut, **(pop.totals.as_json() if pop else {})}

        async with status_page("127.0.0.1", 0, status) as page:
            print(json.dumps({"switch": options.name, "rpc": url, "status": page}), flush=True)
            await _make_calls(options, exchange, stop)
    print(json.dumps(status()), flush=True)
    return 0


async def _make_calls(options: SwitchOptions, exchange: Exchange, stop: asyncio.Event) -> None:
    now = wall_clock()
    # At another speed no call that began before is going on where it would be: then all begin from now on.
    since = now - WARM_UP if options.speed == 1 and not options.count else now
    traffic = Traffic(
        options.lines, seed=options.seed, start=since, calls_per_s=options.rate, steady=True, switch=options.name
    )
    planned = as_they_begin(traffic, now, count=options.count, speed=options.speed)
    await make_calls(exchange, planned, wall_clock, stop)
    for call in exchange.calls():
        exchange.end(call, wall_clock())


@asynccontextmanager
async def _reporting(options: SwitchOptions, exchange: Exchange, stop: asyncio.Event) -> AsyncIterator[Pop | None]:
    """Let a POP send the records while the context lasts, and what there is at its end. One that is refused stops all.
    Raises PopError."""
    if options.url is None:
        yield None
        return
    records = Records(exchange)
    settings = PopSettings(drain_s=options.drain_s, faults=options.faults, seed=options.seed)
    async with HttpLink(options.url, options.token) as link:
        pop = Pop(options.name, link, Journal(str(time.time_ns() // 1_000_000)), settings)
        sending = asyncio.create_task(pop.run_live(records.queue), name=f"records of {options.name}")
        sending.add_done_callback(lambda _: stop.set())
        try:
            yield pop
        finally:
            pop.stop()
            await asyncio.wait({sending})
    sending.result()


if __name__ == "__main__":
    sys.exit(main())
