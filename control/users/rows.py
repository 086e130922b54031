"""The SQL of users, sessions and API tokens. What changes them runs in a store transaction of the caller's."""

import sqlite3
from collections.abc import Iterable
from typing import Final

from control.users.roles import Role
from control.users.user import ApiToken, Session, User

_USER: Final = "users.id, name, role, account, email, users.created_at, disabled_at"
_API_TOKEN: Final = "id, name, role, account, created_at, revoked_at"  # noqa: S105  # columns


def user_named(cx: sqlite3.Connection, name: str) -> User | None:
    """The user of a name, disabled or not."""
    row = cx.execute(f"SELECT {_USER} FROM users WHERE name = ?", (name,)).fetchone()  # noqa: S608  # names of columns, no values
    return _user(row) if row else None


def user_and_password(cx: sqlite3.Connection, name: str) -> tuple[User, str] | None:
    """The same, with the password's hash."""
    row = cx.execute(f"SELECT password_hash, {_USER} FROM users WHERE name = ?", (name,)).fetchone()  # noqa: S608  # names of columns, no values
    return (_user(row[1:]), row[0]) if row else None


def all_users(cx: sqlite3.Connection) -> list[User]:
    """All users, by name."""
    return [_user(row) for row in cx.execute(f"SELECT {_USER} FROM users ORDER BY name")]  # noqa: S608  # names of columns, no values


def insert_user(
    cx: sqlite3.Connection, name: str, role: Role, account: str | None, email: str | None, password: str, now: int
) -> User:
    """Add a user with the hash of a password."""
    number = _next(cx, "users")
    cx.execute(
        "INSERT INTO users (id, name, role, account, email, password_hash, created_at, password_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (number, name, role, account, email, password, now, now),
    )
    return User(number, name, role, account, email, now, None)


def set_disabled(cx: sqlite3.Connection, user: int, disabled_at: int | None) -> None:
    """Disable a user, or enable them again."""
    cx.execute("UPDATE users SET disabled_at = ? WHERE id = ?", (disabled_at, user))


def set_password(cx: sqlite3.Connection, user: int, password: str, now: int) -> None:
    """Keep the hash of another password."""
    cx.execute("UPDATE users SET password_hash = ?, password_at = ? WHERE id = ?", (password, now, user))


def set_hash(cx: sqlite3.Connection, user: int, password: str) -> None:
    """Keep another hash of the same password."""
    cx.execute("UPDATE users SET password_hash = ? WHERE id = ?", (password, user))


def live_sessions(cx: sqlite3.Connection, now: int) -> list[tuple[bytes, Session]]:
    """Every session that has not ended, with its token's digest, the oldest first."""
    rows = cx.execute(
        f"SELECT token_digest, sessions.id, sessions.created_at, expires_at, client, {_USER}"  # noqa: S608  # names of columns, no values
        " FROM sessions JOIN users ON users.id = user_id"
        " WHERE revoked_at IS NULL AND expires_at > ? AND disabled_at IS NULL ORDER BY sessions.id",
        (now,),
    )
    return [(row[0], Session(row[1], _user(row[5:]), row[2], row[3], row[4])) for row in rows]


def insert_session(
    cx: sqlite3.Connection, token_digest: bytes, user: User, client: str, now: int, expires_at: int
) -> Session:
    """Begin a session."""
    number = _next(cx, "sessions")
    cx.execute(
        "INSERT INTO sessions (id, token_digest, user_id, created_at, expires_at, client) VALUES (?, ?, ?, ?, ?, ?)",
        (number, token_digest, user.id, now, expires_at, client),
    )
    return Session(number, user, now, expires_at, client)


def end_sessions(cx: sqlite3.Connection, sessions: Iterable[int], now: int) -> None:
    """Revoke some sessions."""
    cx.executemany(
        "UPDATE sessions SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", ((now, number) for number in sessions)
    )


def end_sessions_of(cx: sqlite3.Connection, user: int, now: int, *, but: int | None = None) -> None:
    """Revoke the sessions of a user; all, or all but one."""
    cx.execute(
        "UPDATE sessions SET revoked_at = ? WHERE user_id = ? AND revoked_at IS NULL AND id IS NOT ?", (now, user, but)
    )


def drop_old_sessions(cx: sqlite3.Connection, before: int) -> None:
    """Forget the sessions that would have ended before an instant."""
    cx.execute("DELETE FROM sessions WHERE expires_at < ?", (before,))


def token_named(cx: sqlite3.Connection, name: str) -> ApiToken | None:
    """The API token of a name that is in force."""
    row = cx.execute(f"SELECT {_API_TOKEN} FROM api_tokens WHERE name = ? AND revoked_at IS NULL", (name,)).fetchone()  # noqa: S608  # names of columns, no values
    return _token(row) if row else None


def all_tokens(cx: sqlite3.Connection) -> list[ApiToken]:
    """All API tokens, by name; the revoked ones too."""
    return [_token(row) for row in cx.execute(f"SELECT {_API_TOKEN} FROM api_tokens ORDER BY name, id")]  # noqa: S608  # names of columns, no values


def live_tokens(cx: sqlite3.Connection) -> list[tuple[bytes, ApiToken]]:
    """Every API token that is in force, with its digest."""
    rows = cx.execute(f"SELECT token_digest, {_API_TOKEN} FROM api_tokens WHERE revoked_at IS NULL")  # noqa: S608  # names of columns, no values
    return [(row[0], _token(row[1:])) for row in rows]


def insert_token(
    cx: sqlite3.Connection, name: str, role: Role, account: str | None, token_digest: bytes, now: int
) -> ApiToken:
    """Add an API token."""
    number = _next(cx, "api_tokens")
    cx.execute(
        "INSERT INTO api_tokens (id, name, role, account, token_digest, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        (number, name, role, account, token_digest, now),
    )
    return ApiToken(number, name, role, account, now, None)


def set_revoked(cx: sqlite3.Connection, token: int, now: int) -> None:
    """Revoke an API token."""
    cx.execute("UPDATE api_tokens SET revoked_at = ? WHERE id = ?", (now, token))


def _next(cx: sqlite3.Connection, table: str) -> int:
    (last,) = cx.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()  # noqa: S608  # a name of ours
    return int(last) + 1


def _user(row: tuple[int, str, str, str | None, str | None, int, int | None]) -> User:
    number, name, role, account, email, created_at, disabled_at = row
    return User(number, name, Role(role), account, email, created_at, disabled_at)


def _token(row: tuple[int, str, str, str | None, int, int | None]) -> ApiToken:
    number, name, role, account, created_at, revoked_at = row
    return ApiToken(number, name, Role(role), account, created_at, revoked_at)
