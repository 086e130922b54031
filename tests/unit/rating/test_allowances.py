"""Allowances, favourite numbers and discounts, applied to calls one after the other."""

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import msgspec
import pytest

from rating.allowances.application import Applied, Key, apply
from rating.allowances.parts import Parts
from rating.allowances.rules import Call
from rating.cdr import MICROS, UNIT_TYPES
from rating.rater import Charge, Rater
from rating.tariff import parse_tariff
from tests.builders import a_cdr, a_directory, a_tariff_text, an_account, micros
from tests.naive_allowances import NaiveLife

CENT_A_SECOND = "44,London,,0,0.05,0.01,1,1/1"
MINUTES = '[[allowance]]\nname = "free"\nper = "month"\nminutes = 2\n'
WAIVED = MINUTES + 'connect_fee = "free"\n'
CALLS = '[[allowance]]\nname = "calls"\nper = "month"\ncalls = 1\n'
HALF = '[[favourites]]\nname = "family"\nnumbers = 1\npercent = "50"\n'
VOLUME = (
    '[[discount]]\nname = "volume"\nper = "month"\non = "charges"\n'
    'steps = [{above = "1.00", percent = "10"}, {above = "2", percent = 20}]\n'
)

JULY, AUGUST = "2026-07-15T12:00:00Z", "2026-08-15T12:00:00Z"


