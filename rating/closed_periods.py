"""The counters of periods of long ago, packed as the snapshot has them: there are years of them, and nearly nothing is
added to them."""

from collections.abc import Iterable
from typing import NamedTuple

from rating.counter_parts import Key, Sums, parts_of


class Closed(NamedTuple):
    """A packed part of a period in which nothing was counted lately."""

    key: Key
    body: bytes
    counters: int


class ClosedPeriods:
    """Parts in the order in which the snapshot has them. Another thread than the one that changes them may read."""

    def __init__(self, parts: Iterable[Closed] = ()) -> None:
        self._parts = list(parts)
        self.unchanged = len(self._parts)
        """So many, from the first on, are as the last snapshot has them."""

    def __len__(self) -> int:
        return sum(part.counters for part in list(self._parts))

    def bodies(self) -> list[bytes]:
        """All parts."""
        return [part.body for part in self._parts]

    def add(self, parts: Iterable[Closed]) -> None:
        """Close a period."""
        self._parts += parts

    def saved(self) -> None:
        """All parts are stored."""
        self.unchanged = len(self._parts)

    def find(self, key: Key, account: str) -> Sums | None:
        """An account's counter of a period."""
        for closed in list(self._parts):
            if closed.key == key:
                for part in parts_of(closed.body):
                    if account in part.accounts:
                        return dict(part.sums())[account]
        return None

    def counters_of(self, key: Key) -> dict[str, Sums]:
        """The counters of a period, by account."""
        sums: dict[str, Sums] = {}
        for closed in self._parts:
            if closed.key == key:
                for part in parts_of(closed.body):
                    sums.update(part.sums())
        return sums

    def drop(self, key: Key) -> None:
        """Forget a period whose counters are elsewhere now: something is counted there again."""
        found = [index for index, closed in enumerate(self._parts) if closed.key == key]
        if found:
            self._parts = [closed for closed in self._parts if closed.key != key]
            self.unchanged = min(self.unchanged, found[0])
