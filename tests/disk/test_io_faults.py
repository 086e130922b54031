"""The disk answers one write, or one sync, with an error: nothing is acknowledged that is not kept, the daemon ends and
says why, and after a new start everything is there once."""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.daemon_process import Site
from tests.disk.nursery import Nursery
from tests.disk.shim import make_shim
from tests.small_site import ndjson, some_records

pytestmark = pytest.mark.peers("cc")

FAULTS = int(os.environ.get("TOLLKEEPER_IO_FAULTS", "40"))
"""How many are tried, spread over all; 0 is all."""
BATCHES, RECORDS = 20, 30
CHECKPOINT_PAGES, KEYS_IN_MEMORY = 30, 150
PROGRAM = (sys.executable, "-m", "tests.disk.daemon_on_shim", "FULL", str(CHECKPOINT_PAGES), str(KEYS_IN_MEMORY))


@dataclass(frozen=True)
class Outcome:
    """Of a run with a fault."""

    acknowledged: int
    """Batches, the first so many."""
    code: int
    """Exit status."""
    text: str


class FaultySite:
    """A provisioned store, from which every run begins."""

    def __init__(self, site: Site, nursery: Nursery, count: Path) -> None:
        self.site, self.nursery = site, nursery
        self._count = count
        self._fresh = site.store.parent.with_name("fresh")
        shutil.copytree(site.store.parent, self._fresh)

    def begin_anew(self) -> None:
        shutil.rmtree(self.site.store.parent)
        shutil.copytree(self._fresh, self.site.store.parent)

    def run(self, fail: str | None) -> Outcome:
        """Send the batches until one is not acknowledged, then end the daemon, should it still run."""
        acknowledged = 0
        with closing(self.nursery.daemon(self.site.config, fail)) as daemon:
            with suppress(AssertionError):
                daemon.wait_ready()
            if daemon.was_ready:
                with daemon.pop() as pop, suppress(OSError):
                    for n in range(BATCHES):
                        answer = pop.send(batch(n), f"e/{n + 1}")
                        if answer.status != 200:
                            assert answer.status == 503, answer
                            break
                        assert answer.counts == (RECORDS, 0, 0)
                        acknowledged += 1
            code = daemon.terminate() if daemon.is_running and acknowledged == BATCHES else daemon.wait()
            return Outcome(acknowledged, code, daemon.text)

    @property
    def counted(self) -> tuple[int, int]:
        """Writes and syncs of the run before."""
        writes, syncs = self._count.read_text().split()
        return int(writes), int(syncs)

    def has_met(self, fault: str) -> bool:
        """Whether the run before came to its fault."""
        kind, number, _ = fault.split(":")
        return int(number) <= self.counted[kind == "sync"]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultySite]:
    directory = tmp_path_factory.mktemp("faulty")
    site = Site(directory / "site", store=directory / "store" / "tollkeeper.db")
    site.store.parent.mkdir()
    site.provision()
    count = directory / "count"
    shim = make_shim(directory, site.store.parent)
    with Nursery(PROGRAM, shim.environment(count=count)) as nursery:
        yield FaultySite(site, nursery, count)


def batch(n: int) -> bytes:
    return ndjson(*some_records(RECORDS, f"b{n}"))


def the_faults(writes: int, syncs: int) -> Iterator[str]:
    """Each write and each sync of a run, with each of the errors that it may end with."""
    every = [f"write:{n}:{how}" for n in range(1, writes + 1) for how in ("EIO", "ENOSPC", "short")]
    every += [f"sync:{n}:{how}" for n in range(1, syncs + 1) for how in ("EIO", "ENOSPC")]
    step = max(len(every) / FAULTS, 1) if FAULTS else 1
    return (every[int(index * step)] for index in range(int(len(every) / step)))


def test_an_error_of_the_disk_never_costs_a_record(faulty: FaultySite) -> None:
    faulty.begin_anew()
    calm = faulty.run(None)
    assert (calm.acknowledged, calm.code) == (BATCHES, 0), calm.text
    ended: Counter[str] = Counter()
    for fault in the_faults(*faulty.counted):
        faulty.begin_anew()
        outcome = faulty.run(fault)
        assert "Traceback" not in outcome.text, (fault, outcome.text)
        if outcome.code == 0:
            # What was written in part is written on. All else is an end, and said; but one run has a few operations
            # less than another, and may end before the one that was to fail.
            assert fault.endswith("short") or not faulty.has_met(fault), (fault, outcome.text)
            assert outcome.acknowledged == BATCHES, (fault, outcome.text)
        else:
            assert outcome.code == 1, (fault, outcome.text)
            assert str(faulty.site.store) in outcome.text.splitlines()[-1], (fault, outcome.text)
        ended["went on" if outcome.code == 0 else "ended"] += 1
        everything_is_there_once(faulty, outcome, fault)
    assert ended["ended"], "no fault was met: the test says nothing"


def everything_is_there_once(faulty: FaultySite, outcome: Outcome, fault: str) -> None:
    """The daemon starts again, knows what it has acknowledged, and takes the rest."""
    site = faulty.site
    with closing(faulty.nursery.daemon(site.config)) as daemon:
        with daemon.wait_ready().pop() as pop:
            for n in range(BATCHES):
                accepted, duplicate, suspended = pop.send(batch(n), f"e/{n + 1}").counts
                assert (accepted + duplicate, suspended) == (RECORDS, 0), fault
                if n < outcome.acknowledged:
                    assert duplicate == RECORDS, f"batch {n} was acknowledged and is not there: {fault}"
        assert daemon.terminate() == 0, daemon.text
    ids = Counter(row["id"] for row in site.export())
    assert (len(ids), set(ids.values())) == (BATCHES * RECORDS, {1}), fault
    code, answer = site.answer("recount")
    assert (code, answer["transactions"], answer["differences"]) == (0, BATCHES * RECORDS, 0), fault
