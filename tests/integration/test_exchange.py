"""One simulated exchange behind a POP, a NAS and a switch: what is barred through either ends, fails, and is reported;
and a call that two of them report is charged once."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from access.barring import Holding, Outcome
from access.drivers.kamailio import KamailioBarring
from access.drivers.radius import RadiusDriver, service_attributes
from access.radius.dictionary import Dictionary
from access.radius.exchange import Exchange as RadiusExchange
from access.target import Target
from control.events import event_rows
from control.events.definition_json import parse_event
from mediation.cli import main
from mediation.schema import all_migrations
from rating.store.sqlite import open_store
from simulators import radius_packets as radius
from simulators.call_records import Record
from simulators.exchange import CUT, REFUSED, Exchange, Plan
from simulators.journal import Journal
from simulators.live_calls import Records, make_calls, wall_clock
from simulators.nas import Nas
from simulators.nas_settings import NasSettings
from simulators.pop import Pop
from simulators.pop_link import HttpLink
from simulators.pop_settings import PopSettings
from simulators.sip_switch import SIPSwitch
from tests.integration.daemon_in_thread import DaemonInThread, running
from tests.integration.radius_site import SECRET, feed_at_work
from tests.small_site import LONDON, TOKENS, account, line, lines_csv, write_config

WITHIN_S = 20.0
TARGET = Target("kam1", line(0).removeprefix("+"), "long-distance")


async def eventually(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():
            await asyncio.sleep(0.01)


def a_plan(number: str, calling: str = line(0), **plan: Any) -> Plan:
    return Plan({"id": number, "calling": calling, "called": LONDON, "type": "direct"}, **plan)


@asynccontextmanager
async def kamailio(exchange: Exchange) -> AsyncIterator[KamailioBarring]:
    """The product's driver of a switch that is a view of an exchange."""
    async with SIPSwitch(exchange).listening() as url:
        driver = KamailioBarring(url)
        try:
            yield driver
        finally:
            await driver.close()


async def test_a_bar_through_the_switch_ends_the_line_s_calls_and_lets_the_next_fail() -> None:
    exchange = Exchange("sw1")
    records = Records(exchange).queue
    async with kamailio(exchange) as driver:
        now = wall_clock()
        exchange.place(a_plan("talking"), now)
        exchange.place(a_plan("ringing", ring=timedelta(minutes=1), talk=timedelta(minutes=1)), now)
        exchange.place(a_plan("another's", line(1)), now)
        assert (await driver.verify(TARGET, barred=True)).state is Holding.NOT_YET
        answer = await driver.bar(TARGET, "over the limit")
        assert (answer.outcome, answer.words) == (Outcome.ACKNOWLEDGED, "barred, 2 calls told to end")
        assert (await driver.verify(TARGET, barred=True)).state is Holding.HOLDS
        assert exchange.barred == {line(0): "over the limit [long-distance]"}
        assert exchange.place(a_plan("next"), wall_clock()) is None
        ended = {record["id"]: record["cause"] for record in (records.get_nowait() for _ in range(records.qsize()))}
        assert ended == {"talking": CUT, "ringing": CUT, "next": REFUSED}
        assert (await driver.restore(TARGET)).words == "restored"
        assert (await driver.restore(TARGET)).words == "was not barred"
        assert (await driver.verify(TARGET, barred=False)).state is Holding.HOLDS
        assert exchange.place(a_plan("free again"), wall_clock()) is not None


async def test_what_the_switch_does_not_know_it_says() -> None:
    exchange = Exchange()
    async with SIPSwitch(exchange).listening() as url, ClientSession() as session:

        async def asked(method: str, *params: Any) -> int:
            async with session.post(url, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) as said:
                return int((await said.json())["error"]["code"])

        exchange.place(a_plan("talking"), wall_clock())
        assert await asked("htable.get", "bar", line(0)) == 500
        assert await asked("htable.delete", "bar", line(0)) == 404
        assert await asked("dlg.end_dlg", 7, 7) == 404
        assert await asked("tm.cancel", "talking", "1") == 404, "it is not ringing any more"
        assert await asked("sl.stats") == 500
        assert exchange.live == 1


