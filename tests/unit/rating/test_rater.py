"""How calls are charged: the six rules of the contract as rows of cases, and properties that hold for any call."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.cdr import CDR, MICROS
from rating.explanation import Explanation
from rating.money import format_micros
from rating.periods import TariffCalendar
from rating.rater import Charge, Rater
from rating.tariff import Tariff, TariffText, parse_tariff

HEADER = "prefix,destination,period,after_s,connect_fee,rate,per_s,increments"
PEAK = """
[[period]]
name = "off-peak"
[[period]]
name = "peak"
days = "mon-fri"
from = "08:00"
to = "19:00"
priority = 10
"""
LONDON = (
    "4420,London,peak,0,0.20,1.20,60,60/60",
    "4420,London,peak,60,0,1.20,60,1/1",
    "4420,London,off-peak,0,0.10,0.01,1,1/1",
)
FRIDAY = "2026-11-20T09:07:35-05:00"
EVENING = "2026-11-20T20:00:00-05:00"


def a_tariff(
    *rows: str, header: str = HEADER, keys: str = 'timezone = "America/New_York"', periods: str = PEAK
) -> Tariff:
    toml = f'name = "standard"\ncurrency = "USD"\ndeck = "standard.csv"\n{keys}\n{periods}'
    return parse_tariff(TariffText(toml, "\n".join((header, *rows)), "standard.toml", "standard.csv"))


def a_rater(*rows: str, **more: str) -> Rater:
    return Rater(a_tariff(*rows, **more))


def a_call(duration: str = "61", answer: str = FRIDAY, called: str = "442079460018", **more: Any) -> CDR:
    at = (datetime.fromisoformat(answer) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return CDR("pop", "a81f", "12125550142", called, at, -300, at, int(Decimal(duration) * MICROS), **more)


def charged(rater: Rater, cdr: CDR, provider: str | None = None, service: str | None = None) -> tuple[str, int] | str:
    """Charge as text and billed seconds, or the reason; explained alike."""
    charge = rater.charge(cdr, provider, service)
    explanation = rater.explain(cdr, provider, service)
    if isinstance(charge, str):
        assert explanation == charge
        return charge
    assert isinstance(explanation, Explanation)
    assert_explained(charge, explanation)
    return format_micros(charge.charge_micros, rater.tariff.decimals), charge.billed_s


def assert_explained(charge: Charge, explanation: Explanation) -> None:
    assert explanation.charge_micros == charge.charge_micros
    assert (explanation.destination, explanation.place_called) == (charge.destination, charge.place_called)
    assert explanation.billed_s == charge.billed_s == sum(run.seconds for run in explanation.runs)
    assert all(run.amount == run.seconds * Fraction(run.rate) / run.per_s for run in explanation.runs)


@pytest.mark.parametrize(
    ("duration", "answer", "expected"),
    [
        ("61", FRIDAY, ("1.4200", 61)),  # a minute, then a second of the step from 60 s
        ("60", FRIDAY, ("1.4000", 60)),
        ("0.000001", FRIDAY, ("1.4000", 60)),  # a begun minute is a minute
        ("60.000001", FRIDAY, ("1.4200", 61)),
        ("61", EVENING, ("0.7100", 61)),
        ("43200", EVENING, ("432.1000", 43_200)),
        ("600", "2026-11-20T07:55:00-05:00", ("9.1000", 600)),  # 300 s off-peak, then 300 s at 0.02 from the step
        ("30", "2026-11-20T18:59:59-05:00", ("1.4000", 60)),  # the minute belongs whole to the period it begins in
        ("61", "2026-11-20T18:59:59-05:00", ("1.4100", 61)),
    ],
)
def test_the_contracts_own_tariff(duration: str, answer: str, expected: tuple[str, int]) -> None:
    assert charged(a_rater(*LONDON), a_call(duration, answer)) == expected


@pytest.mark.parametrize(
    ("rows", "duration", "expected"),
    [
        # The first increment is the first number of its row, every later one the second of its own.
        ((",W,,0,0,1,1,60/6",), "60", ("60.0000", 60)),
        ((",W,,0,0,1,1,60/6",), "61", ("66.0000", 66)),
        ((",W,,0,0,1,1,6/60",), "7", ("66.0000", 66)),
        ((",W,,0,0,1,1,30/6", ",W,,30,0,2,1,60/1"), "31", ("32.0000", 31)),  # the second number of the later step: 1
        ((",W,,0,0,1,1,7/7", ",W,,10,0,2,1,1/1"), "15", ("16.0000", 15)),  # 7 + 7 at 1, past the step; then one at 2
        ((",W,,0,0,1,1,100/1", ",W,,10,0,5,1,1/1", ",W,,50,0,2,1,1/1"), "101", ("102.0000", 101)),  # a step is jumped
        ((",W,,0,0,1,1,60/60", ",W,,60,0.5,0,1,60/60"), "600", ("60.0000", 600)),  # one connect fee, the first row's
        ((",W,,0,0.05,0,1,1/1",), "10", ("0.0500", 10)),
        # Rates are exact, however they are written.
        ((",W,,0,0,1,3,1/1",), "1", ("0.3333", 1)),
        ((",W,,0,0,1,3,1/1",), "3", ("1.0000", 3)),
        ((",W,,0,0,0.0000000000000000000001,1,1/1",), "1000000000", ("0.0000", 10**9)),
        ((",W,,0,0.00005,0.0,1,1/1",), "1", ("0.0001", 1)),
        ((",W,,0,0,0.02,60,60/60",), "60", ("0.0200", 60)),
        # A row of the period goes before rows for any, whatever their steps.
        ((",W,,0,0,9,1,1/1", ",W,,30,0,8,1,1/1", ",W,peak,0,0,1,1,1/1"), "60", ("60.0000", 60)),
        ((",W,any,0,0,2,1,1/1", ",W,off-peak,0,0,1,1,1/1"), "60", ("120.0000", 60)),
        ((",W,off-peak,0,0,1,1,1/1",), "60", "no-rate"),
    ],
)
def test_a_call_at_peak_is_consumed_increment_by_increment(
    rows: tuple[str, ...], duration: str, expected: tuple[str, int] | str
) -> None:
    assert charged(a_rater(*rows), a_call(duration)) == expected


@pytest.mark.parametrize(
    ("rows", "answer", "duration", "expected"),
    [
        # 2026-11-20 is a Friday; peak ends at 19:00.
        ((",W,peak,0,0,2,1,1/1", ",W,,0,0,1,1,1/1"), "2026-11-20T18:59:00-05:00", "120", ("180.0000", 120)),
        ((",W,peak,0,0,2,1,1/1",), "2026-11-20T18:59:00-05:00", "60", ("120.0000", 60)),
        ((",W,peak,0,0,2,1,1/1",), "2026-11-20T18:59:00-05:00", "60.000001", "no-rate"),  # the 61st begins off-peak
        (
            (",W,peak,0,0,2,1,60/60",),
            "2026-11-20T18:59:01-05:00",
            "60",
            ("120.0000", 60),
        ),  # runs into it, begins before
        ((",W,peak,0,0,2,1,1/1",), "2026-11-20T18:59:59.999999-05:00", "1", ("2.0000", 1)),
        # A step that began in one period is not begun again in the next.
        (
            (",W,peak,0,0,2,1,1/1", ",W,,0,0,1,1,1/1", ",W,,90,0,0,1,1/1"),
            "2026-11-20T18:59:00-05:00",
            "200",
            ("150.0000", 200),
        ),
        # A weekend in one call: peak until 19:00, then off-peak until Monday 08:00.
        (
            (",W,peak,0,0,2,1,60/60", ",W,off-peak,0,0,1,1,60/60"),
            "2026-11-20T18:00:00-05:00",
            str(63 * 3_600),
            (f"{2 * 3_600 + 61 * 3_600 + 2 * 3_600}.0000", 63 * 3_600),
        ),
    ],
)
def test_a_call_over_the_end_of_a_period(
    rows: tuple[str, ...], answer: str, duration: str, expected: tuple[str, int] | str
) -> None:
    assert charged(a_rater(*rows), a_call(duration, answer)) == expected


NIGHT = '[[period]]\nname = "night"\nfrom = "01:00"\nto = "02:30"\n'


@pytest.mark.parametrize(
    ("answer", "minutes", "expected"),
    [
        # 01:00 to 02:30 is an hour on the night that skips 02:00 to 03:00, and two and a half when 01:00 comes twice.
        ("2026-03-08T00:30:00-05:00", 180, ("240.0000", 10_800)),
        ("2026-11-01T00:30:00-04:00", 240, ("390.0000", 14_400)),
        ("2026-06-01T00:30:00-04:00", 180, ("270.0000", 10_800)),
    ],
)
def test_a_clock_change_neither_adds_nor_loses_seconds(answer: str, minutes: int, expected: tuple[str, int]) -> None:
    rater = a_rater(",W,night,0,0,2,60,60/60", ",W,,0,0,1,60,60/60", periods=NIGHT)
    assert charged(rater, a_call(str(minutes * 60), answer)) == expected


FILTERS = f"{HEADER},provider,service,type"


@pytest.mark.parametrize(
    ("rows", "provider", "service", "type_", "expected"),
    [
        (("44,a,,0,0,1,1,1/1,,,", "4420,b,,0,0,1,1,1/1,,,"), None, None, "direct", "b"),
        (("44,a,,0,0,1,1,1/1,,,", "4421,b,,0,0,1,1,1/1,,,"), None, None, "direct", "a"),
        ((",a,,0,0,1,1,1/1,,,", "1,b,,0,0,1,1,1/1,,,"), None, None, "direct", "a"),
        (("1,b,,0,0,1,1,1/1,,,",), None, None, "direct", "no-rate"),
        (("442079460018,a,,0,0,1,1,1/1,,,", ",b,,0,0,1,1,1/1,,,"), None, None, "direct", "a"),
        (("4420794600180,a,,0,0,1,1,1/1,,,", ",b,,0,0,1,1,1/1,,,"), None, None, "direct", "b"),
        # The longest prefix wins whatever its rows cover, if its filters hold; else a shorter one has its chance.
        (("4420,a,off-peak,0,0,1,1,1/1,,,", "44,b,,0,0,1,1,1/1,,,"), None, None, "direct", "no-rate"),
        (("4420,a,,0,0,1,1,1/1,acme,,", "44,b,,0,0,1,1,1/1,,,"), "acme", None, "direct", "a"),
        (("4420,a,,0,0,1,1,1/1,acme,,", "44,b,,0,0,1,1,1/1,,,"), "other", None, "direct", "b"),
        (("4420,a,,0,0,1,1,1/1,acme,,", "44,b,,0,0,1,1,1/1,,,"), None, None, "direct", "b"),
        (("4420,a,,0,0,1,1,1/1,acme,,",), "", None, "direct", "no-rate"),
        # Of its rows those with the most filters count, and the others do not: not even in periods they leave out.
        (("44,a,,0,0,1,1,1/1,,,", "44,b,,0,0,1,1,1/1,,ld,"), None, "ld", "direct", "b"),
        (("44,a,,0,0,1,1,1/1,,,", "44,b,,0,0,1,1,1/1,,ld,"), None, "local", "direct", "a"),
        (("44,a,,0,0,1,1,1/1,,,", "44,b,off-peak,0,0,1,1,1/1,,ld,"), None, "ld", "direct", "no-rate"),
        (("44,a,,0,0,1,1,1/1,acme,,", "44,b,,0,0,1,1,1/1,,ld,data"), "acme", "ld", "data", "b"),
        # Equally many: provider before service before type.
        (("44,a,,0,0,1,1,1/1,,,direct", "44,b,,0,0,1,1,1/1,,ld,"), "acme", "ld", "direct", "b"),
        (("44,a,,0,0,1,1,1/1,,ld,", "44,b,,0,0,1,1,1/1,acme,,"), "acme", "ld", "direct", "b"),
        (("44,a,,0,0,1,1,1/1,,,direct", "44,b,,0,0,1,1,1/1,acme,,"), "acme", "ld", "direct", "b"),
        (("44,a,,0,0,1,1,1/1,acme,,direct", "44,b,,0,0,1,1,1/1,acme,ld,"), "acme", "ld", "direct", "b"),
        (("44,a,,0,0,1,1,1/1,,ld,direct", "44,b,,0,0,1,1,1/1,acme,,direct"), "acme", "ld", "direct", "b"),
        (("44,a,,0,0,1,1,1/1,acme,ld,", "44,b,,0,0,1,1,1/1,acme,ld,direct"), "acme", "ld", "direct", "b"),
        # A filter that the call has no value for does not make the others of its row count.
        (
            ("44,a,,0,0,1,1,1/1,acme,ld,", "44,b,,0,0,1,1,1/1,,ld,direct", "44,c,,0,0,1,1,1/1,,ld,"),
            None,
            "ld",
            "direct",
            "b",
        ),
    ],
)
def test_the_longest_prefix_and_then_the_most_filters_choose_the_rows(
    rows: tuple[str, ...], provider: str | None, service: str | None, type_: str, expected: str
) -> None:
    charge = a_rater(*rows, header=FILTERS).charge(a_call(type=type_), provider, service)
    assert (charge if isinstance(charge, str) else charge.destination) == expected


@pytest.mark.parametrize(
    ("called", "expected"),
    [
        ("sip:sales@example.org", "sales"),
        ("sip:sale@example.org", "sip"),
        ("ip:192.0.2.7", "host"),
        ("ip:198.51.100.1", "rest"),
        ("card:4400", "rest"),
        ("4400", "uk"),
        ("999123", "rest"),
    ],
)
def test_addresses_have_prefixes_of_their_text(called: str, expected: str) -> None:
    prefixes = {"sip:": "sip", "sip:sales": "sales", "ip:192.0.2.7": "host", "44": "uk", "": "rest"}
    rater = a_rater(*(f"{prefix},{name},,0,0,1,1,1/1" for prefix, name in prefixes.items()))
    charge = rater.charge(a_call(called=called), None, None)
    assert isinstance(charge, Charge)
    assert charge.destination == expected


def test_a_toll_free_call_is_rated_by_the_calling_number() -> None:
    rater = a_rater("1,America,,0,0,1,1,1/1", "44,UK,,0,0,2,1,1/1")
    assert charged(rater, a_call("10", type="toll-free")) == ("10.0000", 10)
    assert charged(rater, a_call("10", type="collect")) == ("20.0000", 10)


@pytest.mark.parametrize(
    ("rounding", "decimals", "amount", "expected"),
    [
        *(("half-up", 4, amount, expected) for amount, expected in (("0.00005", "0.0001"), ("0.000049999", "0.0000"))),
        *(("half-even", 4, amount, expected) for amount, expected in (("0.00005", "0.0000"), ("0.00015", "0.0002"))),
        *(
            ("half-even", 4, amount, expected)
            for amount, expected in (("0.00025", "0.0002"), ("0.000250001", "0.0003"))
        ),
        *(("up", 4, amount, expected) for amount, expected in (("0.00000000001", "0.0001"), ("0.0001", "0.0001"))),
        *(("down", 4, amount, expected) for amount, expected in (("0.00009999999", "0.0000"), ("0.0001", "0.0001"))),
        *(("up", 4, amount, expected) for amount, expected in (("0", "0.0000"), ("1.00010000", "1.0001"))),
        *(("half-up", 0, amount, expected) for amount, expected in (("0.5", "1"), ("1.5", "2"), ("0.499", "0"))),
        *(("half-even", 0, amount, expected) for amount, expected in (("0.5", "0"), ("1.5", "2"), ("2.5", "2"))),
        *(("half-up", 6, amount, expected) for amount, expected in (("0.0000005", "0.000001"), ("7", "7.000000"))),
        *(("half-even", 6, amount, expected) for amount, expected in (("0.0000005", "0.000000"), ("1", "1.000000"))),
    ],
)
def test_a_charge_is_rounded_as_the_tariff_says(rounding: str, decimals: int, amount: str, expected: str) -> None:
    rater = a_rater(f",W,,0,{amount},0,1,1/1", keys=f'rounding = "{rounding}"\ndecimals = {decimals}')
    assert charged(rater, a_call()) == (expected, 61)


def test_a_charge_is_rounded_once_and_not_increment_by_increment() -> None:
    rater = a_rater(
        ",W,peak,0,0,0.00004,1,1/1", ",W,,0,0,0.00004,1,1/1", keys='timezone = "America/New_York"\ndecimals = 2'
    )
    assert charged(rater, a_call("1000", "2026-11-20T18:59:00-05:00")) == ("0.04", 1_000)


@pytest.mark.parametrize(
    ("limits", "duration", "expected", "capped"),
    [
        ("5,", "10", "5.0000", True),
        ("5,", "4", "5.0000", False),  # with the connect fee it is exactly that
        ("5,", "3", "4.0000", False),
        ("5.00005,", "10", "5.0001", True),  # the limit comes before the rounding
        ("0,", "10", "0.0000", True),
        (",7", "5", "7.0000", False),
        (",7", "6", "7.0000", False),
        (",7", "7", "8.0000", False),
        ("7,7", "1", "7.0000", False),
        ("7,7", "100", "7.0000", True),
        ("5,2", "0", "0.0000", False),  # a call that was not answered has no minimum
    ],
)
def test_a_charge_has_the_limits_of_the_first_increments_row(
    limits: str, duration: str, expected: str, capped: bool
) -> None:
    rater = a_rater(f",W,,0,1,1,1,1/1,{limits}", ",W,,2,9,1,1,1/1,1,0", header=f"{HEADER},max_charge,min_charge")
    charge = charged(rater, a_call(duration))
    assert not isinstance(charge, str)
    assert charge[0] == expected
    explanation = rater.explain(a_call(duration), None, None)
    assert isinstance(explanation, Explanation)
    assert explanation.capped is capped


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((), (None, None)),
        (("44,off,off-peak,0,1,1,1,1/1,x", "44,on,peak,0,1,1,1,1/1,y"), ("on", "y")),  # the row it would begin with
        (("44,any,,0,1,1,1,1/1,", "44,off,off-peak,0,1,1,1,1/1,x"), ("any", None)),
        (("44,one,off-peak,0,1,1,1,1/1,x", "44,two,off-peak,5,1,1,1,1/1,y"), ("one", "x")),  # never no-rate
    ],
)
def test_a_call_that_was_not_answered_is_free(rows: tuple[str, ...], expected: tuple[str | None, str | None]) -> None:
    rater = a_rater("999,other,,0,1,1,1,1/1,z", *rows, header=f"{HEADER},place")
    assert charged(rater, a_call("0")) == ("0.0000", 0)
    charge = rater.charge(a_call("0"), None, None)
    assert isinstance(charge, Charge)
    assert (charge.destination, charge.place_called) == expected
    explanation = rater.explain(a_call("0"), None, None)
    assert isinstance(explanation, Explanation)
    assert (explanation.connect_fee, explanation.capped, explanation.runs) == (Decimal(0), False, ())


@pytest.mark.parametrize("duration", ["0", "61"])
@pytest.mark.parametrize(
    ("place", "row_place", "expected"),
    [("Leeds", "London", "Leeds"), (None, "London", "London"), ("", "London", "London"), (None, "", None)],
)
def test_the_place_called_is_the_switchs_word_before_the_decks(
    duration: str, place: str | None, row_place: str, expected: str | None
) -> None:
    rater = a_rater(f",W,,0,0,1,1,1/1,{row_place}", header=f"{HEADER},place")
    charge = rater.charge(a_call(duration, place=place), None, None)
    assert isinstance(charge, Charge)
    assert charge.place_called == expected


@pytest.mark.parametrize("type_", ["message", "data"])
@pytest.mark.parametrize(
    ("units", "answer", "expected"),
    [
        (None, FRIDAY, ("2.5000", 1)),  # one unit, if nothing is said
        (0, FRIDAY, ("0.0000", 0)),
        (7, FRIDAY, ("14.5000", 7)),
        (11, FRIDAY, ("21.5000", 11)),  # the step counts units too
        (10**6, "2026-11-20T18:59:59-05:00", ("1000010.5000", 10**6)),  # the period of the answer throughout
    ],
)
def test_messages_and_data_are_charged_by_units(
    type_: str, units: int | None, answer: str, expected: tuple[str, int]
) -> None:
    rater = a_rater(",W,peak,0,0.5,2,1,1/1", ",W,peak,10,0,1,1,1/1")
    assert charged(rater, a_call("0", answer, type=type_, units=units)) == expected
    assert charged(rater, a_call("3600", answer, type=type_, units=units)) == expected


def test_units_of_a_call_are_not_charged() -> None:
    assert charged(a_rater(",W,,0,0,1,1,1/1"), a_call("61", units=7)) == ("61.0000", 61)


@pytest.mark.parametrize(
    ("row", "more", "expected"),
    [
        (",W,,0,9223372036854.775807,0,1,1/1", {}, ("9223372036854.775807", 61)),
        (",W,,0,9223372036854.775808,0,1,1/1", {}, "out-of-range"),
        (",W,,0,0,99999999999999999999,1,1/1", {}, "out-of-range"),
        (",W,,0,0,0,1,1/1", {"type": "data", "units": 2**63 - 1}, ("0.000000", 2**63 - 1)),
        (",W,,0,0,0,1,1/1", {"type": "data", "units": 2**63}, "out-of-range"),
        (",W,,0,0,0,1,1/7", {"type": "data", "units": 2**63 - 1}, "out-of-range"),
    ],
)
def test_what_does_not_fit_into_64_bits_is_out_of_range(row: str, more: dict[str, Any], expected: object) -> None:
    assert charged(a_rater(row, keys="decimals = 6"), a_call(**more)) == expected


def test_a_call_of_one_price_may_last_for_ever_and_one_of_several_for_some_years() -> None:
    day_s = 86_400
    one, two = a_rater(",W,,0,0,1,60,1/1"), a_rater(",W,,0,0,1,60,1/1", ",W,peak,0,0,2,60,1/1")
    assert charged(one, a_call(str(10**12))) == ("16666666666.6667", 10**12)
    assert isinstance(two.charge(a_call(str(3_653 * day_s)), None, None), Charge)
    assert charged(two, a_call(str(20_000 * day_s))) == "out-of-range"
    assert charged(two, a_call(type="data", units=10**12)) == ("33333333333.3333", 10**12)


def test_a_price_that_changes_too_often_in_one_call_is_out_of_range() -> None:
    rater = a_rater(*(f",W,,{after_s},0,1,1,1/1" for after_s in range(20_001)))
    assert isinstance(rater.charge(a_call("20000"), None, None), Charge)
    assert charged(rater, a_call("20001")) == "out-of-range"


RATES = st.sampled_from(["0", "0.01", "1.20", "3.3", "0.000000000001", "987654321.987654321"])
PER_S = st.sampled_from([1, 7, 60, 3_600])
INCREMENTS = st.sampled_from(["1/1", "60/60", "60/6", "6/1", "30/7", "1/3600"])
DURATIONS = st.integers(1, 2 * 86_400 * MICROS)
ANSWERS = st.integers(0, 10 * 86_400 * MICROS).map(lambda us: us + 1_772_668_800 * MICROS)  # 2026-03-05 to 15
PERIODS = st.sampled_from(["", PEAK, NIGHT + PEAK])


@st.composite
def decks(
    draw: Callable[[st.SearchStrategy[Any]], Any], periods: tuple[str, ...] = ("", "peak", "off-peak")
) -> list[str]:
    """Rows of the fallback prefix for some periods, each with some steps."""
    rows = []
    for period in draw(st.lists(st.sampled_from(periods), min_size=1, unique=True)):
        for after_s in {0, *draw(st.lists(st.sampled_from([1, 59, 60, 61, 600, 3_600, 90_000]), max_size=3))}:
            prices = f"{draw(RATES)},{draw(RATES)},{draw(PER_S)},{draw(INCREMENTS)}"
            limits = draw(st.sampled_from([",", "10,", ",1000", "2.00005,0.1"]))
            rows.append(f",W,{period},{after_s},{prices},{limits}")
    return rows


def one_by_one(tariff: Tariff, cdr: CDR) -> tuple[Fraction, int] | str:
    """Rules 3 and 4 word by word, every increment by itself: the charge before its rounding, and the seconds."""
    calendar = TariffCalendar(tariff.timezone, tariff.periods)
    price, consumed_s, first = Fraction(0), 0, None
    while consumed_s * MICROS < cdr.duration_us:
        number, _ = calendar.at(cdr.answer_at // MICROS + consumed_s)
        own = [row for row in tariff.rows if row.period == calendar.names[number]]
        rows = own or [row for row in tariff.rows if row.period == "any"]
        if not rows:
            return "no-rate"
        row = max((row for row in rows if row.after_s <= consumed_s), key=lambda row: row.after_s)
        increment_s = row.increments[0] if first is None else row.increments[1]
        first = first or row
        price += increment_s * Fraction(row.rate) / row.per_s
        consumed_s += increment_s
    assert first is not None
    amount = max(Fraction(first.connect_fee) + price, Fraction(first.min_charge or 0))
    return amount if first.max_charge is None else min(amount, Fraction(first.max_charge)), consumed_s


@settings(deadline=None)
@given(decks(), ANSWERS, st.integers(1, 4_000 * MICROS))
def test_closing_equal_increments_changes_nothing(rows: list[str], answer_at: int, duration_us: int) -> None:
    tariff = a_tariff(
        *rows, header=f"{HEADER},max_charge,min_charge", keys='timezone = "America/New_York"\nrounding = "down"'
    )
    cdr = CDR("pop", "x", "1", "44", answer_at, 0, answer_at, duration_us)
    expected = one_by_one(tariff, cdr)
    charge = Rater(tariff).charge(cdr, None, None)
    if isinstance(expected, str) or isinstance(charge, str):
        assert charge == (expected if isinstance(expected, str) or expected[0] * MICROS < 2**63 else "out-of-range")
    else:
        assert (charge.charge_micros, charge.billed_s) == (int(expected[0] * 10_000) * 100, expected[1])


@settings(deadline=None)
@given(decks(), ANSWERS, DURATIONS, st.sampled_from(["up", "down", "half-up", "half-even"]), st.integers(0, 6))
def test_a_charge_and_its_explanation_agree(
    rows: list[str], answer_at: int, duration_us: int, rounding: str, decimals: int
) -> None:
    keys = f'timezone = "America/New_York"\nrounding = "{rounding}"\ndecimals = {decimals}'
    rater = a_rater(*rows, header=f"{HEADER},max_charge,min_charge", keys=keys)
    cdr = CDR("pop", "x", "1", "44", answer_at, 0, answer_at, duration_us)
    charge, explanation = rater.charge(cdr, None, None), rater.explain(cdr, None, None)
    if isinstance(charge, str) or isinstance(explanation, str):
        assert charge == explanation
        return
    assert_explained(charge, explanation)
    exact = Fraction(explanation.connect_fee) + sum(run.amount for run in explanation.runs)
    first = next(row for row in rater.tariff.rows if row.period == explanation.runs[0].period and not row.after_s)
    limited = max(exact, Fraction(first.min_charge or 0))
    if first.max_charge is not None:
        limited = min(limited, Fraction(first.max_charge))
    assert explanation.capped == (first.max_charge is not None and exact > first.max_charge)
    assert abs(Fraction(charge.charge_micros, MICROS) - limited) < Fraction(1, 10**decimals)


@settings(deadline=None)
@given(RATES, PER_S, INCREMENTS, st.sets(st.integers(1, 5_000), max_size=4), PERIODS, ANSWERS, DURATIONS)
def test_steps_and_periods_of_one_price_change_nothing(
    rate: str, per_s: int, increments: str, steps: set[int], periods: str, answer_at: int, duration_us: int
) -> None:
    cdr = CDR("pop", "x", "1", "44", answer_at, 0, answer_at, duration_us)
    names = {"", *(name for name in ("night", "peak", "off-peak") if f'"{name}"' in periods)}
    price = f"0.5,{rate},{per_s},{increments}"
    plain = a_rater(f",W,,0,{price}")
    cut = a_rater(*(f",W,{name},{after_s},{price}" for name in names for after_s in {0, *steps}), periods=periods)
    assert charged(cut, cdr) == charged(plain, cdr)


@settings(deadline=None)
@given(decks(("",)), ANSWERS, DURATIONS, DURATIONS)
def test_a_longer_call_does_not_cost_less(rows: list[str], answer_at: int, one_us: int, other_us: int) -> None:
    rater = a_rater(*rows, header=f"{HEADER},max_charge,min_charge")
    charges = [
        rater.charge(CDR("pop", "x", "1", "44", answer_at, 0, answer_at, duration_us), None, None)
        for duration_us in sorted((one_us, other_us))
    ]
    if isinstance(charges[0], str):
        assert charges == ["out-of-range", "out-of-range"]
    elif isinstance(charges[1], Charge):
        assert charges[0].charge_micros <= charges[1].charge_micros
        assert charges[0].billed_s <= charges[1].billed_s


@settings(deadline=None)
@given(decks(), st.randoms(use_true_random=False), ANSWERS, DURATIONS)
def test_the_order_of_the_deck_and_earlier_calls_change_nothing(
    rows: list[str], random: Any, answer_at: int, duration_us: int
) -> None:
    cdr = CDR("pop", "x", "1", "44", answer_at, 0, answer_at, duration_us)
    header = f"{HEADER},max_charge,min_charge"
    rater = a_rater(*rows, header=header)
    expected = charged(rater, cdr)
    assert charged(rater, cdr) == expected
    random.shuffle(rows)
    assert charged(a_rater(*rows, header=header), cdr) == expected


def test_a_long_first_increment_is_charged_and_explained_alike() -> None:
    # It begins in one period and is over only after ten years: nothing changes within an increment.
    rater = a_rater(",W,,0,0,0.01,1,100000000000/1", ",W,peak,0,0,0.02,1,100000000000/1")
    call = a_call("5000000000")
    explained = rater.explain(call, None, None)
    assert not isinstance(explained, str)
    assert charged(rater, call)[1] == explained.billed_s == 100_000_000_000
