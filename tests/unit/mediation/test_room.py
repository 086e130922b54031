"""Room for what is on its way: who is let in, who is refused, and that a place is given back once."""

import asyncio
from collections.abc import Sequence

import pytest

from mediation.pipeline.room import Overloaded, Place, Room

MOST = 10
HERE, THERE = 1, 2


def room_with(*taken: int) -> Room:
    """Some places of one source are taken."""
    room = Room(MOST)
    for records in taken:
        room.take(HERE, records)
    return room


async def turn() -> None:
    """The event loop has called back whoever waits."""
    loop = asyncio.get_running_loop()
    called = loop.create_future()
    loop.call_soon(called.set_result, None)
    await called


@pytest.mark.parametrize("taken", [(), (9,), (4, 5), (0, 9)])
def test_what_fits_is_let_in(taken: Sequence[int]) -> None:
    room = room_with(*taken)
    assert not room.is_full(HERE)
    room.take(HERE, 1)


@pytest.mark.parametrize(("taken", "records"), [((10,), 1), ((4, 6), 1), ((9,), 2), ((400,), 1), ((1,), 10)])
def test_what_does_not_fit_is_refused_and_takes_nothing(taken: Sequence[int], records: int) -> None:
    room = room_with(*taken)
    with pytest.raises(Overloaded):
        room.take(HERE, records)
    assert room.is_full(HERE) == (sum(taken) >= MOST)


def test_one_delivery_is_always_let_in_however_large() -> None:
    room = Room(MOST)
    with room.take(HERE, 400):
        assert room.is_full(HERE)
    assert not room.is_full(HERE)


def test_nobody_is_refused_for_what_others_have_sent() -> None:
    room = room_with(400)
    room.take(THERE, MOST)
    assert (room.is_full(HERE), room.is_full(THERE)) == (True, True)


@pytest.mark.parametrize(("expected", "records", "left"), [(1, 5, 5), (5, 1, 9), (5, 5, 5), (1, 10, 0), (3, 0, 10)])
def test_a_place_is_as_large_as_what_was_counted(expected: int, records: int, left: int) -> None:
    room = Room(MOST)
    with room.take(HERE, expected) as place:
        place.correct(records)
        assert room.is_full(HERE) == (left == 0)
        if left:
            room.take(HERE, left)
            assert room.is_full(HERE)


def test_what_turns_out_not_to_fit_is_refused_and_gives_back_what_it_had() -> None:
    room = room_with(6)

    def read() -> None:
        with room.take(HERE, 1) as place:
            place.correct(5)

    with pytest.raises(Overloaded):
        read()
    room.take(HERE, 4)
    assert room.is_full(HERE)


async def test_a_place_is_held_until_the_delivery_is_answered_also_past_its_block() -> None:
    room = Room(MOST)
    answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with room.take(HERE, MOST) as place:
        place.hold_until(answered)
    assert room.is_full(HERE)
    answered.set_result(None)
    await turn()
    assert not room.is_full(HERE)


async def test_a_place_of_an_answered_delivery_is_given_back_at_once_and_only_once() -> None:
    room = room_with(4)
    place: Place
    with room.take(HERE, 6) as place:
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        answered.set_result(None)
        place.hold_until(answered)
    assert not room.is_full(HERE)
    room.take(HERE, 6)
    await turn()
    assert room.is_full(HERE)


async def test_who_is_patient_waits_until_it_fits_and_for_nobody_else() -> None:
    room = Room(MOST)
    large, small = room.take(HERE, 6), room.take(HERE, 4)
    waiting = asyncio.create_task(room.take_patiently(HERE, 5))
    with await room.take_patiently(THERE, MOST), small:
        await turn()
        assert not waiting.done()
    await turn()
    assert not waiting.done()
    large.give_back()
    with await waiting:
        assert not room.is_full(HERE)
        room.take(HERE, 5)
        assert room.is_full(HERE)


async def test_all_who_are_patient_come_in_however_large() -> None:
    room = Room(MOST)
    first = room.take(HERE, MOST)
    waiting = [asyncio.create_task(room.take_patiently(HERE, records)) for records in (400, MOST, 1)]
    await turn()
    first.give_back()
    for task in waiting:
        (await task).give_back()
    assert not room.is_full(HERE)
