"""When a request is sent again (RFC 5080, 2.2.1), and which port and identifier the next one gets. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

IDS: Final = 256
"""Identifiers of one port: the field has one octet."""
REPLAY_WINDOW_S: Final = 300
"""A NAS may take an identifier that comes again within it for a replay (RFC 5176, 6.3)."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an answer is waited for."""

    first_s: float = 2.0
    most_s: float = 16.0
    tries: int = 5
    jitter: float = 0.1
    """Share by which a wait is longer or shorter, so that many requests do not come again at one instant."""

    def waits_s(self, rng: Random) -> Iterator[float]:
        """How long to wait after each try: doubled up to the most."""
        for done in range(self.tries):
            yield min(self.most_s, self.first_s * 2**done) * rng.uniform(1 - self.jitter, 1 + self.jitter)


class Port:
    """The identifiers of one port, each used once in the replay window and never while it waits for an answer."""

    def __init__(self) -> None:
        self._next = 0
        self._used_at: list[float | None] = [None] * IDS
        self._waiting: set[int] = set()

    def take(self, now_s: float) -> int | None:
        """An identifier that may be used; None: there is none at present."""
        identifier = self._next
        used_at = self._used_at[identifier]
        if identifier in self._waiting or (used_at is not None and now_s - used_at < REPLAY_WINDOW_S):
            return None
        self._waiting.add(identifier)
        self._next = (identifier + 1) % IDS
        return identifier

    def give_back(self, identifier: int, now_s: float) -> None:
        """The request that used it has ended; it was on its way until now."""
        self._waiting.discard(identifier)
        self._used_at[identifier] = now_s
