"""Conditions are read as people type them, or refused with what is wrong and what to do."""

from zoneinfo import ZoneInfo

import pytest

from rating.search.columns import KINDS, OPERATORS, STORED_IN, operators_of
from rating.search.conditions import MOST_CONDITIONS, SearchError, parse_conditions
from rating.search.keys import SORTED_BY, Sort, parse_sort
from rating.search.values import duration_words, money_words
from rating.search.where import ALWAYS, compile_conditions
from tests.builders import micros

NEW_YORK = ZoneInfo("America/New_York")


def operands(column: str, op: str, value: str, currency: str | None = "USD") -> list[tuple[int, int]]:
    ((condition),) = parse_conditions([(column, op, value)], NEW_YORK, currency)
    return [(operand.first, operand.end) for operand in condition.operands]


def texts(column: str, op: str, value: str) -> list[str]:
    ((condition),) = parse_conditions([(column, op, value)], NEW_YORK, "USD")
    return [operand.text for operand in condition.operands]


@pytest.mark.parametrize(
    ("value", "first", "end"),
    [
        ("2026-11-20", "2026-11-20T00:00:00-05:00", "2026-11-21T00:00:00-05:00"),
        ("2026-11-01", "2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00"),  # 25 hours
        ("2026-03-08", "2026-03-08T00:00:00-05:00", "2026-03-09T00:00:00-04:00"),  # 23 hours
        ("2026-11-20 09:07", "2026-11-20T09:07:00-05:00", "2026-11-20T09:08:00-05:00"),
        ("2026-11-20T09:07", "2026-11-20T09:07:00-05:00", "2026-11-20T09:08:00-05:00"),
        ("2026-11-20T09:07:31", "2026-11-20T09:07:31-05:00", "2026-11-20T09:07:31.000001-05:00"),
        ("2026-11-20T09:07:31.25Z", "2026-11-20T09:07:31.25+00:00", "2026-11-20T09:07:31.250001+00:00"),
        ("2026-11-20t09:07:31z", "2026-11-20T09:07:31+00:00", "2026-11-20T09:07:31.000001+00:00"),
        ("2026-11-20T09:07:31+05:30", "2026-11-20T09:07:31+05:30", "2026-11-20T09:07:31.000001+05:30"),
        ("2026-11-01 01:30:00", "2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00.000001-04:00"),  # the first of two
    ],
)
def test_a_start_is_a_day_a_minute_or_an_instant_of_the_searchers_zone(value: str, first: str, end: str) -> None:
    assert operands("start", "=", value) == [(micros(first), micros(end))]


@pytest.mark.parametrize(
    ("value", "us"),
    [
        ("0", 0), ("90", 90_000_000), ("1.5", 1_500_000), ("0.000001", 1), ("1:30", 90_000_000),
        ("90:00", 5_400_000_000),
        ("1:02:30", 3_750_000_000), ("1:30.25", 90_250_000), ("100:00:00", 360_000_000_000),
    ],
)  # fmt: skip
def test_a_duration_is_seconds_or_a_clock(value: str, us: int) -> None:
    assert operands("duration", "=", value) == [(us, us + 1)]


@pytest.mark.parametrize(
    ("value", "currency", "charged"),
    [
        ("2", "USD", 2_000_000), ("2.50", None, 2_500_000), ("$2", "USD", 2_000_000), ("USD 2", "USD", 2_000_000),
        ("€0.000001", "EUR", 1), ("-1.5", "USD", -1_500_000), ("CHF 3", "CHF", 3_000_000), ("0.1", "USD", 100_000),
    ],
)  # fmt: skip
def test_an_amount_is_exact(value: str, currency: str | None, charged: int) -> None:
    assert operands("charge", "=", value, currency) == [(charged, charged + 1)]


@pytest.mark.parametrize(
    ("op", "value", "expected"),
    [
        ("=", "+1 (212) 555-0142", ["12125550142"]),
        ("=", "1.212.555.0142", ["12125550142"]),
        ("=", "sip:ada@voip.example", ["sip:ada@voip.example"]),
        ("!=", "card:4000-1", ["card:4000-1"]),
        ("in", "+1 212 555 0142, 442079460018", ["12125550142", "442079460018"]),
        ("begins", "+44 20", ["4420"]),
        ("begins", "4", ["4"]),
        ("begins", "sip:ad", ["sip:ad"]),
        ("contains", "0142", ["0142"]),
        ("contains", "@voip", ["@voip"]),
    ],
)
def test_a_number_is_brought_to_the_stores_form(op: str, value: str, expected: list[str]) -> None:
    assert texts("line", op, value) == expected
    assert texts("called", op, value) == expected


