"""The file feed after a crash: every record once, and what is durable already is not sent again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mediation.feeds.chunks import LINES_A_CHUNK
from mediation.feeds.files import FilesFeed
from tests.integration.file_site import SETTLE_S, FileSite, opened
from tests.small_site import ndjson, some_records

COUNT = 2 * LINES_A_CHUNK + 500
"""Three chunks."""


@pytest.fixture
async def drop(site: Path) -> AsyncIterator[FileSite]:
    async with opened(site) as made:
        yield made


def ids(count: int = COUNT) -> list[str]:
    return [record["id"] for record in some_records(count, "a")]


def content(count: int = COUNT) -> bytes:
    return ndjson(*some_records(count, "a"))


def sequences(drop: FileSite) -> list[int | None]:
    return [position and position.sequence for _, position in drop.sent]


async def stopped_after(drop: FileSite, chunks: int) -> None:
    """The file is claimed, so many of its chunks are durable, and the daemon is gone."""
    drop.write("a.ndjson", content())
    await drop.feed.look()
    drop.later(SETTLE_S)
    put = drop.owner.put_patiently

    async def put_and_stop(batch: object) -> object:
        queued = await put(batch)  # type: ignore[arg-type]  # handed on
        if len(drop.sent) == chunks:
            drop.feed.stop()
        return queued

    drop.owner.put_patiently = put_and_stop  # type: ignore[assignment, method-assign]  # the test counts
    await drop.feed.look()
    assert drop.names("claimed") == ["a.ndjson"]
    await drop.restart()


@pytest.mark.parametrize("chunks", [1, 2, 3])
async def test_a_file_that_was_begun_is_finished_and_nothing_is_sent_twice(drop: FileSite, chunks: int) -> None:
    await stopped_after(drop, chunks)
    assert len(drop.stored()) == min(COUNT, chunks * LINES_A_CHUNK)
    await drop.feed.look()
    assert sequences(drop) == [1, 2, 3][chunks:]
    assert (drop.stored(), drop.names("done")) == (ids(), ["a.ndjson"])
    assert await drop.accounted() == (COUNT, 0, 0)


async def test_a_file_that_was_stored_and_not_put_away_is_only_put_away(drop: FileSite) -> None:
    drop.write("a.ndjson", content())
    await drop.settled()
    (done,) = (drop.drop / "done").iterdir()
    done.rename(drop.drop / "claimed" / done.name)
    await drop.restart()
    await drop.feed.look()
    assert (drop.sent, drop.names("done"), await drop.accounted()) == ([], ["a.ndjson"], (COUNT, 0, 0))


async def test_a_file_that_was_claimed_and_not_begun_is_sent(drop: FileSite) -> None:
    (drop.drop / "claimed").mkdir()
    drop.write("claimed/20261120T150000.000000Z-000001-a.ndjson", content())
    drop.later(SETTLE_S)
    await drop.feed.look()
    assert (drop.stored(), drop.names("done")) == (ids(), ["a.ndjson"])


async def test_what_was_claimed_goes_before_what_is_new(drop: FileSite) -> None:
    (drop.drop / "claimed").mkdir()
    for number, name in enumerate(("c", "b"), 1):
        drop.write(f"claimed/20261120T150000.000000Z-{number:06d}-{name}", ndjson(*some_records(1, name)))
    drop.write("a", ndjson(*some_records(1, "a")))
    drop.later(SETTLE_S)
    await drop.settled()
    assert drop.stored() == ["c-0", "b-0", "a-0"]


async def test_a_claim_that_a_power_failure_undid_makes_duplicates_and_no_second_charge(drop: FileSite) -> None:
    await stopped_after(drop, 2)
    (claimed,) = (drop.drop / "claimed").iterdir()
    claimed.rename(drop.drop / "a.ndjson")
    await drop.settled()
    assert drop.stored() == ids()
    assert await drop.accounted() == (COUNT, 2 * LINES_A_CHUNK, 0)


async def test_a_claimed_file_that_was_written_to_in_between_loses_nothing(drop: FileSite) -> None:
    """Its last chunk is another one than the one that took the position: it goes without, and only the new is new."""
    await stopped_after(drop, 3)
    (claimed,) = (drop.drop / "claimed").iterdir()
    claimed.write_bytes(content(COUNT + 10))
    drop.touch(claimed)
    await drop.settled()
    assert (drop.stored(), drop.names("done")) == (ids(COUNT + 10), ["a.ndjson"])
    assert sequences(drop) == [3, None]
    assert await drop.accounted() == (COUNT + 10, 500, 0)


async def test_a_file_that_is_written_to_while_it_is_read_is_read_again(
    drop: FileSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a file system that does not tell who writes."""
    monkeypatch.setattr("mediation.feeds.drop_directory.is_open_for_writing", lambda _: None)
    drop.write("a.ndjson", content(10))
    await drop.feed.look()
    drop.later(SETTLE_S)
    put = drop.owner.put_patiently

    async def put_while_it_grows(batch: object) -> object:
        if len(drop.sent) == 0:
            (claimed,) = (drop.drop / "claimed").iterdir()
            claimed.write_bytes(content(15))
        return await put(batch)  # type: ignore[arg-type]  # handed on

    drop.owner.put_patiently = put_while_it_grows  # type: ignore[assignment, method-assign]  # a writer without manners
    await drop.feed.look()
    assert drop.names("claimed") == ["a.ndjson"]
    await drop.settled()
    assert (drop.stored(), drop.names("done")) == (ids(15), ["a.ndjson"])


async def test_a_daemon_that_stops_half_way_leaves_the_file_claimed(drop: FileSite) -> None:
    await stopped_after(drop, 1)
    quick: FilesFeed = drop.a_feed(settle_s=0)
    drop.owner.stop()
    async with asyncio.timeout(20):
        await quick.run()
    assert (drop.names("claimed"), len(drop.stored())) == (["a.ndjson"], LINES_A_CHUNK)
    await drop.restart()
    await drop.feed.look()
    assert drop.stored() == ids()
