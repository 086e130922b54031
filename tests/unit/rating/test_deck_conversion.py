"""Carriers' decks made into the contract's: each way they are written, versions by day, errors in their own words."""

from datetime import date

import pytest

from rating.deck import DeckRow, read_deck
from rating.deck_conversion import DeckVersion, convert
from rating.deck_format import DeckFormat
from rating.refusal import TariffError

PERIODS = {"peak", "off-peak"}
TERMS = {"per_s": "60", "increments": "1/1"}
CARRIER = DeckFormat(columns={"prefix": "Dial Code", "destination": "Country", "rate": "Price/min"}, defaults=TERMS)
HEADER = "Country,Dial Code,Price/min"
NEW_YEAR = date(2026, 1, 1)


def versions(form: DeckFormat, *lines: str, valid_from: date | None = NEW_YEAR) -> tuple[DeckVersion, ...]:
    content = "\n".join(lines).encode(form.encoding)
    return convert(content, "carrier.csv", form, PERIODS, valid_from)


def rows(form: DeckFormat, *lines: str) -> tuple[DeckRow, ...]:
    """The rows of the one version."""
    (version,) = versions(form, *lines)
    return read_deck(version.text, "carrier.csv", PERIODS)


def errors(form: DeckFormat, *lines: str, valid_from: date | None = NEW_YEAR) -> tuple[str, ...]:
    with pytest.raises(TariffError) as refused:
        versions(form, *lines, valid_from=valid_from)
    return refused.value.errors


def form(**given: object) -> DeckFormat:
    """`CARRIER` with some of it replaced."""
    kept = {name: getattr(CARRIER, name) for name in ("columns", "defaults")}
    return DeckFormat(**{**kept, **given})  # type: ignore[arg-type]  # each test gives what the field takes


def test_columns_go_by_their_headers_and_others_are_passed_over() -> None:
    (row,) = rows(CARRIER, "Remarks,Country,Dial Code,Price/min", "new!,UK,44,0.05")
    assert (row.prefix, row.destination, str(row.rate)) == ("44", "UK", "0.05")
    assert (row.per_s, row.increments, row.after_s, row.connect_fee, row.period) == (60, (1, 1), 0, 0, "any")


@pytest.mark.parametrize(
    "header", ["COUNTRY,dial  code,price/MIN", " Country , Dial Code,Price/min ", "Country,Dial\u00a0Code,Price/min"]
)
def test_headers_are_compared_without_regard_to_case_and_blanks(header: str) -> None:
    assert rows(CARRIER, header, "UK,44,0.05")[0].prefix == "44"


def test_a_column_that_is_not_mapped_goes_by_the_contracts_name() -> None:
    (row,) = rows(DeckFormat(defaults=TERMS), "PREFIX,Destination,Rate,Provider", "44,UK,1,acme")
    assert (row.prefix, row.destination, row.provider) == ("44", "UK", "acme")


def test_a_column_that_only_has_the_contracts_name_can_be_left_out() -> None:
    mapped = form(columns={**CARRIER.columns, "type": ""})
    assert rows(mapped, f"{HEADER},Type", "UK,44,1,Mobile")[0].type is None
    assert "Type: 'Mobile' is not a type of call" in errors(CARRIER, f"{HEADER},Type", "UK,44,1,Mobile")[0]


@pytest.mark.parametrize(
    ("given", "cell", "rate"),
    [
        ({}, "0.05", "0.05"),
        ({"decimal": ",", "delimiter": ";"}, "0,05", "0.05"),
        ({"decimal": ",", "delimiter": ";"}, "12", "12"),
        ({"decimal": ",", "delimiter": "\t"}, ",5", "0.5"),
        ({"delimiter": "|"}, " 0.05 ", "0.05"),
    ],
)
def test_amounts_have_the_sign_that_the_format_says(given: dict[str, object], cell: str, rate: str) -> None:
    delimiter = str(given.get("delimiter", ","))
    (row,) = rows(form(**given), HEADER.replace(",", delimiter), delimiter.join(("UK", "44", cell)))
    assert str(row.rate) == rate


@pytest.mark.parametrize(
    ("decimal", "cell", "words"),
    [
        (".", "0,05", "has a comma, where the decimal sign is a point"),
        (".", "1,234.50", "has a comma"),
        (",", "0.05", "has a point, where the decimal sign is a comma"),
        (",", "1.234,50", "has a point"),
        (",", "1,234,50", "is not a plain decimal"),
        (".", "$0.05", "is not a plain decimal"),
        (".", "-1", "is not a plain decimal"),
        (".", "", "is not a plain decimal"),
    ],
)
def test_an_amount_is_never_guessed(decimal: str, cell: str, words: str) -> None:
    (error,) = errors(form(decimal=decimal, delimiter=";"), HEADER.replace(",", ";"), f"UK;44;{cell}")
    assert error.startswith(f"carrier.csv: line 2, Price/min: {cell!r} {words}")


