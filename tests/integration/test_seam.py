"""The seam as a socket: what comes back from another process is what this one would have made."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator
from random import Random

import msgspec
import pytest

from mediation.formats import Parse, parser_named
from mediation.front_process import serve
from mediation.pipeline.front import Front
from mediation.pipeline.preparing import Delivery, FrontHere
from mediation.pipeline.seam import LINES_OF_A_PIECE, Follow, FrontElsewhere, FrontGone, OtherSide, Piece, prepared_of
from mediation.pipeline.stopping import Stopping
from rating.store.batch import Batch
from tests.builders import NOW, a_directory, a_position, a_tariff_text, cdr_json

ALLOWANCE = '[[allowance]]\nname = "free"\nper = "month"\nminutes = 1\n'
DIRECTORY = a_directory(tariffs=[a_tariff_text(toml=ALLOWANCE)])


def lines_at_random(number: int, seed: int) -> list[bytes]:
    """Calls that are stored, and all that can be wrong with them, over two months."""
    random = Random(seed)
    fields: list[dict[str, object]] = [
        {},
        {"calling": "+19995550100"},
        {"called": "123"},
        {"called": "12x"},
        {"start": "2026-10-31T23:59:59.5Z"},
        {"start": "2036-10-31T23:59:59Z"},
        {"start": "yesterday"},
        {"duration": 0},
        {"duration": 4_000_000.000001},
        {"service": "fax"},
        {"place": "Zürich 𝄞", "cause": 16, "session": "s", "weather": {"rain": [1, None, 2.5]}},
        {"type": "message", "units": 9_000_000_000_000},
        {"type": "collect"},
        {"partial": 3},
        {"device": ""},
    ]
    made = [cdr_json(id=f"{seed}-{n}", **random.choice(fields)) for n in range(number)]
    made += [
        b"",
        b"   ",
        b"\xff\xfe",
        b"{",
        b"[]",
        b"null",
        b'{"id": 7}',
        cdr_json(id="\u0000"),
        cdr_json(id="x" * 5_000),
    ]
    random.shuffle(made)
    return made


def a_delivery(lines: list[bytes], **fields: object) -> Delivery:
    return msgspec.structs.replace(Delivery("pop-nyc", 7, NOW, lines, a_position(3)), **fields)


def answer_from(other: OtherSide, front: Front) -> None:
    """What the process does, but with a directory of the test's."""
    parsers: dict[str, Parse] = {}
    while (message := other.next()) is not None:
        assert isinstance(message, Piece)
        parse = parsers.setdefault(message.format, parser_named(message.format))
        maker = front.begin(message.source, message.source_id, message.arrived_at, None, message.format, message.feed)
        maker.add(message.lines.split(b"\n"), parse)
        with contextlib.suppress(OSError):
            other.answer(prepared_of(maker, message.first_line))


@pytest.fixture
async def elsewhere() -> AsyncIterator[FrontElsewhere]:
    """The socket with a thread at its other end, which has the test's directory."""
    ours, theirs = socket.socketpair()
    answering = threading.Thread(target=answer_from, args=(OtherSide(theirs), Front(DIRECTORY)))
    answering.start()
    link = FrontElsewhere(*await asyncio.open_unix_connection(sock=ours))
    running = asyncio.create_task(link.run())
    yield link
    link.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await asyncio.to_thread(answering.join, 10)
    theirs.close()


def parts(batch: Batch) -> tuple[object, ...]:
    return msgspec.structs.astuple(batch)


@pytest.mark.parametrize("seed", range(5))
async def test_a_batch_from_elsewhere_is_the_batch_made_here(elsewhere: FrontElsewhere, seed: int) -> None:
    delivery = a_delivery(lines_at_random(200, seed), feed="a feed" if seed else None)
    here = await FrontHere(Front(DIRECTORY)).prepare(delivery)
    assert here.rows
    assert {record.reason for record in here.suspended} > {"malformed", "bad-number", "bad-time", "unknown-line"}
    assert parts(await elsewhere.prepare(delivery)) == parts(here)


async def test_a_delivery_of_several_pieces_is_one_batch_whose_lines_count_from_its_first(
    elsewhere: FrontElsewhere,
) -> None:
    delivery = a_delivery(lines_at_random(2 * LINES_OF_A_PIECE + 10, 1))
    here = await FrontHere(Front(DIRECTORY)).prepare(delivery)
    there = await elsewhere.prepare(delivery)
    assert parts(there) == parts(here)
    assert there.raw == delivery.lines


async def test_deliveries_at_once_get_each_its_own_batch(elsewhere: FrontElsewhere) -> None:
    deliveries = [a_delivery([cdr_json(id=f"{n}-{m}") for m in range(n)]) for n in range(30)]
    batches = await asyncio.gather(*map(elsewhere.prepare, deliveries))
    assert [batch.received for batch in batches] == list(range(30))
    assert elsewhere.outstanding == 0


async def test_who_gave_up_waiting_takes_no_other_answer_along(elsewhere: FrontElsewhere) -> None:
    given_up = asyncio.create_task(elsewhere.prepare(a_delivery(lines_at_random(500, 1))))
    await asyncio.sleep(0)
    given_up.cancel()
    batch = await elsewhere.prepare(a_delivery([cdr_json(id="the other")]))
    assert [row[2] for rows in batch.rows.values() for row in rows] == ["the other"]


async def test_when_the_process_ends_whoever_waits_is_told_that_nothing_is_stored() -> None:
    ours, theirs = socket.socketpair()
    link = FrontElsewhere(*await asyncio.open_unix_connection(sock=ours))
    running = asyncio.create_task(link.run())
    asked = asyncio.create_task(link.prepare(a_delivery([cdr_json()])))
    await asyncio.sleep(0)
    theirs.close()
    with pytest.raises(FrontGone):
        await running
    with pytest.raises(Stopping):
        await asked
    with pytest.raises(Stopping):
        await link.prepare(a_delivery([cdr_json()]))
    with pytest.raises(FrontGone):
        await link.follow(Follow("/nowhere", 0, None))
    link.close()


async def test_a_store_that_cannot_be_read_is_said_in_words_and_nothing_is_answered_after_that() -> None:
    ours, theirs = socket.socketpair()
    serving = threading.Thread(target=serve, args=(OtherSide(theirs),))
    serving.start()
    link = FrontElsewhere(*await asyncio.open_unix_connection(sock=ours))
    running = asyncio.create_task(link.run())
    with pytest.raises(FrontGone, match="there is no store at /nowhere"):
        await link.follow(Follow("/nowhere/store.db", 0, None))
    await asyncio.to_thread(serving.join, 10)
    assert not serving.is_alive()
    link.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    theirs.close()
