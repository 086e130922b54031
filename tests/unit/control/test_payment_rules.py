"""The rules of payment as a file says them, and the discount that they grant."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control import audit
from control.payments.discount import Offer, offer
from control.payments.rule_rows import put_rules, rules_on
from control.payments.rules import NO_RULES, EarlyPayment, Rules, RulesError, parse_rules
from mediation.schema import all_migrations
from rating.cdr import MICROS
from rating.store.migrations import migrate
from tests.builders import NOW

FILE = "rules.toml"
WHOLE = """\
name = "standard"
valid_from = "2026-01-01"
[early_payment_discount]
percent = "2"
days = 10
[payment]
due_days = 21
[disallow]
below = "0.50"
"""
ISSUED = date(2026, 11, 3)


def test_a_file_says_all_of_it() -> None:
    assert parse_rules(WHOLE, FILE) == Rules(
        "standard", date(2026, 1, 1), EarlyPayment(2 * MICROS, 10), due_days=21, below_micros=500_000
    )


def test_what_is_left_out_has_its_default() -> None:
    assert parse_rules('name = "plain"', FILE) == Rules("plain", None, None, due_days=30, below_micros=0)
    assert parse_rules('name = "plain"\n[payment]\n', FILE).due_days == 30


DISCOUNT = '[early_payment_discount]\npercent = "2"\ndays = 10\n'


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", ["rules.toml: name", "missing"]),
        ('name = "x', ["rules.toml", "not TOML"]),
        ('name = "x"\ncolour = "red"', ["colour", "unknown key", "valid_from"]),
        ('name = "x"\nvalid_from = "yesterday"', ["valid_from", "not a day"]),
        ('name = "x"\n[tax]\nrate = "19"', ["tax", "not in this version", "remove"]),
        ('name = "x"\n[early_payment_discount]\ndays = 10', ["[early_payment_discount]: percent", "missing"]),
        ('name = "x"\n[early_payment_discount]\npercent = "2"', ["[early_payment_discount]: days", "missing"]),
        ('name = "x"\n' + DISCOUNT.replace('"2"', "2"), ["percent: 2 is not in quotes", 'as percent = "2"']),
        ('name = "x"\n' + DISCOUNT.replace('"2"', '"0"'), ["percent", "more than 0"]),
        ('name = "x"\n' + DISCOUNT.replace('"2"', '"100"'), ["percent", "less than 100"]),
        ('name = "x"\n' + DISCOUNT.replace('"2"', '"2 %"'), ["percent", "plain decimal"]),
        ('name = "x"\n' + DISCOUNT.replace('"2"', '"-1"'), ["percent: '-1' is not", "more than 0 and less than 100"]),
        ('name = "x"\n' + DISCOUNT.replace('"2"', "-1"), ["percent: -1 is not", "more than 0 and less than 100"]),
        ('name = "x"\n' + DISCOUNT.replace("10", "366"), ["days", "365"]),
        ('name = "x"\n' + DISCOUNT + 'cap = "5"', ["[early_payment_discount]: 'cap'", "unknown key"]),
        ('name = "x"\n' + DISCOUNT.replace("10", "31"), ["early_payment_discount.days", "30"]),
        ('name = "x"\nearly_payment_discount = 2', ["early_payment_discount", "not a table"]),
        ('name = "x"\n[payment]\ndue_days = "30"', ["[payment]: due_days", "not in range"]),
        ('name = "x"\n[payment]\nwithin = 30', ["[payment]: 'within'", "unknown key"]),
        ('name = "x"\n[disallow]\nbelow = "-1"', ["[disallow]: below", "plain decimal"]),
        ('name = "x"\n[disallow]\n', ["[disallow]: below", "missing"]),
        ('name = "x"\n[disallow]\nbelow = "1"\nabove = "2"', ["[disallow]: 'above'", "unknown key"]),
    ],
)
def test_a_wrong_file_is_refused_in_one_line_that_names_file_and_key(text: str, named: list[str]) -> None:
    with pytest.raises(RulesError) as refused:
        parse_rules(text, FILE)
    said = str(refused.value)
    assert "\n" not in said
    assert said.startswith(FILE)
    assert [word for word in named if word not in said] == []


@pytest.fixture
def cx() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as cx:
        migrate(cx, all_migrations(), NOW)
        yield cx


def test_an_invoice_goes_by_the_newest_of_the_versions_in_force_on_its_date(cx: sqlite3.Connection) -> None:
    assert rules_on(cx, ISSUED) == NO_RULES
    wanted = [
        Rules("always"),
        Rules("november", date(2026, 11, 3), EarlyPayment(1_500_000, 5), 14, 250_000),
        Rules("december", date(2026, 12, 1)),
        Rules("also always"),
        Rules("november anew", date(2026, 11, 3), EarlyPayment(1, 0)),
    ]
    assert [put_rules(cx, rules, f"text of {rules.name}", "stella", NOW) for rules in wanted] == [1, 2, 3, 4, 5]
    found = {day: rules_on(cx, date.fromisoformat(day)) for day in ("2026-11-02", "2026-11-03", "2026-12-01")}
    assert {day: (rules.name, rules.version) for day, rules in found.items()} == {
        "2026-11-02": ("also always", 4),
        "2026-11-03": ("november anew", 5),
        "2026-12-01": ("december", 3),
    }
    assert cx.execute("SELECT text, actor FROM rule_versions WHERE id = 2").fetchone() == ("text of november", "stella")
    assert audit.entries(cx, limit=1)[0].action == "import rules"


def test_a_version_comes_back_as_it_was_kept(cx: sqlite3.Connection) -> None:
    rules = Rules("november", date(2026, 11, 3), EarlyPayment(1_500_000, 5), 14, 250_000)
    put_rules(cx, rules, "", "stella", NOW)
    assert rules_on(cx, ISSUED) == Rules("november", date(2026, 11, 3), EarlyPayment(1_500_000, 5), 14, 250_000, 1)


def two_percent(base_micros: int, decimals: int = 2, *, percent: int = 2 * MICROS, **more: bool) -> Offer | None:
    rules = Rules("standard", early=EarlyPayment(percent, 10), version=7)
    return offer(rules, base_micros=base_micros, issued_on=ISSUED, decimals=decimals, **more)


@pytest.mark.parametrize(
    ("base_micros", "decimals", "percent", "expected"),
    [
        (100_000_000, 2, 2_000_000, 2_000_000),
        (0, 2, 2_000_000, None),
        (-5_000_000, 2, 2_000_000, None),
        (240_000, 2, 2_000_000, None),  # 0.0048
        (250_000, 2, 2_000_000, 10_000),  # 0.005, half up
        (740_000, 2, 2_000_000, 10_000),  # 0.0148
        (750_000, 2, 2_000_000, 20_000),  # 0.015
        (749_999, 6, 2_000_000, 15_000),
        (49_000_000, 0, 1_000_000, None),  # 0.49
        (50_000_000, 0, 1_000_000, 1_000_000),
        (33_330_000, 3, 33_333_333, 11_110_000),
    ],
)
def test_a_discount_is_rounded_half_up_once(
    base_micros: int, decimals: int, percent: int, expected: int | None
) -> None:
    found = two_percent(base_micros, decimals, percent=percent)
    assert (found and found.amount_micros) == expected


def test_it_is_had_from_the_invoice_date_to_its_last_day() -> None:
    found = two_percent(100 * MICROS)
    assert found == Offer(7, 2 * MICROS, date(2026, 11, 3), date(2026, 11, 13))
    days = {day: found.is_in_time(date(2026, 11, day)) for day in (2, 3, 13, 14)}
    assert days == {2: False, 3: True, 13: True, 14: False}


def test_who_was_past_due_has_forfeited_it_and_without_a_rule_there_is_none() -> None:
    assert two_percent(100 * MICROS, is_past_due=True) is None
    assert offer(NO_RULES, base_micros=100 * MICROS, issued_on=ISSUED, decimals=2) is None


@given(st.integers(1, 10**15), st.integers(1, 100 * MICROS - 1), st.integers(0, 6))
def test_a_discount_is_within_half_a_unit_of_its_share_and_less_than_all(
    base: int, percent: int, decimals: int
) -> None:
    found = two_percent(base, decimals, percent=percent)
    amount, unit = found.amount_micros if found else 0, 10 ** (6 - decimals)
    assert amount % unit == 0
    # 2 |amount - base × percent / 100| ≤ unit, in whole numbers
    assert 2 * abs(amount * 100 * MICROS - base * percent) <= unit * 100 * MICROS
