"""Paging parameters, and instants in bodies, are read strictly."""

from collections.abc import Callable

import pytest
from multidict import MultiDict, MultiMapping

from tests.builders import micros
from web.api.accounts import amount
from web.api.bodies import in_words, instant_of
from web.api.paging import ROWS, key_of, known_only, limit_of, number_after
from web.refusals import Refused


@pytest.mark.parametrize(("query", "limit"), [({}, ROWS), ({"limit": "1"}, 1), ({"limit": "500"}, 500)])
def test_a_limit_is_a_number_of_rows(query: dict[str, str], limit: int) -> None:
    assert limit_of(MultiDict(query)) == limit


@pytest.mark.parametrize(("query", "after"), [({}, None), ({"after": ""}, None), ({"after": "17"}, 17)])
def test_a_key_may_be_a_number(query: dict[str, str], after: int | None) -> None:
    assert number_after(MultiDict(query)) == after


@pytest.mark.parametrize(
    ("read", "query"),
    [
        (limit_of, {"limit": "0"}),
        (limit_of, {"limit": "501"}),
        (limit_of, {"limit": "9" * 30}),
        (limit_of, {"limit": "ten"}),
        (limit_of, {"limit": "٣"}),
        (number_after, {"after": "x"}),
        (number_after, {"after": "-1"}),
        (number_after, {"after": "9" * 19}),
        (key_of, {"after": "x" * 1001}),
        (key_of, {"after": "a\0"}),
        (lambda query: known_only(query, "limit"), {"limt": "1"}),
        (known_only, {"limit": "1"}),
    ],
)
def test_what_means_nothing_is_refused(read: Callable[[MultiMapping[str]], object], query: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        read(MultiDict(query))
    assert refused.value.status == 422
    assert next(iter(query)) in refused.value.detail


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (None, None),
        ("2026-11-20T15:00:00Z", micros("2026-11-20T15:00:00Z")),
        ("2026-11-20T10:00:00.000001-05:00", micros("2026-11-20T15:00:00Z") + 1),
    ],
)
def test_instants_are_exact(text: str | None, at: int | None) -> None:
    assert instant_of("arrived_from", text) == at


@pytest.mark.parametrize("text", ["", "today", "2026-11-20", "2026-11-20T15:00:00", "2026-13-01T00:00:00Z"])
def test_an_instant_without_an_offset_is_refused(text: str) -> None:
    with pytest.raises(Refused, match=r"arrived_from: .* RFC 3339"):
        instant_of("arrived_from", text)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            "Expected `int`, got `str` - at `$.ids[0]`",
            "ids[0]: a text in quotes cannot stand here: write a whole number",
        ),
        (
            "Expected `array | null`, got `float` - at `$.ids`",
            "ids: a number cannot stand here: write a list in brackets or null",
        ),
        ("Expected `str` of length >= 1 - at `$.reason`", "reason: Expected str of length >= 1"),
        (
            "Expected `str | null`, got `int` - at `$.amount`",
            'amount: an amount is a decimal in quotes: write it as "5.00"',
        ),
        ("Object contains unknown field `idz`", "there is no field idz"),
        ("Object missing required field `remark`", "this field is missing: remark"),
        ("Expected `object`, got `array`", "a list in brackets cannot stand here: write an object in braces"),
    ],
)
def test_what_is_wrong_with_a_body_is_said_in_words(error: str, words: str) -> None:
    assert in_words(error) == words


@pytest.mark.parametrize(
    ("micros_", "text"),
    [(0, "0.00"), (2_618_000, "2.618"), (2_500_000_000, "2500.00"), (1, "0.000001"), (-500_000, "-0.50")],
)
def test_an_amount_has_two_places_or_as_many_as_it_takes(micros_: int, text: str) -> None:
    assert amount(micros_) == text
