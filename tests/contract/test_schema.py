"""The schema of a store: upgraded in one piece, refused where it is newer, and as this program would make it."""

import sqlite3
from collections.abc import Sequence

import pytest

from rating.store.errors import SchemaTooNew, StoreFailed, StoreLocked
from rating.store.migrations import Migration, own_migrations
from rating.store.partitions import create_partition
from tests.contract.store_site import Engine


def newer_steps(sql: str = "CREATE TABLE of_the_future (a INTEGER);") -> Sequence[Migration]:
    own = own_migrations()
    return (*own, Migration(len(own) + 1, "of_the_future", sql))


async def test_an_older_program_refuses_a_newer_schema_and_leaves_it_alone(engine: Engine) -> None:
    newer = await engine.open(newer_steps())
    await newer.register_sources(["pop-nyc"])
    await newer.close()
    with pytest.raises(SchemaTooNew, match="use the newer program"):
        await engine.open()
    again = await engine.open(newer_steps())
    assert list(await again.register_sources([])) == ["pop-nyc"]
    await again.read(lambda cx: cx.execute("SELECT a FROM of_the_future").fetchall())
    await again.close()
    engine.check()


async def test_accounts_of_an_older_store_get_numbers(engine: Engine) -> None:
    older = await engine.open([step for step in own_migrations() if step.number < 9])
    columns = "shard, account, name, currency, timezone, cycle_day, opened_at"
    rows = [(0, account, "Ann", "USD", "UTC", 1, 5) for account in ("7", "5", "6")]
    sql = f"INSERT INTO accounts ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)"
    await older.transact(lambda cx: cx.executemany(sql, rows))
    await older.close()
    store = await engine.open()
    numbers = await store.read(lambda cx: dict(cx.execute("SELECT account, number FROM accounts")))
    await store.close()
    assert sorted(numbers.values()) == [1, 2, 3]


async def test_the_indexes_of_an_older_store_are_made_anew_for_every_month(engine: Engine) -> None:
    def indexes(cx: sqlite3.Connection) -> dict[str, str]:
        return dict(cx.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND name LIKE 'trans%'"))

    def make(cx: sqlite3.Connection) -> dict[str, str]:
        for month in (202610, 202611):
            create_partition(cx, month)
        made = indexes(cx)
        for name, sql in made.items():
            cx.execute(f"DROP INDEX {name}")
            cx.execute(sql.replace("id >> 15", "id >> 16"))
        assert indexes(cx).keys() == made.keys()
        assert not set(indexes(cx).values()) & set(made.values())
        return made

    older = await engine.open([step for step in own_migrations() if step.number < 10])
    made = await older.transact(make)
    await older.close()
    store = await engine.open()
    assert len(made) == 4
    assert await store.read(indexes) == made
    await store.close()


async def test_a_step_that_fails_leaves_the_schema_as_it_was(engine: Engine) -> None:
    store = await engine.open()
    await store.register_sources(["pop-nyc"])
    await store.close()
    with pytest.raises(StoreFailed):
        await engine.open(newer_steps("CREATE TABLE half (a INTEGER);\nSELECT * FROM nowhere;"))
    again = await engine.open()
    assert list(await again.register_sources([])) == ["pop-nyc"]
    with pytest.raises(StoreFailed):
        await again.read(lambda cx: cx.execute("SELECT a FROM half"))
    await again.close()


async def test_a_refused_second_writer_leaves_nothing_behind(engine: Engine) -> None:
    store = await engine.open()
    with pytest.raises(StoreLocked):
        await engine.open()
    await store.close()
