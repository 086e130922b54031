"""What a version of a tariff changes: which price is which kind of change, and by how much."""

from fractions import Fraction

import pytest

from rating.deck_comparison import KINDS, Change, compare
from rating.tariff import Tariff, TariffText, parse_tariff

HEADER = (
    "prefix,destination,period,after_s,connect_fee,rate,per_s,increments,max_charge,min_charge,provider,service,type"
)
LEAST = 'name = "standard"\ncurrency = "USD"\ndeck = "standard.csv"\n'
LONDON = "4420,London,,0,0.20,1.20,60,60/60,,,,,"


def tariff(*rows: str, toml: str = LEAST) -> Tariff:
    return parse_tariff(TariffText(toml, "\n".join((HEADER, *rows)) + "\n", "standard.toml", "standard.csv"))


def only(old: str, new: str) -> Change:
    """The one change between two rows."""
    found = compare(tariff(old), tariff(new))
    (change,) = (change for kind in KINDS for change in found.changes[kind])
    return change


def test_a_price_is_that_of_a_minute_in_a_call_of_three_fee_included() -> None:
    change = only(LONDON, LONDON.replace("1.20", "1.50"))
    assert (change.kind, change.destination, change.key.prefix, change.key.period) == (
        "dearer",
        "London",
        "4420",
        "any",
    )
    assert (change.old, change.new) == (Fraction(38, 30), Fraction(47, 30))
    assert change.percent == Fraction(9 * 100, 38)


@pytest.mark.parametrize(
    ("cells", "kind", "new"),
    [
        ("0,0.20,1.21,60,60/60,,", "dearer", "3.83"),
        ("0,0.20,1.19,60,60/60,,", "cheaper", "3.77"),
        ("0,0.10,1.20,60,60/60,,", "cheaper", "3.70"),
        ("0,0.20,1.20,60,60/7,,", "dearer", "3.92"),  # 60 and eighteen times 7 are 186 s
        ("0,0.20,1.20,60,200/1,,", "dearer", "4.20"),
        ("0,0.20,1.20,60,60/60,3,", "cheaper", "3"),
        ("0,0.20,1.20,60,60/60,,5", "dearer", "5"),
        ("0,0.20,1.20,60,1/1,,", "other_terms", "3.80"),
        ("0,0.20,1.20,60,60/60,9,", "other_terms", "3.80"),
        ("0,0.50,1.10,60,60/60,,", "other_terms", "3.80"),
    ],
)
def test_what_is_compared_is_the_price_and_then_the_terms(cells: str, kind: str, new: str) -> None:
    change = only(LONDON, f"4420,London,,{cells},,,")
    assert (change.kind, change.new) == (kind, Fraction(new) / 3)


@pytest.mark.parametrize(
    "row",
    [
        LONDON,
        "4420,London,any,0,0.2,1.2,60,60/60,,,,,",
        "4420,London,,0,0.20,0.02,1,60/60,,,,,",
        "4420,Greater London,,0,0.20,1.20,60,60/60,,,,,",
    ],
)
def test_the_same_price_in_other_words_is_the_same(row: str) -> None:
    found = compare(tariff(LONDON), tariff(row))
    assert (found.same, found.changes) == (1, {kind: [] for kind in KINDS})


def test_steps_are_followed() -> None:
    step = "4420,London,,60,0,0.60,60,60/60,,,,,"
    (change,) = compare(tariff(LONDON), tariff(LONDON, step)).changes["cheaper"]
    assert change.new == Fraction("2.60") / 3


def test_new_and_gone_have_one_price_and_no_percent() -> None:
    found = compare(tariff(LONDON), tariff("33,France,,0,0,0.3,60,1/1,,,,,"))
    (new,), (gone,) = found.changes["new"], found.changes["gone"]
    assert (new.key.prefix, new.old, new.new, new.percent) == ("33", None, Fraction("0.3"), None)
    assert (gone.key.prefix, gone.old, gone.new, gone.percent) == ("4420", Fraction("3.8") / 3, None, None)


def test_without_a_version_in_force_all_is_new() -> None:
    found = compare(None, tariff(LONDON, "33,France,,0,0,0.3,60,1/1,,,,,"))
    assert [change.key.prefix for change in found.changes["new"]] == ["33", "4420"]
    assert (found.same, found.differs) == (0, [])


def test_what_was_free_has_no_percent() -> None:
    change = only("1,Home,,0,0,0,60,1/1,,,,,", "1,Home,,0,0,0.1,60,1/1,,,,,")
    assert (change.kind, change.percent) == ("dearer", None)


def test_periods_and_filters_are_prices_of_their_own() -> None:
    periods = '[[period]]\nname = "peak"\nfrom = "08:00"\n'
    old = tariff("4420,London,,0,0,1,60,1/1,,,,,", "4420,London,peak,0,0,2,60,1/1,,,,,", toml=LEAST + periods)
    new = tariff("4420,London,peak,0,0,3,60,1/1,,,,,", "4420,London,,0,0,1,60,1/1,,,acme,,", toml=LEAST + periods)
    found = compare(old, new)
    assert [change.key.period for change in found.changes["dearer"]] == ["peak"]
    assert [change.key.provider for change in found.changes["new"]] == ["acme"]
    assert [change.key.period for change in found.changes["gone"]] == ["any"]


def test_messages_and_data_are_compared_by_the_unit() -> None:
    change = only("1,SMS,,0,0,0.05,1,1/1,,,,,message", "1,SMS,,0,0,0.06,1,1/1,,,,,message")
    assert (change.old, change.new) == (Fraction("0.05"), Fraction("0.06"))


def test_the_greatest_change_comes_first() -> None:
    old = tariff(*(f"{prefix},X,,0,0,1,60,1/1,,,,," for prefix in (1, 2, 3, 4)))
    new = tariff(
        *(f"{prefix},X,,0,0,{rate},60,1/1,,,,," for prefix, rate in ((1, 1.1), (2, 3), (3, "0.5"), (4, "0.9")))
    )
    found = compare(old, new)
    assert [change.key.prefix for change in found.changes["dearer"]] == ["2", "1"]
    assert [change.key.prefix for change in found.changes["cheaper"]] == ["3", "4"]


@pytest.mark.parametrize(
    ("toml", "differs"),
    [
        (LEAST, []),
        (LEAST.replace("USD", "EUR"), ["currency"]),
        (f'{LEAST}timezone = "Europe/Paris"\n', ["timezone"]),
        (f'{LEAST}decimals = 2\nrounding = "up"\n', ["decimals", "rounding"]),
        (f'{LEAST}[[period]]\nname = "peak"\n', ["period"]),
        (f'{LEAST}[conversion]\nEUR = "0.9"\n', ["conversion"]),
    ],
)
def test_what_applies_to_all_prices_is_named(toml: str, differs: list[str]) -> None:
    found = compare(tariff(LONDON), tariff(LONDON, toml=toml))
    assert (found.differs, found.same) == (differs, 1)
