"""Keys in memory are found with their transactions, however they were added."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rating.store.sorted_keys import SortedKeys, pairs_of, pairs_read

keys = st.integers(0, 1 << 12)


@given(st.lists(st.sets(keys, max_size=30), max_size=20), st.lists(keys))
def test_they_say_what_a_dictionary_says(added: list[set[int]], asked: list[int]) -> None:
    there: dict[int, int] = {}
    known = SortedKeys()
    for some in added:
        new = {key: len(there) + at for at, key in enumerate(some - there.keys(), 1)}
        there |= new
        known.add(pairs_of(np.array([*new], np.int64), np.array([*new.values()], np.int64)))
    assert len(known) == len(there)
    assert known.ids(np.array(asked, np.int64)).tolist() == [there.get(key, 0) for key in asked]
    assert known.merged().T.tolist() == [[key, there[key]] for key in sorted(there)]
    assert known.ids(np.array(asked, np.int64)).tolist() == [there.get(key, 0) for key in asked]


def test_what_a_query_found_is_put_in_order() -> None:
    assert pairs_read([(7, 1), (3, 2), (5, 9)]).tolist() == [[3, 5, 7], [2, 9, 1]]
    assert pairs_read([]).shape == (2, 0)
