"""Prefixes as carriers write them: what a cell comes to, and what is not guessed."""

import pytest

from rating.deck_cells import BadCell
from rating.deck_prefixes import MAX_RANGE, codes_in, prefixes_in


@pytest.mark.parametrize(
    ("text", "prefixes"),
    [
        ("", []),
        ("44", ["44"]),
        ("+4420", ["4420"]),
        ("44 20", ["4420"]),
        ("44\u00a020", ["4420"]),
        ("4420,44207-44209", ["4420", "44207", "44208", "44209"]),
        ("4420;44207", ["4420", "44207"]),
        ("4420, 44207 ; 4421", ["4420", "44207", "4421"]),
        ("+4420 - +4422", ["4420", "4421", "4422"]),
        ("4420–4421", ["4420", "4421"]),
        ("7-7", ["7"]),
        ("4420,4420", ["4420"]),
        ("4420-4422,4421", ["4420", "4421", "4422"]),
        ("sip:a,b@example.org", ["sip:a,b@example.org"]),
        ("ip:192.0.2.", ["ip:192.0.2."]),
    ],
)
def test_a_cell_names_prefixes(text: str, prefixes: list[str]) -> None:
    assert list(prefixes_in(text)) == prefixes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("004420", "begins with 0"),
        ("0044 20", "begins with 0"),
        ("020", "begins with 0"),
        ("44,", "empty place in its list"),
        (",", "empty place in its list"),
        ("44,,45", "empty place in its list"),
        ("1-242", "not equally long"),
        ("44207-9", "not equally long"),
        ("44209-44207", "ends before it begins"),
        ("1-2-3", "is not a prefix"),
        ("-44", "is not a prefix"),
        ("44-", "is not a prefix"),
        ("44x", "is not a prefix"),
        ("++44", "is not a prefix"),
        ("٤٤", "is not a prefix"),
        ("4.4", "is not a prefix"),
        ("London", "is not a prefix"),
        ("4" * 256, "is not a prefix"),
    ],
)
def test_what_could_mean_two_things_is_refused(text: str, words: str) -> None:
    with pytest.raises(BadCell) as refused:
        prefixes_in(text)
    assert words in refused.value.what
    assert refused.value.remedy


def test_a_range_is_bounded() -> None:
    assert len(prefixes_in(f"440000-44{MAX_RANGE - 1}")) == MAX_RANGE
    with pytest.raises(BadCell, match=f"more than {MAX_RANGE}"):
        prefixes_in(f"4400000-44{MAX_RANGE:05d}")


@pytest.mark.parametrize(("text", "codes"), [("", []), ("0", ["0"]), ("008-011", ["008", "009", "010", "011"])])
def test_codes_after_the_countrys_may_begin_with_0(text: str, codes: list[str]) -> None:
    assert list(codes_in(text)) == codes
