"""What lines are rated by: what many of them share is there once."""

import pytest

from rating.line_services import ALWAYS, LineService
from tests.builders import a_line, an_account, micros, services

TWO = (a_line("1", account="a"), a_line("2", account="a"))


def two(*lines: LineService) -> tuple[LineService, LineService]:
    first, second = lines
    return first, second


def test_a_service_has_what_its_row_and_its_account_say() -> None:
    account = an_account("a", currency="EUR", timezone="Asia/Tokyo", cycle_day=31, tariff="silver")
    (found,) = services([a_line("1", account="a", service="fax", provider="P", from_on="2026-06-01")], account)
    assert (found.line, found.account, found.from_at) == ("1", "a", micros("2026-06-01T00:00:00+09:00"))
    assert (found.terms.service, found.terms.provider) == ("fax", "P")
    assert (found.terms.tariff, found.terms.currency) == ("silver", "EUR")
    assert found.clock == account.clock == ("Asia/Tokyo", 31)


def test_equal_terms_are_there_once() -> None:
    first, second = two(*services(TWO, an_account("a")))
    assert first.terms is second.terms


@pytest.mark.parametrize(
    "differing", [{"currency": "EUR"}, {"timezone": "UTC"}, {"cycle_day": 2}, {"tariff": "gold"}, {"tariff": None}]
)
def test_accounts_that_differ_share_nothing(differing: dict[str, object]) -> None:
    lines = (TWO[0], a_line("2", account="b"))
    first, second = two(*services(lines, an_account("a"), an_account("b", **differing)))
    assert first.terms != second.terms


@pytest.mark.parametrize("differing", [{"service": "fax"}, {"provider": "Other"}, {"tariff": "gold"}])
def test_rows_that_differ_share_nothing(differing: dict[str, str]) -> None:
    first, second = two(*services((TWO[0], a_line("2", account="a", **differing)), an_account("a")))
    assert first.terms != second.terms


def test_a_date_is_of_the_zone_of_each_account() -> None:
    lines = [a_line(number, account=number, from_on="2026-06-01") for number in ("1", "2")]
    first, second = two(*services(lines, an_account("1", timezone="UTC"), an_account("2", timezone="Asia/Tokyo")))
    assert (first.from_at, second.from_at) == (micros("2026-06-01T00:00:00Z"), micros("2026-05-31T15:00:00Z"))


def test_without_a_date_a_line_was_always_the_accounts() -> None:
    assert {one.from_at for one in services(TWO, an_account("a"))} == {ALWAYS}


def test_lines_of_one_account_share_its_number() -> None:
    rows = [a_line(line, account="".join(("4", "0"))) for line in ("1", "2")]  # texts of their own, as a store has them
    assert rows[0].account is not rows[1].account
    first, second = two(*services(rows, an_account("40")))
    assert first.account is second.account
