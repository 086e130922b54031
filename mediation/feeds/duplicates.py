"""Requests that came before: what is being worked on is not begun again, and what was answered is answered the same
(RFC 5080, 2.2.2). Pure."""

from typing import Final

KEEP_US: Final = 30_000_000
"""An answer is kept so long, µs."""
MOST: Final = 200_000
"""Requests that are remembered; beyond it the oldest are forgotten."""

RequestKey = tuple[str, int, int, int, bytes]
"""Address, port, code, identifier and authenticator."""


class Duplicates:
    """The requests of the last seconds."""

    def __init__(self) -> None:
        self._answers: dict[RequestKey, tuple[int, bytes]] = {}
        self._in_flight: set[RequestKey] = set()

    def begin(self, key: RequestKey, now: int) -> bytes | bool:
        """True: it is new, and in flight from now on. False: it is in flight already. Else the answer that it got."""
        if key in self._in_flight:
            return False
        answered = self._answers.get(key)
        if answered is not None and now - answered[0] <= KEEP_US:
            return answered[1]
        self._in_flight.add(key)
        return True

    def answered(self, key: RequestKey, answer: bytes, now: int) -> None:
        """It was answered."""
        self._in_flight.discard(key)
        self._answers.pop(key, None)
        self._answers[key] = (now, answer)
        while self._answers:
            oldest = next(iter(self._answers))
            if now - self._answers[oldest][0] <= KEEP_US and len(self._answers) <= MOST:
                break
            del self._answers[oldest]

    def dropped(self, key: RequestKey) -> None:
        """It was not answered: sent again, it is new."""
        self._in_flight.discard(key)

    @property
    def in_flight(self) -> int:
        """Requests that wait for their answer."""
        return len(self._in_flight)
