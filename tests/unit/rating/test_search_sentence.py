"""The sentence over a page of calls says what it shows."""

from zoneinfo import ZoneInfo

import pytest

from rating.search.columns import KINDS, operators_of
from rating.search.conditions import parse_conditions
from rating.search.sentence import sentence
from rating.search.totals import Totals

EIGHTEEN = Totals(18, {"USD": 38_400_000}, 2_592_000_000)


@pytest.mark.parametrize(
    ("triples", "said"),
    [
        ([], "18 calls"),
        (
            [("start", ">=", "2026-11-01"), ("destination", "=", "London"), ("charge", ">", "2")],
            "18 calls over $2.00 to London since 1 Nov 2026",
        ),
        ([("start", "=", "2026-11-20")], "18 calls on 20 Nov 2026"),
        ([("start", "!=", "2026-11-20")], "18 calls not on 20 Nov 2026"),
        ([("start", "in", "2026-11-20,2026-11-22")], "18 calls on 20 Nov 2026 or 22 Nov 2026"),
        ([("start", "=", "2026-11-20 09:07")], "18 calls at 20 Nov 2026 09:07"),
        ([("start", "<", "2026-11-20T14:07:31Z")], "18 calls before 20 Nov 2026 09:07:31"),
        ([("start", "between", "2026-11-01..2026-11-20")], "18 calls from 1 Nov 2026 to 20 Nov 2026"),
        ([("start", ">", "2026-11-01"), ("start", "<=", "2026-11-20")],
         "18 calls after 1 Nov 2026 and up to 20 Nov 2026"),
        ([("duration", ">=", "90"), ("type", "=", "collect")], "18 calls of type collect of 1:30 or longer"),
        ([("duration", "between", "1:00..2:00")], "18 calls lasting 1:00 to 2:00"),
        ([("charge", "<", "0.5")], "18 calls under $0.50"),
        ([("called", "=", "442079460018")], "18 calls to +442079460018"),
        ([("called", "begins", "4420")], "18 calls to a number that begins with “+4420”"),
        ([("called", "contains", "0018")], "18 calls to a number that contains “0018”"),
        ([("line", "in", "+12125550142,+12125550143")], "18 calls on line +12125550142 or +12125550143"),
        ([("line", "begins", "1212")], "18 calls on a line that begins with “+1212”"),
        ([("place", "empty", "")], "18 calls without a place"),
        ([("place", "!=", "London")], "18 calls not to London"),
        ([("country", "=", "GB")], "18 calls to the United Kingdom"),
        ([("country", "in", "GB,fr,+49")], "18 calls to the United Kingdom, France or +49"),
        ([("country", "empty", "")], "18 calls to no country"),
        ([("device", "=", "Phone-1"), ("provider", "=", "Transcontinental"), ("service", "=", "fax")],
         "18 calls by fax through Transcontinental from device Phone-1"),
        ([("account", "=", "4000012345")], "18 calls of account 4000012345"),
    ],
)  # fmt: skip
def test_a_sentence_says_what_is_shown(triples: list[tuple[str, str, str]], said: str) -> None:
    conditions = parse_conditions(triples, ZoneInfo("America/New_York"), "USD")
    assert sentence(conditions, EIGHTEEN) == said


@pytest.mark.parametrize(
    ("totals", "said"),
    [
        (None, "Calls to London"), (Totals(), "No calls to London"), (Totals(1), "1 call to London"),
        (Totals(1234), "1,234 calls to London"),
    ],
)  # fmt: skip
def test_it_counts_what_was_counted(totals: Totals | None, said: str) -> None:
    assert sentence(parse_conditions([("place", "=", "London")], ZoneInfo("UTC"), None), totals) == said


@pytest.mark.parametrize(("currency", "said"), [("EUR", "over €2.00"), ("CHF", "over CHF 2.00"), (None, "over 2.00")])
def test_an_amount_is_in_the_searchers_currency(currency: str | None, said: str) -> None:
    assert sentence(parse_conditions([("charge", ">", "2")], ZoneInfo("UTC"), currency), None) == f"Calls {said}"


@pytest.mark.parametrize("column", KINDS)
def test_there_are_words_for_every_operator_of_every_column(column: str) -> None:
    value = {"start": "2026-11-20", "duration": "61", "charge": "61", "country": "GB", "type": "direct"}.get(
        column, "61234"
    )
    said = set()
    for op in operators_of(column):
        typed = "" if op == "empty" else f"{value}..{value}" if op == "between" else value
        text = sentence(parse_conditions([(column, op, typed)], ZoneInfo("UTC"), "USD"), None)
        assert len(text) > len("Calls ")
        assert "{" not in text
        said.add(text)
    assert len(said) == len(operators_of(column)) - 1  # `in` of one value says what `=` says