def test_texts_are_compared_in_small_letters_and_accounts_as_they_are() -> None:
    assert texts("place", "in", " Zürich , LONDON") == ["zürich", "london"]
    assert texts("type", "=", "Toll-Free") == ["toll-free"]
    assert texts("account", "=", "A-1") == ["A-1"]


REFUSED = [
    (("colour", "=", "red"), "column", "“colour” is no column"),
    (("", "=", "red"), "column", "no column is chosen"),
    (("start", "~", "1"), "op", "“~” is no operator"),
    (("start", "", "1"), "op", "“” is no operator"),
    (("start", "begins", "2026"), "op", "“begins” does not go with start"),
    (("charge", "contains", "1"), "op", "“contains” does not go with charge"),
    (("place", "<", "London"), "op", "“<” does not go with place"),
    (("called", "between", "1..2"), "op", "“between” does not go with called"),
    (("country", "begins", "G"), "op", "“begins” does not go with country"),
    (("place", "=", ""), "value", "there is no value"),
    (("place", "=", "  "), "value", "there is no value"),
    (("place", "empty", "x"), "value", "“empty” takes no value"),
    (("place", "=", "x" * 1001), "value", "it has 1001 characters"),
    (("place", "=", "a\x00b"), "value", "cannot be printed"),
    (("place", "=", "a\x7fb"), "value", "cannot be printed"),
    (("place", "=", "a\ud800b"), "value", "cannot be printed"),
    (("start", "between", "2026-11-01"), "value", "does not name two ends"),
    (("start", "between", "..2026-11-01"), "value", "does not name two ends"),
    (("start", "between", "2026-11-02..2026-11-01"), "value", "comes after"),
    (("duration", "between", "2:00..1:59"), "value", "comes after"),
    (("place", "in", "London,,Paris"), "value", "one of the values is empty"),
    (("place", "in", ","), "value", "one of the values is empty"),
    (("place", "in", ",".join("a" * 101)), "value", "it lists 101 values"),
    (("start", "=", "yesterday"), "value", "neither a date nor a time"),
    (("start", "=", "2026-02-30"), "value", "neither a date nor a time"),
    (("start", "=", "2026-11-20 25:00"), "value", "neither a date nor a time"),
    (("start", "=", "2026-11-20Z"), "value", "neither a date nor a time"),
    (("start", "=", "٢٠٢٦-11-20"), "value", "neither a date nor a time"),
    (("start", "=", "1969-12-31"), "value", "not between the years"),
    (("start", "=", "9999-12-31"), "value", "not between the years"),
    (("duration", "=", "1:60"), "value", "is not a duration"),
    (("duration", "=", "1:5"), "value", "is not a duration"),
    (("duration", "=", "1:60:00"), "value", "is not a duration"),
    (("duration", "=", "-1"), "value", "is not a duration"),
    (("duration", "=", "1.0000001"), "value", "is not a duration"),
    (("charge", "=", "two"), "value", "is not an amount"),
    (("charge", "=", "1.0000001"), "value", "is not an amount"),
    (("charge", "=", "1e3"), "value", "is not an amount"),
    (("charge", "=", "€2"), "value", "is not an amount"),
    (("charge", "=", "1234567890123"), "value", "is not an amount"),
    (("line", "=", "0207946"), "value", "is not a number"),
    (("called", "=", "12"), "value", "is not a number"),
    (("called", "=", "1" * 16), "value", "is not a number"),
    (("called", "=", "London"), "value", "is not a number"),
    (("called", "=", "sip:"), "value", "is not a number"),
    (("called", "begins", "+"), "value", "is not a part of a number"),
    (("called", "begins", "020"), "value", "is in no number"),
    (("called", "contains", "1" * 16), "value", "is in no number"),
    (("called", "contains", "a b"), "value", "is not a part of a number"),
    (("country", "=", "Atlantis"), "value", "is no country"),
    (("country", "=", "4420"), "value", "is no country"),
    (("type", "=", "fax"), "value", "is no type of call"),
]


