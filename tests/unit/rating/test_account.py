"""An account: what it is made of, and what of it is shared."""

from typing import Any

import pytest

from rating.account import COLUMNS, Account

FULL: dict[str, Any] = {
    "account": "1", "name": "Ada", "email": "a@example.net", "currency": "USD", "timezone": "UTC",
    "credit_limit_micros": 7, "tariff": "gold", "agent": "bob", "cycle_day": 31, "fax": "2", "pager": "3",
    "phone": "4", "language": "en", "segment": "business",
}  # fmt: skip


def test_an_account_says_what_it_was_made_of() -> None:
    account = Account.of(**FULL)
    assert {name: getattr(account, name) for name in COLUMNS} == FULL
    assert Account.of(*(FULL[name] for name in COLUMNS)) == account
    assert account.clock == ("UTC", 31)


@pytest.mark.parametrize("column", COLUMNS)
def test_accounts_that_differ_in_anything_are_not_equal(column: str) -> None:
    assert Account.of(**FULL | {column: "x"}) != Account.of(**FULL)


def test_other_terms_leave_the_rest_alone() -> None:
    account = Account.of(**FULL)
    assert account.with_terms(credit_limit_micros=8) == Account.of(**FULL | {"credit_limit_micros": 8})
    assert account.credit_limit_micros == 7


def test_without_any_address_nothing_is_kept_of_addresses() -> None:
    nowhere = FULL | dict.fromkeys(("email", "fax", "pager", "phone"))
    assert Account.of(**nowhere).contact is Account.of(**nowhere | {"account": "2"}).contact
    assert [getattr(Account.of(**nowhere | {n: "x"}), n) for n in ("email", "fax", "pager", "phone")] == ["x"] * 4
