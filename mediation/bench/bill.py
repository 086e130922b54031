"""`bench bill`: a bill run over many accounts, while records come in at half the speed that there is."""

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mediation.bench.beside import fill, run_beside, run_command
from mediation.bench.sending import Load
from mediation.bench.site import Site, daemon
from mediation.failure import Failure
from rating.store.partitions import last_id
from rating.store.read_only import connect_reader


@dataclass(frozen=True, slots=True)
class BillOptions:
    """How much."""

    accounts: int
    transactions: int
    prefixes: int
    seconds: int
    """For how long records are ready to be posted; the figure of ingest is for the bill run alone."""


def run_bill(options: BillOptions, directory: Path) -> dict[str, Any]:
    """Measure in an empty directory. Afterwards `recount` must find the books right.

    Raises Failure if records are refused, or the bills are not right.
    """
    site = Site(directory, options.accounts)
    site.provision(options.prefixes)
    now = datetime.now(UTC)
    called_at = _in_every_cycle(now)
    with daemon(site) as running:
        capacity = fill(site, running, Load(options.transactions, 1, called_at))
        with closing(connect_reader(site.store)) as cx:
            transactions = last_id(cx)
        rate = max(1, capacity // 2)
        load = Load(rate * options.seconds, 2, now, rate=rate)
        beside = run_beside(site, running, load, "bill-run", "--period", called_at.strftime("%Y-%m"))
        recount = run_command(site, "recount").said
        running.stop()
    ran = beside.ran
    if recount["differences"] or recount["bills"] != ran.said["bills"]:
        raise Failure(f"the bills are not right: {recount}")
    seconds = ran.said["seconds"]
    return {
        "accounts": options.accounts,
        "bills": ran.said["bills"],
        "transactions": transactions,
        "seconds": seconds,
        "ingest_per_s": round(beside.transactions / seconds),
        "capacity_per_s": capacity,
        "ingest_went_on": beside.ingest_went_on,
        "charges": ran.said["charges"],
        "run_cpu_s": round(ran.cpu_s, 2),
        "run_rss_mb": round(ran.rss_mb),
        "daemon_cpu_s": round(beside.daemon_cpu_s, 2),
        "others_cores": beside.others_cores,
    }


def _in_every_cycle(now: datetime) -> datetime:
    """An instant in the last cycle that has ended for every cycle day up to the 28th."""
    last_month = now.replace(day=1, hour=18, minute=0, second=0, microsecond=0) - timedelta(days=1)
    return last_month.replace(day=1) - timedelta(days=1)
