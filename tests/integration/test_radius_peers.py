"""Programs that we did not write: radclient reports to the accounting feed, and FreeRADIUS is the NAS that the driver
commands."""

import asyncio
import shutil
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from access import session_rows
from access.barring import Holding, Outcome
from access.drivers.kamailio import KamailioBarring
from access.drivers.radius import RadiusDriver
from access.radius.dictionary import Dictionary
from access.radius.exchange import Exchange
from access.radius.pacing import Patience
from access.sessions import LiveSession, LiveSessions, SessionKey
from access.target import Target
from tests.integration.radius_site import NOW_S, SECRET, WITHIN_S, FeedAtWork, feed_at_work
from tests.integration.sip_network import PEERS, PlannedCall, child, free_ports, sip_network, wait_until
from tests.integration.test_kamailio_bar_peer import CALLER, calling, url_of
from tests.small_site import LONDON, line

LINE = line(0).removeprefix("+")
TARGET = Target("nas1", LINE, "long-distance")


async def radclient(feed: FeedAtWork, kind: str, attributes: str, secret: bytes = SECRET) -> tuple[int, str]:
    """How radclient ended, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        "radclient", "-x", "-r", "2", "-t", "1", f"127.0.0.1:{feed.address[1]}", kind, secret.decode(),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(WITHIN_S):
        printed, _ = await process.communicate(attributes.encode())
    assert process.returncode is not None
    return process.returncode, printed.decode()


def a_report(status: str, at: int, more: str = "") -> str:
    return (
        f'Acct-Status-Type={status}, Acct-Session-Id="s1", NAS-Identifier="gw1", Event-Timestamp={at},'
        f' Calling-Station-Id="{line(0)}", Called-Station-Id="{LONDON}", User-Name="bob", Proxy-State=0x01ff{more}\n'
    )


@pytest.mark.peers("radclient")
async def test_radclient_reports_a_call(site: Path) -> None:
    async with feed_at_work(site) as feed:
        assert (await radclient(feed, "acct", a_report("Start", NOW_S - 61)))[0] == 0
        assert feed.live() == ["s1"]
        more = ', Acct-Session-Time=61, Cisco-AVPair="x=y", h323-disconnect-cause="h323-disconnect-cause=10"'
        assert (await radclient(feed, "acct", a_report("Stop", NOW_S, more)))[0] == 0
        assert feed.live() == []
        assert [(row[0], row[2], row[3]["cause"]) for row in feed.stored()] == [("s1", 61, 16)]


@pytest.mark.peers("radclient")
async def test_radclient_asks_for_the_status(site: Path) -> None:
    async with feed_at_work(site) as feed:
        code, printed = await radclient(feed, "status", "Message-Authenticator=0x00\n")
        assert code == 0, printed
        assert "Accounting-Response" in printed


@pytest.mark.peers("radclient")
async def test_radclient_with_another_secret_gets_no_answer(site: Path) -> None:
    async with feed_at_work(site) as feed:
        code, printed = await radclient(feed, "acct", a_report("Stop", NOW_S), b"another")
        assert code != 0
        assert "No reply" in printed
        assert feed.feed.status().unauthentic == 2
        assert feed.stored() == feed.suspended() == []


@dataclass
class FreeRadius:
    """A NAS that ends calls by removing their files."""

    port: int
    calls: Path

    def begin(self, session: str) -> None:
        (self.calls / session).touch()


CUT = """#!/bin/sh
rm "{calls}/$1" || exit 7
"""
"""Ends a call; 7 is `notfound`."""


@contextmanager
def freeradius(directory: Path, cut_script: str = CUT) -> Iterator[FreeRadius]:
    """`cut_script` is told the Acct-Session-Id of the call to be ended."""
    (directory / "calls").mkdir(parents=True)
    (directory / "dictionary").touch()
    (port,) = free_ports(socket.SOCK_DGRAM, 1)
    text = (PEERS / "nas.conf").read_text().replace("@RUN@", str(directory)).replace("@PORT@", str(port))
    (directory / "nas.conf").write_text(text)
    cut = directory / "cut"
    cut.write_text(cut_script.replace("{calls}", str(directory / "calls")))
    cut.chmod(0o755)
    with child(("freeradius", "-d", str(directory), "-n", "nas", "-f"), directory / "freeradius.log") as process:
        log = directory / "radius.log"
        wait_until(lambda: log.exists() and "Ready to process" in log.read_text(), process, "FreeRADIUS")
        yield FreeRadius(port, directory / "calls")


@asynccontextmanager
async def driver_of(
    nas: FreeRadius, sessions: LiveSessions, secret: bytes = SECRET, patience: Patience | None = None
) -> AsyncIterator[RadiusDriver]:
    exchange = Exchange("127.0.0.1", nas.port, secret, Dictionary(), patience=patience)
    driver = RadiusDriver("nas1", "127.0.0.1", exchange, sessions)
    try:
        yield driver
    finally:
        await driver.close()


def a_session(name: str) -> LiveSession:
    key = SessionKey("kam1", "gw1", name)
    return LiveSession(key, LINE, "bob", "gw1", None, "127.0.0.1", "nas1", 1, 1)


@pytest.mark.peers("freeradius")
async def test_freeradius_ends_the_calls_that_it_has(tmp_path: Path) -> None:
    sessions = LiveSessions([a_session("one@here"), a_session("two@here")])
    with freeradius(tmp_path / "fr") as nas:
        nas.begin("one@here")
        nas.begin("two@here")
        async with driver_of(nas, sessions) as driver:
            answer = await driver.bar(TARGET, "over the limit")
            assert (answer.outcome, answer.words) == (Outcome.ACKNOWLEDGED, "2 disconnected")
            assert list(nas.calls.iterdir()) == []
            assert (await driver.verify(TARGET, barred=True)).state is Holding.NOT_YET
            answer = await driver.bar(TARGET, "over the limit")
            assert (answer.outcome, answer.words) == (Outcome.ACKNOWLEDGED, "2 already gone")
            assert (await driver.verify(TARGET, barred=True)).state is Holding.HOLDS


@pytest.mark.peers("freeradius")
async def test_freeradius_with_another_secret_is_unknown(tmp_path: Path) -> None:
    sessions = LiveSessions([a_session("one@here")])
    quick = Patience(first_s=0.2, most_s=0.4, tries=3)
    with freeradius(tmp_path / "fr") as nas:
        nas.begin("one@here")
        async with driver_of(nas, sessions, b"another", quick) as driver:
            assert (await driver.bar(TARGET, "over the limit")).outcome is Outcome.UNKNOWN
            assert [call.name for call in nas.calls.iterdir()] == ["one@here"]


def peers_with_radius(directory: Path, port: int) -> Path:
    """A copy of the peers' configurations in which Kamailio reports by RADIUS too."""
    peers = directory / "peers"
    shutil.copytree(PEERS, peers)
    config = peers / "kamailio.cfg"
    text = config.read_text().replace(
        'loadmodule "acc_json.so"\n',
        'loadmodule "acc_json.so"\nloadmodule "acc_radius.so"\n'
        f'modparam("acc_radius", "radius_config", "{directory}/radiusclient.conf")\n'
        'modparam("acc_radius", "radius_flag", 1)\nmodparam("acc_radius", "radius_missed_flag", 2)\n'
        'modparam("acc_radius", "radius_extra", "User-Name=$fU;Calling-Station-Id=$fU;Called-Station-Id=$rU")\n',
    )
    assert "radius_config" in text
    config.write_text(text)
    (directory / "servers").write_text(f"127.0.0.1 {SECRET.decode()}\n")
    sip = [
        line for line in Path("/etc/radcli/dictionary.sip").read_text().splitlines() if line[:5] in ("ATTRI", "VALUE")
    ]
    standard = Path("/etc/radcli/dictionary").read_text()
    values = "VALUE Acct-Status-Type Failed 15\nVALUE Service-Type Sip-Session 15\n"
    (directory / "dictionary").write_text("\n".join((standard, *sip, values)))
    (directory / "radiusclient.conf").write_text(
        f"authserver 127.0.0.1:1\nacctserver 127.0.0.1:{port}\nservers {directory}/servers\n"
        f"dictionary {directory}/dictionary\ndefault_realm\nradius_timeout 2\nradius_retries 2\nbindaddr *\n"
    )
    return peers


