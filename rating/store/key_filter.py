"""Which keys may be there, in 2 to 8 bytes each: a Bloom filter that grows (B. H. Bloom, "Space/time trade-offs in hash
coding with allowable errors", 1970)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.int64]

FIRST: Final = 1 << 16
"""Keys that the first layer has room for."""
GROWTH: Final = 4
"""So many times as many has the next."""
MOST: Final = 1 << 24
"""No layer is for more."""
_BITS_A_KEY: Final = 16
_PROBES: Final = 4
"""Of bits for each key: 2 to 3 keys in a thousand that are not there pass a layer that is full."""

_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: what differs in any bit differs in the upper ones of the product."""


class KeyFilter:
    """Of a key that was added it says that it may be there, always; of hardly any other. Nothing is taken out."""

    def __init__(self) -> None:
        self._layers = [_Layer(FIRST)]

    def __len__(self) -> int:
        """How many keys were added."""
        return sum(layer.keys - layer.left for layer in self._layers)

    @property
    def bytes(self) -> int:
        """What it takes."""
        return sum(layer.bytes for layer in self._layers)

    def add(self, keys: Keys) -> None:
        """Keys are there from now on."""
        while len(keys):
            layer = self._layers[-1]
            if not layer.left:
                layer = _Layer(min(layer.keys * GROWTH, MOST))
                self._layers.append(layer)
            some, keys = keys[: layer.left], keys[layer.left :]
            layer.add(some)

    def may_hold(self, keys: Keys) -> NDArray[np.bool_]:
        """Of each key whether it may be there."""
        found = np.zeros(len(keys), np.bool_)
        for layer in self._layers:
            found[layer.holding(keys)] = True
        return found


class _Layer:
    """One filter, for so many keys."""

    def __init__(self, keys: int) -> None:
        """`keys`: a power of 2."""
        self.keys = self.left = keys
        bits = keys * _BITS_A_KEY
        self._last = np.uint64(bits - 1)
        self._bytes = np.zeros(bits >> 3, np.uint8)

    @property
    def bytes(self) -> int:
        return len(self._bytes)

    def add(self, keys: Keys) -> None:
        self.left -= len(keys)
        at, step = _hashes(keys)
        for _ in range(_PROBES):
            index, bit = self._place(at)
            np.bitwise_or.at(self._bytes, index, np.uint8(1) << bit)
            at = at + step

    def holding(self, keys: Keys) -> NDArray[np.intp]:
        """The indexes of those that may be there. Hardly any of the others is looked at for more than two of its
        bits."""
        at, step = _hashes(keys)
        left = np.arange(len(keys))
        for _ in range(_PROBES):
            index, bit = self._place(at)
            passing = np.flatnonzero(self._bytes[index] >> bit & np.uint8(1))
            left, step = left[passing], step[passing]
            at = at[passing] + step
        return left

    def _place(self, at: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
        bit = at & self._last
        return bit >> np.uint64(3), (bit & np.uint64(7)).astype(np.uint8)


def _hashes(keys: Keys) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Where the first bit of each is, and how far it is from one to the next (an odd number, so that it is never
    none)."""
    mixed = keys.astype(np.int64, copy=False).view(np.uint64) * _SPREAD
    mixed = (mixed ^ mixed >> np.uint64(29)) * _SPREAD
    return mixed >> np.uint64(32), mixed & np.uint64(0xFFFFFFFF) | np.uint64(1)
