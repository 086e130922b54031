"""`bench bill`: a bill run over many accounts, while records come in at half the speed that there is."""

import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from mediation.bench.others import Others
from mediation.bench.sending import Load, sending
from mediation.bench.site import RunningDaemon, Site, daemon
from mediation.failure import Failure
from rating.store.partitions import last_id
from rating.store.sqlite import connect_reader

_PROGRAM: Final = (sys.executable, "-m", "mediation.cli")
_LAST: Final = "tollkeeper_last_transaction"


@dataclass(frozen=True, slots=True)
class BillOptions:
    """How much."""

    accounts: int
    transactions: int
    prefixes: int
    seconds: int
    """For how long records are ready to be posted; the figure of ingest is for the bill run alone."""


@dataclass(frozen=True, slots=True)
class _Ran:
    """What a command said at its end, and what it took."""

    said: dict[str, Any]
    cpu_s: float
    rss_mb: float


def run_bill(options: BillOptions, directory: Path) -> dict[str, Any]:
    """Measure in an empty directory. Afterwards `recount` must find the books right.

    Raises Failure if records are refused, or the bills are not right.
    """
    site = Site(directory, options.accounts)
    site.provision(options.prefixes)
    now = datetime.now(UTC)
    called_at = _in_every_cycle(now)
    with daemon(site) as running:
        capacity = _fill(site, running, Load(options.transactions, 1, called_at))
        with closing(connect_reader(site.store)) as cx:
            transactions = last_id(cx)
        rate = max(1, capacity // 2)
        with sending(site, running, Load(rate * options.seconds, 2, now, rate=rate)) as sender:
            others = Others(running)
            sender.begin()
            before, daemon_s = running.metrics()[_LAST], running.cpu_s()
            ran = _run(site, "bill-run", "--period", called_at.strftime("%Y-%m"))
            after, daemon_s = running.metrics()[_LAST], running.cpu_s() - daemon_s
            is_covered = not sender.is_done
            others_cores = others.cores(ran.cpu_s)
        recount = _run(site, "recount").said
        running.stop()
    if recount["differences"] or recount["bills"] != ran.said["bills"]:
        raise Failure(f"the bills are not right: {recount}")
    seconds = ran.said["seconds"]
    return {
        "accounts": options.accounts,
        "bills": ran.said["bills"],
        "transactions": transactions,
        "seconds": seconds,
        "ingest_per_s": round((after - before) / seconds),
        "capacity_per_s": capacity,
        "ingest_went_on": is_covered,
        "charges": ran.said["charges"],
        "run_cpu_s": round(ran.cpu_s, 2),
        "run_rss_mb": round(ran.rss_mb),
        "daemon_cpu_s": round(daemon_s, 2),
        "others_cores": others_cores,
    }


def _in_every_cycle(now: datetime) -> datetime:
    """An instant in the last cycle that has ended for every cycle day up to the 28th."""
    last_month = now.replace(day=1, hour=18, minute=0, second=0, microsecond=0) - timedelta(days=1)
    return last_month.replace(day=1) - timedelta(days=1)


def _fill(site: Site, running: RunningDaemon, load: Load) -> int:
    """Bring the records in at full speed; how many a second that is."""
    with sending(site, running, load) as sender:
        sender.begin()
        figures = sender.figures()
    return round(load.records / float(figures["seconds"]))


def _run(site: Site, *arguments: str) -> _Ran:
    """A command of ours, as a process of its own. Raises Failure if it fails."""
    command = [*_PROGRAM, *arguments, "--config", str(site.config), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, took = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not out:
        raise Failure(f"tollkeeper {arguments[0]} failed with {process.returncode}: {out.strip()}")
    return _Ran(json.loads(out.splitlines()[-1]), took.ru_utime + took.ru_stime, took.ru_maxrss / 1024)
