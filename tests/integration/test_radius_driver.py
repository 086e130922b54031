"""The RADIUS driver against a NAS: ACK, NAK, a wrong secret, silence and a lost ACK each end in the right state, and
only accounting says that a session is gone."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from access.barring import Holding, Outcome
from access.drivers.radius import RadiusDriver, service_attributes
from access.radius.codec import DISCONNECT_REQUEST
from access.radius.dictionary import Dictionary
from access.radius.exchange import Exchange, Silence
from access.radius.pacing import IDS, Patience
from access.radius.requests import CannotEncode, Reply
from access.sessions import LiveSession, LiveSessions, SessionKey
from access.target import Target
from simulators import radius_packets as radius
from simulators.faults import Faults
from simulators.nas import Call, Nas, Reaction
from simulators.nas_settings import NasSettings
from tests.integration.radius_site import SECRET, WITHIN_S, FeedAtWork, feed_at_work
from tests.small_site import LONDON, line, lines_csv

LINE = line(0).removeprefix("+")
TARGET = Target("nas1", LINE, "long-distance")
QUICK = Patience(first_s=0.05, most_s=0.2, tries=3)
IANA = Dictionary()


def wall_clock() -> int:
    return time.time_ns() // 1000


@dataclass
class Site:
    """A NAS that reports to a feed, and the driver that commands it."""

    nas: Nas
    feed: FeedAtWork
    driver: RadiusDriver
    exchange: Exchange

    async def gone(self, sessions: int = 0) -> None:
        """Until the NAS's Stops are in, and so many sessions are left."""
        async with asyncio.timeout(WITHIN_S):
            await self.nas.reported()
            while len(self.feed.sessions) != sessions:
                await asyncio.sleep(0.001)


@asynccontextmanager
async def site_of(
    directory: Path,
    react: Callable[[int, Call | None], Reaction] | None = None,
    *,
    secret: bytes = SECRET,
    services: dict[str, Any] | None = None,
    patience: Patience = QUICK,
    **settings: Any,
) -> AsyncIterator[Site]:
    """`react` is how the NAS behaves, `secret` is what the driver takes for the shared one."""
    async with (
        feed_at_work(directory, wall_clock) as feed,
        Nas(NasSettings(feed.address, SECRET, retry_s=0.3, **settings), react) as nas,
    ):
        exchange = Exchange(*nas.address, secret, IANA, patience=patience, rng=Random(1))
        driver = RadiusDriver("nas1", nas.address[0], exchange, feed.sessions, services)
        try:
            yield Site(nas, feed, driver, exchange)
        finally:
            await driver.close()


def always(reaction: Reaction) -> Callable[[int, Call | None], Reaction]:
    return lambda _code, _call: reaction


async def test_an_ack_and_then_the_stop(site: Path) -> None:
    async with site_of(site) as at:
        await at.nas.begin(line(0), LONDON)
        assert (await at.driver.verify(TARGET, barred=True)).state is Holding.NOT_YET
        answer = await at.driver.bar(TARGET, "over the limit")
        assert (answer.outcome, answer.words) == (Outcome.ACKNOWLEDGED, "1 disconnected")
        await at.gone()
        assert (await at.driver.verify(TARGET, barred=True)).state is Holding.HOLDS
        assert len(at.feed.stored()) == 1
        named = radius.attributes_of(at.nas.requests[0])
        assert named[radius.NAS_IDENTIFIER] == b"nas1"
        assert named[radius.ACCT_SESSION_ID]
        assert radius.MESSAGE_AUTHENTICATOR in named
        assert abs(int.from_bytes(named[radius.EVENT_TIMESTAMP]) - time.time()) < 300


async def test_every_session_of_the_line_and_no_other(site: Path) -> None:
    async with site_of(site) as at:
        for caller in (line(0), line(1), line(0)):
            await at.nas.begin(caller, LONDON)
        named = await at.nas.begin(line(2), LONDON, username="ann")
        other = await at.nas.begin(line(3), LONDON)
        answer = await at.driver.bar(Target("nas1", LINE, "long-distance", "ann"), "over the limit")
        assert answer.words == "3 disconnected"
        await at.gone(2)
        assert named.session not in at.nas.calls
        assert {call.calling for call in at.nas.calls.values()} == {line(1), other.calling}


