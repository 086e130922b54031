"""Who may be registered, and as what."""

import pytest

from control.users import Role, UserRefused
from control.users.registration import check_name, check_registration


@pytest.mark.parametrize("name", ["a", "Ada Lovelace", "ada@customers.example", "Zoë", "x" * 100, "木下", "O'Hara"])
def test_names_that_people_have_are_names(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "x" * 101, "a:b", " a", "a ", "a\tb", "a\nb", "a\x00", "\ud800", "Zoe\u0308", "\u200bada", "command:root"],
    ids=ascii,
)
def test_what_is_no_name_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(UserRefused) as refused:
        check_name(name)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("role", Role)
def test_only_a_customer_has_an_account_and_must_have_one(role: Role) -> None:
    good, bad = ("4000", None) if role is Role.CUSTOMER else (None, "4000")
    check_registration("ada", role, good)
    with pytest.raises(UserRefused, match="--account"):
        check_registration("ada", role, bad)


@pytest.mark.parametrize(
    "email", ["", "ada", "ada@", "@example", "a b@example", "ada@ex@ample", "a@b\r\nBcc: c@d", "a@" + "b" * 253]
)
def test_an_address_that_mail_cannot_reach_is_refused(email: str) -> None:
    with pytest.raises(UserRefused, match="e-mail"):
        check_registration("ada", Role.STAFF, None, email)


def test_an_address_is_optional() -> None:
    check_registration("ada", Role.STAFF, None, None)
    check_registration("ada", Role.STAFF, None, "ada+bills@mail.example")
