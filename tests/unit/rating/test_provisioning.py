"""accounts.csv and lines.csv: what a row becomes, and every row that is wrong with its column and words."""

import pytest

from rating.account import Account, Line
from rating.provisioning import ERRORS_KEPT, ProvisioningError, RowError, read_accounts, read_lines
from tests.builders import accounts_csv, lines_csv

ACCOUNTS_HEADER = "account,name,email,currency,timezone,credit_limit,tariff,agent,cycle_day"
LINES_HEADER = "line,account,provider,service,switch"


def lines_of(text: str, *known: str) -> list[Line]:
    return read_lines(text, {"1", *known}.__contains__)


def errors_of_accounts(text: str) -> list[RowError]:
    with pytest.raises(ProvisioningError) as refused:
        read_accounts(text)
    return refused.value.errors


def errors_of_lines(text: str) -> list[RowError]:
    with pytest.raises(ProvisioningError) as refused:
        lines_of(text)
    return refused.value.errors


class TestAccounts:
    def test_a_row_holds_every_column_of_the_contract(self) -> None:
        text = (
            f"{ACCOUNTS_HEADER},fax,pager,phone,language,segment\n"
            '4000012345,"Lovelace, Ada",ada@example.net,USD,America/New_York,2500.00,gold,bob,31,'
            "+12125550143,+12125550144,+12125550145,en,business\n"
        )
        assert read_accounts(text) == [
            Account.of(
                "4000012345", "Lovelace, Ada", "ada@example.net", "USD", "America/New_York", 2_500_000_000, "gold",
                "bob", 31, "+12125550143", "+12125550144", "+12125550145", "en", "business",
            )
        ]  # fmt: skip

    def test_empty_cells_are_nothing_and_the_cycle_begins_with_the_month(self) -> None:
        assert read_accounts(accounts_csv("1,Ada,,EUR,Europe/Berlin,,,,")) == [
            Account.of("1", "Ada", None, "EUR", "Europe/Berlin", None, None, None, 1)
        ]

    @pytest.mark.parametrize(
        "text",
        [
            "\ufeff" + accounts_csv("1,Ada,,USD,UTC,,,,1"),
            accounts_csv("1,Ada,,USD,UTC,,,,1").replace("\n", "\r\n"),
            accounts_csv("1,Ada,,USD,UTC,,,,1").rstrip("\n"),
            accounts_csv(" 1 , Ada ,, USD , UTC ,,,, 1 "),
            accounts_csv("", "1,Ada,,USD,UTC,,,,1", ",,,,,,,,", ""),
            accounts_csv('"1","Ada","","USD","UTC","","","","1"'),
            "name,account,cycle_day,timezone,email,currency,agent,tariff,credit_limit\nAda,1,1,UTC,,USD,,,\n",
            " account , name,email,currency,timezone,credit_limit,tariff,agent,cycle_day\n1,Ada,,USD,UTC,,,,1\n",
        ],
        ids=["BOM", "CRLF", "no last line end", "blanks", "blank rows", "quotes", "columns in another order",
             "blanks in the header"],
    )  # fmt: skip
    def test_the_form_of_the_file_does_not_matter(self, text: str) -> None:
        assert read_accounts(text) == [Account.of("1", "Ada", None, "USD", "UTC", None, None, None, 1)]

    def test_an_account_that_is_charged_keeps_its_currency(self) -> None:
        text = accounts_csv("1,Ada,,JPY,UTC,,,,1", "2,Bob,,USD,UTC,,,,1")
        with pytest.raises(ProvisioningError, match="row 2, currency: account 1 is charged in USD: open another one"):
            read_accounts(text, {"1": "USD", "2": "USD"}.get)

    def test_a_file_without_rows_has_no_accounts(self) -> None:
        assert read_accounts(f"{ACCOUNTS_HEADER}\n") == []

    @pytest.mark.parametrize(
        ("row", "column", "problem"),
        [
            (",Ada,,USD,UTC,,,,", "account", "is empty"),
            ("1,,,USD,UTC,,,,", "name", "is empty"),
            ("1,Ada,,,UTC,,,,", "currency", "is empty"),
            ("1,Ada,,USD,,,,,", "timezone", "is empty"),
            ("1,Ada,,usd,UTC,,,,", "currency", "'usd' is not a currency: write three capital letters"),
            ("1,Ada,,DOLLAR,UTC,,,,", "currency", "'DOLLAR' is not a currency"),
            ("1,Ada,,ÜSD,UTC,,,,", "currency", "is not a currency"),
            ("1,Ada,,USD,Mars/Base,,,,", "timezone", "'Mars/Base' is not a time zone: write an IANA name"),
            ("1,Ada,,USD,../../etc/passwd,,,,", "timezone", "is not a time zone"),
            ("1,Ada,,USD,EST5,,,,", "timezone", "is not a time zone"),
            ("1,Ada,,USD,localtime,,,,", "timezone", "is not a time zone"),
            ("1,Ada,,USD,UTC,-1,,,", "credit_limit", "'-1' is not an amount"),
            ("1,Ada,,USD,UTC,1e3,,,", "credit_limit", "'1e3' is not an amount"),
            ("1,Ada,,USD,UTC,$5,,,", "credit_limit", "'$5' is not an amount"),
            ("1,Ada,,USD,UTC,0.0000001,,,", "credit_limit", "is not an amount"),
            ("1,Ada,,USD,UTC,10.001,,,", "credit_limit", "10.001 is not payable, USD has 2 decimals"),
            ("1,Ada,,JPY,UTC,10.5,,,", "credit_limit", "10.5 is not payable, JPY has no decimals"),
            ("1,Ada,,XTS,UTC,,,,", "currency", "'XTS' is not a currency"),
            ("1,Ada,a,USD,UTC,,,,", "email", "'a' is not an e-mail address: write name@domain"),
            ("1,Ada,a@b@c,USD,UTC,,,,", "email", "is not an e-mail address"),
            ('1,Ada,"a b@c",USD,UTC,,,,', "email", "is not an e-mail address"),
            ("1,Ada,,USD,UTC,,,,0", "cycle_day", "'0' is not a day of the month: write 1 to 31"),
            ("1,Ada,,USD,UTC,,,,32", "cycle_day", "'32' is not a day"),
            ("1,Ada,,USD,UTC,,,,-1", "cycle_day", "'-1' is not a day"),
            ("1,Ada,,USD,UTC,,,,1.0", "cycle_day", "'1.0' is not a day"),
            ("1,Ada,,USD,UTC,,,,٣", "cycle_day", "is not a day"),
            ("1,Ada,,USD,UTC,,,," + "9" * 5000, "cycle_day", "is not a day"),
            ("1,Ada,,USD,UTC,,,", "row", "has 8 cells, the header 9"),
            ("1,Ada,,USD,UTC,,,,,", "row", "has 10 cells, the header 9"),
            ('1,"Ada,,USD,UTC,,,,', "row", "is not CSV"),
            ('1,"A"da,,USD,UTC,,,,', "row", "is not CSV"),
        ],
    )
    def test_a_wrong_cell_is_named_by_row_and_column(self, row: str, column: str, problem: str) -> None:
        (error,) = errors_of_accounts(accounts_csv("9,Good,,USD,UTC,,,,", row))
        assert (error.row, error.column) == (3, column)
        assert problem in error.problem

    def test_an_account_stands_once_in_a_file(self) -> None:
        (error,) = errors_of_accounts(accounts_csv("1,Ada,,USD,UTC,,,,", "2,Bob,,USD,UTC,,,,", " 1,Eve,,USD,UTC,,,,"))
        assert str(error) == "row 4, account: 1 stands twice in the file: keep one row"

    def test_accounts_without_a_number_are_not_the_same_account(self) -> None:
        errors = errors_of_accounts(accounts_csv(",Ada,,USD,UTC,,,,", ",Bob,,USD,UTC,,,,"))
        assert [(error.row, error.problem) for error in errors] == [
            (2, "is empty: give a value"),
            (3, "is empty: give a value"),
        ]

    def test_all_errors_of_a_file_are_told_in_the_order_of_its_rows(self) -> None:
        errors = errors_of_accounts(accounts_csv(",,,,,,,,x", "1,Ada,,USD,UTC,,,,", "2,Bob,,USD,Nowhere,-1,,,99"))
        assert [(error.row, error.column) for error in errors] == [
            (2, "account"), (2, "name"), (2, "currency"), (2, "timezone"), (2, "cycle_day"),
            (4, "timezone"), (4, "credit_limit"), (4, "cycle_day"),
        ]  # fmt: skip

    def test_the_message_of_a_refused_file_has_its_first_errors(self) -> None:
        with pytest.raises(ProvisioningError, match=r"^row 2, account: is empty.*; row 2, name: .*; row 2, currency: "):
            read_accounts(accounts_csv(",,,,,,,,x"))

    def test_a_file_of_nothing_but_errors_is_not_read_to_its_end(self) -> None:
        errors = errors_of_accounts(accounts_csv(*[",,,,,,,,"] * 9, *["1,,,USD,UTC,,,,"] * (2 * ERRORS_KEPT)))
        assert ERRORS_KEPT <= len(errors) < ERRORS_KEPT + 10

    def test_a_row_is_named_by_its_line_also_after_blank_rows_and_quoted_line_ends(self) -> None:
        errors = errors_of_accounts(accounts_csv('1,"Ada\nLovelace",,USD,UTC,,,,', "", "2,Bob,,USD,UTC,,,,0"))
        assert [error.row for error in errors] == [5]