async def test_a_filter_through_the_nas_bars_the_line_and_gives_it_back(site: Path) -> None:
    exchange = Exchange("nas1")
    async with feed_at_work(site) as feed:
        settings = NasSettings(feed.address, SECRET, bar_filter="barred")
        async with Nas(settings, exchange=exchange) as nas:
            await nas.begin(line(0), LONDON)
            await nas.begin(line(0), LONDON)
            other = await nas.begin(line(1), LONDON)
            (session, _) = feed.live()
            dictionary = Dictionary()
            driver = RadiusDriver(
                "nas1", nas.address[0], RadiusExchange(*nas.address, SECRET, dictionary), feed.sessions,
                {"data": service_attributes("Filter-Id=barred", "Filter-Id=open", dictionary)},
            )  # fmt: skip
            target = Target("nas1", line(0).removeprefix("+"), "data")
            assert (await driver.bar(target, "over the limit")).outcome is Outcome.ACKNOWLEDGED
            await nas.reported()
            assert await nas.begin(line(0), LONDON) is None
            assert (list(nas.calls.values()), nas.totals.cut, nas.totals.refused) == ([other], 2, 1)
            assert feed.live() == []
            # The NAS knows the session until the line is given back; the daemon has none to name any more.
            given_back = await driver._exchange.ask(43, [("Acct-Session-Id", session), ("Filter-Id", "open")])
            assert given_back.acknowledged
            assert await nas.begin(line(0), LONDON) is not None
            await driver.close()


