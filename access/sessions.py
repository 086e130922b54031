"""Live sessions by line and user name, as accounting told of them: what a bar has to end, and whether it has ended.

In memory, and a projection of the table access_sessions: what is here was committed there first.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeVar

import msgspec

MICROS: Final = 1_000_000
STALE_S: Final = 86_400
"""A session of which nothing was heard for so long is taken for ended: its Stop was lost."""


class SessionKey(NamedTuple):
    """What makes two reports be of one session: Acct-Session-Id is unique within its NAS alone."""

    source: str
    nas: str
    session: str
    """Acct-Session-Id."""


class LiveSession(msgspec.Struct, frozen=True):
    """A session that has begun and not ended."""

    key: SessionKey
    line: str | None
    """The calling line, as the store keys it."""
    username: str | None
    nas_identifier: str | None
    nas_address: str | None
    """NAS-IP-Address or NAS-IPv6-Address, as the NAS wrote it."""
    peer: str
    """The address that its accounting came from."""
    client: str
    """The name of the feed's client that it came from."""
    started_at: int
    """µs UTC."""
    seen_at: int
    """When the last report of it arrived, µs UTC."""
    called: str | None = None
    """The called number or address, as it was told."""


class LiveSessions:
    """Every session that is live."""

    def __init__(self, sessions: Iterable[LiveSession] = ()) -> None:
        """`sessions`: those that the table holds."""
        self._sessions: dict[SessionKey, LiveSession] = {}
        self._by_line: defaultdict[str, dict[SessionKey, None]] = defaultdict(dict)
        self._by_username: defaultdict[str, dict[SessionKey, None]] = defaultdict(dict)
        self._by_id: defaultdict[tuple[str, str], dict[SessionKey, None]] = defaultdict(dict)
        self._denied: dict[SessionKey, int] = {}
        for session in sessions:
            self.put(session)

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, key: SessionKey) -> LiveSession | None:
        """The session of a key, if it is live."""
        return self._sessions.get(key)

    def of_line(self, line: str) -> list[LiveSession]:
        """The sessions of a line, in the order in which they were learnt of."""
        return [self._sessions[key] for key in self._by_line.get(line, ())]

    def of_username(self, name: str) -> list[LiveSession]:
        """The sessions of a user name, likewise."""
        return [self._sessions[key] for key in self._by_username.get(name, ())]

    def of(self, line: str, username: str | None) -> list[LiveSession]:
        """The sessions of a line or of a user name, each once."""
        found = {session.key: session for session in self.of_line(line)}
        if username is not None:
            found |= {session.key: session for session in self.of_username(username)}
        return list(found.values())

    def put(self, session: LiveSession) -> None:
        """A session is live, as it was just told of: what was denied before does not count any more."""
        self.end(session.key)
        self._sessions[session.key] = session
        self._by_id[session.key.source, session.key.session][session.key] = None
        if session.line is not None:
            self._by_line[session.line][session.key] = None
        if session.username is not None:
            self._by_username[session.username][session.key] = None

    def end(self, key: SessionKey) -> LiveSession | None:
        """A session has ended; which it was, if it was live."""
        session = self._sessions.pop(key, None)
        self._denied.pop(key, None)
        if session is not None:
            _forget(self._by_id, (key.source, key.session), key)
            _forget(self._by_line, session.line, key)
            _forget(self._by_username, session.username, key)
        return session

    def deny(self, key: SessionKey) -> None:
        """The switch says that it has no such session: its Stop was lost, is on its way, or will never come."""
        session = self._sessions.get(key)
        if session is not None:
            self._denied[key] = session.seen_at

    def deny_of_line(self, name: str, line: str) -> None:
        """A switch says that a line makes no call: its sessions there, by the name of their source or client, are
        over."""
        for session in self.of_line(line):
            if name in (session.key.source, session.client):
                self.deny(session.key)

    def deny_called(self, source: str, session: str) -> None:
        """Another feed of the same switch told of a call's end, by its Acct-Session-Id alone."""
        for key in self.called(source, session):
            self.deny(key)

    def is_denied(self, key: SessionKey) -> bool:
        """Whether the switch said so, and nothing was heard of the session since."""
        return key in self._denied

    def denied(self) -> dict[SessionKey, int]:
        """What was denied and is not ended yet, each with the last that was heard of it then."""
        return dict(self._denied)

    def of_nas(self, source: str, nas: str) -> list[SessionKey]:
        """The sessions of one NAS."""
        return [key for key in self._sessions if key.source == source and key.nas == nas]

    def called(self, source: str, session: str) -> list[SessionKey]:
        """The sessions of a source with an Acct-Session-Id, whatever the NAS."""
        return list(self._by_id.get((source, session), ()))


_Name = TypeVar("_Name")


def _forget(index: "defaultdict[_Name, dict[SessionKey, None]]", name: _Name | None, key: SessionKey) -> None:
    if name is not None and (keys := index.get(name)) is not None:
        keys.pop(key, None)
        if not keys:
            del index[name]
