"""A number barred at a real Kamailio while SIPp's telephones use it: through the driver, and through orders."""

import asyncio
import socket
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from access import holding_rows, order_rows, planning
from access.barring import Answer, Holding, Outcome
from access.dispatcher import Dispatcher
from access.drivers.kamailio import FEW, KamailioBarring
from access.migrations import access_migrations
from access.orders import OPEN, Action, Order
from access.target import Target
from rating.store.migrations import own_migrations
from rating.store.sqlite import open_store
from tests.integration import sip_network as network_module
from tests.integration.sip_network import (
    BUSY_NUMBER,
    WITHIN_S,
    SIPNetwork,
    child,
    free_ports,
    sip_network,
    sipp,
)

pytestmark = pytest.mark.peers("kamailio", "sipp")

CALLER, CALLED = "+12125550142", "+442079460018"
TARGET = Target("kam1", "12125550142", "long-distance")
NOBODY = "http://127.0.0.1:9/"
"""The CDRs go nowhere: they are another test's."""


class Telephone:
    """One that calls, and holds the line until the switch ends it."""

    def __init__(self, process: "subprocess.Popen[bytes]", messages: Path) -> None:
        self.process, self._messages = process, messages

    def received(self, first_line: str) -> bool:
        """Whether a message came whose first line begins so."""
        if not self._messages.exists():
            return False
        fields = (line.split("\t") for line in self._messages.read_text().splitlines())
        return any(field[3] == "R" and field[6].startswith(first_line) for field in fields if len(field) > 6)

    def wait_for(self, first_line: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not self.received(first_line):
            assert time.monotonic() < deadline, f"no {first_line}"
            time.sleep(0.02)


@contextmanager
def calling(network: SIPNetwork, directory: Path, called: str = CALLED) -> Iterator[Telephone]:
    directory.mkdir()
    (directory / "calls.csv").write_text(f"SEQUENTIAL\n{CALLER};{called}\n")
    command = (
        *sipp("holding", free_ports(socket.SOCK_DGRAM, 1)[0]), f"127.0.0.1:{network.kamailio.sip}", "-m", "1",
        "-inf", "calls.csv", "-timeout", "60s", "-timeout_error", "-trace_shortmsg", "-shortmessage_file", "messages",
    )  # fmt: skip
    with child(command, directory / "telephone.log") as process:
        yield Telephone(process, directory / "messages")


@pytest.fixture
def network(tmp_path: Path) -> Iterator[SIPNetwork]:
    with sip_network(tmp_path / "sip", NOBODY) as network:
        yield network


@pytest.fixture
async def driver(network: SIPNetwork) -> AsyncIterator[KamailioBarring]:
    driver = KamailioBarring(url_of(network))
    yield driver
    await driver.close()


def url_of(network: SIPNetwork) -> str:
    return f"http://127.0.0.1:{network.kamailio._rpc}/RPC"


async def holds(driver: KamailioBarring, *, barred: bool) -> bool:
    deadline = time.monotonic() + WITHIN_S
    while (verdict := await driver.verify(TARGET, barred=barred)).state is not Holding.HOLDS:
        assert time.monotonic() < deadline, verdict.words
    return True


async def test_a_bar_ends_the_live_call_and_refuses_the_next_until_it_is_restored(
    network: SIPNetwork, driver: KamailioBarring, tmp_path: Path
) -> None:
    with calling(network, tmp_path / "live") as telephone:
        telephone.wait_for("SIP/2.0 200")
        assert (await driver.verify(TARGET, barred=True)).words == "not barred"
        assert await driver.bar(TARGET, "über the limit") == Answer(Outcome.ACKNOWLEDGED, "barred, 1 call told to end")
        telephone.wait_for("BYE ")
        assert telephone.process.wait(WITHIN_S) == 0
    assert await holds(driver, barred=True)

    with calling(network, tmp_path / "barred") as telephone:
        telephone.wait_for("SIP/2.0 403")
        assert telephone.process.wait(WITHIN_S) == 0

    assert (await driver.restore(TARGET)).words == "restored"
    assert await holds(driver, barred=False)
    assert (await driver.restore(TARGET)).words == "was not barred"
    with calling(network, tmp_path / "restored") as telephone:
        telephone.wait_for("SIP/2.0 200")
        await driver.bar(TARGET, "again")
        assert telephone.process.wait(WITHIN_S) == 0


async def test_a_bar_cancels_a_call_that_rings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ringing_for_busy(scenario: str, port: int) -> tuple[str, ...]:
        return sipp("ringing" if scenario == "busy" else scenario, port)

    monkeypatch.setattr(network_module, "sipp", ringing_for_busy)
    with sip_network(tmp_path / "sip", NOBODY) as network:
        driver = KamailioBarring(url_of(network))
        with calling(network, tmp_path / "ringing", BUSY_NUMBER) as telephone:
            telephone.wait_for("SIP/2.0 180")
            assert (await driver.bar(TARGET, "over the limit")).words == "barred, 1 call told to end"
            telephone.wait_for("SIP/2.0 487")
            assert telephone.process.wait(WITHIN_S) == 0
        assert await holds(driver, barred=True)
        await driver.close()


async def test_orders_bar_and_restore_by_themselves(
    network: SIPNetwork, driver: KamailioBarring, tmp_path: Path
) -> None:
    store = await open_store(tmp_path / "tollkeeper.db", (*own_migrations(), *access_migrations()), 1)
    settled: asyncio.Queue[Order] = asyncio.Queue()

    def changed(order: Order) -> None:
        if not order.is_open:
            settled.put_nowait(order)

    async def may_send(_: Order) -> bool:
        return True

    dispatcher = Dispatcher(store, {"kam1": driver}, may_send, clock=lambda: time.time_ns() // 1000, changed=changed)
    running = asyncio.create_task(dispatcher.run())

    async def carried_out(action: Action) -> Order:
        def write(cx: sqlite3.Connection) -> Order:
            return planning.plan(
                cx, account="4000012345", target=TARGET, action=action, reason="over the limit", cause="by ann",
                now=time.time_ns() // 1000,
            )  # fmt: skip

        planned = await store.transact(write)
        dispatcher.wake()
        order = await asyncio.wait_for(settled.get(), WITHIN_S)
        assert (order.id, order.state) == (planned.id, "confirmed")
        return order

    try:
        with calling(network, tmp_path / "live") as telephone:
            telephone.wait_for("SIP/2.0 200")
            await carried_out(Action.BAR)
            assert telephone.process.wait(WITHIN_S) == 0
        with calling(network, tmp_path / "barred") as telephone:
            telephone.wait_for("SIP/2.0 403")
        await carried_out(Action.RESTORE)
        with calling(network, tmp_path / "restored") as telephone:
            telephone.wait_for("SIP/2.0 200")
            await carried_out(Action.BAR)
            assert telephone.process.wait(WITHIN_S) == 0
        assert [order.tries for order in await store.read(lambda cx: order_rows.listed(cx))] == [1, 1, 1]
    finally:
        running.cancel()
        await asyncio.wait({running})
        await store.close()


async def test_a_kamailio_that_forgot_its_table_is_told_again(
    network: SIPNetwork, driver: KamailioBarring, tmp_path: Path
) -> None:
    """As after a restart; the look of every minute is one of every few milliseconds here."""
    store = await open_store(tmp_path / "tollkeeper.db", (*own_migrations(), *access_migrations()), 1)
    numbers = [TARGET.line, *(f"1212555{number:04}" for number in range(FEW + 1))]

    async def wanted(_: Order) -> bool:
        return True

    def write(cx: sqlite3.Connection) -> None:
        for number in numbers:
            planning.plan(
                cx, account="4000012345", target=Target("kam1", number, "long-distance"), action=Action.BAR,
                reason="over the limit", cause="by ann", now=time.time_ns() // 1000,
            )  # fmt: skip

    def barred() -> int:
        return sum(len(slot["slot"]) for slot in network.kamailio.call("htable.dump", "bar")["result"])

    async def all_hold() -> None:
        async with asyncio.timeout(WITHIN_S):
            while barred() < len(numbers) or await store.read(lambda cx: order_rows.listed(cx, states=list(OPEN))):
                await asyncio.sleep(0.02)

    dispatcher = Dispatcher(
        store, {"kam1": driver}, wanted, clock=lambda: time.time_ns() // 1000,
        sleep=lambda seconds: asyncio.sleep(min(seconds, 0.05)),
    )  # fmt: skip
    running = asyncio.create_task(dispatcher.run())
    try:
        await store.transact(write)
        dispatcher.wake()
        await all_hold()
        network.kamailio.call("htable.flush", "bar")
        await all_hold()
        orders = await store.read(order_rows.listed)
        assert {(order.state, order.tries, order.losses) for order in orders} == {("confirmed", 2, 1)}
        assert [remark.words for remark in await store.read(holding_rows.history, 1)] == [
            "did not hold any more: not barred"
        ]
        with calling(network, tmp_path / "barred") as telephone:
            await asyncio.to_thread(telephone.wait_for, "SIP/2.0 403")
    finally:
        running.cancel()
        await asyncio.wait({running})
        await store.close()
