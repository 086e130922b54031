"""What reports do to the table of sessions, whatever the order and however often they come."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import permutations

import pytest

from access import session_rows
from access.migrations import access_migrations
from access.radius.codec import Packet, read_packet
from access.radius.dictionary import Dictionary
from mediation.feeds.accounting import Event, read_event
from mediation.feeds.accounting_book import Entered, enter
from rating.cdr import MICROS
from simulators import radius_packets as radius
from tests.builders import NOW

KAMAILIO = Dictionary("kamailio")
START, STOP, INTERIM, ON, FAILED = 1, 2, 3, 7, 15


@pytest.fixture
def book() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as cx:
        for step in access_migrations():
            cx.executescript(step.sql)
        yield cx


def an_event(
    status: int, at_s: float, lasted: int | None = None, *, session: str = "s1", told: bool = False, nas: str = "gw1"
) -> Event:
    """A report that arrives so many seconds after NOW; `told`: with the NAS's own time."""
    attributes = [(40, radius.number(status)), (44, session.encode()), (32, nas.encode()), (31, b"+12125550142")]
    if lasted is not None:
        attributes.append((46, radius.number(lasted)))
    if told:
        attributes.append((55, radius.number(NOW // MICROS + int(at_s))))
    packet = read_packet(radius.request(4, 1, b"s", attributes))
    assert isinstance(packet, Packet)
    arrived_at = NOW + int(at_s * MICROS)
    event = read_event(packet, KAMAILIO, source="kam1", client="nas1", peer="192.0.2.7", arrived_at=arrived_at)
    assert isinstance(event, Event)
    return event


def take(cx: sqlite3.Connection, *events: Event) -> list[Entered]:
    return enter(cx, [(event, False) for event in events])


def live(cx: sqlite3.Connection) -> list[tuple[str, float]]:
    """Names of the live sessions, and when each began, seconds after NOW."""
    return [(s.key.session, (s.started_at - NOW) / MICROS) for s in session_rows.all_live(cx)]


def test_a_start_that_comes_again_moves_nothing(book: sqlite3.Connection) -> None:
    take(book, an_event(START, 0), an_event(START, 4))
    assert live(book) == [("s1", 0)]


def test_a_start_that_comes_again_after_the_stop_begins_nothing(book: sqlite3.Connection) -> None:
    take(book, an_event(START, 0), an_event(STOP, 10, 10))
    assert take(book, an_event(START, 14)) == [Entered()]
    assert live(book) == []


def test_a_stop_that_comes_again_much_later_is_the_same_record(book: sqlite3.Connection) -> None:
    (first,) = take(book, an_event(STOP, 0, 61))
    (again,) = take(book, an_event(STOP, 3000.4, 61))
    assert again.record == first.record is not None


def test_a_stop_of_an_id_used_again_without_its_start_is_another_record(book: sqlite3.Connection) -> None:
    (first,) = take(book, an_event(STOP, 0, 61))
    (other,) = take(book, an_event(STOP, 3000, 62))
    assert first.record != other.record is not None
    assert json.loads(other.record)["start"] == "2026-11-20T15:48:58Z"


def test_an_attempt_that_failed_in_the_second_of_the_start_takes_nothing_from_it(book: sqlite3.Connection) -> None:
    failed, begun, ended = take(
        book, an_event(FAILED, 0, told=True), an_event(START, 0, told=True), an_event(STOP, 30, told=True)
    )
    assert failed.record is not None
    assert begun.live is not None
    assert ended.record is not None
    assert [json.loads(record)["duration"] for record in (failed.record, ended.record)] == [0, 30]


def test_a_nas_that_began_again_ends_what_began_before_it(book: sqlite3.Connection) -> None:
    take(book, an_event(START, 0, session="old"), an_event(START, 20, session="new"), an_event(START, 0, nas="gw2"))
    (entered,) = take(book, an_event(ON, 10, session=""))
    assert [key.session for key in entered.ended] == ["old"]
    assert live(book) == [("s1", 0), ("new", 20)]


def test_a_session_that_was_taken_for_ended_goes_on_when_it_is_heard_of(book: sqlite3.Connection) -> None:
    take(book, an_event(START, 0))
    assert [key.session for key in session_rows.expire(book, NOW + MICROS, 0, NOW + 50 * MICROS)] == ["s1"]
    assert live(book) == []
    take(book, an_event(INTERIM, 60, 60))
    assert live(book) == [("s1", 0)]


def test_what_ended_is_forgotten_in_the_end(book: sqlite3.Connection) -> None:
    take(book, an_event(STOP, 0, 61), an_event(STOP, 100, 61, session="s2"))
    session_rows.expire(book, 0, NOW + 50 * MICROS, NOW + 200 * MICROS)
    assert session_rows.find(book, an_event(STOP, 0).session.key) is None
    assert session_rows.find(book, an_event(STOP, 0, session="s2").session.key) is not None


REPORTS = (an_event(START, 0, told=True), an_event(INTERIM, 30, 30, told=True), an_event(STOP, 61, 61, told=True))


@pytest.mark.parametrize("order", list(permutations((*REPORTS, REPORTS[2]))))
def test_in_whatever_order_the_session_is_over_and_makes_one_record(
    book: sqlite3.Connection, order: tuple[Event, ...]
) -> None:
    entered = take(book, *order)
    records = {each.record for each in entered if each.record is not None}
    assert len(records) == 1
    assert live(book) == []
    assert json.loads(records.pop())["duration"] == 61
