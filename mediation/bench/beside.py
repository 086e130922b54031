"""A command of ours that runs while records come in, and what both of them came to."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Final

from mediation.bench.others import Others
from mediation.bench.sending import Load, sending
from mediation.bench.site import RunningDaemon, Site
from mediation.failure import Failure

_PROGRAM: Final = (sys.executable, "-m", "mediation.cli")
_LAST: Final = "tollkeeper_last_transaction"


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command said at its end, and what it took."""

    said: dict[str, Any]
    cpu_s: float
    rss_mb: float


@dataclass(frozen=True, slots=True)
class Beside:
    """A command that ran while records came in."""

    ran: Ran
    transactions: int
    """That the daemon stored meanwhile, the command's own included."""
    ingest_went_on: bool
    """Until the end of it."""
    daemon_cpu_s: float
    others_cores: float
    """How many cores were busy with something else, the load generator included."""


def fill(site: Site, running: RunningDaemon, load: Load) -> int:
    """Bring records in at full speed; how many a second that is."""
    with sending(site, running, load) as sender:
        sender.begin()
        figures = sender.figures()
    return round(load.records / float(figures["seconds"]))


def run_beside(site: Site, running: RunningDaemon, load: Load, *arguments: str) -> Beside:
    """Run a command while a load is posted. Raises Failure if it fails."""
    with sending(site, running, load) as sender:
        others = Others(running)
        sender.begin()
        before, daemon_s = running.metrics()[_LAST], running.cpu_s()
        ran = run_command(site, *arguments)
        stored = round(running.metrics()[_LAST] - before)
        return Beside(ran, stored, not sender.is_done, running.cpu_s() - daemon_s, others.cores(ran.cpu_s))


def run_command(site: Site, *arguments: str) -> Ran:
    """A command of ours, as a process of its own. Raises Failure if it fails."""
    command = [*_PROGRAM, *arguments, "--config", str(site.config), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, took = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not out:
        raise Failure(f"tollkeeper {arguments[0]} failed with {process.returncode}: {out.strip()}")
    return Ran(json.loads(out.splitlines()[-1]), took.ru_utime + took.ru_stime, took.ru_maxrss / 1024)
