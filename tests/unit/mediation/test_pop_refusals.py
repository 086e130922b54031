"""Which requests of a POP are refused in front of the parser."""

from types import SimpleNamespace
from typing import Any, cast

from mediation.feeds.heads import PlainHead
from mediation.feeds.pop import PopFeed
from mediation.pipeline.room import Room

SOURCE = 1
BYTES = 10_000  # at the most 101 records


def feed_with(room: Room, *, is_stopping: bool = False) -> PopFeed:
    owner = cast(Any, SimpleNamespace(room=room, is_stopping=is_stopping))
    return PopFeed(
        {"secret": ("pop-1", SOURCE)},
        lambda source, number: cast(Any, SimpleNamespace(source=source, source_id=number)),
        owner,
        cast(Any, None),
        max_body_bytes=1_000_000,
        read_timeout_s=1.0,
    )


def batch(token: str = "secret", target: bytes = b"POST /v1/transactions") -> PlainHead:
    return PlainHead(target, f"Bearer {token}", packed=False, body_bytes=BYTES, ends=200)


def test_of_many_that_come_at_once_as_many_are_let_in_as_there_is_room_for() -> None:
    """None of them has its place when the next one is looked at."""
    feed = feed_with(Room(500))
    answers = [feed.refusal(batch()) for _ in range(7)]
    assert [answer is None for answer in answers] == [True] * 4 + [False] * 3
    assert answers[-1]
    assert answers[-1].startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 1\r\n" in answers[-1]


def test_what_is_to_be_answered_otherwise_is_let_in() -> None:
    room = Room(1)
    room.take(SOURCE, 1)
    assert feed_with(room).refusal(batch()) is not None
    assert feed_with(room).refusal(batch("another")) is None
    assert feed_with(room).refusal(batch(target=b"GET /v1/positions")) is None
    assert feed_with(room, is_stopping=True).refusal(batch()) is None
