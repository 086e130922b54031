"""The disk becomes full: the daemon says so and ends, and what it has acknowledged is there once space is made.

The disk is a small tmpfs, which takes root to mount; where that is not possible these tests are skipped.
"""

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest

from tests.acceptance.daemon_process import DaemonProcess, Site, one_line, started
from tests.small_site import ndjson, some_records

ENOUGH = "64m"


class SmallDisk:
    """A tmpfs of its own."""

    def __init__(self, where: Path, size: str) -> None:
        self.where = where
        where.mkdir()
        self._run("mount", "-t", "tmpfs", "-o", f"size={size}", "tollkeeper-test", str(where))

    def resize(self, size: str) -> None:
        self._run("mount", "-o", f"remount,size={size}", str(self.where))

    def fill(self) -> None:
        """Somebody else takes all that is left."""
        with (self.where / "filling").open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(65_536))
        with (self.where / "filling").open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(512))

    def unmount(self) -> None:
        self._run("umount", str(self.where))

    @staticmethod
    def _run(*command: str) -> None:
        ended = subprocess.run(command, capture_output=True, timeout=20, text=True)
        if ended.returncode:
            raise OSError(ended.stderr.strip() or f"{command[0]} failed")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root and mount, to make a small disk")
    try:
        small = SmallDisk(tmp_path / "disk", "4m")
    except OSError as error:
        pytest.skip(f"a small disk cannot be mounted here: {error}")
    try:
        yield small
    finally:
        small.unmount()


@pytest.fixture
def crowded(disk: SmallDisk, tmp_path: Path, provisioned_store: Path) -> Site:
    """A provisioned site whose store is on the small disk."""
    site = Site(tmp_path / "site", store=disk.where / "tollkeeper.db")
    shutil.copy(provisioned_store, site.store)
    return site


def batch(n: int) -> bytes:
    return ndjson(*some_records(500, f"b{n}"))


def send_until_it_ends(daemon: DaemonProcess) -> list[int]:
    """Numbers of the batches that were acknowledged; batch n has position n."""
    acknowledged = []
    with daemon.pop() as pop, suppress(OSError):
        for n in range(1000):
            answer = pop.send(batch(n), f"e/{n}")
            if answer.status != 200:
                assert answer.status == 503
                break
            assert answer.counts == (500, 0, 0)
            acknowledged.append(n)
    return acknowledged


def says_that_the_disk_is_full(daemon: DaemonProcess) -> None:
    assert daemon.wait() == 1
    assert "Traceback" not in daemon.text
    assert "full" in daemon.log[-1]


def everything_is_there_once(site: Site, batches: int) -> None:
    """Batches 0 to `batches` - 1, and nothing else; the counters agree, and the arrivals add up."""
    rows = site.export()
    expected = {record["id"] for n in range(batches) for record in some_records(500, f"b{n}")}
    counts = Counter(row["id"] for row in rows)
    assert counts.keys() == expected
    assert set(counts.values()) == {1}
    code, answer = site.answer("recount")
    assert (code, answer["transactions"], answer["differences"]) == (0, len(rows), 0)
    assert Decimal(answer["charges"]) == len(rows) * Decimal("0.66")
    for day in {row["rated_at"][:10] for row in rows}:
        assert site.answer("account-for", "--day", day)[0] == 0


def test_a_disk_that_fills_up_during_ingest_ends_the_daemon_and_loses_nothing(crowded: Site, disk: SmallDisk) -> None:
    with crowded.serving() as daemon:
        acknowledged = send_until_it_ends(daemon)
        says_that_the_disk_is_full(daemon)
    assert 0 < len(acknowledged) < 1000
    last = len(acknowledged)

    # As long as nobody makes space it cannot go on, and says why: at its start or at the first batch.
    with started(crowded.config) as daemon:
        with suppress(AssertionError):
            daemon.wait_ready()
        if daemon.is_running:
            with daemon.pop() as pop, suppress(OSError):
                assert pop.send(batch(last), f"e/{last}").status == 503
        says_that_the_disk_is_full(daemon)

    disk.resize(ENOUGH)
    with crowded.serving() as daemon, daemon.pop() as pop:
        assert pop.get("/v1/positions").json == {"e": {"last": last - 1, "gaps": []}}
        assert pop.send(batch(last - 1), f"e/{last - 1}").counts == (0, 500, 0)  # an answer that may have been lost
        for n in range(last, last + 3):
            assert pop.send(batch(n), f"e/{n}").counts == (500, 0, 0)
        everything_is_there_once(crowded, last + 3)
        assert daemon.terminate() == 0
    everything_is_there_once(crowded, last + 3)


