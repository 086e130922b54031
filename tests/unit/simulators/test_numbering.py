"""Numbers that are made up can be called, and are found again by their prefix."""

from collections import Counter
from random import Random
from zoneinfo import ZoneInfo

import pytest

from simulators.numbering import AREAS, COUNTRIES, DEFAULT_ZONE, PREMIUM, Atlas, Place, number_in, place_of, zone_of

PLACES = (*AREAS, *COUNTRIES, PREMIUM)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_a_number_is_e164_and_in_its_place(place: Place) -> None:
    rng = Random(1)
    for number in (number_in(place, rng) for _ in range(50)):
        assert number[0] == "+"
        assert number[1:].isdecimal()
        assert 10 <= len(number) - 1 <= 15
        assert place_of(number) == place_of(number[1:]) == place
    ZoneInfo(place.zone)


def test_prefixes_are_unique() -> None:
    assert len({place.prefix for place in PLACES}) == len(PLACES)


@pytest.mark.parametrize(
    ("number", "zone"),
    [
        ("+12125550142", "America/New_York"),
        ("13125550142", "America/Chicago"),
        ("+442079460018", "Europe/London"),
        ("+447700900123", "Europe/London"),
        ("+999123", DEFAULT_ZONE),
        ("sip:a@example.com", DEFAULT_ZONE),
        ("+", DEFAULT_ZONE),
    ],
)
def test_the_zone_follows_from_the_number(number: str, zone: str) -> None:
    assert zone_of(number) == zone


def test_places_are_drawn_by_their_weight() -> None:
    rng = Random(1)
    atlas = Atlas(AREAS)
    drawn = Counter(atlas.draw(rng).name for _ in range(5000))
    assert drawn["New York, NY"] > 5 * drawn["Honolulu, HI"] > 0
