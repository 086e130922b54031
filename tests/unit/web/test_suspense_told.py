"""What a page says after work on suspended records: it survives the address, and nothing else gets in."""

import pytest
from multidict import MultiDict

from mediation.pipeline.recycling import Mended, Recycled
from web.pages.suspense_told import Told, read_told, told_of

RECYCLED = Recycled(3, 1, 2, {"unknown-line": 6}, {"no-rate": 2})


@pytest.mark.parametrize(
    "told",
    [
        Told(),
        Told(discarded=3, before=5, after=2),
        told_of(Mended(3, 1, 2), None, 6, 6),
        told_of(Mended(3), RECYCLED),
        told_of(None, RECYCLED, 6, 2),
    ],
)
def test_what_is_told_survives_the_address(told: Told) -> None:
    assert read_told(MultiDict(told.query())) == told


@pytest.mark.parametrize(
    "query",
    [
        {"recycled": "many"},
        {"recycled": "-1"},
        {"recycled": "9" * 11},
        {"recycled": "٣"},
        {"now_as": "you-are-hacked:7"},
        {"now_as": "no-rate:x"},
        {"now_as": "no-rate"},
    ],
)
def test_an_address_that_says_it_badly_says_nothing(query: dict[str, str]) -> None:
    assert read_told(MultiDict(query)) == Told()


@pytest.mark.parametrize(
    ("told", "is_something", "is_complete"),
    [
        (Told(before=1), False, True),
        (Told(recycled=0, still_open=0), True, True),
        (Told(recycled=1, still_open=1), True, False),
        (Told(mended=1, refused=1), True, False),
        (Told(discarded=1), True, True),
    ],
)
def test_whether_all_was_done(told: Told, is_something: bool, is_complete: bool) -> None:
    assert (told.is_something, told.is_complete) == (is_something, is_complete)