async def test_without_a_session_there_is_nothing_to_do(site: Path) -> None:
    async with site_of(site) as at:
        answer = await at.driver.bar(TARGET, "over the limit")
        assert answer.outcome is Outcome.ACKNOWLEDGED
        assert (await at.driver.verify(TARGET, barred=True)).state is Holding.HOLDS
        assert at.nas.totals.told == 0


async def test_an_ack_is_no_proof(site: Path) -> None:
    async with site_of(site, always(Reaction.LIE)) as at:
        await at.nas.begin(line(0), LONDON)
        assert (await at.driver.bar(TARGET, "over the limit")).outcome is Outcome.ACKNOWLEDGED
        assert (await at.driver.verify(TARGET, barred=True)).state is Holding.NOT_YET


async def test_a_nak_is_a_refusal_in_words(site: Path) -> None:
    async with site_of(site, always(Reaction.REFUSE), nak_cause=506) as at:
        await at.nas.begin(line(0), LONDON)
        answer = await at.driver.bar(TARGET, "over the limit")
        assert (answer.outcome, answer.words) == (Outcome.REFUSED, "NAK 506 Resources-Unavailable")
        assert (await at.driver.verify(TARGET, barred=True)).state is Holding.NOT_YET


async def test_a_session_that_the_nas_does_not_have_is_already_gone(site: Path) -> None:
    async with site_of(site) as at:
        call = await at.nas.begin(line(0), LONDON)
        del at.nas.calls[call.session]  # it ended, and its Stop was lost
        answer = await at.driver.bar(TARGET, "over the limit")
        assert (answer.outcome, answer.words) == (Outcome.ACKNOWLEDGED, "1 already gone")
        assert (await at.driver.verify(TARGET, barred=True)).state is Holding.HOLDS
        await at.nas.hear(call)
        assert (await at.driver.verify(TARGET, barred=True)).state is Holding.NOT_YET


async def test_silence_is_unknown_after_the_same_bytes_from_the_same_port(site: Path) -> None:
    async with site_of(site, always(Reaction.IGNORE)) as at:
        await at.nas.begin(line(0), LONDON)
        answer = await at.driver.bar(TARGET, "over the limit")
        assert answer.outcome is Outcome.UNKNOWN
        assert "did not answer 3 times" in answer.words
        assert len(at.nas.requests) == 3
        assert len(set(at.nas.requests)) == 1
        assert len(at.nas.senders) == 1


async def test_a_wrong_secret_is_unknown(site: Path) -> None:
    async with site_of(site, secret=b"another") as at:
        await at.nas.begin(line(0), LONDON)
        assert (await at.driver.bar(TARGET, "over the limit")).outcome is Outcome.UNKNOWN
        assert at.nas.totals.told == 0
        assert len(at.nas.calls) == 1


async def test_a_lost_ack_comes_when_the_request_is_sent_again(site: Path) -> None:
    async with site_of(site, always(Reaction.LOSE_ACK)) as at:
        await at.nas.begin(line(0), LONDON)
        answer = await at.driver.bar(TARGET, "over the limit")
        assert (answer.outcome, answer.words) == (Outcome.ACKNOWLEDGED, "1 disconnected")
        assert (at.nas.totals.told, at.nas.totals.cut) == (2, 1)
        await at.gone()


async def test_one_unknown_makes_the_whole_unknown(site: Path) -> None:
    reactions = iter((Reaction.OBEY, Reaction.REFUSE, Reaction.IGNORE))
    async with site_of(site, lambda *_: next(reactions)) as at:
        for _ in range(3):
            await at.nas.begin(line(0), LONDON)
        answer = await at.driver.bar(TARGET, "over the limit")
        assert answer.outcome is Outcome.UNKNOWN
        for words in ("1 disconnected", "NAK 501", "did not answer"):
            assert words in answer.words


async def test_nobody_listening_is_noticed_before_patience_ends(site: Path) -> None:
    async with site_of(site, patience=Patience(first_s=600.0)) as at:
        await at.nas.begin(line(0), LONDON)
        at.nas.stop_listening()
        await asyncio.sleep(0)
        async with asyncio.timeout(WITHIN_S):
            answer = await at.driver.bar(TARGET, "over the limit")
        assert answer.outcome is Outcome.UNKNOWN
        assert "cannot be reached" in answer.words


