"""Users and API tokens in a site: added, disabled and revoked, in force when the call returns."""

import sqlite3
from collections.abc import Callable
from typing import Final

from control import audit
from control.users import rows
from control.users.live_sessions import LiveSessions
from control.users.passwords import Passwords, PasswordsBusy, check_password
from control.users.registration import UserRefused, check_registration, shown
from control.users.roles import Role
from control.users.sign_in import BUSY_RETRY_S, SignIn
from control.users.throttle import MICROS
from control.users.tokens import digest, new_api_token
from control.users.user import ApiToken, Principal, User
from rating.store.port import Store
from rating.store.provisioning import has_account

KEPT_US: Final = 90 * 86_400 * MICROS
"""Sessions that ended are kept so long; the audit log keeps who signed in."""


class Users(SignIn):
    """Who may sign in or call the API. Made by `Users.load`.

    `actor` is who changes something, as the audit log shall name them.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], int],
        passwords: Passwords,
        sessions: LiveSessions,
        tokens: dict[bytes, ApiToken],
    ) -> None:
        super().__init__(store, clock, passwords, sessions)
        self._tokens = tokens

    @classmethod
    async def load(cls, store: Store, clock: Callable[[], int], passwords: Passwords | None = None) -> "Users":
        """The users of a store, which the caller has open for writing."""
        now = clock()
        await store.transact(rows.drop_old_sessions, now - KEPT_US)
        sessions = LiveSessions(await store.read(rows.live_sessions, now))
        tokens = dict(await store.read(rows.live_tokens))
        return cls(store, clock, passwords or Passwords(), sessions, tokens)

    def by_token(self, text: str) -> Principal | None:
        """Who acts by an API token, if it is in force."""
        hashed = digest(text)
        token = self._tokens.get(hashed) if hashed else None
        return token.principal if token else None

    async def users(self) -> list[User]:
        """All users, by name."""
        return await self._store.read(rows.all_users)

    async def tokens(self) -> list[ApiToken]:
        """All API tokens, by name; the revoked ones too."""
        return await self._store.read(rows.all_tokens)

    async def add_user(
        self, name: str, role: Role, account: str | None, email: str | None, password: str, actor: str
    ) -> User:
        """Add a user. Raises UserRefused."""
        check_registration(name, role, account, email)
        hashed = await self._hashed(name, password)
        async with self._turn:
            return await self._store.transact(_add_user, name, role, account, email, hashed, actor, self._clock())

    async def disable(self, name: str, actor: str) -> User:
        """Let a user no longer sign in, and end their sessions. Raises UserRefused."""
        async with self._turn:
            user = await self._known(name)
            self._end_in_memory(user.id)
            return await self._store.transact(_disable, name, actor, self._clock())

    async def enable(self, name: str, actor: str) -> User:
        """Let a disabled user sign in again. Raises UserRefused."""
        async with self._turn:
            return await self._store.transact(_enable, name, actor, self._clock())

    async def set_password(self, name: str, password: str, actor: str) -> User:
        """Give a user another password, and end their sessions. Raises UserRefused."""
        user = await self._known(name)
        hashed = await self._hashed(name, password)
        async with self._turn:
            self._end_in_memory(user.id)
            await self._store.transact(_set_password, user, hashed, actor, self._clock())
        self._throttle.fresh(name)
        return user

    async def add_token(self, name: str, role: Role, account: str | None, actor: str) -> str:
        """A new API token; it cannot be shown again. Raises UserRefused."""
        check_registration(name, role, account)
        text = new_api_token()
        hashed = digest(text)
        assert hashed is not None
        async with self._turn:
            token = await self._store.transact(_add_token, name, role, account, hashed, actor, self._clock())
            self._tokens[hashed] = token
        return text

    async def revoke_token(self, name: str, actor: str) -> None:
        """Let an API token be in force no longer. Raises UserRefused."""
        async with self._turn:
            for hashed in [hashed for hashed, token in self._tokens.items() if token.name == name]:
                del self._tokens[hashed]
            await self._store.transact(_revoke_token, name, actor, self._clock())

    def close(self) -> None:
        """Let the threads end that look at passwords."""
        self._passwords.close()

    async def _known(self, name: str) -> User:
        return await self._store.read(_user_named, name)

    async def _hashed(self, name: str, password: str) -> str:
        check_password(name, password)
        try:
            return await self._passwords.hashed(password)
        except PasswordsBusy:
            raise UserRefused(f"too many passwords are being looked at: try again in {BUSY_RETRY_S} s") from None


def _add_user(
    cx: sqlite3.Connection,
    name: str,
    role: Role,
    account: str | None,
    email: str | None,
    hashed: str,
    actor: str,
    now: int,
) -> User:
    if rows.user_named(cx, name):
        raise UserRefused(f"there is a user {shown(name)} already: choose another name, or set their password")
    _check_account(cx, account)
    audit.record(cx, now, actor, "add user", f"user {name}", _as(role, account, email))
    return rows.insert_user(cx, name, role, account, email, hashed, now)


def _disable(cx: sqlite3.Connection, name: str, actor: str, now: int) -> User:
    user = _user_named(cx, name)
    if user.disabled_at is not None:
        raise UserRefused(f"user {shown(name)} is disabled already")
    rows.set_disabled(cx, user.id, now)
    rows.end_sessions_of(cx, user.id, now)
    audit.record(cx, now, actor, "disable user", f"user {name}")
    return _user_named(cx, name)


def _enable(cx: sqlite3.Connection, name: str, actor: str, now: int) -> User:
    user = _user_named(cx, name)
    if user.disabled_at is None:
        raise UserRefused(f"user {shown(name)} is not disabled")
    rows.set_disabled(cx, user.id, None)
    audit.record(cx, now, actor, "enable user", f"user {name}")
    return _user_named(cx, name)


def _set_password(cx: sqlite3.Connection, user: User, hashed: str, actor: str, now: int) -> None:
    rows.set_password(cx, user.id, hashed, now)
    rows.end_sessions_of(cx, user.id, now)
    audit.record(cx, now, actor, "set password", f"user {user.name}")


def _add_token(
    cx: sqlite3.Connection, name: str, role: Role, account: str | None, hashed: bytes, actor: str, now: int
) -> ApiToken:
    if rows.token_named(cx, name):
        raise UserRefused(f"there is a token {shown(name)} already: revoke it first, or choose another name")
    _check_account(cx, account)
    audit.record(cx, now, actor, "add token", f"token {name}", _as(role, account))
    return rows.insert_token(cx, name, role, account, hashed, now)


def _revoke_token(cx: sqlite3.Connection, name: str, actor: str, now: int) -> None:
    token = rows.token_named(cx, name)
    if token is None:
        raise UserRefused(f"there is no token {shown(name)} in force: see tollkeeper token list")
    rows.set_revoked(cx, token.id, now)
    audit.record(cx, now, actor, "revoke token", f"token {name}")


def _user_named(cx: sqlite3.Connection, name: str) -> User:
    user = rows.user_named(cx, name)
    if user is None:
        raise UserRefused(f"there is no user {shown(name)}: see tollkeeper user list")
    return user


def _check_account(cx: sqlite3.Connection, account: str | None) -> None:
    if account is not None and not has_account(cx, account):
        raise UserRefused(f"there is no account {shown(account)}: import it first, or mind the number")


def _as(role: Role, account: str | None, email: str | None = None) -> str:
    given = {"role": role, "account": account, "e-mail": email}
    return ", ".join(f"{name} {value}" for name, value in given.items() if value)
