"""Numbers as they key the store: digits of E.164, or the text of an address."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.numbering import display, parse_line, to_e164


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("+12125550142", "12125550142"),
        ("12125550142", "12125550142"),
        ("+999123", "999123"),  # unassigned, and fine
        ("911", "911"),
        ("+911", "911"),
        ("123456789012345", "123456789012345"),
        ("sip:alice@example.net", "sip:alice@example.net"),
        ("ip:192.0.2.7", "ip:192.0.2.7"),
        ("ip:2001:db8::7", "ip:2001:db8::7"),
        ("card:4929000000006", "card:4929000000006"),
        ("sip:+12125550142@example.net", "sip:+12125550142@example.net"),
        ("sip:Alice@Example.NET", "sip:Alice@Example.NET"),  # matched exactly, so kept exactly
        ("sip:" + "a" * 251, "sip:" + "a" * 251),
    ],
)
def test_a_number_has_one_key(text: str, key: str) -> None:
    assert to_e164(text) == key
    assert parse_line(text) == key


@pytest.mark.parametrize(
    "text",
    ["", "+", "1", "12", "+12", "1234567890123456", "0123", "+0123", "++123", "1+23", "123 456", " 123", "123\n",
     "1-212-555-0142", "(212)", "٣٣٣", "１２３", "²³¹", "abc", "sip:", "sip:a b@c", "sip:\n", "+sip:a@b", "SIP:a@b",
     "tel:+123456", "ip:", "card:", "sip:" + "a" * 252],
)  # fmt: skip
def test_what_is_no_number_has_none_and_a_person_is_told_why(text: str) -> None:
    assert to_e164(text) is None
    with pytest.raises(ValueError, match="is not a line: write"):
        parse_line(text)


@pytest.mark.parametrize(
    ("key", "text"),
    [("12125550142", "+12125550142"), ("sip:1@example.net", "sip:1@example.net"), ("card:49", "card:49"), ("", "")],
)
def test_people_see_the_plus_of_e164(key: str, text: str) -> None:
    assert display(key) == text


@settings(deadline=None)
@given(st.text() | st.from_regex(r"\A\+?[0-9]{1,18}\Z") | st.from_regex(r"\A(sip|ip|card):\S{0,9}\Z"))
def test_a_key_is_its_own_key_also_as_it_is_displayed(text: str) -> None:
    key = to_e164(text)
    if key is not None:
        assert to_e164(key) == key
        assert to_e164(display(key)) == key
