"""The daemon with processes of their own in front of the seam: `[rating] processes`."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.daemon_process import WITHIN_S, DaemonProcess, Site
from tests.small_site import STRANGER, a_record, line, ndjson, some_records


@pytest.fixture
def site(provisioned: Site) -> Site:
    """A provisioned site whose daemon has two such processes."""
    provisioned.config.write_text(provisioned.config.read_text() + "\n[rating]\nprocesses = 2\n")
    return provisioned


@contextmanager
def serving(site: Site) -> Iterator[tuple[DaemonProcess, list[int]]]:
    """The daemon, and the processes in front of its seam."""
    with site.serving() as daemon:
        yield daemon, [json.loads(told)["pid"] for told in daemon.log if "front process started" in told]


def gone(pid: int) -> bool:
    """Whether a process has ended, soon."""
    for _ in range(round(WITHIN_S / 0.02)):
        status = Path(f"/proc/{pid}/status")
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if "State:\tZ" not in status.read_text():
                time.sleep(0.02)
                continue
        return True
    return False


def test_records_are_stored_and_an_import_is_in_force_when_its_command_returns(site: Site) -> None:
    with serving(site) as (daemon, pids), daemon.pop() as pop:
        assert len(pids) == 2
        assert pop.send(ndjson(*some_records(50), b"{", a_record("s", calling=STRANGER))).counts == (50, 0, 2)
        site.provision(range(12))
        for n in range(4):  # whichever of them reads it
            assert pop.send(ndjson(a_record(f"new-{n}", calling=line(8 + n)))).counts == (1, 0, 0)
        assert daemon.terminate() == 0, daemon.text
        assert all(map(gone, pids))
    assert len(site.export()) == 54
    assert site.answer("recount")[0] == 0


def test_they_rate_what_is_recycled_for_the_owner_has_no_lines(site: Site) -> None:
    with serving(site) as (daemon, _), daemon.pop() as pop:
        assert pop.send(ndjson(a_record("early", calling=line(9)), b"{")).counts == (0, 0, 2)
        site.provision(range(12))
        code, done = site.answer("suspense", "recycle", "--all")
        assert (code, done["recycled"], done["still_open"]) == (0, 1, 1)
        assert daemon.terminate() == 0, daemon.text
    assert [transaction["id"] for transaction in site.export()] == ["early"]


def test_signals_to_the_whole_group_do_not_end_them_before_the_daemon(site: Site) -> None:
    with serving(site) as (daemon, pids), daemon.pop() as pop:
        for pid in pids:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                os.kill(pid, number)
        assert pop.send(ndjson(*some_records(3))).counts == (3, 0, 0)
        assert daemon.terminate() == 0, daemon.text


def test_if_one_dies_the_daemon_ends_with_1_and_says_why(site: Site) -> None:
    with serving(site) as (daemon, pids):
        with daemon.pop() as pop:
            assert pop.send(ndjson(*some_records(5))).counts == (5, 0, 0)
        os.kill(pids[0], signal.SIGKILL)
        assert daemon.wait() == 1
        assert "the process that rates records has ended" in daemon.text
        assert "Traceback" not in daemon.text
        assert gone(pids[1])
    assert len(site.export()) == 5


def test_if_the_daemon_is_killed_they_end(site: Site) -> None:
    with serving(site) as (daemon, pids):
        daemon.kill()
        assert all(map(gone, pids))
