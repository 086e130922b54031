"""Packets crafted by scapy, malformed, repeated and spoofed, against the accounting feed and against what asks a NAS:
each is dropped and counted, or answered as the RFC says, and nobody else is disturbed."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from scapy.layers.radius import Radius
from scapy.packet import fuzz

from access.radius.codec import DISCONNECT_REQUEST
from access.radius.exchange import Silence
from access.radius.pacing import Patience
from access.radius.requests import Reply
from simulators import radius_packets as radius
from tests.integration.crafted_radius import (
    COA_ACK,
    DISCONNECT_ACK,
    DISCONNECT_NAK,
    ERROR_CAUSE,
    SESSION_ID,
    a_start,
    a_stop,
    answer,
    attribute,
    report,
)
from tests.integration.radius_site import SECRET, WITHIN_S, FeedAtWork, NasByHand, feed_at_work, nas_by_hand
from tests.integration.test_radius_driver import IANA, QUICK, SESSION, exchange_with

FILLING = attribute(25, bytes(253))
"""A Class of the greatest length."""
MALFORMED = {
    "less than a header": report(a_stop())[:19],
    "a length of 0": report(a_stop(), length=0),
    "a length less than a header": report(a_stop(), length=19),
    "a length within the last attribute": report(a_stop(), length=len(report(a_stop())) - 1),
    "a length beyond its octets": report(a_stop(), length=len(report(a_stop())) + 1),
    "the greatest length, and little else": report(a_stop(), length=0xFFFF),
    "truncated after the header": report(a_stop())[:20],
    "truncated by an octet": report(a_stop())[:-1],
    "oversized": report([*a_stop(), *[FILLING] * 16]),
    "an attribute without a length": report([*a_stop(), attribute(25, b"", 0)]),
    "an attribute of length 1": report([*a_stop(), attribute(25, b"", 1)]),
    "an attribute that overruns": report([*a_stop(), attribute(25, b"abc", 6)]),
    "an attribute that overruns by far": report([attribute(25, b"abc", 255), *a_stop()]),
    "an octet that is no attribute": report(a_stop(), length=len(report(a_stop())) + 1) + b"\x19",
    "too many attributes": report([*a_stop(), *[attribute(25, b"")] * 200]),
    "a number of three octets": report([*a_stop(), attribute(46, b"abc")]),
    "an instant of eight octets": report([attribute(55, bytes(8)), *a_stop()]),
    "no session": report([each for each in a_stop() if each.type != SESSION_ID]),
    "no status": report([each for each in a_stop() if each.type != 40]),
}
NOT_GENUINE = {
    "another secret": report(a_stop(), secret=b"another"),
    "an authenticator of zeros": report(a_stop())[:4] + bytes(16) + report(a_stop())[20:],
    "one bit of the content turned": report(a_stop())[:-1] + bytes((report(a_stop())[-1] ^ 1,)),
    "another identifier than was signed": report(a_stop())[:1] + b"\x02" + report(a_stop())[2:],
    "a wrong Message-Authenticator": report(a_stop(), signature=bytes(16)),
    "two Message-Authenticators": report([attribute(80, bytes(16)), *a_stop()], signature=b""),
    "a short Message-Authenticator": report([attribute(80, bytes(15)), *a_stop()]),
}


@pytest.fixture
async def feed(site: Path) -> AsyncIterator[FeedAtWork]:
    async with feed_at_work(site) as working:
        yield working


@pytest.fixture
async def nas(feed: FeedAtWork) -> AsyncIterator[NasByHand]:
    async with nas_by_hand(feed.address) as nas:
        yield nas


async def goes_on(feed: FeedAtWork, nas: NasByHand, *, dropped: int = 1) -> None:
    """The next report, a call's Start, is answered, and is all that was; nothing was stored or suspended."""
    await nas.ask(report(a_start("next"), identifier=200))
    assert nas.answers.empty()
    status = feed.feed.status()
    assert (status.received, status.answered, status.live) == (dropped + 1, 1, 1)
    assert feed.stored() == feed.suspended() == []


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_is_malformed_is_dropped_and_counted(feed: FeedAtWork, nas: NasByHand, name: str) -> None:
    nas.send(MALFORMED[name])
    await goes_on(feed, nas)
    assert feed.feed.status().malformed == 1


async def test_an_empty_datagram_is_malformed(feed: FeedAtWork, nas: NasByHand) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as own:
        own.sendto(b"", feed.address)
        await goes_on(feed, nas)
    assert feed.feed.status().malformed == 1