@pytest.mark.parametrize(
    ("cell", "increments"),
    [("1/1", (1, 1)), ("60/6", (60, 6)), ("60+6", (60, 6)), ("60 + 6", (60, 6)), ("60", (60, 60))],
)
def test_increments_are_written_in_several_ways(cell: str, increments: tuple[int, int]) -> None:
    assert rows(CARRIER, f"{HEADER},increments", f"UK,44,1,{cell}")[0].increments == increments
    given = form(defaults={"per_s": "60", "increments": cell})
    assert rows(given, HEADER, "UK,44,1")[0].increments == increments


def test_increments_may_stand_in_two_columns() -> None:
    given = form(first="Min", next="Inc", defaults={"per_s": "60"})
    assert rows(given, f"{HEADER},Inc,Min", "UK,44,1,6,60")[0].increments == (60, 6)
    found = errors(given, f"{HEADER},Inc,Min", "UK,44,1,x,0")
    assert [error.split(" is not")[0] for error in found] == [
        "carrier.csv: line 2, Inc: 'x'",
        "carrier.csv: line 2, Min: '0'",
    ]
    assert "there is no column 'Min' for first" in errors(given, f"{HEADER},Inc", "UK,44,1,6")[0]


@pytest.mark.parametrize("cell", ["", "60/", "/6", "0/1", "60-6", "60/6/6", "1.5"])
def test_other_increments_are_refused(cell: str) -> None:
    given = form(defaults={"per_s": "60"})
    assert "line 2, increments: " in errors(given, f"{HEADER},increments", f"UK,44,1,{cell}")[0]


def test_a_list_of_prefixes_makes_a_row_each() -> None:
    found = rows(CARRIER, HEADER, 'UK,"4420,44207-44209",0.05', "DE,49,0.02")
    assert [(row.prefix, row.destination) for row in found] == [
        *((prefix, "UK") for prefix in ("4420", "44207", "44208", "44209")),
        ("49", "DE"),
    ]


def test_a_country_and_its_codes_stand_in_two_columns() -> None:
    given = form(destination_code="Areas")
    found = rows(given, f"{HEADER},Areas", 'UK,44,1,"20,207-208"', "US,+1,1,", "IT,39,1,02")
    assert [row.prefix for row in found] == ["4420", "44207", "44208", "1", "3902"]
    assert "Dial Code: '44,45' is not one country code" in errors(given, f"{HEADER},Areas", 'UK,"44,45",1,20')[0]


def test_an_empty_prefix_is_the_fallback_only_where_the_format_says_so() -> None:
    assert "line 2, Dial Code: '' is no prefix" in errors(CARRIER, HEADER, "UK,,1")[0]
    (row,) = rows(form(defaults={**TERMS, "prefix": ""}), HEADER, "World,,1")
    assert row.prefix == ""


def test_defaults_stand_for_missing_columns_and_for_empty_cells() -> None:
    given = form(defaults={**TERMS, "connect_fee": "0.10", "period": "peak", "provider": "acme"})
    found = rows(given, f"{HEADER},connect_fee,period", "UK,44,1,,", "DE,49,1,0.20,off-peak")
    assert [(str(row.connect_fee), row.period, row.provider) for row in found] == [
        ("0.10", "peak", "acme"),
        ("0.20", "off-peak", "acme"),
    ]


def test_an_empty_cell_without_a_default_is_no_fee_of_nothing() -> None:
    assert "line 2, connect_fee: '' is not a plain decimal" in errors(CARRIER, f"{HEADER},connect_fee", "UK,44,1,")[0]


def test_defaults_are_checked_as_cells_are() -> None:
    wrong = {"per_s": "0", "increments": "x", "period": "night"}
    found = errors(form(defaults=wrong), HEADER, "UK,44,1")
    assert [error.split(": ")[3] for error in found] == ["per_s", "increments", "period"]


def test_lines_above_the_header_are_passed_over_and_counted() -> None:
    given = form(header_row=3)
    top = ('ACME "Carrier" 2026', "confidential", HEADER)
    assert rows(given, *top, "UK,44,1")[0].prefix == "44"
    assert errors(given, *top, "", ",,", "UK,44,x")[0].startswith("carrier.csv: line 6, Price/min: 'x' ")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_a_byte_order_mark_says_the_encoding_and_else_the_format(encoding: str) -> None:
    content = f"{HEADER}\nCôte d'Ivoire,225,1\n".encode(encoding)
    given = form(encoding="utf-8" if encoding in ("utf-8-sig", "utf-16") else encoding)
    (version,) = convert(content, "carrier.csv", given, PERIODS, None)
    assert "Côte d'Ivoire" in version.text


