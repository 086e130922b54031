"""What is short goes before what is long on the writer's connection, and nothing is lost on the way."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rating.store.connection import Connection
from rating.store.errors import StoreFailed


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    connection = Connection(lambda: sqlite3.connect(tmp_path / "x.db", check_same_thread=False), iter_chunk_size=64)
    connection.path = tmp_path / "x.db"
    await connection
    yield connection
    await connection.close()


async def test_what_is_short_goes_before_what_waited_already_and_after_what_is_under_way(
    connection: Connection,
) -> None:
    order: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def under_way(_: sqlite3.Connection) -> None:
        begun.set()
        assert go_on.wait(20)
        order.append("under way")

    asked = [asyncio.ensure_future(connection.run(under_way))]
    await asyncio.to_thread(begun.wait, 20)
    asked += [asyncio.ensure_future(connection.run(lambda _, n=n: order.append(f"long {n}"))) for n in range(2)]
    await asyncio.sleep(0)
    asked += [asyncio.ensure_future(connection.run_first(lambda _, n=n: order.append(f"short {n}"))) for n in range(3)]
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(*asked)
    assert order == ["under way", "short 0", "short 1", "short 2", "long 0", "long 1"]


async def test_what_is_put_off_lets_the_short_ones_go_first(connection: Connection) -> None:
    order: list[str] = []
    asked_for = threading.Event()

    def when() -> bool:
        asked_for.set()
        return "short" in order

    put_off = asyncio.ensure_future(connection.run(lambda _: order.append("put off"), when=when))
    behind = asyncio.ensure_future(connection.run(lambda _: order.append("behind")))
    assert await asyncio.to_thread(asked_for.wait, 20)
    async with asyncio.timeout(20):
        await connection.run_first(lambda _: order.append("short"))
        await asyncio.gather(put_off, behind)
    assert order == ["short", "put off", "behind"]


async def test_alone_it_is_done_at_once_with_its_result(connection: Connection) -> None:
    assert await connection.run_first(lambda cx, n: cx.execute("SELECT ?", (n,)).fetchone()[0], 7) == 7


async def test_what_it_raises_reaches_who_asked_and_nobody_else(connection: Connection) -> None:
    def fail(_: sqlite3.Connection) -> None:
        raise ZeroDivisionError

    done = await asyncio.gather(
        connection.run_first(fail),
        connection.run_first(lambda cx: cx.execute("SELECT * FROM nowhere")),
        connection.run_first(lambda _: 1),
        connection.run(lambda _: 2),
        return_exceptions=True,
    )
    assert isinstance(done[0], ZeroDivisionError)
    assert isinstance(done[1], StoreFailed)
    assert done[2:] == [1, 2]


async def test_it_is_done_although_who_asked_has_gone(connection: Connection) -> None:
    done: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def under_way(_: sqlite3.Connection) -> None:
        begun.set()
        assert go_on.wait(20)

    holding = asyncio.ensure_future(connection.run(under_way))
    await asyncio.to_thread(begun.wait, 20)
    asked = asyncio.ensure_future(connection.run_first(lambda _: done.append(1)))
    await asyncio.sleep(0)
    asked.cancel()
    go_on.set()
    await holding
    await connection.run(lambda _: None)
    assert done == [1]
    assert asked.cancelled()


async def test_a_flood_of_short_ones_lets_the_long_ones_through(connection: Connection) -> None:
    flood = True

    async def again_and_again() -> None:
        while flood:
            await connection.run_first(lambda _: None)

    flooding = [asyncio.ensure_future(again_and_again()) for _ in range(20)]
    async with asyncio.timeout(20):
        for _ in range(20):
            await connection.run(lambda _: None)
    flood = False
    await asyncio.gather(*flooding)


async def test_after_the_end_it_says_so(tmp_path: Path) -> None:
    connection = Connection(lambda: sqlite3.connect(tmp_path / "x.db", check_same_thread=False), iter_chunk_size=64)
    connection.path = tmp_path / "x.db"
    await connection
    await connection.close()
    with pytest.raises(ValueError, match="no active connection"):
        await connection.run_first(lambda _: None)
