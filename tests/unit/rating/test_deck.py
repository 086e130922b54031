"""Reading a rate deck: what a row becomes, and every reason for which a deck is refused."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.deck import COLUMNS, DeckRow, read_deck
from rating.tariff import TariffError

HEADER = "prefix,destination,period,after_s,connect_fee,rate,per_s,increments"
FULL_HEADER = f"{HEADER},place,max_charge,min_charge,provider,service,type"
PERIODS = {"peak", "off-peak"}
NOT_DECIMALS = (
    *("-1", "+1", "1e3", "1E-2", "NaN", "Infinity", "inf", '"1,000"', "1_000", "1 000"),
    *("1.2.3", "1.", ".", "$1", "0x10", "١", "0." + "1" * 254),
)
LONG_DECIMAL = "123456789012345678901234567890.123456789012345678901234567891"
ROW = ("44", "London", "peak", "0", "0.20", "1.20", "60", "60/60", "", "", "", "", "", "")


def read(*lines: str, header: str = HEADER) -> tuple[DeckRow, ...]:
    return read_deck("\n".join((header, *lines)) + "\n", "standard.csv", PERIODS)


def cell(column: str, text: str) -> DeckRow:
    """The one row of a deck in which one cell was replaced."""
    cells = dict(zip(COLUMNS, ROW, strict=True)) | {column: text}
    (row,) = read(",".join(cells[name] for name in COLUMNS), header=FULL_HEADER)
    return row


def test_a_row_holds_its_cells_exactly() -> None:
    (row,) = read("4420,London,peak,0,0.20,1.20,60,60/6")
    assert row == DeckRow("4420", "London", "peak", 0, Decimal("0.20"), Decimal("1.20"), 60, (60, 6), line=2)


def test_a_row_holds_the_optional_cells_too() -> None:
    (row,) = read("4420,UK,,0,0,1,1,1/1,London,5.5,0.5,acme,ld,premium", header=FULL_HEADER)
    assert (row.place, row.max_charge, row.min_charge) == ("London", Decimal("5.5"), Decimal("0.5"))
    assert (row.provider, row.service, row.type) == ("acme", "ld", "premium")


def test_rows_keep_the_order_and_the_lines_of_the_file() -> None:
    rows = read("44,UK,,0,0,1,1,1/1", "", ",World,,0,0,1,1,1/1")
    assert [(row.prefix, row.line) for row in rows] == [("44", 2), ("", 4)]


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        ("prefix", "", ""),
        ("prefix", "sip:", "sip:"),
        ("prefix", "sip:sales@example.org", "sip:sales@example.org"),
        ("prefix", "ip:192.0.2.", "ip:192.0.2."),
        ("destination", "", None),
        ("destination", "Côte d’Ivoire", "Côte d’Ivoire"),
        ("period", "", "any"),
        ("period", "any", "any"),
        ("period", " off-peak ", "off-peak"),
        ("connect_fee", "0", Decimal(0)),
        ("rate", ".05", Decimal("0.05")),
        ("rate", "007.10", Decimal("7.1")),
        ("rate", "0." + "0" * 60 + "1", Decimal((0, (1,), -61))),
        ("rate", LONG_DECIMAL, Decimal(LONG_DECIMAL)),
        ("per_s", "1", 1),
        ("increments", "1/86400", (1, 86_400)),
        ("max_charge", "", None),
        ("max_charge", "0", Decimal(0)),
        ("min_charge", "", None),
        ("place", "", None),
        ("provider", "", None),
        ("type", "", None),
        ("type", "toll-free", "toll-free"),
    ],
)
def test_a_cell_may_hold(column: str, text: str, value: Any) -> None:
    field = getattr(cell(column, text), column)
    assert field == value
    assert type(field) is type(value)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("prefix", "+44"),
        ("prefix", "44x"),
        ("prefix", "4 4"),
        ("prefix", "٤٤"),
        ("prefix", "tel:44"),
        ("prefix", "4" * 256),
        ("destination", "x" * 256),
        ("destination", "Lon\x00don"),
        ("destination", '"Lon\ndon"'),
        ("period", "weekend"),
        ("period", "Peak"),
        *(("after_s", text) for text in ("", "-1", "1.0", "1e3", "x", "١", "1" * 19)),
        *(("per_s", text) for text in ("", "0", "-60", "60.0", "1" * 19)),
        *(("increments", text) for text in ("", "60", "60/", "/60", "0/1", "1/0", "60/6/1", "-1/1", "1.5/1", "60 / 6")),
        *((column, text) for column in ("connect_fee", "rate", "max_charge", "min_charge") for text in NOT_DECIMALS),
        ("connect_fee", ""),
        ("rate", ""),
        ("place", "x" * 256),
        ("provider", "x" * 256),
        ("service", "a\tb"),
        ("type", "local"),
        ("type", "Direct"),
    ],
)
def test_a_cell_out_of_range_is_refused_by_line_and_column(column: str, text: str) -> None:
    with pytest.raises(TariffError) as refused:
        cell(column, text)
    message = str(refused.value)
    assert message.startswith(("standard.csv: line 2, ", "standard.csv: line 3, "))  # 3: the cell had a line end
    assert f", {column}: " in message
    assert "; " in message
    assert len(message.splitlines()) == 1


EQUAL = "its prefix, filters, period and after_s"
NO_BEGINNING = "its prefix, filters and period have no row at after_s 0"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["44,UK,,0,0,1,1,1/1", "44,UK,,0,0,2,1,1/1"], f"line 3: {EQUAL} are those of line 2"),
        (["44,UK,,0,0,1,1,1/1", "44,GB,any,00,0,2,1,1/1"], f"line 3: {EQUAL} are those of line 2"),
        (["44,UK,peak,60,0,1,1,1/1"], f"line 2: {NO_BEGINNING}"),
        (["44,UK,,0,0,1,1,1/1", "44,UK,peak,60,0,1,1,1/1"], f"line 3: {NO_BEGINNING}"),
        (["4,UK,,0,0,1,1,1/1", "44,UK,,60,0,1,1,1/1"], f"line 3: {NO_BEGINNING}"),
        (["44,UK,,0,0,1,1"], "line 2: 7 cells under 8 columns"),
        (["44,UK,,0,0,1,1,1/1,"], "line 2: 9 cells under 8 columns"),
        ([",,,,,,,"], "line 2, after_s: ''"),
        (['44,"UK,,0,0,1,1,1/1'], "line 2: is not CSV"),
        (['44,"U"K,,0,0,1,1,1/1'], "line 2: is not CSV"),
        ([], "a deck without rows"),
        (["", ""], "a deck without rows"),
    ],
)
def test_rows_that_do_not_fit_together_are_refused_by_line(lines: list[str], words: str) -> None:
    with pytest.raises(TariffError) as refused:
        read(*lines)
    assert words in refused.value.errors[0]
    for error in refused.value.errors:
        assert error.startswith("standard.csv: ")
        assert len(error.splitlines()) == 1


def test_every_wrong_cell_and_row_is_told_at_once() -> None:
    with pytest.raises(TariffError) as refused:
        read("44,UK,peak,0,x,-1,60,60/60", "1,US,,0,0,1,1,1/1", "49,DE", "7,RU,night,0,0,1,1,1")
    assert [error.partition(": ")[2].split(":")[0] for error in refused.value.errors] == [
        "line 2, connect_fee",
        "line 2, rate",
        "line 4",
        "line 5, period",
        "line 5, increments",
    ]
    assert str(refused.value) == "\n".join(refused.value.errors)


@pytest.mark.parametrize(("wrong", "last"), [(20, "line 21"), (21, "and 1 more"), (500, "and 480 more")])
def test_of_many_errors_twenty_are_told_and_the_others_counted(wrong: int, last: str) -> None:
    with pytest.raises(TariffError) as refused:
        read(*(f"{prefix},UK,,0,0,-1,1,1/1" for prefix in range(1, wrong + 1)))
    assert len(refused.value.errors) == min(wrong, 21)
    assert refused.value.errors[-1].startswith(f"standard.csv: {last}")


def test_what_is_wrong_between_rows_waits_until_each_is_right() -> None:
    with pytest.raises(TariffError) as refused:
        read("44,UK,,60,0,1,1,1/1", "44,UK,,0,0,x,1,1/1")
    assert len(refused.value.errors) == 1


def test_a_row_with_filters_does_not_begin_a_call_for_rows_without() -> None:
    with pytest.raises(TariffError, match=f"line 3: {NO_BEGINNING}"):
        read("44,UK,,0,0,1,1,1/1,acme", "44,UK,,60,0,1,1,1/1,", header=f"{HEADER},provider")


def test_a_minimum_above_the_maximum_is_refused() -> None:
    with pytest.raises(TariffError, match="line 2: min_charge is above max_charge"):
        read("44,UK,,0,0,1,1,1/1,0.5,0.51", header=f"{HEADER},max_charge,min_charge")


def test_a_minimum_that_equals_the_maximum_is_a_flat_charge() -> None:
    (row,) = read("44,UK,,0,0,1,1,1/1,0.5,0.50", header=f"{HEADER},max_charge,min_charge")
    assert row.min_charge == row.max_charge


@pytest.mark.parametrize("prefix", ["", "44"])
@pytest.mark.parametrize("filters", [("acme", "", ""), ("", "ld", ""), ("", "", "data"), ("acme", "ld", "data")])
def test_rows_that_differ_in_a_filter_are_not_equal(prefix: str, filters: tuple[str, str, str]) -> None:
    line = f"{prefix},UK,,0,0,1,1,1/1"
    assert len(read(f"{line},,,", f"{line},{','.join(filters)}", header=f"{HEADER},provider,service,type")) == 2


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("", "columns prefix, destination, period, after_s, connect_fee, rate, per_s, increments are missing"),
        ("destination,period,after_s,connect_fee,rate,per_s,increments", "column prefix is missing"),
        (HEADER.replace(",period", ""), "column period is missing"),
        (f"{HEADER},colour", "unknown column 'colour'"),
        (HEADER.replace("rate", "Rate"), "unknown column 'Rate'"),
        (HEADER.replace("rate,per_s,", ""), "columns rate, per_s are missing"),
        (f"{HEADER},rate", "column rate stands twice"),
        (f"{HEADER},", "unknown column ''"),
    ],
)
def test_a_header_that_is_not_the_contracts_is_refused(header: str, words: str) -> None:
    with pytest.raises(TariffError, match=f"standard.csv: line 1: {words}; "):
        read("44,UK,,0,0,1,1,1/1", header=header)


def test_a_deck_without_anything_is_refused() -> None:
    with pytest.raises(TariffError, match=r"standard\.csv: the deck is empty; begin it with the header prefix,"):
        read_deck("", "standard.csv", PERIODS)


def test_columns_stand_in_any_order() -> None:
    (row,) = read("acme,1/2,3,4,5,0,,UK,44", header=f"provider,{','.join(reversed(HEADER.split(',')))}")
    assert (row.prefix, row.increments, row.per_s, row.rate) == ("44", (1, 2), 3, Decimal(4))
    assert (row.connect_fee, row.provider) == (Decimal(5), "acme")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("last", ["", "\n", "\r\n\r\n"])
def test_line_ends_and_byte_order_marks_of_any_editor_are_read(end: str, mark: str, last: str) -> None:
    text = f"{mark}{HEADER}{end}44,UK,,0,0,1,1,1/1{end}{end}{last}"
    (row,) = read_deck(text, "standard.csv", PERIODS)
    assert (row.prefix, row.increments) == ("44", (1, 1))


def test_a_quoted_cell_may_have_commas_and_quotes() -> None:
    (row,) = read('44,"The ""Rock"", Gibraltar",,0,0,1,1,1/1')
    assert row.destination == 'The "Rock", Gibraltar'


@settings(deadline=None)
@given(st.decimals(min_value=0, allow_nan=False, allow_infinity=False))
def test_every_plain_decimal_is_read_exactly(amount: Decimal) -> None:
    text = f"{abs(amount):f}"
    if len(text) <= 255:
        assert cell("rate", text).rate == abs(amount)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_deck_or_is_refused_on_a_line_an_error(text: str) -> None:
    for deck in (text, f"{HEADER}\n{text}", f"{HEADER}\n44,UK,,0,0,1,1,1/1\n{text}"):
        errors: tuple[str, ...] = ()
        try:
            read_deck(deck, "standard.csv", PERIODS)
        except TariffError as refused:
            errors = refused.errors
        assert all(len(error.splitlines()) == 1 for error in errors)
