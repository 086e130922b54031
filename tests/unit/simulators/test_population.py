"""Made-up people are the same for a seed, and lines.csv is read as the contract writes it."""

import pytest

from simulators.numbering import zone_of
from simulators.population import LINE_SERVICES, MOST_LINES, Line, callers, lines_of, make_population, read_lines


def test_a_seed_makes_the_same_people() -> None:
    assert make_population(50, seed=3) == make_population(50, seed=3)
    assert make_population(50, seed=3) != make_population(50, seed=4)


@pytest.mark.parametrize("count", [1, 2, 17, 3000])
def test_a_population_has_as_many_calling_lines_as_asked_for(count: int) -> None:
    lines = list(callers(lines_of(make_population(count, seed=1))))
    assert len(lines) == len({line.number for line in lines}) == count
    assert all(line.number[5:8] == "555" and len(line.number) == 12 for line in lines)
    assert all(line.zone == zone_of(line.number) for line in lines)


def test_numbers_stay_unique_when_the_areas_run_out() -> None:
    lines = lines_of(make_population(MOST_LINES, seed=1))
    assert len({line.number for line in lines}) == len(lines)


@pytest.mark.parametrize("count", [0, -1, MOST_LINES + 1])
def test_a_population_that_cannot_be_made_up_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 180000 lines"):
        make_population(count, seed=1)


def test_some_have_cards_and_toll_free_numbers_and_those_make_no_calls() -> None:
    lines = lines_of(make_population(500, seed=1))
    silent = [line for line in lines if line.is_card or line.is_toll_free]
    assert {line.number[:5] for line in silent} == {"card:", "+1800"}
    assert not set(silent) & set(callers(lines))


def test_appetites_have_a_heavy_tail() -> None:
    appetites = sorted((line.appetite for line in callers(lines_of(make_population(2000, seed=1)))), reverse=True)
    assert 0.35 < sum(appetites[:200]) / sum(appetites) < 0.65


def test_lines_csv_is_read_with_the_services_of_each_line() -> None:
    text = (
        "\ufeffline,account,provider,service,switch\n"
        "+12125550142,1,metro,local,nas1\n"
        "12125550142,1,metro,fax,\n"
        "+12125550142,1,trans,long-distance,\n"
        "+12125550142,1,trans,long-distance,\n"
        "442079460018,2,bt,,\n"
        "card:77,2,trans,long-distance,\n"
        ",,,,\n"
    )
    lines = read_lines(text, seed=1)
    assert [(line.number, line.zone, line.services) for line in lines] == [
        ("+12125550142", "America/New_York", ("local", "fax", "long-distance")),
        ("+442079460018", "Europe/London", ()),
        ("card:77", "America/New_York", ("long-distance",)),
    ]
    assert lines == read_lines(text, seed=1)


def test_appetites_of_lines_that_are_read_depend_on_the_seed_and_not_on_their_company() -> None:
    alone = read_lines("line\n+12125550142\n", seed=1)
    together = read_lines("line\n+12125550141\n+12125550142\n", seed=1)
    assert alone[0] == together[1]
    assert alone[0].appetite != read_lines("line\n+12125550142\n", seed=2)[0].appetite


@pytest.mark.parametrize(
    ("text", "message"), [("", "no column `line`"), ("number\n1\n", "no column"), ("line,account\n", "no line")]
)
def test_a_file_without_lines_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_lines(text, seed=1)


def test_made_up_lines_have_the_services_that_calls_name() -> None:
    assert all(line.services == LINE_SERVICES for line in callers(lines_of(make_population(20, seed=1))))
    assert Line("+12125550142", "UTC").services == ()
