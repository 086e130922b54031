"""Natural keys are in memory, on their way, or in their table: wherever they are, they are known, and once only."""

import sqlite3
from random import Random
from typing import Any, Final

import pytest

from rating.store import key_filter, month_keys, natural_keys
from rating.store.partitions import keys_table_of, table_of
from tests.builders import cdr_json
from tests.contract.store_site import Site

MONTHS: Final = (202610, 202611)
STARTS: Final = ("2026-10-03T09:00:00Z", "2026-11-03T09:00:00Z", "2026-11-03T10:30:00Z")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handful of keys is many."""
    monkeypatch.setattr(natural_keys, "IN_MEMORY", 6)
    monkeypatch.setattr(natural_keys, "AT_ONCE", 2)
    monkeypatch.setattr(month_keys, "WORTH_A_FILTER", 2)
    monkeypatch.setattr(month_keys, "LOADED_AT_ONCE", 3)


async def in_tables(site: Site) -> int:
    """Keys that were moved."""

    def count(cx: sqlite3.Connection) -> int:
        there = {name for (name,) in cx.execute("SELECT name FROM sqlite_schema")}
        tables = [keys_table_of(month) for month in MONTHS if keys_table_of(month) in there]
        return sum(int(cx.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in tables)

    return await site.store.read(count)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("seed", range(12))
async def test_what_was_sent_before_is_known_wherever_its_key_is(
    site: Site, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random = Random(seed)
    if seed % 3 == 0:  # the filter is begun anew, now and then
        monkeypatch.setattr(key_filter, "FIRST", 16)
        monkeypatch.setattr(natural_keys, "FILTER_BYTES", 40)
    known: dict[int, int] = {}  # duration of each record that was stored
    suspended: set[tuple[int, int]] = set()
    for _ in range(60):
        sent = [(random.randrange(80), random.choice((60, 60, 60, 61))) for _ in range(random.randrange(1, 7))]
        expected = [0, 0, 0]
        for number, duration in sent:
            if known.setdefault(number, duration) != duration:
                expected[1 if (number, duration) in suspended else 2] += 1
                suspended.add((number, duration))
            else:
                expected[0] += 1
        fresh = len(known)
        lines = [cdr_json(id=f"r{n}", start=STARTS[n % 3], duration=duration) for n, duration in sent]
        before = len(await site.exported())
        accepted, duplicate, suspense = await site.send(*lines)
        assert accepted == fresh - before
        assert (accepted + duplicate, suspense) == (expected[0] + expected[1], expected[2])
        if random.random() < 0.1:
            await site.reopen()
    assert {line["id"]: int(line["duration"]) for line in await site.exported()} == {
        f"r{number}": duration for number, duration in known.items()
    }
    assert await in_tables(site) > 20


@pytest.mark.usefixtures("few")
async def test_what_came_to_nothing_was_never_there(site: Site) -> None:
    def fail(_cx: Any, _rows: Any) -> None:
        raise ZeroDivisionError

    lines = [cdr_json(id=f"r{n}") for n in range(20)]
    batch = site.batch(*lines)
    with pytest.raises(ZeroDivisionError):
        await site.store.write(lambda: [batch], fail)
    assert await site.send(*lines[:3]) == (3, 0, 0)
    assert await site.send(*lines) == (17, 3, 0)
    with pytest.raises(ZeroDivisionError):
        await site.store.write(lambda: [site.batch(cdr_json(id="x"))], fail)
    for n in range(20):
        assert await site.send(cdr_json(id=f"more-{n}")) == (1, 0, 0)
    assert await site.send(*lines, cdr_json(id="x")) == (1, 20, 0)


@pytest.mark.usefixtures("few")
async def test_each_key_is_moved_once_and_a_restart_goes_on_where_it_stood(site: Site) -> None:
    for n in range(7):
        await site.send(cdr_json(id=f"r{n}"))
    assert 0 < await in_tables(site) < 7
    await site.reopen()
    for n in range(7, 30):
        await site.send(cdr_json(id=f"r{n}"))
    assert 20 <= await in_tables(site) <= 30
    assert await site.send(*(cdr_json(id=f"r{n}") for n in range(30))) == (0, 30, 0)


async def test_a_store_whose_keys_are_in_no_table_has_them_moved_when_it_is_opened(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [cdr_json(id=f"r{n}") for n in range(40)]
    assert await site.send(*lines) == (40, 0, 0)
    assert await in_tables(site) == 0
    await site.store.transact(lambda cx: cx.execute(f"DROP TABLE {keys_table_of(202611)}"))
    monkeypatch.setattr(natural_keys, "IN_MEMORY", 20)
    await site.reopen()
    assert await in_tables(site) == 40
    assert await site.send(*lines, cdr_json(id="new")) == (1, 40, 0)


@pytest.mark.usefixtures("few")
async def test_a_table_of_keys_says_what_the_rows_say(site: Site) -> None:
    for n in range(20):
        await site.send(cdr_json(id=f"r{n}"), cdr_json(id=f"s{n}", start=STARTS[0]))

    def pairs(cx: sqlite3.Connection, table: str) -> set[tuple[int, int]]:
        return set(cx.execute(f"SELECT key, id FROM {table}"))  # a name of ours

    for month in MONTHS:
        moved = await site.store.read(pairs, keys_table_of(month))
        assert len(moved) > 5
        assert moved <= await site.store.read(pairs, table_of(month))


@pytest.mark.usefixtures("few")
async def test_of_an_hour_that_the_filter_has_loaded_nothing_is_looked_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(30):
        await site.send(cdr_json(id=f"r{n}"), cdr_json(id=f"s{n}", start=STARTS[2]))
    await site.reopen()
    looked_up = []
    look_up = month_keys.MonthKeys._ids_in_table

    def noted(self: Any, cx: sqlite3.Connection, keys: Any) -> list[int]:
        looked_up.extend(keys.tolist())
        return look_up(self, cx, keys)

    monkeypatch.setattr(month_keys.MonthKeys, "_ids_in_table", noted)
    for n in range(30):
        assert await site.send(cdr_json(id=f"a{n}"), cdr_json(id=f"b{n}")) == (2, 0, 0)
    assert looked_up  # the hour was not loaded yet
    looked_up.clear()
    assert await site.send(*(cdr_json(id=f"c{n}") for n in range(30))) == (30, 0, 0)
    assert len(looked_up) < 5
    assert await site.send(cdr_json(id="e", start=STARTS[2])) == (1, 0, 0)
    assert looked_up  # one new key is not worth a filter of its hour
    assert await site.send(*(cdr_json(id=f"r{n}") for n in range(30))) == (0, 30, 0)
    assert await site.send(*(cdr_json(id=f"s{n}", start=STARTS[2]) for n in range(30))) == (0, 30, 0)