async def test_restoring_sends_nothing_and_holds(site: Path) -> None:
    async with site_of(site) as at:
        assert (await at.driver.restore(TARGET)).outcome is Outcome.ACKNOWLEDGED
        assert (await at.driver.verify(TARGET, barred=False)).state is Holding.HOLDS
        assert at.nas.totals.told == 0


async def test_a_service_with_attributes_is_changed_and_given_back(site: Path) -> None:
    attributes = service_attributes("Filter-Id=barred, Class={reason}", "Filter-Id=open", IANA)
    async with site_of(site, services={"data": attributes}) as at:
        call = await at.nas.begin(line(0), LONDON)
        target = replace_service(TARGET, "data")
        assert (await at.driver.verify(target, barred=True)).state is Holding.NOT_YET
        assert (await at.driver.bar(target, "over the limit")).words == "1 changed"
        assert call.changes == {radius.FILTER_ID: b"barred", radius.CLASS: b"over the limit"}
        assert (await at.driver.verify(target, barred=True)).state is Holding.HOLDS
        await at.nas.begin(line(0), LONDON)
        assert (await at.driver.verify(target, barred=True)).state is Holding.NOT_YET
        assert (await at.driver.restore(target)).words == "2 changed"
        assert call.changes[radius.FILTER_ID] == b"open"
        assert (await at.driver.verify(target, barred=False)).state is Holding.HOLDS
        assert (await at.driver.verify(target, barred=True)).state is Holding.NOT_YET
        assert len(at.feed.sessions) == 2


def replace_service(target: Target, service: str) -> Target:
    return Target(target.switch, target.line, service, target.username)


def a_session(switch: str, peer: str, nas_address: str | None = None) -> LiveSession:
    key = SessionKey(switch, "gw", f"{switch}{peer}")
    return LiveSession(key, LINE, None, None, nas_address, peer, "client", 1, 1)


async def test_sessions_of_another_nas_are_left_alone() -> None:
    own = [a_session("nas1", "192.0.2.7"), a_session("kam1", "192.0.2.1"), a_session("kam2", "192.0.2.9", "192.0.2.1")]
    live = LiveSessions([*own, a_session("nas2", "192.0.2.2")])
    exchange = Exchange("192.0.2.1", 3799, SECRET, IANA)
    verdict = await RadiusDriver("nas1", "192.0.2.1", exchange, live).verify(TARGET, barred=True)
    assert verdict.words.startswith("3 sessions")


async def test_a_nas_under_faults_is_barred_all_the_same(site: Path) -> None:
    faults = Faults(dup=0.3, truncate=0.3, disconnect=0.3)
    async with site_of(site, faults=faults, lost_ack=0.5, timestamps=False) as at:
        async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
            for _ in range(40):
                group.create_task(at.nas.begin(line(0), LONDON))
        assert (await at.driver.bar(TARGET, "over the limit")).words == "40 disconnected"
        await at.gone()
        assert len(at.feed.stored()) == 40
        assert at.feed.suspended() == []


async def test_the_command_makes_calls_reports_them_and_takes_requests(site: Path, tmp_path: Path) -> None:
    lines = tmp_path / "lines.csv"
    lines.write_text(lines_csv(range(8)))
    async with feed_at_work(site, wall_clock) as feed:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "simulators.nas", "--accounting", f"127.0.0.1:{feed.address[1]}",
            "--secret", SECRET.decode(), "--lines", str(lines), "--rate", "200", "--count", "20", "--talk", "600",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout
        async with asyncio.timeout(WITHIN_S):
            host, _, port = json.loads(await process.stdout.readline())["coa"].rpartition(":")
            while len(feed.sessions) < 20:
                await asyncio.sleep(0.01)
            driver = RadiusDriver("nas1", host, Exchange(host, int(port), SECRET, IANA), feed.sessions)
            for n in range(8):
                target = Target("nas1", line(n).removeprefix("+"), "long-distance")
                assert (await driver.bar(target, "over the limit")).outcome is Outcome.ACKNOWLEDGED
            await driver.close()
            while len(feed.sessions):
                await asyncio.sleep(0.01)
            process.terminate()
            totals = json.loads(await process.stdout.readline())
            assert await process.wait() == 0
        assert (totals["begun"], totals["ended"], totals["cut"], totals["reported"]) == (20, 20, 20, 40)
        assert len(feed.stored()) + len(feed.suspended()) == 20


