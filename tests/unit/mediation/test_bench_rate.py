"""The decks of `bench rate`: what is measured is what its help says."""

from collections import defaultdict

from mediation.bench.rate import hard_deck
from mediation.bench.site import TARIFF, deck
from rating.cdr import CDR, MICROS
from rating.rater import Charge, Rater
from rating.tariff import TariffText, parse_tariff
from tests.builders import micros


def test_the_hard_deck_has_the_plain_ones_prefixes_with_steps_in_both_periods() -> None:
    _, plain = deck(50)
    text, prefixes = hard_deck(50)
    assert prefixes == plain
    tariff = parse_tariff(TariffText(TARIFF, text, "bench.toml", "bench.csv"))
    steps = defaultdict(list)
    for row in tariff.rows:
        steps[row.prefix, row.period].append((row.after_s, row.min_charge is not None, row.max_charge is not None))
    assert {prefix for prefix, _ in steps} == set(plain)
    for (_, period), rows in steps.items():
        peak = period == "peak"
        assert rows == [(after_s, peak, peak) for after_s in ((0, 60, 600) if peak else (0, 300))]


def test_the_first_step_of_the_hard_deck_costs_what_the_plain_one_does() -> None:
    """So that the two measure the same calls."""
    at = micros("2026-11-20T12:00:00-05:00")
    raters = [Rater(parse_tariff(TariffText(TARIFF, made(50)[0], "b.toml", "b.csv"))) for made in (deck, hard_deck)]
    for prefix in deck(50)[1]:
        cdr = CDR("pop", "x", "12125550142", f"{prefix}0000000", at, -300, at, 30 * MICROS)
        one, other = (rater.charge(cdr, None, None) for rater in raters)
        assert isinstance(one, Charge)
        assert isinstance(other, Charge)
        assert one.billed_s == other.billed_s
        assert other.charge_micros <= max(one.charge_micros, 20_000)
