"""What holds for any tariff and any call, whatever the charge is: sums, length, order of the deck, operations."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from random import Random

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rating.cdr import CDR, MICROS
from rating.explanation import Explanation
from rating.periods import TariffCalendar
from rating.pricing import Pricing, RowSet
from rating.rater import Charge, Rater
from rating.stretches import Stretch, consume
from rating.tariff import Tariff, TariffText, parse_tariff
from tests.naive_rater import NaiveRater
from tests.random_tariffs import Material, random_call, random_tariff

HOUR_S = 3_600
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

any_call = given(st.randoms(use_true_random=False))
few = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def tariff_of(material: Material) -> Tariff:
    return parse_tariff(TariffText(material.toml, material.deck, "odd.toml", "odd.csv"))


@few
@any_call
def test_the_parts_of_an_explanation_sum_to_the_charge(rng: Random) -> None:
    material = random_tariff(rng)
    cdr, provider, service = random_call(rng, material)
    rater = Rater(tariff_of(material))
    explained = rater.explain(cdr, provider, service)
    charge = rater.charge(cdr, provider, service)
    if not isinstance(explained, Explanation) or not explained.runs:
        assert explained == charge or (isinstance(charge, Charge) and charge.charge_micros == 0)
        return
    assert isinstance(charge, Charge)
    assert sum(run.seconds for run in explained.runs) == explained.billed_s == charge.billed_s
    for run in explained.runs:
        assert run.amount == Fraction(run.rate) * run.seconds / run.per_s
    exact = Fraction(explained.connect_fee) + sum(run.amount for run in explained.runs)
    least, most = limits_of(material, cdr, provider, service)
    limited = max(exact, least) if most is None else min(max(exact, least), most)
    assert explained.capped == (most is not None and exact > most)
    quanta = limited * 10**explained.decimals
    assert abs(Fraction(charge.charge_micros * 10**explained.decimals, MICROS) - quanta) < 1


def limits_of(
    material: Material, cdr: CDR, provider: str | None, service: str | None
) -> tuple[Fraction, Fraction | None]:
    """min_charge and max_charge of the row that the call begins with."""
    naive = NaiveRater(material.toml, material.deck)
    rows = naive.rows_of(cdr, {"provider": provider, "service": service, "type": cdr.type})
    first = naive.row_at(rows, EPOCH + timedelta(microseconds=cdr.answer_at), 0)
    assert first is not None
    return first.min_charge or Fraction(0), first.max_charge


@few
@given(st.randoms(use_true_random=False), st.lists(st.integers(1, 3 * 86_400 * MICROS), min_size=1, max_size=3))
def test_a_longer_call_goes_on_where_the_shorter_one_ended_and_never_costs_less(
    rng: Random, longer_us: list[int]
) -> None:
    """Also over steps, periods, caps and minimums: what was consumed stays, and no rate is below zero. Only what has
    no rate may become of it, and then it stays so."""
    material = random_tariff(rng)
    cdr, provider, service = random_call(rng, material)
    rater = Rater(tariff_of(material))
    durations = sorted({cdr.duration_us, *longer_us} - {0})
    calls = [msgspec.structs.replace(cdr, duration_us=us, units=us // MICROS + 1) for us in durations]
    for shorter, longer in pairwise([rater.explain(call, provider, service) for call in calls]):
        if isinstance(shorter, str):
            assert shorter == longer
        elif isinstance(longer, Explanation):
            assert longer.charge_micros >= shorter.charge_micros
            assert longer.billed_s >= shorter.billed_s
            assert longer.runs[: len(shorter.runs) - 1] == shorter.runs[:-1]
            assert longer.runs[len(shorter.runs) - 1].from_at == shorter.runs[-1].from_at


@few
@any_call
def test_the_order_of_the_decks_rows_does_not_matter(rng: Random) -> None:
    """But for a call that was not answered, in a period that its rows leave out: any of them names its destination."""
    material = random_tariff(rng)
    cdr, provider, service = random_call(rng, material)
    one = Rater(tariff_of(material)).charge(cdr, provider, service)
    rng.shuffle(material.rows)
    rng.shuffle(material.columns)
    other = Rater(tariff_of(material)).charge(cdr, provider, service)
    if isinstance(one, Charge) and isinstance(other, Charge) and not one.billed_s:
        assert (other.charge_micros, other.billed_s) == (0, 0)
    else:
        assert one == other


@few
@any_call
def test_other_rows_do_not_matter(rng: Random) -> None:
    """Rows of prefixes that the number does not begin with are another's."""
    material = random_tariff(rng)
    cdr, provider, service = random_call(rng, material)
    before = Rater(tariff_of(material)).charge(cdr, provider, service)
    twin = rng.choice(material.rows) | {"prefix": "8712345", "after_s": "0", "rate": "9"}
    material.rows.insert(rng.randint(0, len(material.rows)), twin)
    assert Rater(tariff_of(material)).charge(cdr, provider, service) == before


HEADER = "prefix,destination,period,after_s,connect_fee,rate,per_s,increments"
DAY_AND_NIGHT = '[[period]]\nname = "day"\nfrom = "08:00"\nto = "20:00"\n'


def prepared(*rows: str, periods: str = "") -> tuple[RowSet, TariffCalendar]:
    toml = f'name = "x"\ncurrency = "USD"\ntimezone = "America/New_York"\ndeck = "x.csv"\n{periods}'
    tariff = parse_tariff(TariffText(toml, "\n".join((HEADER, *rows)), "x.toml", "x.csv"))
    calendar = TariffCalendar(tariff.timezone, tariff.periods)
    return Pricing(calendar.names, tariff.decimals, tariff.rounding).prepare(tariff.rows), calendar


def stretches_of(rows: RowSet, calendar: TariffCalendar, hours: int) -> list[Stretch]:
    noon_s = int(datetime(2026, 11, 20, 17, tzinfo=UTC).timestamp())
    stretches = consume(rows, calendar, noon_s, hours * HOUR_S, timed=True)
    assert not isinstance(stretches, str)
    return stretches


@pytest.mark.parametrize("hours", [2, 12, 24, 1_000_000])
def test_a_call_of_one_price_takes_two_operations_however_long_it_is(hours: int) -> None:
    assert len(stretches_of(*prepared(",W,,0,0,1,60,1/1"), hours)) == 2


@pytest.mark.parametrize("hours", [2, 12, 1_000_000])
def test_a_step_adds_one_operation(hours: int) -> None:
    rows = (",W,,0,0,3,60,1/1", ",W,,60,0,2,60,1/1", ",W,,600,0,1,60,1/1")
    assert len(stretches_of(*prepared(*rows), hours)) == 4


@pytest.mark.parametrize(("hours", "most"), [(2, 2), (12, 4), (24, 6), (240, 42)])
def test_periods_add_some_operations_a_day_and_none_a_second(hours: int, most: int) -> None:
    """At the end of each period, and of each day in UTC, where the calendar is asked again."""
    rows = (",W,day,0,0,2,60,1/1", ",W,,0,0,1,60,1/1")
    assert len(stretches_of(*prepared(*rows, periods=DAY_AND_NIGHT), hours)) <= most
