"""The sessions that are live, in memory: every request asks, and none waits for the store."""

from collections.abc import Iterable, Iterator
from typing import Final

from control.users.user import Session

PER_USER: Final = 20
"""Sessions of one user at a time; with one more the oldest ends."""


class LiveSessions:
    """Sessions by the digest of their token, and by their user."""

    def __init__(self, sessions: Iterable[tuple[bytes, Session]] = ()) -> None:
        self._by_digest: dict[bytes, Session] = {}
        self._of_user: dict[int, dict[int, bytes]] = {}
        for digest, session in sessions:
            self.add(digest, session)

    def add(self, digest: bytes, session: Session) -> None:
        """Take up a session."""
        self._by_digest[digest] = session
        self._of_user.setdefault(session.user.id, {})[session.id] = digest

    def get(self, digest: bytes, now: int) -> Session | None:
        """The session of a token, unless it has ended."""
        session = self._by_digest.get(digest)
        if session is None:
            return None
        if session.expires_at <= now:
            self.drop(session)
            return None
        return session

    def numbered(self, number: int, now: int) -> Session | None:
        """The session of a number, unless it has ended."""
        return next((s for s in self._by_digest.values() if s.id == number and s.expires_at > now), None)

    def of_user(self, user: int, now: int) -> list[Session]:
        """The sessions of a user, the oldest first."""
        digests = list(self._of_user.get(user, {}).values())
        return [session for digest in digests if (session := self.get(digest, now))]

    def drop(self, session: Session) -> None:
        """End a session; one that has ended already is left alone."""
        mine = self._of_user.get(session.user.id, {})
        digest = mine.pop(session.id, None)
        if digest is not None:
            self._by_digest.pop(digest, None)
        if not mine:
            self._of_user.pop(session.user.id, None)

    def drop_expired(self, now: int) -> None:
        """Let go of what nobody asked for since it ended."""
        for session in [session for session in self._by_digest.values() if session.expires_at <= now]:
            self.drop(session)

    def __len__(self) -> int:
        return len(self._by_digest)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._by_digest.values())