@pytest.mark.peers("kamailio", "sipp")
async def test_kamailio_reports_its_calls(
    site: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path_factory.mktemp("kamailio")
    async with feed_at_work(site, lambda: time.time_ns() // 1000) as feed:
        monkeypatch.setattr("tests.integration.sip_network.PEERS", peers_with_radius(directory, feed.address[1]))
        with sip_network(directory / "sip", "http://127.0.0.1:9/cdr") as network:
            calls = [PlannedCall(line(n), LONDON, 1500) for n in range(8)]
            making = asyncio.create_task(asyncio.to_thread(network.make, calls, 8))
            async with asyncio.timeout(WITHIN_S):
                while len(feed.sessions) < 8:
                    await asyncio.sleep(0.01)
                seen = await making
                while len(feed.stored()) < 8:
                    await asyncio.sleep(0.05)
        assert len(feed.sessions) == 0
        stored = {row[0]: row for row in feed.stored()}
        assert stored.keys() == seen.keys()
        for callid, call in seen.items():
            assert abs(call.duration - stored[callid][2]) < 2
            assert stored[callid][3]["session"] == callid
        assert feed.suspended() == []
        assert feed.feed.status().malformed == feed.feed.status().unauthentic == 0


@pytest.mark.peers("kamailio", "sipp")
async def test_a_call_that_kamailio_was_told_to_end_leaves_no_session_though_no_stop_comes(
    site: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path_factory.mktemp("kamailio")
    async with feed_at_work(site, lambda: time.time_ns() // 1000) as feed:
        monkeypatch.setattr("tests.integration.sip_network.PEERS", peers_with_radius(directory, feed.address[1]))
        with sip_network(directory / "sip", "http://127.0.0.1:9/cdr") as network:
            target = Target("kam1", CALLER.removeprefix("+"), "long-distance")
            driver = KamailioBarring(url_of(network), idle=lambda line: feed.sessions.deny_of_line("kam1", line))
            with calling(network, directory / "live") as telephone:
                await asyncio.to_thread(telephone.wait_for, "SIP/2.0 200")
                async with asyncio.timeout(WITHIN_S):
                    while not feed.sessions:
                        await asyncio.sleep(0.01)
                    await driver.bar(target, "over the limit")
                    while (await driver.verify(target, barred=True)).state is not Holding.HOLDS:
                        await asyncio.sleep(0.01)
                assert await asyncio.to_thread(telephone.process.wait, WITHIN_S) == 0
            await driver.close()
        assert len(feed.sessions) == 1, "no Stop has come"
        await feed.feed.tidy()
        assert len(feed.sessions) == 0
        assert await feed.store.read(session_rows.all_live) == []
