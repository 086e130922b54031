"""Signing in and out: from a name and a password to a session, and to its end."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec

from control import audit
from control.users import rows
from control.users.live_sessions import PER_USER, LiveSessions
from control.users.passwords import Passwords, PasswordsBusy, check_password, is_possible
from control.users.registration import LONGEST_NAME, PasswordRefused, UserRefused, check_name
from control.users.throttle import MICROS, SignInThrottle
from control.users.tokens import csrf_matches, csrf_token, digest, new_session_token
from control.users.user import Principal, Session, User
from rating.store.port import Store

log: Final = logging.getLogger(__name__)

SESSION_S: Final = 12 * 3600
"""A working day (NIST SP 800-63B, 4.2.3); then one signs in again."""
BUSY_RETRY_S: Final = 2
_LONGEST_CLIENT: Final = 100


class Why(StrEnum):
    """Why somebody was not signed in. Never which part was wrong, nor whether there is such a user."""

    WRONG = "wrong"
    """Name or password is wrong, or the user is disabled."""
    WAIT = "wait"
    """Too many failures: nothing was looked at."""
    BUSY = "busy"
    """Too many sign-ins at once: nothing was looked at."""


class Refused(msgspec.Struct, frozen=True):
    """No session was begun."""

    why: Why
    retry_after_s: int
    """Before that it is no use; 0 is at once."""

    @property
    def text(self) -> str:
        """In words, for a page."""
        match self.why:
            case Why.WRONG:
                return "name or password is wrong"
            case Why.WAIT:
                return f"too many attempts: try again in {self.retry_after_s} s"
            case Why.BUSY:
                return f"too many people are signing in: try again in {self.retry_after_s} s"


class SignIn:
    """The sessions of all users. One writes at a time, and what ends in memory ends before it ends in the store."""

    def __init__(self, store: Store, clock: Callable[[], int], passwords: Passwords, sessions: LiveSessions) -> None:
        self._store = store
        self._clock = clock
        self._passwords = passwords
        self._sessions = sessions
        self._throttle = SignInThrottle()
        self._turn = asyncio.Lock()

    async def sign_in(self, name: str, password: str, client: str, now: int) -> str | Refused:
        """The token of a new session; `client` is the address from where it is asked for."""
        found = await self._proved(name, password, client, now)
        if isinstance(found, Refused):
            return found
        user, known, newer = found
        token = new_session_token()
        hashed = digest(token)
        assert hashed is not None
        async with self._turn:
            self._sessions.drop_expired(now)
            surplus = self._sessions.of_user(user.id, now)[: 1 - PER_USER]
            for session in surplus:
                self._sessions.drop(session)
            ended = [session.id for session in surplus]
            begun = await self._store.transact(_begin, user, known, newer, hashed, client[:_LONGEST_CLIENT], ended, now)
            if begun is None:  # the password was changed, or the user disabled, since it was looked at
                return Refused(Why.WRONG, 0)
            self._sessions.add(hashed, begun)
        return token

    def session(self, token: str, now: int) -> Session | None:
        """The session of a token, unless it has ended."""
        hashed = digest(token)
        return self._sessions.get(hashed, now) if hashed else None

    def sessions_of(self, user_id: int) -> list[Session]:
        """The sessions of a user, the oldest first."""
        return self._sessions.of_user(user_id, self._clock())

    async def sign_out(self, token: str) -> None:
        """End the session of a token; of one that is none, nothing."""
        session = self.session(token, self._clock())
        if session:
            await self._end(session, "sign out")

    async def revoke(self, session_id: int) -> bool:
        """End a session; false if there is none. The caller looks whose it is (`sessions_of`)."""
        session = self._sessions.numbered(session_id, self._clock())
        if session is None:
            return False
        await self._end(session, "revoke session")
        return True

    async def change_password(self, principal: Principal, old: str, new: str) -> None:
        """Give a user who is signed in another password, and end their other sessions. Raises PasswordRefused."""
        now = self._clock()
        session = self._sessions.numbered(principal.session_id or 0, now)
        if session is None:
            raise PasswordRefused("the session has ended: sign in again")
        check_password(session.user.name, new)
        found = await self._proved(session.user.name, old, session.client, now)
        if isinstance(found, Refused):
            raise PasswordRefused("the old password is wrong" if found.why is Why.WRONG else found.text)
        user, known, _ = found
        try:
            hashed = await self._passwords.hashed(new)
        except PasswordsBusy:
            raise PasswordRefused(Refused(Why.BUSY, BUSY_RETRY_S).text) from None
        async with self._turn:
            self._end_in_memory(user.id, but=session.id)
            changed = await self._store.transact(_change_password, user, known, hashed, session.id, now)
        if not changed:
            raise PasswordRefused("the password was changed in the meantime: sign in again")

    @staticmethod
    def csrf_token(session_token: str) -> str:
        """What the forms of a session carry."""
        return csrf_token(session_token)

    @staticmethod
    def csrf_matches(session_token: str, given: str) -> bool:
        """Whether a form came from a page of this session."""
        return csrf_matches(session_token, given)

    def _end_in_memory(self, user_id: int, *, but: int | None = None) -> None:
        for session in self.sessions_of(user_id):
            if session.id != but:
                self._sessions.drop(session)

    async def _end(self, session: Session, action: str) -> None:
        self._sessions.drop(session)
        async with self._turn:
            await self._store.transact(_end, session, action, self._clock())

    async def _proved(self, name: str, password: str, client: str, now: int) -> tuple[User, str, str | None] | Refused:
        """The user whose password it is, with its hash, and a newer hash if that one is outdated.

        Whoever is refused learns nothing from the answer or from the time that it takes.
        """
        key = name[:LONGEST_NAME]
        wait_s = self._throttle.wait_s(key, client, now)
        if wait_s:
            return Refused(Why.WAIT, wait_s)
        self._throttle.attempt(key, client, now)
        found = await self._store.read(rows.user_and_password, name) if _may_be_name(name) else None
        try:
            matches = await self._passwords.verify(found and found[1], password if is_possible(password) else "")
            if not (matches and found and found[0].disabled_at is None):
                log.info("sign-in refused", extra={"client": client, "user": found[0].name if found else None})
                return Refused(Why.WRONG, self._throttle.wait_s(key, client, now))
            user, known = found
            newer = await self._passwords.hashed(password) if self._passwords.is_outdated(known) else None
        except PasswordsBusy:
            self._throttle.undecided(key, client)
            return Refused(Why.BUSY, BUSY_RETRY_S)
        self._throttle.succeeded(key, client)
        return user, known, newer


def _may_be_name(name: str) -> bool:
    try:
        check_name(name)
    except UserRefused:
        return False
    return True


def _begin(
    cx: sqlite3.Connection,
    user: User,
    known: str,
    newer: str | None,
    token_digest: bytes,
    client: str,
    ended: list[int],
    now: int,
) -> Session | None:
    """Begin a session, if the password that was proved is still the user's, and end those that are too many."""
    if rows.user_and_password(cx, user.name) != (user, known):
        return None
    if newer:
        rows.set_hash(cx, user.id, newer)
    rows.end_sessions(cx, ended, now)
    audit.record(cx, now, user.name, "sign in", f"user {user.name}", f"from {client}")
    return rows.insert_session(cx, token_digest, user, client, now, now + SESSION_S * MICROS)


def _change_password(cx: sqlite3.Connection, user: User, known: str, hashed: str, session: int, now: int) -> bool:
    """Keep another password, if the one that was proved is still the user's."""
    if rows.user_and_password(cx, user.name) != (user, known):
        return False
    rows.set_password(cx, user.id, hashed, now)
    rows.end_sessions_of(cx, user.id, now, but=session)
    audit.record(cx, now, user.name, "change password", f"user {user.name}")
    return True


def _end(cx: sqlite3.Connection, session: Session, action: str, now: int) -> None:
    rows.end_sessions(cx, [session.id], now)
    audit.record(cx, now, session.user.name, action, f"user {session.user.name}", f"session from {session.client}")
