"""The door of a connection: who is let in, who is refused and when that is said, and where the next request begins."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from mediation.feeds.door import ANSWERED_IN_A_TURN, TURN_S, Door, Lobby, on_the_wire
from mediation.feeds.heads import PlainHead
from mediation.feeds.problems import overloaded

LINGER_S = 7.0
REFUSED = b"no room"
BODY = b"?" * 100


def head(*lines: str, length: int = len(BODY)) -> bytes:
    return "\r\n".join(("POST /v1/transactions HTTP/1.1", *lines, f"Content-Length: {length}", "", "")).encode()


WHOLE = head() + BODY


class Timers:
    """Instead of an event loop's: what is due is called when the test says so."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        timer = (delay_s, callback)
        self.due.append(timer)

        class Handle:
            def cancel(_) -> None:  # noqa: N805  # the outer one is meant by self
                self.due.remove(timer)

        return cast(asyncio.TimerHandle, Handle())

    def pass_by(self, delay_s: float) -> None:
        """All that were set to so long."""
        for timer in [timer for timer in self.due if timer[0] == delay_s]:
            self.due.remove(timer)
            timer[1]()


class Wire(asyncio.Transport):
    """What the daemon does with a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_read = True
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


class Inside:
    """The connection that the door leads to."""

    def __init__(self) -> None:
        self.is_idle = True
        self.received = b""
        self.lost = False
        self.stayed = 0

    def data_received(self, data: bytes) -> None:
        self.received += data

    def stay_open(self) -> None:
        self.stayed += 1

    def connection_lost(self, _: Exception | None) -> None:
        self.lost = True

    def connection_made(self, _: asyncio.BaseTransport) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def eof_received(self) -> bool | None:
        return True


class House:
    """A listener with doors."""

    def __init__(self) -> None:
        self.is_full = True
        self.timers = Timers()
        self._lobby = Lobby(self._refuses, LINGER_S, self.timers.call_later)

    def _refuses(self, head: PlainHead) -> bytes | None:
        return REFUSED if self.is_full and head.target.startswith(b"POST") else None

    def door(self) -> "Sender":
        return Sender(self._lobby)


class Sender:
    """Whoever stands at a door."""

    def __init__(self, lobby: Lobby) -> None:
        self.inside, self.wire = Inside(), Wire()
        self.door = Door(self.inside, lobby)
        self.door.connection_made(self.wire)

    def send(self, data: bytes) -> None:
        """As the event loop has it arrive: what is not read is left for later."""
        while data and self.wire.is_read:
            view = self.door.get_buffer(-1)
            taken, data = data[: len(view)], data[len(view) :]
            view[: len(taken)] = taken
            self.door.buffer_updated(len(taken))
        assert not data, "this was not read"


@pytest.fixture
def full() -> House:
    return House()


def test_who_is_refused_is_told_in_the_next_turn_and_reaches_nothing_inside(full: House) -> None:
    sender = full.door()
    sender.send(WHOLE)
    assert (sender.wire.written, sender.wire.is_read, sender.inside.stayed) == (b"", False, 1)
    full.timers.pass_by(TURN_S)
    assert (sender.wire.written, sender.wire.is_read) == (REFUSED, True)
    assert (sender.inside.received, full.timers.due) == (b"", [])


def test_who_was_refused_is_let_in_when_there_is_room_and_may_be_refused_again(full: House) -> None:
    sender = full.door()
    sender.send(WHOLE)
    full.timers.pass_by(TURN_S)
    full.is_full = False
    sender.send(WHOLE)
    assert sender.inside.received == WHOLE
    full.is_full = True
    sender.send(WHOLE)
    full.timers.pass_by(TURN_S)
    assert (sender.wire.written, sender.inside.received) == (REFUSED * 2, WHOLE)


@pytest.mark.parametrize("pieces", [(b"", BODY), (BODY[:1], BODY[1:]), (BODY[:50], BODY[50:99], BODY[99:])])
def test_the_rest_of_a_refused_body_is_thrown_away_and_then_comes_the_next_request(
    full: House, pieces: tuple[bytes, ...]
) -> None:
    sender = full.door()
    sender.send(head() + pieces[0])
    full.timers.pass_by(TURN_S)
    assert sender.wire.written == REFUSED
    full.is_full = False
    sender.send(b"".join(pieces[1:]) + WHOLE)
    assert sender.inside.received == WHOLE
    full.timers.pass_by(LINGER_S)
    assert not sender.wire.is_closed


def test_a_refused_body_that_does_not_come_is_waited_for_and_then_the_connection_ends(full: House) -> None:
    sender = full.door()
    sender.send(head() + BODY[:-1])
    full.timers.pass_by(TURN_S)
    assert not sender.wire.is_closed
    full.timers.pass_by(LINGER_S)
    assert sender.wire.is_closed


def test_what_is_not_answered_yet_is_answered_first(full: House) -> None:
    sender = full.door()
    sender.inside.is_idle = False
    sender.send(WHOLE)
    assert sender.inside.received == WHOLE


@pytest.mark.parametrize("first", [WHOLE, head("Transfer-Encoding: chunked"), WHOLE[:20]], ids=["two", "chunks", "cut"])
def test_where_the_next_request_begins_is_not_known_any_more_and_all_are_let_in(full: House, first: bytes) -> None:
    """Several at once, one in chunks, half a head: the parser inside knows."""
    sender = full.door()
    sender.send(first + (WHOLE if first == WHOLE else b""))
    sender.send(WHOLE)
    assert sender.inside.received == first + (WHOLE if first == WHOLE else b"") + WHOLE
    assert full.timers.due == []


def test_a_request_that_begins_in_the_packet_in_which_the_one_before_ends_is_let_in_and_all_after_it(
    full: House,
) -> None:
    sender = full.door()
    full.is_full = False
    sender.send(WHOLE[:-10])
    full.is_full = True
    sender.send(WHOLE[-10:] + WHOLE[:-10])
    sender.send(WHOLE[-10:])
    sender.send(WHOLE)
    assert sender.inside.received == WHOLE * 3


def test_a_body_that_looks_like_a_request_is_a_body(full: House) -> None:
    sender = full.door()
    full.is_full = False
    sender.send(head(length=2 * len(WHOLE)))
    full.is_full = True
    sender.send(WHOLE)
    sender.send(WHOLE)
    assert sender.inside.received == head(length=2 * len(WHOLE)) + WHOLE * 2
    sender.send(WHOLE)
    full.timers.pass_by(TURN_S)
    assert sender.wire.written == REFUSED


def test_a_crowd_is_answered_some_in_a_turn_in_the_order_in_which_they_came(full: House) -> None:
    senders = [full.door() for _ in range(2 * ANSWERED_IN_A_TURN + 1)]
    for sender in senders:
        sender.send(WHOLE)
    for turns in range(1, 4):
        full.timers.pass_by(TURN_S)
        answered = [sender.wire.written == REFUSED for sender in senders]
        assert answered == [n < turns * ANSWERED_IN_A_TURN for n in range(len(senders))]
    assert full.timers.due == []


def test_who_has_gone_meanwhile_is_not_answered_and_takes_nobody_along(full: House) -> None:
    gone, closed, there = full.door(), full.door(), full.door()
    for sender in (gone, closed, there):
        sender.send(WHOLE)
    gone.door.connection_lost(None)
    closed.wire.close()
    full.timers.pass_by(TURN_S)
    assert (gone.wire.written, closed.wire.written, there.wire.written) == (b"", b"", REFUSED)
    assert gone.inside.lost


def test_the_end_inside_a_refused_body_ends_the_connection_and_else_it_is_the_parsers_affair(full: House) -> None:
    cut, whole = full.door(), full.door()
    cut.send(WHOLE[:-1])
    whole.send(WHOLE)
    full.timers.pass_by(TURN_S)
    assert (cut.door.eof_received(), whole.door.eof_received()) == (None, True)


def test_an_answer_on_the_wire_is_whole() -> None:
    answer = overloaded(3)
    assert isinstance(answer.body, bytes)
    fields, _, body = on_the_wire(answer).partition(b"\r\n\r\n")
    first, *rest = fields.decode().split("\r\n")
    assert (first, body) == ("HTTP/1.1 503 Service Unavailable", answer.body)
    assert {"Retry-After: 3", f"Content-Length: {len(body)}", "Content-Type: application/problem+json"} <= set(rest)