@pytest.mark.parametrize("name", NOT_GENUINE)
async def test_what_is_not_genuine_is_dropped_and_counted(feed: FeedAtWork, nas: NasByHand, name: str) -> None:
    nas.send(NOT_GENUINE[name])
    await goes_on(feed, nas)
    assert feed.feed.status().unauthentic == 1


async def test_no_code_but_its_own_is_answered(feed: FeedAtWork, nas: NasByHand) -> None:
    others = [code for code in range(256) if code not in (4, 12)]
    for code in others:
        nas.send(report(a_stop(), code=code))
    await goes_on(feed, nas, dropped=len(others))
    assert feed.feed.status().unsupported == len(others)


async def test_whatever_scapy_makes_up_disturbs_nobody(feed: FeedAtWork, nas: NasByHand) -> None:
    rng = Random(1)
    packets = [bytes(fuzz(Radius(code=4, attributes=[attribute(25, rng.randbytes(rng.randrange(200)))])))
               for _ in range(50)]  # fmt: skip
    whole = report(a_stop())
    for _ in range(250):
        octets = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            octets[rng.randrange(len(octets))] = rng.randrange(256)
        packets.append(bytes(octets[: rng.randrange(1, len(octets) + 1)]))
    packets = [packet for packet in packets if packet != whole]
    for packet in packets:
        nas.send(packet)
    await goes_on(feed, nas, dropped=len(packets))
    status = feed.feed.status()
    assert status.malformed + status.unauthentic + status.unsupported == len(packets)


async def test_what_follows_a_packet_is_padding(feed: FeedAtWork, nas: NasByHand) -> None:
    stop = report(a_stop())
    nas.send(stop + b"padding")
    async with asyncio.timeout(WITHIN_S):
        assert radius.is_genuine_answer(await nas.answers.get(), stop, SECRET)
    assert len(feed.stored()) == 1


async def test_a_report_that_is_signed_rightly_is_taken(feed: FeedAtWork, nas: NasByHand) -> None:
    await nas.ask(report(a_stop(), signature=b""))
    assert len(feed.stored()) == 1
    assert feed.feed.status().unauthentic == 0


async def test_a_report_that_comes_many_times_is_answered_alike_and_is_one_call(site: Path) -> None:
    async with feed_at_work(site, committing=False) as feed, nas_by_hand(feed.address) as nas:
        stop = report(a_stop())
        for _ in range(20):
            nas.send(stop)
        async with asyncio.timeout(WITHIN_S):
            while feed.feed.status().received < 20:
                await asyncio.sleep(0.001)
        assert nas.answers.empty(), "it is not durable yet"
        feed.begin_committing()
        answers = [await asyncio.wait_for(nas.answers.get(), WITHIN_S)]
        answers += [await nas.ask(stop) for _ in range(5)]
        async with nas_by_hand(feed.address) as another_port:
            answers.append(await another_port.ask(stop))
        assert len(set(answers)) == 1
        answered_anew = report(a_stop(), identifier=2)
        assert await nas.ask(answered_anew) not in answers
        assert feed.feed.status().repeated == 24
        assert len(feed.stored()) == 1
        assert feed.suspended() == []


async def test_an_identifier_used_again_for_another_report_is_another_report(feed: FeedAtWork, nas: NasByHand) -> None:
    for session in ("a", "b"):
        await nas.ask(report(a_stop(session)))
    assert [row[0] for row in feed.stored()] == ["a", "b"]


async def test_a_genuine_report_from_an_address_that_no_client_has_is_dropped(feed: FeedAtWork, nas: NasByHand) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as stranger:
        stranger.bind(("127.0.0.2", 0))
        stranger.setblocking(False)
        for _ in range(3):
            stranger.sendto(report(a_stop()), feed.address)
        await goes_on(feed, nas, dropped=3)
        assert feed.feed.status().strangers == 3
        with pytest.raises(BlockingIOError):
            stranger.recv(4096)


# ------------------------------------------------------------------------------------------- what asks a NAS

