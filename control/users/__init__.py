"""Users, sign-in, sessions and API tokens."""

from control.users.registration import PasswordRefused, UserRefused, check_registration
from control.users.roles import Role
from control.users.service import Users
from control.users.sign_in import SESSION_S, Refused, Why
from control.users.user import ApiToken, Principal, Session, User, Via

__all__ = [
    "SESSION_S",
    "ApiToken",
    "PasswordRefused",
    "Principal",
    "Refused",
    "Role",
    "Session",
    "User",
    "UserRefused",
    "Users",
    "Via",
    "Why",
    "check_registration",
]
