"""The file feed: what is taken and when, what becomes of it, and what is waited for."""

import asyncio
import errno
import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from mediation.feeds import directory_watch, file_delivery
from mediation.feeds.files import FilesFeed
from mediation.feeds.writers import is_open_for_writing
from tests.integration.file_site import SETTLE_S, TORN_AFTER_S, FileSite, opened
from tests.small_site import a_record, ndjson, some_records

WITHIN_S = 20.0


@pytest.fixture
async def drop(site: Path) -> AsyncIterator[FileSite]:
    async with opened(site) as made:
        yield made


def ids(prefix: str, count: int) -> list[str]:
    return [record["id"] for record in some_records(count, prefix)]


def a_file(prefix: str, count: int = 3, *, end: bytes = b"\n") -> bytes:
    return ndjson(*some_records(count, prefix), end=end)


async def test_a_file_is_stored_and_kept_in_done(drop: FileSite) -> None:
    drop.write("a.ndjson", a_file("a"))
    await drop.settled()
    assert drop.stored() == ids("a", 3)
    assert (drop.names("."), drop.names("claimed"), drop.names("done")) == ([], [], ["a.ndjson"])
    stands = drop.feed.status()
    assert (stands.waiting, stands.current, stands.torn, stands.failed, stands.problem) == (0, None, [], 0, None)


async def test_a_file_is_let_settle_first(drop: FileSite) -> None:
    drop.write("a.ndjson", a_file("a"))
    await drop.feed.look()
    drop.later(SETTLE_S - 1)
    await drop.feed.look()
    assert (drop.names("."), drop.feed.status().waiting) == (["a.ndjson"], 1)


async def test_a_file_that_still_grows_is_not_read_at_a_line_end_either(drop: FileSite) -> None:
    for record in some_records(5, "a"):
        drop.write("a.ndjson", ndjson(record), mode="ab")
        await drop.feed.look()
        drop.later(SETTLE_S - 1)
    assert (drop.stored(), drop.names(".")) == ([], ["a.ndjson"])
    await drop.settled()
    assert drop.stored() == ids("a", 5)


async def test_a_file_of_a_clock_that_is_ahead_is_judged_by_what_is_seen_here(drop: FileSite) -> None:
    path = drop.write("a.ndjson", a_file("a"))
    os.utime(path, ns=((drop.now + 10**12) * 1000,) * 2)
    await drop.settled()
    assert drop.stored() == ids("a", 3)


@pytest.mark.parametrize("name", [".a.ndjson", "a.tmp", "a.part", "a.filepart", "a~"])
async def test_a_name_for_what_is_unfinished_is_left_alone_until_it_is_renamed(drop: FileSite, name: str) -> None:
    path = drop.write(name, a_file("a"))
    await drop.settled()
    assert drop.names(".") == [name]
    path.rename(drop.drop / "a.ndjson")
    await drop.settled()
    assert drop.stored() == ids("a", 3)


def a_link(path: Path) -> None:
    (path.parent.parent / "elsewhere").write_bytes(a_file("a"))
    path.symlink_to(path.parent.parent / "elsewhere")


@pytest.mark.parametrize("make", [a_link, os.mkfifo, Path.mkdir], ids=["link", "FIFO", "directory"])
async def test_what_is_no_file_is_left_alone(drop: FileSite, make: Callable[[Path], None]) -> None:
    make(drop.drop / "a.ndjson")
    drop.write("b.ndjson", a_file("b"))
    await drop.settled()
    assert drop.stored() == ids("b", 3)
    assert os.path.lexists(drop.drop / "a.ndjson")


async def test_files_are_taken_in_the_order_in_which_they_were_written(drop: FileSite) -> None:
    for name in ("z", "m", "a"):
        drop.write(name, a_file(name, 2))
        drop.later(1)
    drop.later(SETTLE_S)
    await drop.settled()
    assert drop.stored() == ids("z", 2) + ids("m", 2) + ids("a", 2)


@pytest.mark.parametrize("content", [b"", b"\n\r\n  \n"], ids=["nothing", "blank lines"])
async def test_an_empty_file_is_done(drop: FileSite, content: bytes) -> None:
    drop.write("a.ndjson", content)
    await drop.settled()
    assert (drop.names("done"), await drop.accounted()) == (["a.ndjson"], (0, 0, 0))


async def test_lines_may_end_in_crlf(drop: FileSite) -> None:
    drop.write("a.ndjson", a_file("a", end=b"\r\n") + b"no record\r\n")
    await drop.settled()
    assert (drop.stored(), drop.suspended()) == (ids("a", 3), [("malformed", b"no record")])


