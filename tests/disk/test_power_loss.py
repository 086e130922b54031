"""The power fails: from what the daemon really wrote and synced disks are made as they may be found afterwards, and
everything that it had acknowledged is on each of them."""

import os
import sqlite3
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from tests.acceptance.daemon_process import DaemonProcess, Site, tollkeeper
from tests.disk.crash_images import CrashImage, crash_images
from tests.disk.recording import Kind, Operation, read_recording
from tests.disk.shim import make_shim
from tests.pop_by_hand import Address, PopByHand
from tests.small_site import TOKENS, a_record, ndjson

pytestmark = pytest.mark.peers("cc")

IMAGES = int(os.environ.get("TOLLKEEPER_CRASH_IMAGES", "120"))
SEED = int(os.environ.get("TOLLKEEPER_CRASH_SEED", "1"))
RECOUNTED = max(IMAGES // 40, 3)
"""Images on which the daemon starts again, and recounts."""
SENDERS = 4
BATCHES, RECORDS = 60, 10
"""Of each sender."""
CHECKPOINT_PAGES, KEYS_IN_MEMORY = 60, 400
"""So that the log is copied into the file, and keys are moved into their table, many times in a short run."""


@dataclass(frozen=True)
class Run:
    """What was done, and what was promised."""

    before: dict[str, bytes]
    operations: list[Operation]
    acknowledged: dict[str, int]
    """Ids of records, and when (CLOCK_MONOTONIC, ns) the answer had come."""


def recorded_run(directory: Path, synchronous: str) -> Run:
    """A daemon with senders, until all is acknowledged."""
    site = Site(directory / "site", store=directory / "store" / "tollkeeper.db")
    site.store.parent.mkdir()
    site.provision()
    shim = make_shim(directory, site.store.parent)
    before = {path.name: path.read_bytes() for path in site.store.parent.iterdir() if not path.name.endswith(".lock")}
    recording = directory / "recording"
    program = (sys.executable, "-m", "tests.disk.daemon_on_shim", synchronous, CHECKPOINT_PAGES, KEYS_IN_MEMORY)
    daemon = DaemonProcess(site.config, program=map(str, program), environment=shim.environment(record=recording))
    acknowledged: dict[str, int] = {}
    try:
        address = daemon.wait_ready().addresses["feeds.pops"]
        senders = [threading.Thread(target=send, args=(address, n, acknowledged)) for n in range(SENDERS)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        daemon.kill()  # no clean end: what it did last is to be found in images too
    finally:
        daemon.close()
    return Run(before, list(read_recording(recording)), acknowledged)


def send(address: Address, sender: int, acknowledged: dict[str, int]) -> None:
    """Batches one after the other; some records come twice."""
    random = Random(sender)
    with PopByHand(address, TOKENS["pop-a"]) as pop:
        for batch in range(BATCHES):
            ids = [f"{sender}-{batch}-{record}" for record in range(RECORDS)]
            again = [f"{sender}-{random.randrange(batch)}-{random.randrange(RECORDS)}"] if batch else []
            answer = pop.send(ndjson(*map(a_record, ids + again)), f"sender-{sender}/{batch + 1}")
            assert answer.counts == (RECORDS, len(again), 0), answer
            now = time.monotonic_ns()
            acknowledged.update(dict.fromkeys(ids, now))


def lost_from(image: CrashImage, run: Run, directory: Path) -> set[str]:
    """Acknowledged records that are not on a disk. Fails for a store that is broken, or has a record twice."""
    image.put(directory)
    with closing(sqlite3.connect(directory / "tollkeeper.db")) as cx:
        assert cx.execute("PRAGMA integrity_check").fetchall() == [("ok",)], image.how
        names = "SELECT name FROM sqlite_master WHERE name GLOB 'transactions_[0-9]*' AND type = 'table'"
        there: Counter[str] = Counter()
        for (table,) in cx.execute(names).fetchall():
            there.update(id_ for (id_,) in cx.execute(f"SELECT record_id FROM {table}"))
    assert max(there.values(), default=1) == 1, image.how
    return {id_ for id_, at_ns in run.acknowledged.items() if at_ns < image.before_ns and id_ not in there}


def test_nothing_acknowledged_is_lost_when_the_power_fails(tmp_path: Path) -> None:
    run = recorded_run(tmp_path, "FULL")
    kinds = Counter((operation.kind, operation.name) for operation in run.operations)
    assert kinds[Kind.SYNCED, "tollkeeper.db"] > 5, f"hardly any checkpoint: the test says little {kinds}"
    assert len(run.acknowledged) == SENDERS * BATCHES * RECORDS
    random = Random(SEED)
    for number, image in enumerate(crash_images(run.before, run.operations, IMAGES, random)):
        directory = tmp_path / f"image-{number}"
        directory.mkdir()
        assert lost_from(image, run, directory) == set(), image.how
        if number % (IMAGES // RECOUNTED) == 0:
            recount(directory, tmp_path)
        for path in directory.iterdir():
            path.unlink()


def test_without_a_sync_at_each_commit_it_would_be(tmp_path: Path) -> None:
    """The control: these images do find what is not on the disk."""
    run = recorded_run(tmp_path, "NORMAL")
    lost: set[str] = set()
    for number, image in enumerate(crash_images(run.before, run.operations, 40, Random(SEED))):
        directory = tmp_path / f"image-{number}"
        directory.mkdir()
        lost |= lost_from(image, run, directory)
    assert lost


def recount(directory: Path, tmp_path: Path) -> None:
    """The program makes the same of it: it starts, and what it counts agrees with the transactions."""
    config = Site(tmp_path / "site", store=directory / "tollkeeper.db").config
    daemon = DaemonProcess(config)
    try:
        daemon.wait_ready()
        recounted = tollkeeper("recount", "--config", config)
        assert recounted.returncode == 0, recounted.stderr
        assert daemon.terminate() == 0, daemon.text
    finally:
        daemon.close()
