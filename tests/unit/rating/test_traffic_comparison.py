"""What stored transactions would have cost under another tariff: sums by currency, destination and reason."""

from rating.tariff import parse_tariff
from rating.traffic_comparison import Sums, TrafficComparison
from tests.builders import a_row, a_tariff_text

PARIS = "33123456789"


def comparison(*rows: str, toml: str = "") -> TrafficComparison:
    return TrafficComparison(parse_tariff(a_tariff_text("standard", *rows, toml=toml)), {1: "USD", 2: "EUR", 3: "CHF"})


def test_calls_are_charged_again_and_summed_by_destination() -> None:
    found = comparison("4420,London,,0,0.10,1.00,60,60/60", "33,France,,0,0,0.30,60,60/60")
    found.add(a_row(), None)
    found.add(a_row(id=2, charge_micros=5_000_000), None)
    found.add(a_row(id=3, called=PARIS, destination="France", charge_micros=100_000), None)
    sums = found.by_currency["USD"]
    assert sums.charged == Sums(3, 7_700_000, 4_800_000)
    assert sums.greatest(2) == [("London", Sums(2, 7_600_000, 4_200_000)), ("France", Sums(1, 100_000, 600_000))]
    assert sums.greatest(1) == [("London", Sums(2, 7_600_000, 4_200_000))]


def test_what_rules_took_off_is_not_what_the_tariff_changes() -> None:
    found = comparison("4420,London,,0,0.20,1.20,60,60/60")
    found.add(a_row(charge_micros=0), 2_600_000)
    assert found.by_currency["USD"].charged == Sums(1, 2_600_000, 2_600_000)


def test_calls_that_were_not_answered_are_left_out() -> None:
    found = comparison("4420,London,,0,0.10,1.00,60,60/60")
    found.add(a_row(duration_us=0, charge_micros=0), None)
    assert found.by_currency == {}


def test_calls_that_would_have_no_rate_are_counted_apart() -> None:
    found = comparison("33,France,,0,0,0.30,60,60/60")
    found.add(a_row(), None)
    found.add(a_row(id=2, called=PARIS, destination="France", charge_micros=100_000), None)
    sums = found.by_currency["USD"]
    assert sums.suspended == {"no-rate": Sums(1, 2_600_000, 0)}
    assert sums.charged == Sums(1, 100_000, 600_000)


def test_each_currency_is_summed_by_itself_by_the_conversion_of_the_other_tariff() -> None:
    found = comparison("4420,London,,0,0,1.00,60,60/60", toml='[conversion]\nEUR = "0.5"\n')
    for tariff in (1, 2, 3):
        found.add(a_row(id=tariff, tariff=tariff), None)
    assert found.by_currency["USD"].charged.new_micros == 2_000_000
    assert found.by_currency["EUR"].charged.new_micros == 1_000_000
    assert found.by_currency["CHF"].suspended == {"no-conversion": Sums(1, 2_600_000, 0)}
