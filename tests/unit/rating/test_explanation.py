"""The explained charge as people and programs read it: its runs, its exact amounts, its JSON."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.cdr import CDR, MICROS
from rating.explanation import Explanation, Run, as_json
from rating.rater import Rater
from rating.tariff import TariffText, parse_tariff

TOML = """
name = "standard"
currency = "USD"
timezone = "America/New_York"
deck = "standard.csv"
[[period]]
name = "off-peak"
[[period]]
name = "peak"
days = "mon-fri"
from = "08:00"
to = "19:00"
priority = 10
"""
DECK = """prefix,destination,period,after_s,connect_fee,rate,per_s,increments,place,max_charge
4420,London,peak,0,0.20,1.20,60,60/60,London,
4420,London,peak,60,0,1.20,60,1/1,,
4420,London,off-peak,0,0.10,0.01,1,1/1,,
33,France,,0,0.050,1,7,60/6,,1.5
,World,,0,0,1,60,60/60,,
"""


def explained(called: str, answer: str, duration: str, **more: Any) -> dict[str, Any]:
    """What `tollkeeper rate` prints for a call, after a way through JSON."""
    at = (datetime.fromisoformat(answer) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    cdr = CDR("pop", "a81f-0001", "12125550142", called, at, -300, at, int(Decimal(duration) * MICROS), **more)
    explanation = Rater(parse_tariff(TariffText(TOML, DECK, "standard.toml", "standard.csv"))).explain(cdr, None, None)
    assert isinstance(explanation, Explanation)
    answered: dict[str, Any] = json.loads(json.dumps(as_json(cdr.id, explanation)))
    return answered


def runs_of(answer: dict[str, Any]) -> list[tuple[str, str, int, str]]:
    """Of each run the beginning, the period, the seconds and the amount."""
    return [(run["from"], run["period"], run["seconds"], run["amount"]) for run in answer["explain"]]


def test_the_contracts_own_call() -> None:
    assert explained("442079460018", "2026-11-20T09:07:35-05:00", "61") == {
        "id": "a81f-0001",
        "charge": "1.4200",
        "currency": "USD",
        "destination": "London",
        "place_called": "London",
        "billed_s": 61,
        "connect_fee": "0.20",
        "capped": False,
        "explain": [
            {
                "from": "2026-11-20T09:07:35-05:00",
                "period": "peak",
                "seconds": 60,
                "rate": "1.20",
                "per_s": 60,
                "amount": "1.2",
            },
            {
                "from": "2026-11-20T09:08:35-05:00",
                "period": "peak",
                "seconds": 1,
                "rate": "1.20",
                "per_s": 60,
                "amount": "0.02",
            },
        ],
    }


def test_a_call_that_was_not_answered_has_no_runs() -> None:
    assert explained("442079460018", "2026-11-20T09:07:35-05:00", "0") == {
        "id": "a81f-0001",
        "charge": "0.0000",
        "currency": "USD",
        "destination": "London",
        "place_called": "London",
        "billed_s": 0,
        "connect_fee": "0",
        "capped": False,
        "explain": [],
    }


@pytest.mark.parametrize(
    ("called", "answer", "duration", "expected"),
    [
        # One length, one row: one run, over the end of a period and midnight UTC too.
        ("49", "2026-11-20T18:00:00-05:00", "86400", [("2026-11-20T18:00:00-05:00", "any", 86_400, "1440")]),
        # 60/6: the first minute by itself.
        (
            "33",
            "2026-11-20T12:00:00+00:00",
            "61",
            [("2026-11-20T07:00:00-05:00", "any", 60, "60/7"), ("2026-11-20T07:01:00-05:00", "any", 6, "6/7")],
        ),
        ("33", "2026-11-20T12:00:00+00:00", "60", [("2026-11-20T07:00:00-05:00", "any", 60, "60/7")]),
        # Another row: another run, and again one when the first row comes back.
        (
            "4420",
            "2026-11-20T18:59:59.5-05:00",
            str(13 * 3_600),
            [
                ("2026-11-20T18:59:59.500000-05:00", "peak", 60, "1.2"),
                ("2026-11-20T19:00:59.500000-05:00", "off-peak", 46_740, "467.4"),
            ],
        ),
        (
            "4420",
            "2026-11-19T18:59:00-05:00",
            str(13 * 3_600 + 120),
            [
                ("2026-11-19T18:59:00-05:00", "peak", 60, "1.2"),
                ("2026-11-19T19:00:00-05:00", "off-peak", 46_800, "468"),
                ("2026-11-20T08:00:00-05:00", "peak", 60, "1.2"),
            ],
        ),
        # Over a clock change the instants show the clock of their own time.
        (
            "4420",
            "2026-11-01T00:30:00-04:00",
            str(33 * 3_600),
            [
                ("2026-11-01T00:30:00-04:00", "off-peak", 117_000, "1170"),
                ("2026-11-02T08:00:00-05:00", "peak", 1_800, "36"),
            ],
        ),
    ],
)
def test_a_run_ends_where_the_row_or_the_increment_changes(
    called: str, answer: str, duration: str, expected: list[tuple[str, str, int, str]]
) -> None:
    assert runs_of(explained(called, answer, duration)) == expected


def test_units_take_no_time() -> None:
    answer = explained("33", "2026-11-20T12:00:00+00:00", "5", type="data", units=66)
    assert runs_of(answer) == [
        ("2026-11-20T07:00:00-05:00", "any", 60, "60/7"),
        ("2026-11-20T07:00:00-05:00", "any", 6, "6/7"),
    ]


def test_a_charge_that_was_cut_says_so_and_keeps_its_exact_amounts() -> None:
    answer = explained("33", "2026-11-20T12:00:00+00:00", "120")
    assert (answer["charge"], answer["capped"], answer["connect_fee"]) == ("1.5000", True, "0.050")
    assert sum(Fraction(run["amount"]) for run in answer["explain"]) == Fraction(120, 7)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Fraction(0), "0"),
        (Fraction(10), "10"),
        (Fraction(1, 2), "0.5"),
        (Fraction(1, 3), "1/3"),
        (Fraction(100, 7), "100/7"),
        (Fraction(1, 1_024), "0.0009765625"),
        (Fraction(1, 5**7), "0.0000128"),
        (Fraction(3, 10**30), f"0.{'0' * 29}3"),
        (Fraction(123_456, 100), "1234.56"),
    ],
)
def test_an_amount_is_an_exact_decimal_or_a_fraction(amount: Fraction, text: str) -> None:
    run = Run(0, "any", 1, Decimal("1E+2"), 1, amount)
    answer: Any = as_json(None, Explanation(0, "EUR", 2, "UTC", None, None, 1, Decimal("1E-7"), False, (run,)))
    assert answer["id"] is None
    assert answer["connect_fee"] == "0.0000001"
    assert answer["explain"][0]["rate"] == "100"
    assert answer["explain"][0]["amount"] == text


@given(st.fractions(min_value=0))
def test_an_amount_read_again_is_the_amount(amount: Fraction) -> None:
    run = Run(0, "any", 1, Decimal(1), 1, amount)
    answer: Any = as_json(None, Explanation(0, "EUR", 2, "UTC", None, None, 1, Decimal(0), False, (run,)))
    assert Fraction(answer["explain"][0]["amount"]) == amount


@pytest.mark.parametrize(
    ("at", "zone", "text"),
    [
        (0, "UTC", "1970-01-01T00:00:00+00:00"),
        (1, "Asia/Kathmandu", "1970-01-01T05:30:00.000001+05:30"),
        (-1, "UTC", "1969-12-31T23:59:59.999999+00:00"),
        # Monrovia was 44 minutes and 30 seconds behind: an offset that RFC 3339 cannot write.
        (0, "Africa/Monrovia", "1970-01-01T00:00:00+00:00"),
        (10**18, "UTC", None),
        (-(10**18), "America/New_York", None),
    ],
)
def test_an_instant_is_shown_in_the_tariffs_zone(at: int, zone: str, text: str | None) -> None:
    run = Run(at, "any", 1, Decimal(1), 1, Fraction(1))
    answer: Any = as_json("x", Explanation(0, "EUR", 2, zone, None, None, 1, Decimal(0), False, (run,)))
    assert answer["explain"][0]["from"] == text