class Life:
    """One account, one tariff, one call after the other."""

    def __init__(self, toml: str, *rows: str, favourites: tuple[str, ...] = (), **account: Any) -> None:
        self.rater = Rater(parse_tariff(a_tariff_text("standard", *rows or (CENT_A_SECOND,), toml=toml)))
        self.account = an_account(**account)
        self.directory = a_directory([self.account], favourites={self.account.account: favourites})
        self.used: Counter[Key] = Counter()

    def call(self, duration: int, at: str = JULY, **fields: Any) -> Applied:
        cdr = a_cdr(duration_us=duration * MICROS, start_at=micros(at), called="4420", **fields)
        gross, stretches = self.rater.charge_in_parts(cdr, "P", "voice")
        assert isinstance(gross, Charge), gross
        assert self.rater.rules is not None
        parts = self.directory.parts_of(self.rater.rules, cdr, self.account, stretches)
        crossed = msgspec.msgpack.decode(msgspec.msgpack.encode(parts), type=Parts)
        call = Call("voice", gross.destination, cdr.type, cdr.type not in UNIT_TYPES, gross.billed_s)
        applied = apply(crossed, call, self.rater.rules, self.used.__getitem__)
        for reduction in applied.reductions:
            self.used[reduction.key] += reduction.used
        assert 0 <= applied.charge_micros <= gross.charge_micros
        return applied

    def charges(self, *durations: int) -> list[int]:
        """In cents."""
        return [self.call(duration).charge_micros // 10_000 for duration in durations]


@pytest.mark.parametrize(
    ("toml", "durations", "cents"),
    [
        (MINUTES, [60, 60, 60], [5, 5, 65]),  # the connect fee stays
        (MINUTES, [100, 100, 100], [5, 85, 105]),  # the second is covered for 20 s of its 100
        (WAIVED, [100, 100, 100], [0, 80, 105]),
        (CALLS, [600, 1], [5, 6]),
        (CALLS + 'connect_fee = "free"\n', [600, 1], [0, 6]),
        (MINUTES + 'services = ["fax"]\n', [60], [65]),
        (MINUTES + 'destinations = ["London"]\ntypes = ["direct", "operator"]\n', [60], [5]),
        (MINUTES + MINUTES.replace("free", "more"), [200, 50], [5, 15]),  # 120 + 80 of the second, then its last 40
        (CALLS + WAIVED, [60, 60], [5, 0]),  # the fee is the first one's to waive, and stays
        (VOLUME, [95, 50, 145, 95], [100, 55, 135, 80]),  # 1.00 is not above 1.00; then 10 %, then 20 %
        (VOLUME.replace("charges", "calls"), [95, 95, 95, 95], [100, 100, 90, 80]),
        (VOLUME.replace("charges", "minutes"), [60, 1, 59, 60], [65, 6, 57, 58]),  # 57.6 and 58.5
        (MINUTES + VOLUME, [300, 100], [185, 94]),  # 94.5: what is left of the first call counts
    ],
)  # fmt: skip
def test_what_calls_one_after_the_other_cost(toml: str, durations: list[int], cents: list[int]) -> None:
    assert Life(toml).charges(*durations) == cents


def test_favourites_come_after_allowances_and_before_discounts() -> None:
    life = Life(MINUTES + HALF + VOLUME.replace('"1.00"', '"0"'), favourites=("4420", "4430"))
    first, second = life.call(120), life.call(100)
    assert [one.charge_micros for one in (first, second)] == [25_000, 472_500]  # 0.05 / 2; then 1.05 / 2, less 10 %
    assert [reduction.key.kind for reduction in first.reductions] == ["allowance", "favourites", "discount"]
    assert [reduction.amount for reduction in second.reductions] == [Fraction("0.525"), Fraction("0.0525")]


def test_only_so_many_of_an_accounts_numbers_are_favourites() -> None:
    assert Life(HALF, favourites=("4430", "4420")).charges(95) == [100]
    assert Life(HALF.replace("= 1", "= 2"), favourites=("4430", "4420")).charges(95) == [50]


def test_a_call_from_a_favourite_that_the_called_line_pays_for_is_one_too() -> None:
    life = Life(HALF, favourites=("33123",))
    assert life.call(95, type="collect", calling="33123").charge_micros == 500_000


def test_a_period_has_an_allowance_of_its_own() -> None:
    life = Life(MINUTES)
    assert [life.call(120, at).charge_micros for at in (JULY, AUGUST, JULY, AUGUST)] == [
        50_000,
        50_000,
        1_250_000,
        1_250_000,
    ]


def test_a_bill_cycle_begins_on_the_accounts_day_in_its_zone() -> None:
    life = Life(MINUTES.replace("month", "bill-cycle"), cycle_day=20, timezone="Asia/Tokyo")
    before, after = "2026-07-19T14:59:59Z", "2026-07-19T15:00:00Z"
    assert [life.call(120, at).charge_micros for at in (before, after)] == [50_000, 50_000]
    assert life.call(120, before).charge_micros == 1_250_000


def test_units_are_of_messages_and_minutes_of_calls() -> None:
    units = Life('[[allowance]]\nname = "texts"\nper = "month"\nunits = 3\n' + MINUTES)
    assert units.call(0, type="message", units=2).charge_micros == 50_000
    assert units.call(0, type="message", units=2).charge_micros == 60_000
    assert units.call(60).charge_micros == 50_000
    assert Counter({key.rule: used for key, used in units.used.items()}) == {"texts": 3, "free": 60}


def test_what_costs_nothing_uses_up_nothing() -> None:
    life = Life(MINUTES, "44,London,,0,0,0,1,60/60", "44,London,,60,0,0.01,1,1/1")
    assert life.charges(60, 100) == [0, 0]
    assert [*life.used.values()] == [40]


def test_a_covered_part_of_an_increment_is_covered_to_the_second() -> None:
    life = Life('[[allowance]]\nname = "free"\nper = "month"\nminutes = 1.5\n', "44,London,,0,0,0.60,60,60/60")
    assert life.charges(61, 1) == [30, 60]


@pytest.mark.parametrize(
    ("limits", "seconds", "cents"),
    [
        ("0.50,", 100, 5),  # covered wholly: no least charge
        ("0.50,", 140, 50),  # 0.25 are left, and the least charge is asked for
        (",0.60", 300, 60),  # 1.85 are left, and capped
        (",0.60", 130, 15),
    ],
)
def test_limits_hold_for_what_is_left_of_a_call(limits: str, seconds: int, cents: int) -> None:
    text = a_tariff_text("standard", toml=MINUTES)
    header = "prefix,destination,period,after_s,connect_fee,rate,per_s,increments,min_charge,max_charge\n"
    life = Life(MINUTES)
    life.rater = Rater(parse_tariff(type(text)(text.toml, f"{header}{CENT_A_SECOND},{limits}\n", "t.toml", "t.csv")))
    assert life.charges(seconds) == [cents]


def test_it_is_rounded_once_after_the_last_rule() -> None:
    toml = HALF + VOLUME.replace('"1.00"', '"0"').replace('"10"', '"33.3333"')
    life = Life(toml, "44,London,,0,0,0.0001,1,1/1", favourites=("4420",))
    life.used[Key("discount", "volume", "charges", micros("2026-07-01T04:00:00Z"))] = 1
    assert (
        life.call(3).charge_micros == 100
    )  # 0.0003 / 2 × 0.666667 = 0.00010000005; rounded in between it is 0.0001333


def test_amounts_beyond_64_bits_cross_the_seam_exactly() -> None:
    life = Life(MINUTES, "44,London,,0,999999999999.999999,0.01,1,1/1")
    assert life.call(121).charge_micros == 1_000_000_000_000_010_000 - 10_000 + 10_000


@dataclass(frozen=True)
class Material:
    """A random tariff, as text and as plain values."""

    rates: dict[str, Any]
    rules: dict[str, list[dict[str, Any]]]

    @property
    def rows(self) -> list[str]:
        rates = self.rates
        least, most = ("" if rates[limit] is None else str(rates[limit]) for limit in ("least", "most"))
        return [
            f"{prefix},{name},,{row['after']},{_text(rates['connect'])},{row['rate']},{row['per']},"
            f"{row['first']}/{row['next']},{least and _text(rates['least'])},{most and _text(rates['most'])}"
            for prefix, name in (("44", "London"), ("33", "Paris"))
            for row in rates["steps"]
        ]  # fmt: skip

    @property
    def toml(self) -> str:
        tables = [f'rounding = "{self.rates["rounding"]}"\n']
        for kind, rules in self.rules.items():
            for rule in rules:
                tables.append(f"[[{kind}]]\n")
                for key, value in rule.items():
                    text = msgspec.json.encode(value).decode()
                    if key == "steps":
                        text = (
                            "["
                            + ", ".join(f'{{above = "{s["above"]}", percent = "{s["percent"]}"}}' for s in value)
                            + "]"
                        )
                    tables.append(f"{key} = {text}\n")
        return "".join(tables)


def _text(amount: Fraction) -> str:
    return str(Decimal(amount.numerator) / amount.denominator)


def a_material(random: Random) -> Material:
    steps = [{"after": 0}] + ([{"after": random.choice((30, 60, 90))}] if random.random() < 0.5 else [])
    for row in steps:
        row |= {
            "rate": random.choice(("0", "0.01", "0.07", "0.123", "1.2")), "per": random.choice((1, 7, 60)),
            "first": random.choice((1, 30, 60)), "next": random.choice((1, 6, 7, 60)),
        }  # fmt: skip
    least = random.choice((None, None, Fraction("0.05"), Fraction("0.5")))
    most = random.choice((None, None, Fraction("0.75"), Fraction(3)))
    rates = {
        "steps": steps, "connect": random.choice((Fraction(0), Fraction("0.2"), Fraction("0.0375"))), "least": least,
        "most": most, "decimals": 4, "rounding": random.choice(("up", "down", "half-up", "half-even")),
    }  # fmt: skip
    rules = {
        "allowance": [_an_allowance(random, n) for n in range(random.randint(0, 3))],
        "favourites": [
            {"name": f"f{n}", "numbers": 1, "percent": random.choice(("50", "12.5"))} | _filters(random)
            for n in range(random.randint(0, 2))
        ],
        "discount": [_a_discount(random, n) for n in range(random.randint(0, 2))],
    }
    return Material(rates, rules if any(rules.values()) else rules | {"discount": [_a_discount(random, 0)]})


def _an_allowance(random: Random, n: int) -> dict[str, Any]:
    what, quantity = random.choice(
        (("minutes", "2.5"), ("minutes", "0.5"), ("calls", 2), ("units", 5), ("minutes", "7"))
    )
    fee = {"connect_fee": random.choice(("free", "charged"))} if random.random() < 0.7 else {}
    types = {} if what != "units" else {"types": ["message"]}
    return (
        {"name": f"a{n}", "per": random.choice(("month", "bill-cycle")), what: quantity}
        | fee
        | _filters(random)
        | types
    )


def _a_discount(random: Random, n: int) -> dict[str, Any]:
    steps = [{"above": above, "percent": random.choice(("5", "33.3", "100"))} for above in ("0", "1.5", "4")]
    return {
        "name": f"d{n}", "per": random.choice(("month", "bill-cycle")),
        "on": random.choice(("charges", "minutes", "calls")), "steps": steps[random.randint(0, 2):],
    } | _filters(random)  # fmt: skip


def _filters(random: Random) -> dict[str, Any]:
    every = (("services", ["voice", "fax"]), ("destinations", ["London"]), ("types", ["direct"]), ("services", ["fax"]))
    return dict([random.choice(every)]) if random.random() < 0.4 else {}


@pytest.mark.parametrize("seed", range(150))
def test_random_lives_agree_with_a_naive_reckoning(seed: int) -> None:
    random = Random(seed)
    material = a_material(random)
    text = a_tariff_text("standard", toml=material.toml)
    header = "prefix,destination,period,after_s,connect_fee,rate,per_s,increments,min_charge,max_charge\n"
    tariff = parse_tariff(type(text)(text.toml, header + "\n".join(material.rows) + "\n", "t.toml", "t.csv"))
    life, naive = (
        Life(MINUTES, favourites=("4420", "3320"), cycle_day=20, timezone="UTC"),
        NaiveLife(material.rates, material.rules),
    )
    life.rater = Rater(tariff)
    covered: Counter[tuple[str, int]] = Counter()
    for _ in range(25):
        kind = random.choice(("direct", "direct", "operator", "message"))
        quantity = random.randint(1, 200)
        at, windows = random.choice(
            ((JULY, (6, 5)), (AUGUST, (7, 6)), ("2026-07-25T00:00:00Z", (6, 6)), ("2026-07-01T00:00:00Z", (6, 5)))
        )
        called, destination, favourite = random.choice((("4420", "London", True), ("3320", "Paris", False)))
        expected = naive.charge(
            {
                "seconds": quantity, "service": "voice", "destination": destination, "type": kind,
                "window": dict(zip(("month", "bill-cycle"), windows, strict=True)), "favourite": favourite,
            }
        )  # fmt: skip
        cdr = a_cdr(duration_us=quantity * MICROS, start_at=micros(at), called=called, type=kind, units=quantity)
        _, stretches = life.rater.charge_in_parts(cdr, "P", "voice")
        assert life.rater.rules is not None
        parts = life.directory.parts_of(life.rater.rules, cdr, life.account, stretches)
        call = Call("voice", destination, kind, kind != "message", expected.billed_s)
        applied = apply(parts, call, life.rater.rules, life.used.__getitem__)
        assert Fraction(applied.charge_micros, MICROS) == expected.charge
        for reduction in applied.reductions:
            life.used[reduction.key] += reduction.used
            if reduction.key.kind == "allowance":
                covered[reduction.key.rule, reduction.key.window_at] += reduction.used
                assert reduction.used == expected.used[reduction.key.rule]
            assert reduction.amount >= 0
        gross = life.rater.charge(cdr, "P", "voice")
        assert isinstance(gross, Charge)
        assert 0 <= applied.charge_micros <= gross.charge_micros
    limits = {rule.name: rule.quantity for rule in life.rater.rules.allowances} if life.rater.rules else {}
    assert all(used <= limits[name] for (name, _), used in covered.items())
