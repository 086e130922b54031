"""Users, their sessions, and who acts in a request."""

from enum import StrEnum

import msgspec

from control.users.roles import Role


class User(msgspec.Struct, frozen=True):
    """A person who may sign in."""

    id: int
    name: str
    role: Role
    account: str | None
    """The account of a customer; None for every other role."""
    email: str | None
    created_at: int
    """µs since 1970 UTC, as every instant here."""
    disabled_at: int | None


class Via(StrEnum):
    """What somebody proves with who they are."""

    SESSION = "session"
    TOKEN = "token"  # noqa: S105  # a word, no secret


class Principal(msgspec.Struct, frozen=True):
    """Who acts: a user by a session, or a program by an API token."""

    name: str
    role: Role
    account: str | None
    via: Via
    user_id: int | None = None
    """None for a program."""
    session_id: int | None = None
    """None for a program."""

    @property
    def actor(self) -> str:
        """As the audit log names them. No name holds a colon, so that a token never passes for a user."""
        return self.name if self.via is Via.SESSION else f"token:{self.name}"


class Session(msgspec.Struct, frozen=True):
    """A time for which a user is signed in."""

    id: int
    user: User
    created_at: int
    expires_at: int
    client: str
    """The address from where they signed in."""

    @property
    def principal(self) -> Principal:
        """Who acts by it."""
        user = self.user
        return Principal(user.name, user.role, user.account, Via.SESSION, user.id, self.id)


class ApiToken(msgspec.Struct, frozen=True):
    """A program's key to the API, without the key."""

    id: int
    name: str
    role: Role
    account: str | None
    created_at: int
    revoked_at: int | None

    @property
    def principal(self) -> Principal:
        """Who acts by it."""
        return Principal(self.name, self.role, self.account, Via.TOKEN)