async def test_a_bad_row_is_suspended_and_the_file_goes_on(drop: FileSite) -> None:
    bad = [b"\xff\xfe", b"{", b"[1]", b"x" * 70_000]
    drop.write("a.ndjson", ndjson(a_record("1"), bad[0], bad[1], a_record("2"), bad[2], bad[3], a_record("3")))
    await drop.settled()
    assert drop.stored() == ["1", "2", "3"]
    assert drop.suspended() == [("malformed", line) for line in bad]
    assert drop.names("done") == ["a.ndjson"]


async def test_a_file_of_many_chunks_is_stored_whole(drop: FileSite) -> None:
    drop.write("a.ndjson", a_file("a", 10_000))
    await drop.settled()
    assert drop.stored() == ids("a", 10_000)
    assert [position and position.sequence for _, position in drop.sent] == list(range(1, 11))


async def test_the_same_name_again_is_another_file(drop: FileSite) -> None:
    for prefix in ("a", "b"):
        drop.write("cdr.ndjson", a_file(prefix))
        await drop.settled()
    assert drop.stored() == ids("a", 3) + ids("b", 3)
    assert drop.names("done") == ["cdr.ndjson"] * 2


async def test_the_same_content_again_is_duplicates(drop: FileSite) -> None:
    for name in ("a.ndjson", "a.ndjson", "b.ndjson"):
        drop.write(name, a_file("a") + b"no record\n")
        await drop.settled()
    assert drop.stored() == ids("a", 3)
    assert await drop.accounted() == (3, 8, 1)


# Torn files


async def test_a_torn_file_waits_and_is_taken_once_it_is_whole(drop: FileSite) -> None:
    whole = a_file("a")
    drop.write("a.ndjson", whole[:-20])
    await drop.settled()
    assert (drop.names("."), drop.feed.status().torn) == (["a.ndjson"], ["a.ndjson"])
    drop.write("a.ndjson", whole[-20:], mode="ab")
    await drop.settled()
    assert (drop.stored(), drop.feed.status().torn) == (ids("a", 3), [])
    assert drop.suspended() == []


async def test_a_torn_file_does_not_hold_up_the_others(drop: FileSite) -> None:
    drop.write("a.ndjson", a_file("a")[:-20])
    drop.write("b.ndjson", a_file("b"))
    await drop.settled()
    assert (drop.stored(), drop.names(".")) == (ids("b", 3), ["a.ndjson"])


async def test_a_file_that_stays_torn_is_taken_as_it_is(drop: FileSite) -> None:
    whole = a_file("a")
    drop.write("a.ndjson", whole[:-20])
    await drop.settled()
    drop.later(TORN_AFTER_S - SETTLE_S - 1)
    await drop.feed.look()
    assert drop.stored() == []
    drop.later(1)
    await drop.feed.look()
    assert drop.stored() == ids("a", 2)
    assert drop.suspended() == [("malformed", whole.splitlines()[2][:-19])]
    assert drop.names("done") == ["a.ndjson"]


async def test_a_last_record_that_shows_its_end_needs_no_line_end(drop: FileSite) -> None:
    drop.write("a.ndjson", a_file("a").removesuffix(b"\n"))
    await drop.settled()
    assert drop.stored() == ids("a", 3)


async def test_one_of_a_format_that_does_not_is_waited_for(drop: FileSite) -> None:
    drop.feed = drop.a_feed(is_whole=lambda _: False)
    drop.write("a.csv", a_file("a").removesuffix(b"\n"))
    await drop.settled()
    assert (drop.stored(), drop.feed.status().torn) == ([], ["a.csv"])
    drop.write("a.csv", b"\n", mode="ab")
    await drop.settled()
    assert drop.stored() == ids("a", 3)


# Whoever writes to a file


def needs_leases(path: Path) -> None:
    if is_open_for_writing(path) is None:
        pytest.skip("the kernel does not say here who has a file open for writing")


async def test_a_file_that_somebody_has_open_for_writing_is_not_read(drop: FileSite) -> None:
    path = drop.write("a.ndjson", a_file("a"))
    needs_leases(path)
    with path.open("ab") as file:
        await drop.settled()
        drop.later(TORN_AFTER_S)
        await drop.feed.look()
        assert (drop.names("."), drop.stored()) == (["a.ndjson"], [])
        file.write(a_file("b"))
    drop.touch(path)
    await drop.settled()
    assert drop.stored() == ids("a", 3) + ids("b", 3)