def test_what_is_on_a_full_disk_can_be_read(crowded: Site) -> None:
    with crowded.serving() as daemon:
        acknowledged = send_until_it_ends(daemon)
        says_that_the_disk_is_full(daemon)
    assert len(crowded.export()) == 500 * len(acknowledged)


def test_batches_in_flight_when_the_disk_fills_up_are_not_acknowledged(crowded: Site, disk: SmallDisk) -> None:
    with crowded.serving() as daemon:
        pops = [daemon.pop() for _ in range(16)]
        acknowledged: set[int] = set()
        try:
            for round_ in range(100):
                numbers = range(round_ * 16, round_ * 16 + 16)
                for n, pop in zip(numbers, pops, strict=True):
                    pop.connection.request(
                        "POST", "/v1/transactions", batch(n), {"Authorization": f"Bearer {pop.token}"}
                    )
                for n, pop in zip(numbers, pops, strict=True):
                    with pop.connection.getresponse() as response:
                        response.read()
                        if response.status == 200:
                            acknowledged.add(n)
        except OSError:
            pass
        finally:
            for pop in pops:
                pop.connection.close()
        says_that_the_disk_is_full(daemon)
    disk.resize(ENOUGH)
    with crowded.serving() as daemon, daemon.pop() as pop:
        for n in acknowledged:
            assert pop.send(batch(n)).counts == (0, 500, 0)
        highest = max(acknowledged) + 1
        for n in range(highest):
            accepted, duplicate, suspended = pop.send(batch(n)).counts
            assert (accepted + duplicate, suspended) == (500, 0)
        stored = {row["id"].partition("-")[0] for row in crowded.export()}
        for n in range(highest, highest + 48):
            if f"b{n}" in stored:  # durable, and the answer was lost: it may not be charged again
                assert pop.send(batch(n)).counts == (0, 500, 0)
        assert crowded.answer("recount")[1]["differences"] == 0


@pytest.mark.parametrize("command", [("migrate",), ("import", "accounts"), ("serve",)])
def test_a_new_store_on_a_full_disk_is_one_line(tmp_path: Path, disk: SmallDisk, command: tuple[str, ...]) -> None:
    site = Site(tmp_path / "site", store=disk.where / "tollkeeper.db")
    disk.fill()
    arguments = (*command, site.files.accounts) if command[0] == "import" else command
    ended = site.process(*arguments, within_s=10)
    assert ended.returncode == 1
    assert "full" in one_line(ended.stderr)


def test_an_import_that_does_not_fit_is_refused_and_changes_nothing(crowded: Site, disk: SmallDisk) -> None:
    disk.fill()
    more = crowded.write("more.csv", crowded.files.accounts.read_text().replace("40000", "90000"))
    ended = crowded.process("import", "accounts", more, within_s=10)
    assert ended.returncode == 1
    assert "full" in one_line(ended.stderr)
    disk.resize(ENOUGH)
    crowded.done("import", "accounts", more)


def test_a_full_disk_at_the_end_loses_nothing(crowded: Site, disk: SmallDisk) -> None:
    """The counters cannot be saved: they are projected again from the transactions at the next start."""
    with crowded.serving() as daemon, daemon.pop() as pop:
        for n in range(2):
            assert pop.send(batch(n)).counts == (500, 0, 0)
        disk.fill()
        assert daemon.terminate() in (0, 1)
        assert "Traceback" not in daemon.text
    disk.resize(ENOUGH)
    with crowded.serving():
        everything_is_there_once(crowded, 2)
