"""What a user or an API token must be: names, roles, accounts, addresses. Pure, so that a command can ask first."""

import re
import unicodedata
from typing import Final

from control.users.roles import Role

LONGEST_NAME: Final = 100
_LONGEST_EMAIL: Final = 254  # RFC 5321, 4.5.3.1.3
_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+")


class UserRefused(Exception):
    """A change to users or tokens that cannot be made; its message says why and what to do."""


class PasswordRefused(UserRefused):
    """A password that cannot be taken, or that is not the one it should be."""


def check_registration(name: str, role: Role, account: str | None, email: str | None = None) -> None:
    """Raise UserRefused unless somebody may be registered like this; whether the account exists is not looked at."""
    check_name(name)
    if role is Role.CUSTOMER and not account:
        raise UserRefused("a customer has an account: give --account N")
    if role is not Role.CUSTOMER and account is not None:
        raise UserRefused(f"only a customer has an account: leave --account out, or give --role customer, not {role}")
    if email is not None and (len(email) > _LONGEST_EMAIL or not _EMAIL.fullmatch(email)):
        raise UserRefused(f"{shown(email)} is not an e-mail address: write name@domain")


def check_name(name: str) -> None:
    """Raise UserRefused unless it is 1 to 100 printable characters, no colon among them, no blank at the ends.

    A colon would end the name in HTTP's Basic scheme (RFC 7617), and sets programs apart in the audit log.
    """
    if not 1 <= len(name) <= LONGEST_NAME:
        raise UserRefused(f"a name has 1 to {LONGEST_NAME} characters, not {len(name)}: choose another")
    if not name.isprintable() or ":" in name or name != name.strip():
        raise UserRefused(
            f"{shown(name)} is not a name: leave out colons, blanks at the ends and what cannot be printed"
        )
    if name != unicodedata.normalize("NFC", name):
        raise UserRefused(f"{shown(name)} is not composed (Unicode NFC): two names would look the same")


def shown(text: str) -> str:
    """`text` for a message of one line."""
    return ascii(text) if not text.isprintable() else repr(text[:LONGEST_NAME])
