"""How much of each source may be on its way to its commit: what is not let in is refused before it costs anything."""

import asyncio
import math
import time
from abc import ABC, abstractmethod
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import Any, Final, Self

EXPECTED_FOR_S: Final = 0.25
"""So long room is kept for a delivery that was let in and has not taken its place: its request may yet be refused."""
MOST_RETRY_AFTER_S: Final = 30
"""Nobody is told to stay away for longer: what held the store up may be over at any time."""


class Overloaded(Exception):
    """There is no room; the source has to come again later."""

    def __init__(self, retry_after_s: int = 1) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class Held(ABC):
    """What a delivery takes of something that is scarce, as a block: given back at the end of it, or when the delivery
    is answered."""

    _answered: "asyncio.Future[Any] | None" = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._answered is None or self._answered.done():
            self.give_back()  # at once: who was answered may send the next one
        else:  # who sent it may have gone, and it is on its way all the same
            self._answered.add_done_callback(lambda _: self.give_back())

    def hold_until(self, answered: "asyncio.Future[Any]") -> None:
        """Keep it until a future is done, also past the block's end."""
        self._answered = answered

    @abstractmethod
    def give_back(self) -> None:
        """Let others have it."""


class Place(Held):
    """Room for the records of one delivery."""

    def __init__(self, room: "Room", source: int, records: int) -> None:
        self._room, self._source, self._records = room, source, records

    def correct(self, records: int) -> None:
        """It is known now how many records there are. Raises Overloaded if so many do not fit."""
        self._room.replace(self._source, self._records, records)
        self._records = records
        self._room.note_whole(self, self._source)

    def give_back(self) -> None:
        """Let others have it."""
        self._room.note_over(self, self._source)
        self._room.give_back(self._source, self._records)


class Room:
    """Counts the records of each source from when their request is looked at to their commit."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`most` of one source, but one delivery always: nobody is refused for what others have sent. `clock` counts
        seconds."""
        self._most = most
        self._clock = clock
        self._whole_since: defaultdict[int, dict[Place, float]] = defaultdict(dict)
        self._took_s: dict[int, float] = {}
        self._taken: Counter[int] = Counter()
        self._expected: defaultdict[int, deque[tuple[float, int]]] = defaultdict(deque)
        """Records of deliveries that were let in and have no place yet, each with when it is expected no longer."""
        self._freed = asyncio.Event()

    def has_room(self, source: int, records: int) -> bool:
        """Whether a delivery of about so many records would be let in."""
        expected, now = self._expected[source], self._clock()
        while expected and expected[0][0] <= now:
            expected.popleft()
        taken = self._taken[source] + sum(count for _, count in expected)
        return not taken or taken + records <= self._most

    def expect(self, source: int, records: int) -> None:
        """A delivery of about so many records was let in, and will take its place in a moment: the many that come with
        it must not be let in for the same room, only to be refused when they have cost much more."""
        self._expected[source].append((self._clock() + EXPECTED_FOR_S, records))

    def retry_after_s(self, source: int) -> int:
        """When what of the source is in now will about be committed, in whole seconds: after as long as its last
        delivery took, or as the oldest of those that are in has taken by now."""
        now = self._clock()
        oldest = next(iter(self._whole_since[source].values()), now)
        took_s = max(self._took_s.get(source, 0.0), now - oldest)
        return min(max(1, math.ceil(took_s)), MOST_RETRY_AFTER_S)

    def note_whole(self, place: Place, source: int) -> None:
        """All of a delivery has come: from now on its sender waits for us, and not we for its sender."""
        self._whole_since[source][place] = self._clock()

    def note_over(self, place: Place, source: int) -> None:
        """A delivery is committed, or was refused."""
        since = self._whole_since[source].pop(place, None)
        if since is not None:
            self._took_s[source] = self._clock() - since

    def take(self, source: int, records: int) -> Place:
        """A place for a delivery of about so many records. Raises Overloaded."""
        if expected := self._expected[source]:
            expected.popleft()  # this one mostly, for they take their places in the order of coming
        self.replace(source, 0, records)
        return Place(self, source, records)

    async def take_patiently(self, source: int, records: int) -> Place:
        """The same, as soon as there is room."""
        while 0 < self._taken[source] > self._most - records:
            self._freed.clear()
            await self._freed.wait()
        self._taken[source] += records
        return Place(self, source, records)

    def replace(self, source: int, before: int, records: int) -> None:
        """Take so many instead of those before. Raises Overloaded, and then nothing has changed."""
        others = self._taken[source] - before
        if others and others + records > self._most:
            raise Overloaded(self.retry_after_s(source))
        self._taken[source] = others + records

    def give_back(self, source: int, records: int) -> None:
        """Let others have it."""
        self._taken[source] -= records
        self._freed.set()
