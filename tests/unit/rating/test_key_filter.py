"""A filter of keys never says of one that was added that it is not there, and of few others that they may be."""

import numpy as np
import pytest

from rating.store import key_filter
from rating.store.key_filter import KeyFilter


def some(number: int, seed: int) -> key_filter.Keys:
    return np.random.default_rng(seed).integers(0, 1 << 63, number, np.int64)


@pytest.mark.parametrize("number", [0, 1, 1000, 70_000, 400_000])
def test_what_was_added_is_there_and_hardly_anything_else(number: int) -> None:
    known, added = KeyFilter(), some(number, 1)
    for at in range(0, number, 3_777):
        known.add(added[at : at + 3_777])
    assert len(known) == number
    assert known.may_hold(added).all()
    assert known.may_hold(some(20_000, 2)).mean() < 0.01


def test_keys_that_differ_little_are_told_apart() -> None:
    known = KeyFilter()
    known.add(np.arange(0, 60_000, dtype=np.int64))
    known.add(np.arange(1, 5_000, dtype=np.int64) << 43)
    assert known.may_hold(np.arange(60_000, 120_000, dtype=np.int64)).mean() < 0.01
    assert known.may_hold(np.arange(5_000, 100_000, dtype=np.int64) << 43).mean() < 0.01


def test_the_last_layer_there_may_be_is_followed_by_others_like_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_filter, "FIRST", 64)
    monkeypatch.setattr(key_filter, "MOST", 256)
    known, added = KeyFilter(), some(2_000, 3)
    known.add(added)
    assert len(known) == 2_000
    assert known.may_hold(added).all()
    assert known.may_hold(some(20_000, 2)).mean() < 0.05


def test_of_no_keys_there_is_no_answer() -> None:
    assert not len(KeyFilter().may_hold(np.zeros(0, np.int64)))
