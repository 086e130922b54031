"""`bench rerate`: charging a store's transactions again, while records come in at half the speed that there is."""

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mediation.bench.beside import fill, run_beside, run_command
from mediation.bench.sending import Load
from mediation.bench.site import Site, daemon, deck
from mediation.failure import Failure
from rating.store.partitions import last_id
from rating.store.read_only import connect_reader


@dataclass(frozen=True, slots=True)
class RerateOptions:
    """How much."""

    transactions: int
    accounts: int
    prefixes: int
    seconds: int
    """For how long records are ready to be posted; the figure of ingest is for the run alone."""


def run_rerate(options: RerateOptions, directory: Path) -> dict[str, Any]:
    """Measure in an empty directory. Afterwards a second run must change nothing, and `recount` must find no
    difference.

    Raises Failure if records are refused, or the charges are not right.
    """
    site = Site(directory, options.accounts)
    site.provision(options.prefixes)
    now = datetime.now(UTC)
    with daemon(site) as running:
        capacity = fill(site, running, Load(options.transactions, 1, now))
        with closing(connect_reader(site.store)) as cx:
            transactions = last_id(cx)
        text, _ = deck(options.prefixes)
        (directory / "bench.csv").write_text(text.replace(",0.", ",1."))  # every rate is dearer by one
        site.import_file("tariff", "tariff.toml")
        rate = max(1, capacity // 2)
        load = Load(rate * options.seconds, 2, now, rate=rate)
        beside = run_beside(site, running, load, "rerate", "--tariff", "bench", "--yes")
        again = run_command(site, "rerate", "--tariff", "bench", "--yes").said
        recount = run_command(site, "recount").said
        running.stop()
    said, seconds = beside.ran.said, beside.ran.said["seconds"]
    if again["changed"] or recount["differences"]:
        raise Failure(f"the charges are not right: a second run changed {again['changed']}, {recount}")
    return {
        "records_per_s": round(transactions / seconds),  # not those that came in meanwhile, which cost less work
        "transactions": transactions,
        "changed": said["changed"],
        "seconds": seconds,
        "ingest_per_s": round((beside.transactions - 2 * said["changed"]) / seconds),
        "capacity_per_s": capacity,
        "ingest_went_on": beside.ingest_went_on,
        "run_cpu_s": round(beside.ran.cpu_s, 2),
        "run_rss_mb": round(beside.ran.rss_mb),
        "daemon_cpu_s": round(beside.daemon_cpu_s, 2),
        "others_cores": beside.others_cores,
    }