class Script(asyncio.DatagramProtocol):
    """A NAS of which a test says what it answers."""

    def __init__(self, answer: Callable[[bytes], list[bytes]]) -> None:
        self.answer = answer
        self.senders: list[tuple[str, int]] = []
        self.received: list[bytes] = []
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.senders.append(addr)
        self.received.append(data)
        for answer in self.answer(data):
            self.transport.sendto(answer, addr)


@asynccontextmanager
async def exchange_with(answer: Callable[[bytes], list[bytes]]) -> AsyncIterator[tuple[Exchange, Script]]:
    script = Script(answer)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: script, local_addr=("127.0.0.1", 0)
    )
    exchange = Exchange(*transport.get_extra_info("sockname"), SECRET, IANA, patience=QUICK)
    try:
        yield exchange, script
    finally:
        await exchange.close()
        transport.close()
        await asyncio.sleep(0)


SESSION = [("Acct-Session-Id", "s1")]


def other_id(data: bytes) -> bytes:
    return radius.answer(41, data[:1] + bytes((data[1] ^ 1,)) + data[2:], SECRET)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda asked: b"\x29", id="too short"),
        pytest.param(lambda asked: radius.answer(41, asked, SECRET)[:-1], id="cut short"),
        pytest.param(lambda asked: radius.answer(41, asked, b"another"), id="of another secret"),
        pytest.param(lambda asked: radius.answer(41, bytes(20), SECRET), id="to another request"),
        pytest.param(other_id, id="of another identifier"),
        pytest.param(lambda asked: radius.answer(44, asked, SECRET), id="to a CoA-Request"),
        pytest.param(lambda asked: radius.answer(5, asked, SECRET), id="to accounting"),
        pytest.param(lambda asked: radius.answer(41, asked, SECRET, [(80, bytes(16))]), id="with a wrong signature"),
        pytest.param(lambda asked: radius.answer(42, asked, SECRET, [(101, b"x")]), id="with a broken Error-Cause"),
    ],
)
async def test_an_answer_that_does_not_count_is_dropped(answer: Callable[[bytes], bytes]) -> None:
    async with exchange_with(lambda asked: [answer(asked)]) as (exchange, _):
        said = await exchange.ask(DISCONNECT_REQUEST, SESSION)
        assert isinstance(said, Silence)
        assert "compare the secret" in said.words
        assert exchange.counts.dropped == 3
    async with exchange_with(lambda asked: [answer(asked), radius.answer(41, asked, SECRET)]) as (exchange, _):
        assert await exchange.ask(DISCONNECT_REQUEST, SESSION) == Reply(True, None, "")


async def test_no_port_is_used_for_more_requests_than_it_has_identifiers() -> None:
    async with exchange_with(lambda asked: [radius.answer(41, asked, SECRET)]) as (exchange, script):
        said = await asyncio.gather(*(exchange.ask(DISCONNECT_REQUEST, SESSION) for _ in range(IDS + 10)))
        assert all(isinstance(reply, Reply) for reply in said)
        used = {(sender, data[1]) for sender, data in zip(script.senders, script.received, strict=True)}
        assert len({sender for sender, _ in used}) == 2
        assert len(used) == len(script.received) == IDS + 10


async def test_what_cannot_be_encoded_is_not_sent() -> None:
    async with exchange_with(lambda asked: []) as (exchange, script):
        with pytest.raises(CannotEncode):
            await exchange.ask(DISCONNECT_REQUEST, [("Acct-Session-Id", "x" * 254)])
        assert script.received == []


async def test_closing_ends_who_waits() -> None:
    async with exchange_with(lambda asked: []) as (exchange, script):
        exchange._patience = Patience(first_s=600.0)
        asking = asyncio.create_task(exchange.ask(DISCONNECT_REQUEST, SESSION))
        async with asyncio.timeout(WITHIN_S):
            while not script.received:
                await asyncio.sleep(0.001)
            await exchange.close()
            assert isinstance(await asking, Silence)