@pytest.mark.parametrize(("triple", "field", "what"), REFUSED)
def test_what_cannot_be_read_is_refused_with_its_row_and_field(
    triple: tuple[str, str, str], field: str, what: str
) -> None:
    with pytest.raises(SearchError) as refused:
        parse_conditions([("line", "=", "+12125550142"), ("", "=", ""), triple], NEW_YORK, "USD")
    error = refused.value
    assert (error.row, error.field) == (2, field)
    assert what in error.what
    assert error.remedy
    assert str(error) == f"condition 3, {field}: {error.what}; {error.remedy}"


def test_a_search_has_so_many_conditions_at_most() -> None:
    one = ("charge", ">", "1")
    assert len(parse_conditions([one] * MOST_CONDITIONS + [("", "=", "")], NEW_YORK, "USD")) == MOST_CONDITIONS
    with pytest.raises(SearchError, match="21 are more than 20") as refused:
        parse_conditions([one] * 21, NEW_YORK, "USD")
    assert refused.value.row is None


@pytest.mark.parametrize("column", KINDS)
def test_every_column_takes_some_of_the_operators_and_compiles_with_nothing_typed_in_it(column: str) -> None:
    value = {"start": "2026-11-20", "duration": "61", "charge": "61", "country": "GB", "type": "direct"}.get(
        column, "61234"
    )
    assert column in STORED_IN
    assert set(operators_of(column)) <= set(OPERATORS)
    for op in operators_of(column):
        typed = "" if op == "empty" else f"{value}..{value}" if op == "between" else value
        where = compile_conditions(parse_conditions([(column, op, typed)], NEW_YORK, "USD"))
        assert value not in where.sql
        assert all(f":{name}" in where.sql for name in where.values)


@pytest.mark.parametrize(
    ("triples", "starts"),
    [
        ([], ALWAYS),
        ([(">=", "2026-11-01T00:00:00Z")], (micros("2026-11-01T00:00:00+00:00"), ALWAYS[1])),
        ([("!=", "2026-11-01")], ALWAYS),
        ([("empty", "")], (0, 0)),
        (
            [(">", "2026-10-31"), ("<=", "2026-11-30"), ("<", "2026-12-24")],
            (micros("2026-11-01T00:00:00-04:00"), micros("2026-12-01T00:00:00-05:00")),
        ),
        (
            [("in", "2026-11-20,2026-10-02")],
            (micros("2026-10-02T00:00:00-04:00"), micros("2026-11-21T00:00:00-05:00")),
        ),
        (
            [("between", "2026-11-01..2026-11-20")],
            (micros("2026-11-01T00:00:00-04:00"), micros("2026-11-21T00:00:00-05:00")),
        ),
    ],
)
def test_conditions_on_the_start_say_which_partitions_to_read(
    triples: list[tuple[str, str]], starts: tuple[int, int]
) -> None:
    conditions = parse_conditions([("start", op, value) for op, value in triples], NEW_YORK, "USD")
    assert compile_conditions(conditions).starts == starts


def test_a_page_is_sorted_by_any_column_that_has_an_order() -> None:
    assert parse_sort("") == Sort("start", True)
    for column in SORTED_BY:
        assert parse_sort(column) == Sort(column, False)
        assert parse_sort("-" + column) == Sort(column, True)
    for text in ("country", "colour", "-", "--start", "start desc"):
        with pytest.raises(SearchError, match="cannot be sorted by"):
            parse_sort(text)


@pytest.mark.parametrize(
    ("micros_", "currency", "words"),
    [
        (2_000_000, "USD", "$2.00"), (1_234_567_890_000, "GBP", "£1,234,567.89"), (1, "EUR", "€0.000001"),
        (-1_500_000, "USD", "-$1.50"), (2_000_000, "CHF", "CHF 2.00"), (2_000_000, None, "2.00"),
    ],
)  # fmt: skip
def test_money_is_said_with_its_sign(micros_: int, currency: str | None, words: str) -> None:
    assert money_words(micros_, currency) == words


@pytest.mark.parametrize(
    ("us", "words"),
    [(0, "0:00"), (61_000_000, "1:01"), (59_500_000, "0:59.5"), (3_750_000_000, "1:02:30"), (-61_500_000, "-1:01.5")],
)
def test_a_duration_is_said_as_a_clock(us: int, words: str) -> None:
    assert duration_words(us) == words
