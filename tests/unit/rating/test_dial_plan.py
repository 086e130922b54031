"""Dial plans: how numbers are written in some countries, what they are in E.164, and what a plan leaves alone."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.country_numbers import COUNTRIES, numbers_of
from rating.dial_plan import Dialling, DialPlan
from rating.numbering import MAX_DIGITS, MIN_DIGITS, to_e164
from rating.search.countries import country_of

AMERICAN = DialPlan(
    country="US",
    area_code="212",
    local_digits=(7,),
    carrier_prefixes=("101XXXX", "*67"),
    short_numbers=(("911", None), ("0", "12125550100"), ("5X", None)),
)
PLANS = {country: Dialling(DialPlan(country=country)) for country in ("US", "GB", "DE", "IT", "NG", "BR", "AR", "RU")}
PLANS["US with all"] = Dialling(AMERICAN)
PLANS["BR by hand"] = Dialling(
    DialPlan(
        country="BR",
        carrier_prefixes=("0XX",),
        international_prefixes=("00XX", "00"),
        area_code="11",
        local_digits=(8, 9),
    )
)
PLANS["GB by hand"] = Dialling(DialPlan(country="GB", trunk_prefix="9", international_prefixes=("810",)))
PLANS["GB without trunk"] = Dialling(DialPlan(country="GB", trunk_prefix=""))
PLANS["DE with carriers"] = Dialling(DialPlan(country="DE", carrier_prefixes=("010XX",)))
PLANS["code alone"] = Dialling(DialPlan(country_code="999", trunk_prefix="0"))

CASES = [
    # US: ten digits, with or without the 1
    ("US", "2125550142", "12125550142"),
    ("US", "12125550142", "12125550142"),
    ("US", "14165550100", "14165550100"),  # Toronto, of the same country code
    ("US", "011442079460018", "442079460018"),
    ("US", "011999123", "999123"),  # unassigned, and fine
    ("US", "442079460018", "442079460018"),  # E.164 without its +
    ("US", "4523456789", "14523456789"),  # ten digits are national, though it could be a Dane
    ("US", "(212) 555-0142", "12125550142"),
    ("US", "tel:+1-212-555-0142;ext=1", "12125550142"),
    ("US", "5550142", None),
    ("US", "101", None),
    ("US", "02125550142", None),
    ("US", "911", None),
    ("US with all", "5550142", "12125550142"),
    ("US with all", "tel:5550142", "12125550142"),
    ("US with all", "1550142", None),
    ("US with all", "911", "1911"),
    ("US with all", "0", "12125550100"),
    ("US with all", "55", "155"),
    ("US with all", "10102882125550142", "12125550142"),
    ("US with all", "101028812125550142", "12125550142"),
    ("US with all", "1010288011442079460018", "442079460018"),
    ("US with all", "10102884523456789", "14523456789"),  # unassigned behind a carrier's code
    ("US with all", "*672125550142", "12125550142"),
    ("US with all", "*722125550142", None),
    ("US with all", "*67", None),
    # GB
    ("GB", "02079460018", "442079460018"),
    ("GB", "020 7946 0018", "442079460018"),
    ("GB", "07700900123", "447700900123"),
    ("GB", "08001111", "448001111"),
    ("GB", "2079460018", "442079460018"),
    ("GB", "442079460018", "442079460018"),
    ("GB", "0012125550142", "12125550142"),
    ("GB", "12125550142", "12125550142"),
    ("GB", "4930123456", "4930123456"),  # a German's E.164 rather than a range that Britain does not use
    ("GB", "4402079460018", None),
    ("GB", "79460018", None),
    ("GB", "999", None),
    ("GB by hand", "92079460018", "442079460018"),
    ("GB by hand", "8104930123456", "4930123456"),
    ("GB by hand", "02079460018", None),
    ("GB without trunk", "2079460018", "442079460018"),
    ("GB without trunk", "02079460018", None),
    # DE
    ("DE", "03012345678", "493012345678"),
    ("DE", "015123456789", "4915123456789"),
    ("DE", "493012345678", "493012345678"),  # and not 04930, which has a trunk prefix
    ("DE", "004930123456", "4930123456"),
    ("DE", "1234", None),
    ("DE with carriers", "01033030123456", "4930123456"),  # though 0 and fourteen digits could be a German's, too
    ("DE with carriers", "0103300442079460018", "442079460018"),
    ("DE with carriers", "030123456", "4930123456"),
    # IT: the zero is a part of the number
    ("IT", "0612345678", "390612345678"),
    ("IT", "390612345678", "390612345678"),
    ("IT", "3331234567", "393331234567"),
    ("IT", "393331234567", "393331234567"),
    ("IT", "00390612345678", "390612345678"),
    ("IT", "12125550142", "12125550142"),
    # NG
    ("NG", "08031234567", "2348031234567"),
    ("NG", "2348031234567", "2348031234567"),
    ("NG", "009442079460018", "442079460018"),
    ("NG", "00442079460018", None),
    # BR: 0, the carrier, the area; or without the carrier
    ("BR", "011987654321", "5511987654321"),
    ("BR", "01511987654321", "5511987654321"),
    ("BR", "901511987654321", "5511987654321"),  # collect
    ("BR", "5511987654321", "5511987654321"),
    ("BR", "0015442079460018", "442079460018"),
    ("BR", "5532211234", "555532211234"),  # area 55, not the country code
    ("BR", "05532211234", "555532211234"),
    ("BR", "00442079460018", None),
    ("BR by hand", "011987654321", "5511987654321"),
    ("BR by hand", "01511987654321", "5511987654321"),
    ("BR by hand", "0015442079460018", "442079460018"),
    ("BR by hand", "00442079460018", "442079460018"),
    ("BR by hand", "987654321", "5511987654321"),
    ("BR by hand", "34567890", "551134567890"),
    # prefixes that do more than stand before a number
    ("AR", "0111523456789", "5491123456789"),
    ("RU", "88005553535", "78005553535"),
    ("RU", "8005553535", "78005553535"),
    ("RU", "810442079460018", "442079460018"),
    # a country that nobody knows
    ("code alone", "0123456", "999123456"),
    ("code alone", "999123456", "999123456"),
    ("code alone", "123456", None),
    # what no plan touches
    *((plan, text, to_e164(text)) for plan in ("US with all", "GB", "code alone") for text in (
        "+2125550142", "+911", "+999123", "+0123", "+12", "sip:2125550142@example.net", "ip:192.0.2.7", "card:49",
        "sip:", "", "+", "anonymous", "x12125550142", "٣٣٣", "²³¹", "+٣٣٣", "1" * 300, "*", "tel:", "sip:" + "a" * 252,
    )),
]  # fmt: skip


@pytest.mark.parametrize(("plan", "text", "key"), CASES)
def test_a_number_becomes_e164_or_is_left_alone(plan: str, text: str, key: str | None) -> None:
    assert PLANS[plan].to_e164(text) == key


@pytest.mark.parametrize(
    ("plan", "text", "country"),
    [("US", "2125550142", "US"), ("US", "4165550100", "CA"), ("GB", "07700900123", "GB"), ("US with all", "911", "US"),
     ("IT", "0612345678", "IT"), ("US", "011442079460018", "GB")],
)  # fmt: skip
def test_the_called_country_is_found_of_what_a_plan_brings(plan: str, text: str, country: str) -> None:
    key = PLANS[plan].to_e164(text)
    assert key is not None
    assert country_of(key) == country


@pytest.mark.parametrize(
    ("plan", "called", "type_"),
    [
        (DialPlan(country="US"), "18005550100", "direct"),
        (DialPlan(country="US", toll_free=("800", "888")), "18885550100", "toll-free"),
        (DialPlan(country="US", toll_free=("800", "888")), "18775550100", "direct"),
        (DialPlan(country="US", toll_free=("800",)), "8005550100", "direct"),
        (DialPlan(country="US", premium=("900",)), "19005550100", "premium"),
        (DialPlan(country="US", classify=True), "18775550100", "toll-free"),
        (DialPlan(country="US", classify=True), "19005550100", "premium"),
        (DialPlan(country="US", classify=True, premium=("877",)), "18775550100", "premium"),
        (DialPlan(country="US", classify=True), "12125550142", "direct"),
        (DialPlan(country="US", classify=True), "448001111", "direct"),
        (DialPlan(country="US", classify=True), "80012345678", "toll-free"),
        (DialPlan(country="US", classify=True), "979123456789", "premium"),
        (DialPlan(country="US", classify=True), "sip:1800@example.net", "direct"),
        (DialPlan(country="GB", classify=True), "448081570000", "toll-free"),
        (DialPlan(country="GB", classify=True), "449061000000", "premium"),
        (DialPlan(country="NG", classify=True), "234900", "direct"),
    ],
)
def test_a_called_number_gives_a_call_its_type(plan: DialPlan, called: str, type_: str) -> None:
    assert Dialling(plan).call_type(called) == type_


@pytest.mark.parametrize(
    ("plan", "text", "words"),
    [
        ("US", "5550142", ("plan of US, +1", "nor 1 and a national number", "area_code and local_digits", "recycle")),
        ("US with all", "12", ("nor a local one of area 212", "nor a short number")),
        ("IT", "12", ("nor a national number",)),
        ("GB by hand", "12", ("neither + or 810 and a number abroad", "nor 9 and")),
        ("code alone", "12", ("plan of +999", "neither + and a number abroad")),
        ("US", "anonymous", ("other characters than digits",)),
    ],
)
def test_what_cannot_be_placed_is_explained(plan: str, text: str, words: tuple[str, ...]) -> None:
    assert PLANS[plan].to_e164(text) is None
    why = PLANS[plan].why_not(text)
    assert all(word in why for word in words), why
    assert "\n" not in why


@pytest.mark.parametrize("country", sorted(COUNTRIES))
def test_every_country_has_numbers(country: str) -> None:
    known = numbers_of(country)
    assert known.code.isdecimal()
    assert known.lengths
    assert Dialling(DialPlan(country=country, classify=True)).to_e164(f"+{known.code}123") == f"{known.code}123"


DIGITS = st.text("0123456789", max_size=8)
SOME_PLANS = st.builds(
    DialPlan,
    country=st.sampled_from(["US", "GB", "DE", "IT", "BR", "AR", "NG"]),
    country_code=st.none() | st.sampled_from(["1", "44", "999"]),
    trunk_prefix=st.none() | DIGITS,
    international_prefixes=st.none() | st.lists(DIGITS.filter(bool), max_size=2).map(tuple),
    carrier_prefixes=st.lists(st.text("0123456789X*#", min_size=1, max_size=6), max_size=2).map(tuple),
    area_code=st.none() | DIGITS.filter(bool),
    local_digits=st.lists(st.integers(2, 14), max_size=2).map(tuple),
    short_numbers=st.lists(st.tuples(DIGITS.filter(bool), st.none() | st.just("12125550100")), max_size=2).map(tuple),
)
WRITTEN = st.text("0123456789+*#-X ", max_size=20) | st.from_regex(r"\A0{0,2}[1-9][0-9]{2,14}\Z") | st.text(max_size=9)


@settings(deadline=None)
@given(SOME_PLANS, WRITTEN)
def test_no_plan_makes_a_number_that_is_none(plan: DialPlan, text: str) -> None:
    key = Dialling(plan).to_e164(text)
    assert key is None or to_e164(key) == key
    if key is not None and key[0].isdigit():
        assert MIN_DIGITS <= len(key) <= MAX_DIGITS


@settings(deadline=None)
@given(SOME_PLANS, st.from_regex(r"\A\+[1-9][0-9]{2,14}\Z"))
def test_e164_with_its_plus_is_a_fixed_point(plan: DialPlan, text: str) -> None:
    assert Dialling(plan).to_e164(text) == text[1:]


@settings(deadline=None)
@given(SOME_PLANS)
def test_a_plan_is_itself_again_beyond_the_seam(plan: DialPlan) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=DialPlan) == plan
