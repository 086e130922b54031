"""In front of the seam: what goes along of charges that depend on use, and the currency that a charge is in."""

import pytest

from mediation.directory_builder import DirectoryBuilder
from mediation.pipeline.front import Front
from rating.store.batch import COLUMN
from rating.store.provisioned import Provisioned
from rating.tariff import TariffText
from tests.builders import (
    ACCOUNT,
    CALLED,
    CALLING,
    a_batch,
    a_directory,
    a_line,
    a_tariff_text,
    an_account,
    cdr_json,
    micros,
    services,
)  # fmt: skip

ALLOWANCE = '[[allowance]]\nname = "free"\nper = "bill-cycle"\nminutes = 1\n'
FAVOURITES = '[[favourites]]\nname = "family"\nnumbers = 1\npercent = 50\n'
EUROS = '[conversion]\nEUR = "0.5"\n'


def test_parts_go_with_the_lines_whose_tariff_has_rules_and_something_to_charge() -> None:
    directory = a_directory(
        [an_account(cycle_day=15)],
        [a_line(), a_line("1617", tariff="ordinary")],
        [a_tariff_text(toml=ALLOWANCE + FAVOURITES), a_tariff_text("ordinary")],
        favourites={ACCOUNT: (CALLED,)},
    )
    batch = a_batch(
        directory,
        cdr_json(id="1", calling="1617"),
        cdr_json(id="2"),
        b"{",
        cdr_json(id="4", duration=0),
        cdr_json(id="5", called="+999123"),
        cdr_json(id="6", called=f"+{CALLING}", calling=f"+{CALLED}", type="collect"),
    )
    assert batch.parts.keys() == {2, 6}
    parts = batch.parts[2]
    assert (parts.month_at, parts.cycle_at) == (micros("2026-11-01T04:00:00Z"), micros("2026-11-15T05:00:00Z"))
    assert [batch.parts[line].favourites for line in (2, 6)] == [("family",), ("family",)]
    per_unit, connect, least, most, *stretches = map(int, parts.amounts)
    assert [connect / per_unit, least, most] == [0.2, 0, -1]
    assert sum(stretches[::2]) == 120


def built(currency: str, *texts: TariffText, line: str | None = None, default: str | None = None) -> Front:
    """The front that the daemon would have: tariffs have tens as numbers, their conversions those after them."""
    account = an_account(currency=currency, tariff=None if default else "standard")
    tariffs = [(10 * place, text) for place, text in enumerate(texts, start=1)]
    conversions = {number: {"EUR": number + 1} for number, _ in tariffs if currency == "EUR"}
    return Front(
        DirectoryBuilder(default).build(
            Provisioned([account], services([a_line(tariff=line)], account), tariffs, conversions)
        )
    )


@pytest.mark.parametrize(("currency", "tariff", "charge"), [("USD", 10, 2_600_000), ("EUR", 11, 1_300_000)])
@pytest.mark.parametrize(("line", "default"), [(None, None), ("standard", "dear"), (None, "standard")])
def test_the_tariff_of_the_chain_is_converted_to_the_accounts_currency(
    currency: str, tariff: int, charge: int, line: str | None, default: str | None
) -> None:
    dear = a_tariff_text("dear", "44,UK,,0,9,0,1,1/1", toml=EUROS)
    front = built(currency, a_tariff_text(toml=EUROS + 'GBP = "0.4"\n'), dear, line=line, default=default)
    ((row,),) = a_batch(front.directory, cdr_json()).rows.values()
    assert (row[COLUMN["tariff"]], row[COLUMN["charge_micros"]]) == (tariff, charge)


def test_an_unanswered_call_needs_no_conversion() -> None:
    ((row,),) = a_batch(built("CHF", a_tariff_text(toml=EUROS)).directory, cdr_json(duration=0)).rows.values()
    assert (row[COLUMN["tariff"]], row[COLUMN["charge_micros"]]) == (10, 0)


def test_the_reason_says_how_a_conversion_is_stated() -> None:
    (record,) = a_batch(built("CHF", a_tariff_text(toml=EUROS)).directory, cdr_json()).suspended
    assert record.reason == "no-conversion"
    assert "add CHF to its [conversion] and import it, then recycle" in record.detail


def test_a_builder_follows_the_conversions_that_accounts_need() -> None:
    builder, text = DirectoryBuilder(None), a_tariff_text(toml=EUROS)
    books = [
        builder.build(Provisioned([], [], [(10, text)], conversions)).tariffs
        for conversions in ({}, {10: {"EUR": 11}}, {10: {"EUR": 11}})
    ]
    assert [book.numbered(11) is not None for book in books] == [False, True, True]
    assert books[1].numbered(11) is books[2].numbered(11)
    first, second = (book.numbered(10) for book in books[:2])
    assert first is not None
    assert second is not None
    assert first.rater is second.rater
