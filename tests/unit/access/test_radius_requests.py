"""Disconnect- and CoA-Requests, the templates they are made of, and when they are sent again."""

from random import Random

import pytest

from access.radius.codec import COA_REQUEST, DISCONNECT_REQUEST
from access.radius.dictionary import Dictionary
from access.radius.pacing import IDS, REPLAY_WINDOW_S, Patience, Port
from access.radius.requests import CannotEncode, encode_request, reply_of
from access.radius.template import TemplateError, parse_template
from simulators import radius_packets as by_hand

SECRET = b"s3cret"
IANA = Dictionary()


def test_a_request_is_what_the_simulator_takes() -> None:
    data = encode_request(DISCONNECT_REQUEST, 7, SECRET, IANA, [("Acct-Session-Id", "s1"), ("Event-Timestamp", 1000)])
    assert (data[0], data[1]) == (40, 7)
    assert data[20] == by_hand.MESSAGE_AUTHENTICATOR
    assert by_hand.is_genuine_request(data, SECRET)
    assert not by_hand.is_genuine_request(data, b"another")
    named = by_hand.attributes_of(data)
    assert named[by_hand.ACCT_SESSION_ID] == b"s1"
    assert named[by_hand.EVENT_TIMESTAMP] == by_hand.number(1000)


@pytest.mark.parametrize(
    "attribute",
    [("None-Such", "x"), ("User-Name", "x" * 254), ("NAS-IP-Address", "nowhere"), ("Session-Timeout", 1 << 32)],
)
def test_what_cannot_be_encoded_is_told(attribute: tuple[str, str | int]) -> None:
    with pytest.raises(CannotEncode, match=attribute[0]):
        encode_request(COA_REQUEST, 1, SECRET, IANA, [attribute])


@pytest.mark.parametrize(
    ("code", "values", "acknowledged", "cause", "words"),
    [
        (41, {}, True, None, ""),
        (44, {}, True, None, ""),
        (42, {"Error-Cause": 503}, False, 503, "NAK 503 Session-Context-Not-Found"),
        (45, {"Error-Cause": 506, "Reply-Message": "later"}, False, 506, "NAK 506 Resources-Unavailable: later"),
        (42, {"Error-Cause": 999}, False, 999, "NAK 999"),
        (42, {}, False, None, "NAK without an Error-Cause"),
    ],
)
def test_what_an_answer_says(
    code: int, values: dict[str, str | int | bytes], acknowledged: bool, cause: int | None, words: str
) -> None:
    reply = reply_of(code, values, IANA)
    assert (reply.acknowledged, reply.error_cause, reply.words) == (acknowledged, cause, words)


SLOTS = {"line": "+12125550142", "reason": "over, the limit", "service": "data", "username": ""}


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("Filter-Id=barred", [("Filter-Id", "barred")]),
        (" Filter-Id = barred , Class={reason} ", [("Filter-Id", "barred"), ("Class", "over, the limit")]),
        ('Filter-Id="a, \\"b\\"", Session-Timeout=60', [("Filter-Id", 'a, "b"'), ("Session-Timeout", 60)]),
        ("Filter-Id={line}/{service}/{username}", [("Filter-Id", "+12125550142/data/")]),
        ("Acct-Terminate-Cause=Admin-Reset", [("Acct-Terminate-Cause", 6)]),
        ("h323-credit-time=0", [("h323-credit-time", "0")]),
    ],
)
def test_a_template_is_filled(text: str, attributes: list[tuple[str, str | int]]) -> None:
    filled = parse_template(text, IANA).fill(SLOTS)
    assert filled == attributes
    encode_request(COA_REQUEST, 1, SECRET, IANA, filled)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("barred", "is not Name=value"),
        ("Filter-Id=barred Class=x, y", "is not Name=value"),
        ("None-Such=1", "None-Such"),
        ("Filter-Id={account}", "no slot"),
        ("Session-Timeout=soon", "Session-Timeout"),
        ("Session-Timeout={reason}", "Session-Timeout"),
        ("Session-Timeout=4294967296", "Session-Timeout"),
        ("NAS-IP-Address=here", "NAS-IP-Address"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        parse_template(text, IANA)


def test_a_reason_too_long_for_its_attribute_is_cut_between_characters() -> None:
    ((_, value),) = parse_template("Class={reason}", IANA).fill(SLOTS | {"reason": "é" * 200})
    assert value == "é" * 126


def test_waits_double_to_their_most_and_stay_within_their_jitter() -> None:
    for seed in range(20):
        waits = list(Patience().waits_s(Random(seed)))
        assert len(waits) == 5
        for wait, mean in zip(waits, (2, 4, 8, 16, 16), strict=True):
            assert 0.9 * mean <= wait <= 1.1 * mean
    assert len({next(Patience().waits_s(Random(seed))) for seed in range(20)}) == 20


def test_a_port_gives_each_identifier_once_in_the_replay_window() -> None:
    port = Port()
    taken = [port.take(0) for _ in range(IDS)]
    assert sorted(identifier for identifier in taken if identifier is not None) == list(range(IDS))
    assert port.take(0) is None
    for identifier in range(IDS):
        port.give_back(identifier, 10)
    assert port.take(10 + REPLAY_WINDOW_S - 0.1) is None
    assert port.take(10 + REPLAY_WINDOW_S) == 0


def test_an_identifier_that_still_waits_is_not_given_again() -> None:
    port = Port()
    for _ in range(IDS):
        port.take(0)
    assert port.take(10 * REPLAY_WINDOW_S) is None