async def test_a_file_that_somebody_only_reads_is_taken(drop: FileSite) -> None:
    with drop.write("a.ndjson", a_file("a")).open("rb"):
        await drop.settled()
    assert drop.stored() == ids("a", 3)


async def test_a_writer_that_opens_a_file_just_before_it_is_claimed_is_waited_for(drop: FileSite) -> None:
    path = drop.write("a.ndjson", a_file("a"))
    needs_leases(path)
    await drop.feed.look()
    drop.later(SETTLE_S)
    claim = drop.feed._drop.claim
    files = []

    def claim_too_late(path: Path, now: int) -> Path:
        files.append(path.open("ab"))
        return claim(path, now)

    drop.feed._drop.claim = claim_too_late  # type: ignore[method-assign]  # the moment cannot be met otherwise
    await drop.feed.look()
    await drop.settled()
    assert (drop.names("claimed"), drop.stored()) == (["a.ndjson"], [])
    for file in files:
        file.write(a_file("b"))
        file.close()
    drop.touch(next((drop.drop / "claimed").iterdir()))
    await drop.settled()
    assert drop.stored() == ids("a", 3) + ids("b", 3)
    assert len(files) == 1


def test_asking_who_writes_survives_somebody_who_begins_to(tmp_path: Path) -> None:
    """The kernel sends whoever holds a lease a signal, which by default ends the process."""
    path = tmp_path / "a"
    path.write_bytes(b"")
    needs_leases(path)
    program = (
        "import sys, pathlib, threading\n"
        "from mediation.feeds.writers import is_open_for_writing\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "done = threading.Event()\n"
        "def write():\n"
        "    while not done.is_set():\n"
        "        path.open('ab').close()\n"
        "writer = threading.Thread(target=write)\n"
        "writer.start()\n"
        "any(is_open_for_writing(path) is None for _ in range(20_000))\n"
        "done.set()\n"
        "writer.join()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, timeout=60)
    assert ended.returncode == 0, ended


# gzip


def test_gzip_data_is_what_the_cases_below_say() -> None:
    assert gzip.decompress(gzip.compress(a_file("a")) + gzip.compress(a_file("b"))) == a_file("a") + a_file("b")


@pytest.mark.parametrize(
    ("packed", "stored"),
    [
        (gzip.compress(a_file("a")), ids("a", 3)),
        (gzip.compress(a_file("a")) + gzip.compress(a_file("b")), ids("a", 3) + ids("b", 3)),
        (gzip.compress(a_file("a")[:700]) + gzip.compress(a_file("a")[700:]), ids("a", 3)),
        (gzip.compress(a_file("a")) + bytes(512), ids("a", 3)),
        (gzip.compress(a_file("a").removesuffix(b"\n")), ids("a", 3)),
        (gzip.compress(b""), []),
    ],
    ids=["one", "two members", "cut in a record by members", "zeros after it", "no line end", "of nothing"],
)
async def test_a_gzip_file_is_unpacked(drop: FileSite, packed: bytes, stored: list[str]) -> None:
    drop.write("a.ndjson.gz", packed)
    await drop.settled()
    assert (drop.stored(), drop.names("done")) == (stored, ["a.ndjson.gz"])


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        gzip.compress(a_file("a"))[:-9],
        gzip.compress(a_file("a"))[:30],
        a_file("a"),
        gzip.compress(a_file("a"))[:-8] + bytes(8),
        gzip.compress(a_file("a")) + b"tail",
    ],
    ids=["of 0 bytes", "cut in its end", "cut", "no gzip", "of another checksum", "something else after it"],
)
async def test_a_gzip_file_that_is_not_whole_waits_and_is_kept_in_failed(drop: FileSite, bad: bytes) -> None:
    drop.write("a.gz", bad)
    await drop.settled()
    assert (drop.names("."), drop.feed.status().torn) == (["a.gz"], ["a.gz"])
    drop.later(TORN_AFTER_S)
    await drop.feed.look()
    assert (drop.names("."), drop.names("claimed"), drop.names("failed")) == ([], [], ["a.gz"])
    assert next((drop.drop / "failed").iterdir()).read_bytes() == bad
    assert (drop.stored(), drop.feed.status().failed, drop.feed.status().torn) == ([], 1, [])


