"""RADIUS packets: read strictly, and never an exception for what a datagram may hold."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyrad.packet import AcctPacket, CoAPacket  # type: ignore[import-untyped]  # pyrad has no types

from access.radius.codec import (
    ACCOUNTING_REQUEST,
    ACCOUNTING_RESPONSE,
    MAX_ATTRIBUTES,
    STATUS_SERVER,
    Malformed,
    Packet,
    accounting_response,
    answer_is_genuine,
    read_packet,
    request_is_genuine,
    signature_holds,
)
from access.radius.dictionary import Dictionary
from simulators import radius_packets as by_hand

SECRET = b"s3cret"
IANA = Dictionary()
KAMAILIO = Dictionary("kamailio")


def a_packet(body: bytes = b"", length: int | None = None, code: int = ACCOUNTING_REQUEST) -> bytes:
    return struct.pack("!BBH", code, 7, 20 + len(body) if length is None else length) + bytes(16) + body


def read(data: bytes) -> Packet:
    packet = read_packet(data)
    assert isinstance(packet, Packet)
    return packet


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(a_packet()[:19], id="shorter than a header"),
        pytest.param(a_packet(length=19), id="a length below the header's"),
        pytest.param(a_packet(length=21), id="a length beyond the datagram"),
        pytest.param(a_packet(bytes((1, 253)) + bytes(251), 4097), id="a length over 4096"),
        pytest.param(a_packet(b"\x01" * 4077 + b"x"), id="a datagram over 4096"),
        pytest.param(a_packet(b"\x01"), id="half an attribute's header"),
        pytest.param(a_packet(b"\x01\x00"), id="an attribute of length 0"),
        pytest.param(a_packet(b"\x01\x01"), id="an attribute of length 1"),
        pytest.param(a_packet(b"\x01\x06abc"), id="an attribute that overruns the packet"),
        pytest.param(a_packet(b"\x01\x06abcd"[:6], 25), id="an attribute that overruns the length"),
        pytest.param(a_packet(b"\x01\x02" * (MAX_ATTRIBUTES + 1)), id="too many attributes"),
    ],
)
def test_what_is_no_packet_is_told(data: bytes) -> None:
    assert isinstance(read_packet(data), Malformed)


@pytest.mark.parametrize(
    ("body", "attributes"),
    [
        (b"", ()),
        (b"\x01\x02", ((1, b""),)),
        (b"\x01\x05bob\x01\x05eve", ((1, b"bob"), (1, b"eve"))),
        (b"\x01\x02" * MAX_ATTRIBUTES, ((1, b""),) * MAX_ATTRIBUTES),
    ],
)
def test_attributes_are_read_in_their_order(body: bytes, attributes: tuple[tuple[int, bytes], ...]) -> None:
    assert read(a_packet(body)).attributes == attributes


def test_what_follows_the_length_is_padding() -> None:
    assert read(a_packet(b"\x01\x05bob") + b"\xff\xff") == read(a_packet(b"\x01\x05bob"))


@given(st.binary(max_size=300))
def test_no_bytes_raise(data: bytes) -> None:
    packet = read_packet(data)
    if isinstance(packet, Packet):
        assert not request_is_genuine(packet, SECRET)
        assert signature_holds(packet, SECRET) is not True
        IANA.read(packet)


@given(st.binary(max_size=300))
def test_no_attributes_raise(body: bytes) -> None:
    packet = read_packet(a_packet(body))
    if isinstance(packet, Packet):
        KAMAILIO.read(packet)
        signature_holds(packet, SECRET)


@given(st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=40)), max_size=20), st.integers(0, 255))
def test_a_request_written_by_hand_is_genuine_and_none_after_a_bit_has_turned(
    attributes: list[tuple[int, bytes]], identifier: int
) -> None:
    data = by_hand.request(ACCOUNTING_REQUEST, identifier, SECRET, attributes)
    packet = read(data)
    assert packet.attributes == tuple(attributes)
    assert request_is_genuine(packet, SECRET)
    assert not request_is_genuine(packet, SECRET + b"x")
    turned = bytearray(data)
    turned[-1] ^= 1
    other = read_packet(bytes(turned))
    assert isinstance(other, Malformed) or not request_is_genuine(other, SECRET)


def test_a_request_of_pyrad_is_genuine() -> None:
    made = AcctPacket(id=9, secret=SECRET, dict=IANA.pyrad, message_authenticator=True)
    made.AddAttribute("User-Name", "bob")
    packet = read(made.RequestPacket())
    assert request_is_genuine(packet, SECRET)
    assert signature_holds(packet, SECRET) is True
    assert signature_holds(packet, b"another") is False


def test_a_signature_is_not_there_right_or_wrong() -> None:
    signed = by_hand.signed_request(40, 1, SECRET, [(1, b"bob"), (44, b"s1")])
    assert signature_holds(read(signed), SECRET) is True
    assert signature_holds(read(by_hand.request(40, 1, SECRET, [(1, b"bob")])), SECRET) is None
    for wrong in ([(80, bytes(16))], [(80, bytes(15))], [(80, b"")]):
        assert signature_holds(read(by_hand.request(40, 1, SECRET, wrong)), SECRET) is False
    twice = by_hand.request(40, 1, SECRET, [(80, bytes(16)), (80, bytes(16))])
    assert signature_holds(read(twice), SECRET) is False


def test_an_answer_is_genuine_for_its_request_alone() -> None:
    asked = by_hand.request(40, 1, SECRET, [(44, b"s1")])
    answer = read(by_hand.answer(41, asked, SECRET))
    assert answer_is_genuine(answer, asked[4:20], SECRET)
    assert not answer_is_genuine(answer, bytes(16), SECRET)
    assert not answer_is_genuine(answer, asked[4:20], b"another")


def test_an_accounting_response_gives_proxy_state_back_in_its_order() -> None:
    asked = by_hand.request(ACCOUNTING_REQUEST, 3, SECRET, [(33, b"one"), (44, b"s1"), (33, b"two")])
    answer = accounting_response(read(asked), SECRET)
    assert by_hand.is_genuine_answer(answer, asked, SECRET)
    assert (answer[0], answer[1]) == (ACCOUNTING_RESPONSE, 3)
    assert read(answer).attributes == ((33, b"one"), (33, b"two"))


def test_the_answer_to_status_server_is_signed() -> None:
    asked = AcctPacket(code=STATUS_SERVER, id=5, secret=SECRET, dict=IANA.pyrad)
    data = asked.RequestPacket()
    answer = accounting_response(read(data), SECRET)
    assert by_hand.is_genuine_answer(answer, data, SECRET)
    assert signature_holds(read(answer), SECRET, data[4:20]) is True
    assert asked.VerifyReply(asked.CreateReply(packet=answer), answer, enforce_ma=True)


def vendor(number: int, *attributes: tuple[int, bytes]) -> bytes:
    body = b"".join(bytes((kind, 2 + len(value))) + value for kind, value in attributes)
    return struct.pack("!I", number) + body


@pytest.mark.parametrize(
    ("attributes", "values"),
    [
        pytest.param([(1, b"bob")], {"User-Name": "bob"}, id="text"),
        pytest.param([(1, b"b\xff")], {"User-Name": "b\\xff"}, id="text that is not UTF-8"),
        pytest.param([(1, b"bob"), (1, b"eve")], {"User-Name": "bob"}, id="the first counts"),
        pytest.param([(46, struct.pack("!I", 61))], {"Acct-Session-Time": 61}, id="a number"),
        pytest.param([(4, bytes((127, 0, 0, 1)))], {"NAS-IP-Address": "127.0.0.1"}, id="an address"),
        pytest.param([(95, bytes(15) + b"\x01")], {"NAS-IPv6-Address": "::1"}, id="a longer address"),
        pytest.param([(250, b"x")], {}, id="an unknown one"),
        pytest.param(
            [(26, vendor(9, (28, b"h323-connect-time=09:00:00.000 UTC Fri Nov 20 2026"), (30, b"10")))],
            {"h323-connect-time": "09:00:00.000 UTC Fri Nov 20 2026", "h323-disconnect-cause": "10"},
            id="two of Cisco's in one",
        ),
        pytest.param([(26, vendor(10, (28, b"x")))], {}, id="another vendor's"),
        pytest.param([(26, vendor(9)[:3])], {}, id="a vendor's too short"),
        pytest.param([(26, vendor(9) + b"\x1e\x09x")], {}, id="a vendor's that overruns"),
        pytest.param([(26, vendor(9) + b"\x1e\x00x")], {}, id="a vendor's without a length"),
        pytest.param([(101, struct.pack("!I", 503))], {"Error-Cause": 503}, id="a number that others use otherwise"),
    ],
)  # fmt: skip
def test_attributes_by_name(attributes: list[tuple[int, bytes]], values: dict[str, object]) -> None:
    assert IANA.read(read(by_hand.request(4, 1, SECRET, attributes))) == values


@pytest.mark.parametrize("attribute", [(46, b"abc"), (46, b"abcde"), (46, b""), (4, b"abc"), (95, b"abcd"), (55, b"x")])
def test_an_attribute_of_a_wrong_length_spoils_the_packet(attribute: tuple[int, bytes]) -> None:
    assert isinstance(IANA.read(read(by_hand.request(4, 1, SECRET, [attribute]))), Malformed)


def test_an_overlay_gives_numbers_another_meaning() -> None:
    packet = read(by_hand.request(4, 1, SECRET, [(101, by_hand.number(1)), (102, by_hand.number(486)), (104, b"t")]))
    assert KAMAILIO.read(packet) == {"Sip-Method": 1, "Sip-Response-Code": 486, "Sip-To-Tag": "t"}


def test_words_of_numbers() -> None:
    assert IANA.word("Error-Cause", 503) == "Session-Context-Not-Found"
    assert IANA.word("Error-Cause", 999) == "999"
    assert IANA.number("Acct-Terminate-Cause", "Admin-Reset") == 6
    assert IANA.number("Acct-Terminate-Cause", "None-Such") is None


def test_pyrad_reads_what_the_simulator_says() -> None:
    data = by_hand.signed_request(40, 1, SECRET, [(44, b"s1")])
    packet = CoAPacket(packet=data, secret=SECRET, dict=IANA.pyrad)
    assert packet.VerifyCoARequest()
    assert packet.verify_message_authenticator()
