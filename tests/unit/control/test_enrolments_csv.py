"""enrolments.csv: what a row says, and every row that is wrong with its column and words."""

import pytest

from control.enrolment.enrolments_csv import read_enrolments
from rating.provisioning import ERRORS_KEPT, ProvisioningError

HEADER = "account,enrolled\n"


def read(text: str, *known: str) -> dict[str, bool]:
    return read_enrolments(text, {"1", "2", *known}.__contains__)


def errors_of(text: str) -> list[str]:
    with pytest.raises(ProvisioningError) as refused:
        read(text)
    return [str(error) for error in refused.value.errors]


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}1,true\n2,false\n",
        f"\ufeff{HEADER}1,true\r\n2,false",
        f"{HEADER}\n 1 , TRUE \n,\n2,False\n",
        "enrolled,account\ntrue,1\nfalse,2\n",
        f'{HEADER}"1","true"\n"2","false"\n',
    ],
    ids=["plain", "BOM and CRLF", "blanks and capitals", "columns in another order", "quotes"],
)
def test_a_row_says_whether_an_account_is_enrolled(text: str) -> None:
    assert read(text) == {"1": True, "2": False}


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ("1,yes\n", "row 2, enrolled: 'yes' is neither: write true or false"),
        ("1,\n", "row 2, enrolled: '' is neither: write true or false"),
        (",true\n", "row 2, account: is empty: give a value"),
        ("1,true\n9,true\n", "row 3, account: there is no account 9: import accounts first"),
        ("1,true\n\n1,false\n", "row 4, account: 1 stands twice in the file: keep one row"),
        ("1,true,x\n", "row 2, row: has 3 cells, the header 2: mind commas and quotes"),
    ],
)
def test_a_wrong_row_is_named(rows: str, error: str) -> None:
    assert errors_of(HEADER + rows) == [error]


@pytest.mark.parametrize("header", ["", "account\n", "account,enrolled,agent\n", "account,account\n", "1,true\n"])
def test_another_header_is_refused_as_the_first_row(header: str) -> None:
    assert errors_of(header + "1,true\n") == ["row 1, header: is not that of this file: write account,enrolled"]


def test_all_wrong_rows_are_named_but_not_without_end() -> None:
    assert [error[:5] for error in errors_of(HEADER + "1,x\n2,true\n3,true\n")] == ["row 2", "row 4"]
    assert len(errors_of(HEADER + "1,x\n" * (ERRORS_KEPT + 50))) == ERRORS_KEPT


def test_what_is_no_csv_is_said() -> None:
    (error,) = errors_of(f'{HEADER}"1,true\n')
    assert "is not CSV" in error