async def test_a_cut_gzip_file_is_taken_once_the_rest_has_come(drop: FileSite) -> None:
    packed = gzip.compress(a_file("a"))
    drop.write("a.GZ", packed[:-9])
    await drop.settled()
    drop.write("a.GZ", packed[-9:], mode="ab")
    await drop.settled()
    assert drop.stored() == ids("a", 3)


async def test_a_gzip_file_that_goes_bad_while_it_is_read_is_kept_in_failed(
    drop: FileSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop.write("a.gz", gzip.compress(a_file("a")) + b"tail")
    monkeypatch.setattr("mediation.feeds.drop_directory.unpacks", lambda *_: True)
    await drop.settled()
    assert (drop.names("failed"), drop.names("claimed")) == (["a.gz"], [])


async def test_looking_through_a_large_gzip_file_ends_with_the_feed(drop: FileSite) -> None:
    drop.write("a.gz", gzip.compress(bytes(1_000_000)))
    await drop.feed.look()
    drop.later(SETTLE_S)
    drop.feed._drop.stop()  # as `stop` does while the file is looked through
    await drop.feed.look()
    assert (drop.names("."), drop.feed.status().torn) == (["a.gz"], [])
    drop.feed = drop.a_feed()
    await drop.settled()
    assert drop.names("done") == ["a.gz"]


# The disk, and the run as a whole


async def test_a_file_that_cannot_be_read_is_tried_again_later_and_holds_up_no_other(
    drop: FileSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_read = file_delivery.chunks_of
    tries = []

    def chunks_of(path: Path) -> Any:
        if path.name.endswith("bad.ndjson"):
            tries.append(path)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return really_read(path)

    monkeypatch.setattr(file_delivery, "chunks_of", chunks_of)
    drop.write("bad.ndjson", a_file("a"))
    drop.write("good.ndjson", a_file("b"))
    await drop.settled()
    await drop.feed.look()
    assert (drop.stored(), drop.names("claimed"), len(tries)) == (ids("b", 3), ["bad.ndjson"], 1)
    drop.later(5)
    await drop.feed.look()
    drop.later(5)
    await drop.feed.look()
    assert len(tries) == 2, "the second wait is longer"
    monkeypatch.undo()
    drop.later(5)
    await drop.feed.look()
    assert drop.stored() == ids("b", 3) + ids("a", 3)


async def test_a_directory_that_goes_away_is_said_and_waited_for(drop: FileSite) -> None:
    await drop.feed.look()
    shutil.rmtree(drop.drop)
    await drop.feed.look()
    problem = drop.feed.status().problem
    assert problem is not None
    assert str(drop.drop) in problem
    drop.drop.mkdir()
    drop.write("a.ndjson", a_file("a"))
    await drop.settled()
    assert (drop.stored(), drop.feed.status().problem) == (ids("a", 3), None)


async def done_files(drop: FileSite, count: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while len(drop.names("done")) < count:
            await asyncio.sleep(0.01)


@pytest.fixture
def quick(drop: FileSite) -> FilesFeed:
    """A feed that lets nothing settle."""
    return drop.a_feed(settle_s=0)


@pytest.mark.parametrize("watched", [True, False], ids=["woken", "without the kernel's watches"])
async def test_it_runs_until_it_is_stopped(
    drop: FileSite, quick: FilesFeed, monkeypatch: pytest.MonkeyPatch, watched: bool
) -> None:
    def no_watches(*_: object, **__: object) -> AsyncIterator[object]:
        raise OSError(errno.ENOSPC, "no more watches")

    if watched:
        monkeypatch.setattr("mediation.feeds.files.RESCAN_S", 2 * WITHIN_S)
    else:
        monkeypatch.setattr("mediation.feeds.files.RESCAN_S", 0.01)
        monkeypatch.setattr(directory_watch, "awatch", no_watches)
    drop.write("a.ndjson", a_file("a"))
    running = asyncio.create_task(quick.run())
    await done_files(drop, 1)
    drop.write("b.tmp", a_file("b")).rename(drop.drop / "b.ndjson")
    await done_files(drop, 2)
    quick.stop()
    async with asyncio.timeout(WITHIN_S):
        await running
    assert drop.stored() == ids("a", 3) + ids("b", 3)


async def test_it_ends_with_the_pipeline(drop: FileSite, quick: FilesFeed) -> None:
    drop.write("a.ndjson", a_file("a"))
    drop.owner.stop()
    async with asyncio.timeout(WITHIN_S):
        await quick.run()
    assert (drop.names("claimed"), drop.stored()) == (["a.ndjson"], [])
