"""Keys in memory with their transactions, 16 bytes each, in an order in which they are found and moved at once."""

from collections.abc import Iterable
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rating.store.key_filter import Keys

Pairs = NDArray[np.int64]
"""Two rows: keys, ascending, each once; and the transaction of each."""

NONE: Final = np.zeros((2, 0), np.int64)


def pairs_of(keys: Keys, ids: NDArray[np.int64]) -> Pairs:
    """Keys and their transactions, in the order of the keys."""
    order = np.argsort(keys, kind="stable")
    return np.stack((keys[order], ids[order]))


def pairs_read(rows: Iterable[tuple[int, int]]) -> Pairs:
    """The same of what a query found: key and transaction."""
    keys, ids = np.fromiter(chain.from_iterable(rows), np.int64).reshape(-1, 2).T
    return pairs_of(keys, ids)


class SortedKeys:
    """Keys that are added some thousand at a time.

    They are in runs, each at least twice as long as the one behind it: so there are few to be looked through, and each
    key is sorted again as often only as the number of keys doubles.
    """

    def __init__(self, pairs: Pairs = NONE) -> None:
        self._runs: list[Pairs] = []
        self.add(pairs)

    def __len__(self) -> int:
        return sum(run.shape[1] for run in self._runs)

    def add(self, pairs: Pairs) -> None:
        """Add keys that are not there."""
        if pairs.shape[1]:
            self._runs.append(pairs)
        while len(self._runs) > 1 and self._runs[-2].shape[1] < 2 * self._runs[-1].shape[1]:
            self._merge(2)

    def merged(self) -> Pairs:
        """All of them."""
        self._merge(len(self._runs))
        return self._runs[0] if self._runs else NONE

    def ids(self, keys: Keys) -> NDArray[np.int64]:
        """The transaction of each key; 0 of one that is not there."""
        found = np.zeros(len(keys), np.int64)
        for known, ids in self._runs:
            at = np.minimum(known.searchsorted(keys), len(known) - 1)
            found = np.where(known[at] == keys, ids[at], found)
        return found

    def id_of(self, key: int) -> int:
        """The transaction of one key; 0 if it is not there."""
        for known, ids in self._runs:
            at = int(known.searchsorted(key))
            if at < len(known) and known[at] == key:
                return int(ids[at])
        return 0

    def _merge(self, number: int) -> None:
        """Make one run of so many, the shortest."""
        if number > 1:
            keys, ids = np.concatenate(self._runs[-number:], axis=1)
            self._runs[-number:] = [pairs_of(keys, ids)]
