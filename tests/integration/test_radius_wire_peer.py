"""What is on the wire when a packet is lost, and what a forger can do: captured and forged by scapy on the loopback."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from access.radius.codec import COA_REQUEST, DISCONNECT_REQUEST
from access.radius.exchange import Exchange, Silence
from access.radius.pacing import Patience
from access.radius.requests import Reply
from simulators import radius_packets as radius
from tests.integration.crafted_radius import a_start, a_stop, answer, report
from tests.integration.loopback import capturing, forging
from tests.integration.radius_site import SECRET, WITHIN_S, feed_at_work, nas_by_hand
from tests.integration.test_radius_driver import IANA, SESSION, exchange_with

pytestmark = pytest.mark.peers

TRIES = 4
PATIENCE = Patience(first_s=0.02, most_s=0.2, tries=TRIES)


@pytest.mark.parametrize(
    ("code", "attributes"),
    [
        (DISCONNECT_REQUEST, [*SESSION, ("User-Name", "bob")]),
        (COA_REQUEST, [*SESSION, ("Filter-Id", "barred"), ("Class", b"over the limit")]),
    ],
)
async def test_a_request_without_an_answer_is_repeated_byte_for_byte_from_one_port(
    code: int, attributes: Sequence[tuple[str, str]]
) -> None:
    clock = iter(range(1_795_219_200, 1_795_300_000))
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        exchange = Exchange(
            "127.0.0.1", port, SECRET, IANA, patience=PATIENCE, rng=Random(1), wall_clock=lambda: next(clock)
        )
        with capturing(port) as capture:
            said = await exchange.ask(code, attributes)
            assert isinstance(said, Silence)
            first = capture.wait_for(TRIES, destination=port)
            assert isinstance(await exchange.ask(code, attributes), Silence)
            both = capture.wait_for(2 * TRIES, destination=port)
        await exchange.close()
    assert len(first) == TRIES
    assert len(set(first)) == 1, "identifier, authenticator, Event-Timestamp and ports are the same each time"
    (sent,) = {datagram.data for datagram in first}
    assert radius.is_genuine_request(sent, SECRET)
    assert {radius.EVENT_TIMESTAMP, radius.MESSAGE_AUTHENTICATOR} <= radius.attributes_of(sent).keys()
    second = both[TRIES:]
    assert len(set(second)) == 1
    assert second[0].data[1] != sent[1], "another request has another identifier"
    assert (
        radius.attributes_of(second[0].data)[radius.EVENT_TIMESTAMP]
        > radius.attributes_of(sent)[radius.EVENT_TIMESTAMP]
    )


async def test_the_first_answer_ends_the_repeating() -> None:
    def third_time(asked: bytes) -> list[bytes]:
        return [answer(asked)] if len(script.received) == 3 else []

    async with exchange_with(third_time) as (exchange, script):
        exchange._patience = Patience(first_s=0.02, most_s=0.02, tries=100)
        port = script.transport.get_extra_info("sockname")[1]
        with capturing(port) as capture:
            assert await exchange.ask(DISCONNECT_REQUEST, SESSION) == Reply(True, None, "")
            capture.wait_for(1, source=port)
            asked = capture.between(destination=port)
        assert len(set(asked)) == 1
        assert len(asked) == len(script.received) == 3


async def test_a_report_that_is_repeated_is_answered_each_time_with_the_same_bytes_and_is_one_call(site: Path) -> None:
    async with feed_at_work(site) as feed, nas_by_hand(feed.address) as nas:
        with capturing(feed.address[1]) as capture:
            start, stop = report(a_start(), identifier=1), report(a_stop(), identifier=2)
            for packet in (start, start, stop, stop, stop):
                await nas.ask(packet)
            asked = await asyncio.to_thread(capture.wait_for, 5, destination=feed.address[1])
            said = await asyncio.to_thread(capture.wait_for, 5, source=feed.address[1])
        assert [datagram.data for datagram in asked] == [start, start, stop, stop, stop]
        assert [datagram.data for datagram in said[:2]] == [said[0].data] * 2
        assert [datagram.data for datagram in said[2:]] == [said[2].data] * 3
        assert said[0].data[:2] == bytes((radius.ACCOUNTING_RESPONSE, 1))
        assert all(each.destination == asked[0].source for each in said)
        assert [(row[0], row[2]) for row in feed.stored()] == [("s1", 61)]
        assert feed.suspended() == []
        assert feed.feed.status().repeated == 3


async def test_forged_reports_are_dropped_without_a_word(site: Path) -> None:
    async with feed_at_work(site) as feed, nas_by_hand(feed.address) as nas:
        assert nas.transport
        own = nas.transport.get_extra_info("sockname")
        with forging() as forge, capturing(feed.address[1]) as capture:
            forge(("127.0.0.9", 1646), feed.address, report(a_stop("neighbour")))
            forge(own, feed.address, report(a_stop("forger"), secret=b"guessed"))
            forge(own, feed.address, report(a_stop("forger"))[:-1] + b"!")
            await nas.ask(report(a_start("genuine"), identifier=9))
            said = await asyncio.to_thread(capture.wait_for, 1, source=feed.address[1])
        assert len(said) == 1
        status = feed.feed.status()
        assert (status.strangers, status.unauthentic) == (1, 2)
        assert feed.live() == ["genuine"]
        assert feed.stored() == feed.suspended() == []


Forged = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    ("forged", "dropped"),
    [
        pytest.param(lambda asked: answer(asked, secret=b"guessed"), 1, id="without the secret"),
        pytest.param(lambda asked: answer(asked, identifier=asked[1] ^ 1), 1, id="of another identifier"),
        pytest.param(lambda asked: answer(asked, to=bytes(16)), 1, id="without the request's authenticator"),
    ],
)
async def test_an_answer_forged_in_the_name_of_the_nas_ends_nothing(forged: Forged, dropped: int) -> None:
    with forging() as forge:

        def forge_first(asked: bytes) -> list[bytes]:
            own = script.transport.get_extra_info("sockname")
            forge(own, script.senders[-1], forged(asked))
            forge((own[0], own[1] ^ 1), script.senders[-1], answer(asked, 42))
            forge(("127.0.0.9", own[1]), script.senders[-1], answer(asked, 42))
            return [answer(asked)]

        async with exchange_with(forge_first) as (exchange, script):
            exchange._patience = Patience(first_s=600.0)
            async with asyncio.timeout(WITHIN_S):
                assert await exchange.ask(DISCONNECT_REQUEST, SESSION) == Reply(True, None, "")
            assert (exchange.counts.dropped, exchange.counts.answered) == (dropped, 1)
