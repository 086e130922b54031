"""Decks in XLSX workbooks: numbers as the decimals they stand for, dates, sheets, and files that are none."""

import zipfile
from datetime import date, datetime, time
from io import BytesIO
from typing import Any

import pytest
from openpyxl import Workbook

from rating import deck_sheet
from rating.deck_conversion import convert
from rating.deck_format import DeckFormat
from rating.deck_sheet import is_workbook, sheet_rows
from rating.refusal import TariffError

FORM = DeckFormat(defaults={"per_s": "60", "increments": "60/60"})


def workbook(*rows: list[Any], title: str = "Rates", before: str | None = None) -> bytes:
    book = Workbook()
    sheet = book.active
    sheet.title = title
    for row in rows:
        sheet.append(row)
    if before is not None:
        book.create_sheet(before, 0).append(["a contents page"])
    file = BytesIO()
    book.save(file)
    return file.getvalue()


def cells(value: Any, form: DeckFormat = FORM) -> str:
    """A value of a cell as text."""
    ((_, found),) = sheet_rows(workbook([value, "x"]), "carrier.xlsx", form)
    return found[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("London", "London"),
        (4420, "4420"),
        (4420.0, "4420"),
        (0.05, "0.05"),
        (1e-07, "0.0000001"),
        (1 / 3, "0.3333333333333333"),
        (0.12345678901, "0.12345678901"),
        (1e22, "10000000000000000000000"),
        (True, "True"),
        (date(2026, 3, 1), "2026-03-01"),
        (datetime(2026, 3, 1), "2026-03-01"),  # noqa: DTZ001  # a sheet has no zone
        (datetime(2026, 3, 1, 10, 30), "2026-03-01 10:30:00"),  # noqa: DTZ001  # as above
        (time(1, 1), "01:01:00"),
    ],
)
def test_a_cell_becomes_the_text_that_it_stands_for(value: Any, text: str) -> None:
    assert cells(value) == text


def test_numbers_and_days_take_the_form_of_the_deck() -> None:
    assert cells(0.05, DeckFormat(decimal=",")) == "0,05"
    assert cells(date(2026, 3, 1), DeckFormat(effective="x", date_format="%d.%m.%Y")) == "01.03.2026"


def test_a_workbook_becomes_a_deck() -> None:
    content = workbook(["Prefix", "Destination", "Rate"], [44, "UK", 0.0512], ["4420, 4421", "London", "0.06"], [None])
    assert is_workbook(content)
    ((valid_from, text),) = convert(content, "carrier.xlsx", FORM, (), None)
    assert valid_from is None
    assert text.splitlines()[1:] == [
        "44,UK,,0,0,0.0512,60,60/60,,,,,,",
        "4420,London,,0,0,0.06,60,60/60,,,,,,",
        "4421,London,,0,0,0.06,60,60/60,,,,,,",
    ]


def test_errors_name_the_row_of_the_sheet_and_its_header() -> None:
    content = workbook(["ACME"], [], ["Prefix", "Rate"], [44, 1 / 3], [], [45, date(2026, 1, 1)], ["Total", None])
    with pytest.raises(TariffError) as refused:
        convert(content, "carrier.xlsx", DeckFormat(header_row=3, defaults=FORM.defaults), (), None)
    assert [error.split(";")[0].split(", which")[0] for error in refused.value.errors] == [
        "carrier.xlsx: row 4, Rate: '0.3333333333333333' has more than 10 decimal places",
        "carrier.xlsx: row 6, Rate: '2026-01-01' is not a plain decimal from 0",
        "carrier.xlsx: row 7, Prefix: 'Total' is not a prefix",
        "carrier.xlsx: row 7, Rate: '' is not a plain decimal from 0",
    ]


def test_the_sheet_is_the_one_named_or_the_first() -> None:
    content = workbook(["Prefix"], title="Rates", before="Contents")
    assert list(sheet_rows(content, "carrier.xlsx", DeckFormat(sheet="Rates"))) == [(1, ["Prefix"])]
    assert list(sheet_rows(content, "carrier.xlsx", DeckFormat())) == [(1, ["a contents page"])]
    with pytest.raises(TariffError, match=r"carrier\.xlsx: has no sheet 'Prices'; name one of 'Contents', 'Rates'"):
        list(sheet_rows(content, "carrier.xlsx", DeckFormat(sheet="Prices")))


def changed(content: bytes, old: str, new: str) -> bytes:
    """A workbook in whose parts a text stands in place of another, as other programs write it."""
    file = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as before, zipfile.ZipFile(file, "w") as after:
        for name in before.namelist():
            after.writestr(name, before.read(name).decode().replace(old, new))
    return file.getvalue()


def test_a_sheet_that_lies_about_its_size_is_read_whole() -> None:
    content = changed(workbook(["Prefix", "Rate"], [44, 1]), 'ref="A1:B2"', 'ref="A1"')
    assert len(list(sheet_rows(content, "carrier.xlsx", FORM))) == 2


@pytest.mark.parametrize(
    ("stored", "text"),
    [("0.30000000000000004", "0.3"), ("3.3000000000000003", "3.3"), ("5.1200000000000002E-2", "0.0512")],
)
def test_a_number_that_was_calculated_is_the_decimal_of_fifteen_digits(stored: str, text: str) -> None:
    """Excel writes 17 digits, of which the last two are those of the binary fraction."""
    content = changed(workbook([7654321]), "<v>7654321</v>", f"<v>{stored}</v>")
    assert list(sheet_rows(content, "carrier.xlsx", FORM)) == [(1, [text])]


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"PK\x03\x04 and no more", workbook(["x"])[:-200]])
def test_a_broken_workbook_is_refused_in_words(content: bytes) -> None:
    assert is_workbook(content)
    with pytest.raises(TariffError, match=r"carrier\.xlsx: is not a workbook that can be read \(.*\); save it as"):
        convert(content, "carrier.xlsx", FORM, (), None)


def test_an_archive_of_something_else_is_refused_in_words() -> None:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("rates.csv", "prefix,rate\n44,1\n")
    with pytest.raises(TariffError, match="is not a workbook that can be read"):
        list(sheet_rows(file.getvalue(), "carrier.xlsx", FORM))


def test_a_workbook_that_unpacks_to_too_much_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deck_sheet, "MAX_UNPACKED_BYTES", 100)
    with pytest.raises(TariffError, match=r"carrier\.xlsx: unpacks to more than 100 bytes; save the sheet as CSV"):
        list(sheet_rows(workbook(["x"]), "carrier.xlsx", FORM))