@pytest.mark.parametrize(
    ("header", "column", "problem"),
    [
        ("", "account", "is missing"),
        ("account,name", "email", "is missing"),
        (ACCOUNTS_HEADER.replace("currency", "Currency"), "currency", "is missing"),
        (f"{ACCOUNTS_HEADER},colour", "colour", "is not a column of this file"),
        (f"{ACCOUNTS_HEADER},", "", "is not a column of this file"),
        (f"{ACCOUNTS_HEADER},fax,fax", "fax", "stands twice"),
        (f"{ACCOUNTS_HEADER},name", "name", "stands twice"),
        (ACCOUNTS_HEADER.replace(",", ";"), "account", "is missing"),
    ],
)
def test_a_header_is_refused_as_row_1(header: str, column: str, problem: str) -> None:
    (error,) = errors_of_accounts(header + "\n1,Ada,,USD,UTC,,,,1\n")
    assert (error.row, error.column) == (1, column)
    assert error.problem.startswith(problem)
    assert ACCOUNTS_HEADER in error.problem


class TestLines:
    def test_a_row_holds_every_column_of_the_contract(self) -> None:
        text = f"{LINES_HEADER},tariff,from\n+12125550142,1,Transcontinental,long-distance,kam1,gold,2026-06-01\n"
        assert lines_of(text) == [
            Line("12125550142", "long-distance", "2026-06-01", "1", "Transcontinental", "kam1", "gold")
        ]

    def test_the_optional_columns_may_be_missing(self) -> None:
        assert lines_of(f"{LINES_HEADER}\n12125550142,1,T,local,\n") == [Line("12125550142", "local", "", "1", "T")]

    @pytest.mark.parametrize(
        ("cell", "line"),
        [
            ("+12125550142", "12125550142"),
            ("12125550142", "12125550142"),
            ("sip:ada@example.net", "sip:ada@example.net"),
            ("ip:192.0.2.7", "ip:192.0.2.7"),
            ("card:4929000000006", "card:4929000000006"),
        ],
    )
    def test_a_line_may_be(self, cell: str, line: str) -> None:
        assert [found.line for found in lines_of(lines_csv(f"{cell},1,T,local,,,"))] == [line]

    def test_a_line_may_have_several_services_and_dates_and_keeps_their_order(self) -> None:
        text = lines_csv("123,1,T,fax,,,", "123,1,T,local,,,", "123,2,T,fax,,,2026-06-01", "123,1,T,data,,,")
        assert [(found.service, found.account) for found in lines_of(text, "2")] == [
            ("fax", "1"), ("local", "1"), ("fax", "2"), ("data", "1"),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("row", "column", "problem"),
        [
            (",1,T,local,,,", "line", "is empty"),
            ("0123,1,T,local,,,", "line", "'0123' is not a line: write E.164"),
            ("12,1,T,local,,,", "line", "'12' is not a line"),
            ("tel:+123456,1,T,local,,,", "line", "is not a line"),
            ("SIP:ada@example.net,1,T,local,,,", "line", "is not a line"),
            ("123,,T,local,,,", "account", "is empty"),
            ("123,77,T,local,,,", "account", "there is no account 77: import accounts first"),
            ("123,1,,local,,,", "provider", "is empty"),
            ("123,1,T,,,,", "service", "is empty"),
            ("123,1,T,local,,,2026-02-30", "from", "'2026-02-30' is not a date: write YYYY-MM-DD"),
            ("123,1,T,local,,,1.6.2026", "from", "is not a date"),
            ("123,1,T,local,,,20260601", "from", "is not a date"),
            ("123,1,T,local,,,2026-W23-1", "from", "is not a date"),
            ("123,1,T,local,,,2026-06-01T00:00:00", "from", "is not a date"),
            ("123,1,T,local,,", "row", "has 6 cells, the header 7"),
        ],
    )
    def test_a_wrong_cell_is_named_by_row_and_column(self, row: str, column: str, problem: str) -> None:
        (error,) = errors_of_lines(lines_csv("999,1,T,local,,,", row))
        assert (error.row, error.column) == (3, column)
        assert problem in error.problem

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("123,1,T,local,,,", "123,1,T,local,,,"),
            ("+123,1,T,local,,,", "123,1,U,local,sw,gold,"),
            ("123,1,T,local,,,2026-06-01", "123,1,T,local,,,2026-06-01"),
        ],
    )
    def test_line_service_and_date_are_the_key(self, first: str, second: str) -> None:
        (error,) = errors_of_lines(lines_csv(first, second))
        assert (error.row, error.column) == (3, "line")
        assert "stands twice in the file" in error.problem

    def test_all_errors_of_a_file_are_told_in_the_order_of_its_rows(self) -> None:
        errors = errors_of_lines(lines_csv("x,,,,,,y", "123,1,T,local,,,", "123,2,T,local,,,"))
        assert {(error.row, error.column) for error in errors} == {
            (2, "line"), (2, "account"), (2, "provider"), (2, "service"), (2, "from"), (4, "account"), (4, "line"),
        }  # fmt: skip
        assert [error.row for error in errors] == sorted(error.row for error in errors)
