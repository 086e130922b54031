"""Room for what is on its way: who is let in, who is refused, and that a place is given back once."""

import asyncio
from collections.abc import Sequence

import pytest

from mediation.pipeline.room import EXPECTED_FOR_S, MOST_RETRY_AFTER_S, Overloaded, Place, Room

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
    assert room.has_room(HERE, 1)
    assert room.has_room(HERE, 1)
    room.take(HERE, 1)


@pytest.mark.parametrize(("taken", "records"), [((10,), 1), ((4, 6), 1), ((9,), 2), ((400,), 1), ((1,), 10)])
def test_what_does_not_fit_is_refused_and_takes_nothing(taken: Sequence[int], records: int) -> None:
    room = room_with(*taken)
    assert not room.has_room(HERE, records)
    with pytest.raises(Overloaded):
        room.take(HERE, records)
    assert room.has_room(HERE, 1) != (sum(taken) >= MOST)


def test_one_delivery_is_always_let_in_however_large() -> None:
    room = Room(MOST)
    assert room.has_room(HERE, 400)
    with room.take(HERE, 400):
        assert not room.has_room(HERE, 1)
    assert room.has_room(HERE, 1)


def test_room_is_kept_for_what_was_let_in_until_it_takes_its_place() -> None:
    now = 0.0
    room = Room(MOST, lambda: now)
    room.expect(HERE, 4)
    room.expect(HERE, 6)
    assert (room.has_room(HERE, 1), room.has_room(THERE, 1)) == (False, True)
    with room.take(HERE, 4):
        assert not room.has_room(HERE, 1)  # the other one is still expected
        with room.take(HERE, 6):
            assert not room.has_room(HERE, 1)
    assert room.has_room(HERE, MOST)


def test_what_was_let_in_and_never_came_is_expected_for_a_moment() -> None:
    now = 0.0
    room = Room(MOST, lambda: now)
    room.expect(HERE, 9)
    now = EXPECTED_FOR_S - 0.01
    assert not room.has_room(HERE, 2)
    now = EXPECTED_FOR_S
    assert room.has_room(HERE, MOST)


def test_nobody_is_refused_for_what_others_have_sent() -> None:
    room = room_with(400)
    room.take(THERE, MOST)
    assert (room.has_room(HERE, 1), room.has_room(THERE, 1)) == (False, False)


@pytest.mark.parametrize(("expected", "records", "left"), [(1, 5, 5), (5, 1, 9), (5, 5, 5), (1, 10, 0), (3, 0, 10)])
def test_a_place_is_as_large_as_what_was_counted(expected: int, records: int, left: int) -> None:
    room = Room(MOST)
    with room.take(HERE, expected) as place:
        place.correct(records)
        assert room.has_room(HERE, 1) != (left == 0)
        if left:
            room.take(HERE, left)
            assert not room.has_room(HERE, 1)


def test_what_turns_out_not_to_fit_is_refused_and_gives_back_what_it_had() -> None:
    room = room_with(6)

    def read() -> None:
        with room.take(HERE, 1) as place:
            place.correct(5)

    with pytest.raises(Overloaded):
        read()
    room.take(HERE, 4)
    assert not room.has_room(HERE, 1)


async def test_a_place_is_held_until_the_delivery_is_answered_also_past_its_block() -> None:
    room = Room(MOST)
    answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with room.take(HERE, MOST) as place:
        place.hold_until(answered)
    assert not room.has_room(HERE, 1)
    answered.set_result(None)
    await turn()
    assert room.has_room(HERE, 1)


async def test_a_place_of_an_answered_delivery_is_given_back_at_once_and_only_once() -> None:
    room = room_with(4)
    place: Place
    with room.take(HERE, 6) as place:
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        answered.set_result(None)
        place.hold_until(answered)
    assert room.has_room(HERE, 1)
    room.take(HERE, 6)
    await turn()
    assert not room.has_room(HERE, 1)


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
        assert room.has_room(HERE, 1)
        room.take(HERE, 5)
        assert not room.has_room(HERE, 1)


async def test_all_who_are_patient_come_in_however_large() -> None:
    room = Room(MOST)
    first = room.take(HERE, MOST)
    waiting = [asyncio.create_task(room.take_patiently(HERE, records)) for records in (400, MOST, 1)]
    await turn()
    first.give_back()
    for task in waiting:
        (await task).give_back()
    assert room.has_room(HERE, 1)


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(
    ("took_s", "again_s"), [(0.0, 1), (0.2, 1), (1.0, 1), (1.1, 2), (7.5, 8), (3600.0, MOST_RETRY_AFTER_S)]
)
def test_who_is_refused_is_told_to_come_again_when_what_is_in_is_about_to_be_committed(
    clock: Clock, took_s: float, again_s: int
) -> None:
    """By how long the last one took that was committed, and while none is, by how long the oldest has waited."""
    room = Room(MOST, clock)
    assert room.retry_after_s(HERE) == 1
    with room.take(HERE, MOST) as place:
        place.correct(MOST)
        clock.now += took_s
        with pytest.raises(Overloaded) as refused:
            room.take(HERE, 1)
        assert (refused.value.retry_after_s, room.retry_after_s(HERE)) == (again_s, again_s)
    assert (room.retry_after_s(HERE), room.retry_after_s(THERE)) == (again_s, 1)


def test_how_long_a_sender_takes_for_its_body_keeps_nobody_away(clock: Clock) -> None:
    room = Room(MOST, clock)
    with room.take(HERE, MOST) as place:
        clock.now += 20.0
        assert room.retry_after_s(HERE) == 1
        place.correct(MOST)
        clock.now += 1.5
    assert room.retry_after_s(HERE) == 2


def test_when_the_store_goes_on_the_last_one_says_how_long_it_takes(clock: Clock) -> None:
    room = Room(MOST, clock)
    for took_s in (9.0, 0.5):
        with room.take(HERE, 1) as place:
            place.correct(1)
            clock.now += took_s
    assert room.retry_after_s(HERE) == 1