def test_a_text_of_another_encoding_is_refused() -> None:
    with pytest.raises(TariffError, match=r"carrier\.csv: is not UTF-8 at byte \d+; save it as UTF-8, or name"):
        convert(f"{HEADER}\nCôte,225,1\n".encode("latin-1"), "carrier.csv", CARRIER, PERIODS, None)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "line 1: there is no column 'Dial Code' for prefix"),
        (["Country,Code,Price/min"], "line 1: there is no column 'Dial Code' for prefix; name it in [deck_format] as"),
        ([HEADER], "a deck without rows"),
        ([HEADER, "UK,44,1,2"], "line 2: 4 cells under 3 columns"),
        ([HEADER, 'UK,"44,1'], "line 2: is not CSV"),
        ([HEADER, "UK,44"], "line 2, Price/min: '' is not a plain decimal"),
        ([HEADER, "UK,44,1", "GB,44,2"], "line 3: its prefix, filters, period and after_s are those of line 2"),
        ([HEADER, 'UK,"44,45",1', "GB,45,2"], "line 3: its prefix, filters, period and after_s are those of line 2"),
        ([f"{HEADER},after_s", "UK,44,1,60"], "line 2: its prefix, filters and period have no row at after_s 0"),
        ([f"{HEADER},period", "UK,44,1,night"], "line 2, period: 'night' is a period that no [[period]] defines"),
    ],
)
def test_a_file_is_refused_by_its_own_lines(lines: list[str], words: str) -> None:
    assert errors(CARRIER, *lines)[0].startswith(f"carrier.csv: {words}")


def test_a_column_that_has_to_be_there_and_has_no_default() -> None:
    found = errors(form(defaults={}), HEADER, "UK,44,1")
    assert [error.split(";")[0] for error in found] == [
        "carrier.csv: line 1: there is no column per_s",
        "carrier.csv: line 1: there is no column increments",
    ]


def test_all_wrong_cells_of_a_file_are_told_up_to_twenty() -> None:
    found = errors(CARRIER, HEADER, *(f"UK,0{number},x" for number in range(30)))
    assert len(found) == 21
    assert found[1].startswith("carrier.csv: line 2, Price/min: 'x' ")
    assert found[-1] == "carrier.csv: and 40 more"


DATED = form(effective="From")
DATED_HEADER = f"{HEADER},From"


def test_of_several_days_the_latest_not_after_valid_from_counts() -> None:
    lines = ("UK,44,1,2025-06-01", "UK,44,2,2025-12-31", "UK,44,3,2026-01-01", "DE,49,4,")
    assert [str(row.rate) for row in rows(DATED, DATED_HEADER, *lines)] == ["3", "4"]


def test_rows_that_come_into_force_later_are_versions_of_their_own() -> None:
    lines = ("UK,44,1,", "DE,49,2,2025-01-01", "UK,44,3,2026-03-01", "FR,33,4,2026-04-01")
    found = versions(DATED, DATED_HEADER, *lines)
    assert [version.valid_from for version in found] == [None, date(2026, 3, 1), date(2026, 4, 1)]
    rates = [{row.prefix: str(row.rate) for row in read_deck(v.text, "carrier.csv", PERIODS)} for v in found]
    assert rates == [{"44": "1", "49": "2"}, {"44": "3", "49": "2"}, {"44": "3", "49": "2", "33": "4"}]


def test_a_later_price_takes_the_place_of_all_steps() -> None:
    header = f"{DATED_HEADER},after_s"
    found = versions(DATED, header, "UK,44,1,,0", "UK,44,2,,60", "UK,44,3,2026-03-01,0")
    assert [len(read_deck(version.text, "carrier.csv", PERIODS)) for version in found] == [2, 1]
    (error,) = errors(DATED, header, "UK,44,1,,0", "UK,44,2,2026-03-01,60")
    assert error.startswith("carrier.csv: line 3: its prefix, filters and period have no row at after_s 0")


def test_days_are_read_as_the_format_says() -> None:
    given = form(effective="From", date_format="%d.%m.%y")
    assert [version.valid_from for version in versions(given, DATED_HEADER, "UK,44,1,", "UK,44,2,01.03.26")] == [
        None,
        date(2026, 3, 1),
    ]
    assert (
        "line 2, From: '2026-03-01' is not a day in the form %d.%m.%y"
        in errors(given, DATED_HEADER, "UK,44,1,2026-03-01")[0]
    )
    assert (
        "line 2, From: '1.3.2026' is not a day in the form %Y-%m-%d"
        in errors(DATED, DATED_HEADER, "UK,44,1,1.3.2026")[0]
    )


def test_days_need_a_valid_from_and_a_row_in_force_then() -> None:
    (error,) = errors(DATED, DATED_HEADER, "UK,44,1,", valid_from=None)
    assert error.startswith("carrier.csv: From: the tariff has no valid_from; ")
    (error,) = errors(DATED, DATED_HEADER, "UK,44,1,2026-02-01")
    assert error.startswith("carrier.csv: From: no row is in force on 2026-01-01, the first are on 2026-02-01; ")
