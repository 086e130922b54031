"""`bench ingest`: from a socket to durable, deduplicated, guided, rated and counted transactions."""

import shutil
import sqlite3
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mediation.bench.events import prescribe
from mediation.bench.preload import preload_live, preload_past
from mediation.bench.sending import Load, sending
from mediation.bench.site import RunningDaemon, Site, daemon
from mediation.failure import Failure
from mediation.formats.ndjson import parse_line
from rating.cdr import CDR
from rating.store.batch import COLUMN, COLUMNS
from rating.store.partitions import create_partition, keys_table_of, partitions, table_of
from rating.store.read_only import connect_reader
from rating.store.sqlite import WRITER_PRAGMAS
from simulators.load_records import LoadSpec, build_bodies, read_prefixes

_LOAD_SEED: Final = 1
_KEY: Final = COLUMN["key"]
_FIGURES: Final = (
    "records_per_s", "floor_per_s", "ratio", "cpu_us_per_record", "ack_p50_ms", "ack_p99_ms", "rss_mb", "stored",
    "sent", "records_per_commit", "load_cpu_s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """What to send, and at which pace."""

    records: int
    batch: int
    in_flight: int
    accounts: int
    prefixes: int
    events: int = 0
    """Account events on each account."""
    preload: int = 0
    """Rows of the months before."""
    preload_live: int = 0
    """Rows of this month."""


def run_ingest(options: IngestOptions, directory: Path) -> dict[str, Any]:
    """Measure in an empty directory; the contract's figures. Raises Failure if the store holds not what was sent. Of a
    store that is not empty at first also what an empty one takes, in the same run."""
    preloaded = options.preload + options.preload_live
    if not preloaded:
        return _measure(options, directory)
    (directory / "empty").mkdir()
    empty = _measure(replace(options, preload=0, preload_live=0), directory / "empty")
    shutil.rmtree(directory / "empty")
    figures = _measure(options, directory)
    growth = {"empty_per_s": empty["records_per_s"], "growth": figures["records_per_s"] / empty["records_per_s"]}
    return figures | {"preloaded": preloaded} | {name: round(value, 3) for name, value in growth.items()}


def _measure(options: IngestOptions, directory: Path) -> dict[str, Any]:
    site = Site(directory, options.accounts)
    site.provision(options.prefixes)
    if options.events:
        prescribe(site.store, options.events)
    now = datetime.now(UTC)
    if options.preload:
        preload_past(site, options.preload, now)
    elif options.preload_live:
        preload_live(site, options.preload_live, now)
    with daemon(site) as running:
        figures = _load(options, site, running, now)
        metrics = running.metrics()
        figures["rss_mb"] = round(running.peak_rss_mb(), 1)
        running.stop()
    commits = metrics["tollkeeper_commit_seconds_count"]
    commit_records = max(1, round(metrics["tollkeeper_commit_records_total"] / commits))
    stored = _check(options, site, now)
    floor = _floor(options, site, commit_records)
    figures["floor_per_s"] = round(floor)
    figures["ratio"] = round(figures["records_per_s"] / floor, 3)
    figures |= {
        "stored": stored,
        "sent": options.records,
        "records_per_commit": commit_records,
        "load_cpu_s": figures["cpu_s"],
    }
    return {name: figures[name] for name in _FIGURES}


def _load(options: IngestOptions, site: Site, running: RunningDaemon, now: datetime) -> dict[str, Any]:
    """Post everything from a process of its own; its figures, and the daemon's."""
    load = Load(options.records, _LOAD_SEED, now, options.batch, options.in_flight)
    with sending(site, running, load) as sender:
        before = running.cpu_s()
        sender.begin()
        figures = sender.figures()
        cpu_s = running.cpu_s() - before
    figures["records_per_s"] = round(options.records / figures["seconds"])
    figures["cpu_us_per_record"] = round(cpu_s / options.records * 1e6, 2)
    return figures


def _check(options: IngestOptions, site: Site, now: datetime) -> int:
    """How many transactions the store holds. Raises Failure unless they are exactly those that were sent."""
    prefixes = read_prefixes(site.prefixes.read_text())
    spec = LoadSpec(options.records, options.batch, options.accounts, prefixes, _LOAD_SEED, now)
    sent = set()
    for body, _ in build_bodies(spec):
        for line in body.splitlines():
            cdr = parse_line(line, "")
            assert isinstance(cdr, CDR)
            sent.add(hash((cdr.id, cdr.start_at, cdr.answer_at, cdr.duration_us, cdr.calling, cdr.called)))
    stored = 0
    cx = connect_reader(site.store)
    for month in partitions(cx):
        columns = "record_id, start_at, answer_at, duration_us, calling, called"
        preloaded = options.preload + options.preload_live
        for row in cx.execute(f"SELECT {columns} FROM {table_of(month)} WHERE id > ?", (preloaded,)):  # noqa: S608  # our own names
            stored += 1
            if hash(row) not in sent:
                raise Failure(f"the store holds a record that was not sent: {row}")
            sent.discard(hash(row))
    cx.close()
    if sent:
        raise Failure(f"{len(sent)} records of {options.records} were acknowledged and are not in the store")
    return stored


def _floor(options: IngestOptions, site: Site, commit_records: int) -> float:
    """Rows per second of a bare executemany of the very same rows into the same tables and indexes."""
    source = connect_reader(site.store)
    rows = {
        month: source.execute(
            f"SELECT {', '.join(COLUMNS)} FROM {table_of(month)} WHERE id > ? ORDER BY id",  # noqa: S608  # names of our own
            (options.preload + options.preload_live,),
        ).fetchall()
        for month in partitions(source)
    }
    source.close()
    path = site.directory / "floor.db"
    cx = sqlite3.connect(path, isolation_level=None)
    for pragma in WRITER_PRAGMAS:
        cx.execute(pragma)
    cx.execute("CREATE TABLE partitions (month INTEGER PRIMARY KEY)")
    for month in rows:
        create_partition(cx, month)
    values = ", ".join("?" * len(COLUMNS))
    began = time.perf_counter()
    for month, every in rows.items():
        sql = f"INSERT INTO {table_of(month)} ({', '.join(COLUMNS)}) VALUES ({values})"  # noqa: S608  # names of our own
        of_key = f"INSERT INTO {keys_table_of(month)} VALUES (?, ?) ON CONFLICT DO NOTHING"  # noqa: S608  # names of our own
        keys = [(row[_KEY], row[0]) for row in every]
        for at in range(0, len(every), commit_records):
            cx.execute("BEGIN IMMEDIATE")
            cx.executemany(sql, every[at : at + commit_records])
            cx.executemany(of_key, keys[at : at + commit_records])
            cx.execute("COMMIT")
    took = time.perf_counter() - began
    cx.close()
    return sum(map(len, rows.values())) / took