Answering = Callable[[bytes], bytes]
ANSWERS: dict[str, Answering] = {
    "less than a header": lambda asked: answer(asked)[:19],
    "a length of 0": lambda asked: answer(asked, length=0),
    "a length beyond its octets": lambda asked: answer(asked, length=21),
    "truncated": lambda asked: answer(asked, attributes=[attribute(18, b"done")])[:-1],
    "oversized": lambda asked: answer(asked, attributes=[FILLING] * 17),
    "an attribute without a length": lambda asked: answer(asked, attributes=[attribute(18, b"", 0)]),
    "an attribute of length 1": lambda asked: answer(asked, attributes=[attribute(18, b"", 1)]),
    "an attribute that overruns": lambda asked: answer(asked, attributes=[attribute(18, b"abc", 6)]),
    "too many attributes": lambda asked: answer(asked, attributes=[attribute(18, b"")] * 201),
    "an Error-Cause of three octets": lambda asked: answer(
        asked, DISCONNECT_NAK, [attribute(ERROR_CAUSE, b"abc")]
    ),
    "an ACK to a CoA-Request": lambda asked: answer(asked, COA_ACK),
    "an Access-Accept": lambda asked: answer(asked, 2),
    "the request itself": lambda asked: asked,
    "another identifier": lambda asked: answer(asked, identifier=asked[1] ^ 1),
    "another secret": lambda asked: answer(asked, secret=b"another"),
    "an authenticator that was guessed": lambda asked: answer(asked, to=bytes(16)),
    "a wrong Message-Authenticator": lambda asked: answer(asked, signature=bytes(16)),
    "two Message-Authenticators": lambda asked: answer(asked, attributes=[attribute(80, bytes(16))], signature=b""),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_that_is_wrong_is_dropped_and_counted_and_the_right_one_counts(name: str) -> None:
    wrong = ANSWERS[name]
    async with exchange_with(lambda asked: [wrong(asked), wrong(asked), answer(asked)]) as (exchange, script):
        exchange._patience = Patience(first_s=600.0)
        async with asyncio.timeout(WITHIN_S):
            said = await exchange.ask(DISCONNECT_REQUEST, SESSION)
        assert said == Reply(True, None, "")
        assert (exchange.counts.dropped, exchange.counts.answered, len(script.received)) == (2, 1, 1)


@pytest.mark.parametrize("name", ["truncated", "another identifier", "a wrong Message-Authenticator"])
async def test_an_answer_that_is_wrong_ends_in_silence_however_often_it_comes(name: str) -> None:
    async with exchange_with(lambda asked: [ANSWERS[name](asked)]) as (exchange, script):
        said = await exchange.ask(DISCONNECT_REQUEST, SESSION)
        assert isinstance(said, Silence)
        assert (exchange.counts.dropped, exchange.counts.answered) == (QUICK.tries, 0)
        assert len(set(script.received)) == 1


async def test_an_answer_that_is_signed_counts_and_one_that_comes_twice_counts_once() -> None:
    said = [attribute(ERROR_CAUSE, (503).to_bytes(4))]
    async with exchange_with(lambda asked: [answer(asked, DISCONNECT_NAK, said, signature=b"")] * 3) as (exchange, _):
        assert await exchange.ask(DISCONNECT_REQUEST, SESSION) == Reply(False, 503, "NAK 503 Session-Context-Not-Found")
        async with asyncio.timeout(WITHIN_S):
            while exchange.counts.dropped < 2:  # nobody waits for them any more
                await asyncio.sleep(0.001)
        assert exchange.counts.answered == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
async def test_a_right_answer_from_another_port_or_address_is_not_heard(host: str) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as elsewhere:
        elsewhere.bind((host, 0))
        async with exchange_with(lambda asked: []) as (exchange, script):

            def answer_elsewhere(asked: bytes) -> list[bytes]:
                elsewhere.sendto(answer(asked), script.senders[-1])
                return []

            script.answer = answer_elsewhere
            assert isinstance(await exchange.ask(DISCONNECT_REQUEST, SESSION), Silence)
            assert len(script.received) == QUICK.tries
            assert (exchange.counts.answered, exchange.counts.dropped) == (0, 0), "the kernel has dropped them"


async def test_an_answer_to_one_request_does_nothing_to_another() -> None:
    asked: list[bytes] = []

    def swapped(data: bytes) -> list[bytes]:
        """Each request is answered with the answer to the other one, under its own identifier."""
        asked.append(data)
        others = [each for each in asked if each[1] != data[1]]
        return [answer(others[0], identifier=data[1])] if others else []

    async with exchange_with(swapped) as (exchange, _):
        said = await asyncio.gather(*(exchange.ask(DISCONNECT_REQUEST, SESSION) for _ in range(2)))
        assert all(isinstance(each, Silence) for each in said)
        assert exchange.counts.answered == 0
        assert exchange.counts.dropped > 0


def test_the_packets_are_what_the_rfc_says() -> None:
    """The crafted ones are right where they are meant to be: two other implementations take them."""
    stop = report(a_stop(), signature=b"")
    assert radius.is_genuine_request(stop, SECRET)
    assert radius.is_genuine_answer(answer(stop, signature=b""), stop, SECRET)
    assert Radius(stop).id == 1
    assert IANA.kind_of("Message-Authenticator") is not None
    assert answer(stop)[0] == DISCONNECT_ACK