async def test_a_nas_reports_the_calls_that_are_made_at_its_exchange(site: Path) -> None:
    exchange = Exchange("nas1")
    async with (
        feed_at_work(site, lambda: time.time_ns() // 1000 + 61_000_000) as feed,
        Nas(NasSettings(feed.address, SECRET), exchange=exchange) as nas,
    ):
        now = wall_clock()
        talk = timedelta(seconds=61)
        exchange.place(a_plan("c1", talk=talk), now)
        exchange.place(a_plan("busy", talk=timedelta(0), cause=17), now)
        await nas.reported()
        assert feed.live() == ["c1"]
        exchange.advance(now + talk)
        await nas.reported()
        assert [(row[0], row[2]) for row in feed.stored()] == [("c1", 61)]
        assert feed.live() == []
        assert (nas.totals.begun, nas.totals.ended, nas.totals.reported) == (1, 1, 2)


class HardOfHearing(asyncio.DatagramProtocol):
    """Accounting that answers everything but the first packet."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.statuses.append(int.from_bytes(radius.attributes_of(data)[radius.ACCT_STATUS_TYPE]))
        if len(self.statuses) > 1:
            self.transport.sendto(radius.answer(radius.ACCOUNTING_RESPONSE, data, SECRET), addr)


async def test_a_nas_reports_the_end_of_a_call_after_its_beginning() -> None:
    loop, exchange = asyncio.get_running_loop(), Exchange()
    transport, heard = await loop.create_datagram_endpoint(HardOfHearing, local_addr=("127.0.0.1", 0))
    settings = NasSettings(transport.get_extra_info("sockname"), SECRET, retry_s=0.05)
    async with Nas(settings, exchange=exchange) as nas, asyncio.timeout(WITHIN_S):
        call = exchange.place(a_plan("c1"), wall_clock())
        assert call is not None
        exchange.end(call, wall_clock())
        await nas.reported()
    transport.close()
    assert heard.statuses == [radius.START, radius.START, radius.STOP]


OVER_LIMIT = {
    "accounts": {"all": True},
    "name": "over the credit limit",
    "when": {"measure": "charges", "period": "bill-cycle", "above_credit_limit": True},
    "check": {"continuous": True},
    "respond": [{"do": "bar", "services": ["long-distance"], "until": "cleared"}],
}


async def _prescribe(store: Path) -> None:
    opened = await open_store(store, all_migrations(), 1)
    try:
        await opened.transact(event_rows.insert_event, parse_event(OVER_LIMIT), "tests", 1, 3600)
    finally:
        await opened.close()


def _provision(site: Path, switch_url: str) -> Path:
    """The first account may owe 10, and its line is at the switch."""
    config = write_config(site)
    with config.open("a") as text:
        text.write(
            '[feeds.radius]\ntype = "radius-accounting"\nlisten = "127.0.0.1:0"\n'
            f'[feeds.radius.clients.nas1]\naddress = "127.0.0.1"\nsource = "pop-a"\nsecret = "{SECRET.decode()}"\n'
            f'[switches.kam1]\ndriver = "kamailio"\nurl = "{switch_url}"\n'
        )
    accounts, lines = site / "accounts.csv", site / "lines.csv"
    accounts.write_text(
        "account,name,email,currency,timezone,credit_limit,tariff,agent,cycle_day\n"
        f"{account(0)},Customer,c@customers.example,USD,America/New_York,10.00,standard,,1\n"
    )
    lines.write_text(lines_csv([0]).replace("long-distance,\n", "long-distance,kam1\n"))
    for kind, file in (("accounts", accounts), ("lines", lines)):
        assert main(["import", kind, str(file), "--config", str(config)]) == 0
    return config


@asynccontextmanager
async def reporting(daemon: DaemonInThread, exchange: Exchange) -> AsyncIterator[tuple[Pop, Nas]]:
    """A POP and a NAS that report the exchange's calls as one source."""
    async with AsyncExitStack() as stack:
        nas = await stack.enter_async_context(
            Nas(NasSettings(daemon.addresses["feeds.radius"], SECRET), exchange=exchange)
        )
        link = await stack.enter_async_context(HttpLink(daemon.base, TOKENS["pop-a"]))
        pop = Pop("pop-a", link, Journal("live"), PopSettings(linger_s=0.01))
        sending = asyncio.create_task(pop.run_live(Records(exchange).queue))
        try:
            yield pop, nas
        finally:
            pop.stop()
            await sending


async def test_who_crosses_the_limit_is_cut_off_refused_and_charged_once(site: Path) -> None:
    exchange = Exchange("sw1")
    async with SIPSwitch(exchange).listening() as url:
        config = await asyncio.to_thread(_provision, site, url)
        await _prescribe(site / "tollkeeper.db")
        with running(config) as daemon:
            async with reporting(daemon, exchange) as (pop, nas):
                began_at = wall_clock() - timedelta(minutes=30)
                exchange.place(a_plan("dear", talk=timedelta(minutes=20)), began_at)
                exchange.place(a_plan("cut"), began_at)
                await nas.reported()
                exchange.advance(wall_clock())
                await eventually(lambda: exchange.cut)
                assert exchange.place(a_plan("refused"), wall_clock()) is None
                await nas.reported()
                await eventually(lambda: pop.totals.acknowledged == 3)
            assert sorted(daemon.stored()) == ["cut", "dear", "refused"]
            assert daemon.suspended() == []
            assert pop.totals.accepted + pop.totals.duplicate == 3
            assert (nas.totals.ended, nas.totals.cut) == (2, 0), "it reported the same calls, and cut none itself"
            await eventually(lambda: daemon.rows("SELECT 1 FROM access_orders WHERE state = 'confirmed'"))


async def test_live_calls_are_placed_and_end_by_the_clock() -> None:
    exchange = Exchange()
    seen: list[Record] = []
    queue = Records(exchange).queue
    clock = [datetime(2026, 11, 20, 15, 0, tzinfo=UTC)]

    def tick() -> datetime:
        clock[0] += timedelta(seconds=1)
        return clock[0]

    exchange.bar(line(1), "over the limit")
    planned = [
        (clock[0] - timedelta(minutes=5), a_plan("began before", talk=timedelta(minutes=6))),
        (clock[0] - timedelta(minutes=5), a_plan("of a barred line", line(1), talk=timedelta(minutes=6))),
        (clock[0] + timedelta(seconds=5), a_plan("now", talk=timedelta(seconds=10))),
        (clock[0] + timedelta(seconds=6), a_plan("barred", line(1), talk=timedelta(seconds=10))),
    ]
    async with asyncio.timeout(WITHIN_S):
        await make_calls(exchange, planned, tick, asyncio.Event())
    while queue.qsize():
        seen.append(queue.get_nowait())
    assert [(record["id"], record["duration"]) for record in seen] == [
        ("barred", 0), ("now", 10), ("began before", 360),
    ]  # fmt: skip


async def test_the_command_is_a_switch_whose_calls_a_daemon_hears_of(site: Path, tmp_path: Path) -> None:
    lines = tmp_path / "lines.csv"
    lines.write_text(lines_csv([0, 1]))
    config = write_config(site)
    with running(config) as daemon:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "mediation.cli", "simulate", "switch", "--lines", str(lines), "--rate", "100",
            "--speed", "1000", "--url", daemon.base, "--token", TOKENS["pop-a"], "--name", "sw1",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout
        async with asyncio.timeout(WITHIN_S):
            told = json.loads(await process.stdout.readline())
            driver = KamailioBarring(told["rpc"])
            assert (await driver.bar(TARGET, "over the limit")).outcome is Outcome.ACKNOWLEDGED
            await driver.close()
            async with ClientSession() as session:
                while not (await (await session.get(told["status"])).json())["refused"]:
                    await asyncio.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            totals = json.loads(await process.stdout.readline())
            assert await process.wait() == 0
        assert (told["switch"], totals["barred"], totals["live"]) == ("sw1", 1, 0)
        assert totals["acknowledged"] == totals["calls"] > 0
        assert len(daemon.stored()) + len(daemon.suspended()) == totals["acknowledged"]
