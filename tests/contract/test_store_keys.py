"""A natural key is kept as a number of 63 bits. Now and then two keys have one number: they stay two calls."""

from itertools import permutations, product
from typing import Final

import pytest

from rating.store.batch import COLUMN, key_of, keys_after
from tests.builders import START, cdr_json, micros
from tests.contract.store_site import Site

SOURCE: Final = "pop-lax"
ALL: Final = (
    {"id": "plumless"},
    {"id": "buckeroo"},  # has the same number, its CRC-32 being the same
    {"id": "2000", "start": "2026-11-20T09:07:31.938030-05:00"},  # has the next number
)
ORDERS: Final = tuple(permutations(ALL))


def test_the_records_below_are_such(site: Site) -> None:
    source = site.numbers_of[SOURCE]
    one, same, following = (key_of(source, fields["id"], micros(fields.get("start", START))) for fields in ALL)
    assert (same, following) == (one, one + 1)


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "one by one"])
@pytest.mark.parametrize("order", ORDERS)
async def test_all_are_taken_once_and_told_from_each_other(
    site: Site, order: tuple[dict[str, str], ...], together: bool
) -> None:
    lines = [cdr_json(**fields) for fields in order]
    others = [cdr_json(**fields, duration=62) for fields in order]
    if together:
        assert await site.send(*lines, *lines, source=SOURCE) == (3, 3, 0)
    else:
        for line in lines:
            assert await site.send(line, line, source=SOURCE) == (1, 1, 0)
    await site.reopen()
    assert await site.send(*lines, source=SOURCE) == (0, 3, 0)
    assert await site.send(*others, source=SOURCE) == (0, 0, 3)
    assert await site.send(*lines, *others, source=SOURCE) == (0, 6, 0)


@pytest.mark.parametrize("reopened", [False, True], ids=["running", "reopened"])
@pytest.mark.parametrize("order", ORDERS)
async def test_one_in_suspense_does_not_keep_the_others_there(
    site: Site, order: tuple[dict[str, str], ...], reopened: bool
) -> None:
    first, *others = order
    stranger = cdr_json(**first, calling="+19995550100")
    assert await site.send(stranger, source=SOURCE) == (0, 0, 1)
    if reopened:
        await site.reopen()
    assert await site.send(*(cdr_json(**fields) for fields in others), source=SOURCE) == (2, 0, 0)
    assert await site.send(cdr_json(**first), source=SOURCE) == (0, 0, 1)
    assert await site.send(stranger, source=SOURCE) == (0, 1, 0)
    assert sorted(line["id"] for line in await site.exported()) == sorted(fields["id"] for fields in others)


@pytest.mark.parametrize("reopened", [False, True], ids=["running", "reopened"])
async def test_a_third_of_the_same_number_is_new_beside_one_stored_and_one_in_suspense(
    site: Site, reopened: bool
) -> None:
    stored, suspended = (cdr_json(**fields) for fields in (ALL[0], ALL[1] | {"calling": "+19995550100"}))
    third = {"id": "1643", "start": "2026-11-20T09:07:31.770314-05:00"}
    source = site.numbers_of[SOURCE]
    assert key_of(source, third["id"], micros(third["start"])) == key_of(source, ALL[0]["id"], micros(START))
    assert await site.send(stored, suspended, source=SOURCE) == (1, 0, 1)
    if reopened:
        await site.reopen()
    assert await site.send(cdr_json(**third), source=SOURCE) == (1, 0, 0)
    assert await site.send(cdr_json(**third, duration=62), source=SOURCE) == (0, 0, 1)
    assert await site.send(stored, suspended, cdr_json(**third), source=SOURCE) == (0, 3, 0)


def chosen(number: int) -> str:
    """One of 2^17 ids that share their CRC-32: the parts of which it is made do."""
    return "".join(("plumless", "buckeroo")[number >> bit & 1] for bit in range(17))


async def test_ids_chosen_to_have_one_number_each_find_a_free_one_at_once(site: Site) -> None:
    source = site.numbers_of[SOURCE]
    ids = ["".join(parts) for parts in product(("plumless", "buckeroo"), repeat=8)]
    assert len({key_of(source, id_, micros(START)) for id_ in ids}) == 1
    lines = [cdr_json(id=id_) for id_ in ids]
    admission = await site.write(site.batch(*lines, source=SOURCE))
    assert [row[COLUMN["id"]] for row in admission.stored] == [*range(1, len(ids) + 1)]
    assert site.store.last_id == admission.stored[-1][COLUMN["id"]]
    first, *others = (row[COLUMN["key"]] for row in admission.stored)
    assert first == key_of(source, ids[0], micros(START))
    assert others == [next(keys_after(source, id_, micros(START))) for id_ in ids[1:]]
    await site.reopen()
    assert await site.send(*lines, source=SOURCE) == (0, 256, 0)
    assert await site.send(*(cdr_json(id=id_, duration=62) for id_ in ids), source=SOURCE) == (0, 0, 256)


@pytest.mark.parametrize("order", [*permutations((0, 38823, 62051))])
async def test_whose_second_number_is_taken_too_gets_the_next(site: Site, order: tuple[int, ...]) -> None:
    source = site.numbers_of[SOURCE]
    second, same = (next(keys_after(source, chosen(number), micros(START))) for number in (38823, 62051))
    assert second == same
    assert len({key_of(source, chosen(number), micros(START)) for number in order}) == 1
    for number in order:
        assert await site.send(cdr_json(id=chosen(number)), source=SOURCE) == (1, 0, 0)
    await site.reopen()
    for number in order:
        assert await site.send(cdr_json(id=chosen(number)), source=SOURCE) == (0, 1, 0)
        assert await site.send(cdr_json(id=chosen(number), duration=62), source=SOURCE) == (0, 0, 1)
