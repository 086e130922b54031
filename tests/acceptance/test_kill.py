"""kill -9 of the daemon while POPs send: whatever was acknowledged is in the store, and every record once."""

import asyncio
import os
import socket
import sqlite3
import time
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from simulators import pacing
from simulators.courier import Retry
from simulators.faults import parse_faults
from simulators.journal import Journal
from simulators.pop import Pop
from simulators.pop_link import HttpLink
from simulators.pop_settings import PopSettings
from simulators.population import lines_of, make_population
from simulators.provisioning import write_provisioning
from simulators.traffic import Traffic
from tests.acceptance.daemon_process import DaemonProcess, tollkeeper

ROUNDS = int(os.environ.get("TOLLKEEPER_KILL_ROUNDS", "6"))
SEED = int(os.environ.get("TOLLKEEPER_KILL_SEED", "1"))
POPS = ("pop-nyc", "pop-chi")
CALLS_PER_S = 2_000.0


def a_free_port() -> int:
    """The daemon must come back where the POPs know it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def provision(directory: Path) -> Path:
    """A configuration with both POPs, and a population that can be rated."""
    config = directory / "site.toml"
    sources = "\n".join(f'[feeds.pops.sources.{name}]\ntoken = "{name}"' for name in POPS)
    config.write_text(
        f'[store]\nurl = "sqlite:///site.db"\n[ops]\nlisten = "127.0.0.1:0"\n[rating]\nprocesses = 1\n'
        f'[feeds.pops]\ntype = "pop"\nlisten = "127.0.0.1:{a_free_port()}"\n{sources}\n'
    )
    files = write_provisioning(directory, make_population(60, SEED), valid_from=datetime(2026, 1, 1, tzinfo=UTC).date())
    for kind, file in (("tariff", files.tariff), ("accounts", files.accounts), ("lines", files.lines)):
        done = tollkeeper("import", kind, file, "--config", config)
        assert done.returncode == 0, done.stderr
    return config


def a_pop(name: str, link: HttpLink) -> Pop:
    """One that makes every mistake, and never gives up."""
    faults = parse_faults("dup=0.1,reorder=0.1,truncate=0.05,disconnect=0.1")
    settings = PopSettings(
        batch_records=100, in_flight=8, linger_s=0.05, drain_s=60.0, retry=Retry(0.02, 0.2), faults=faults, seed=SEED,
        remember_ids=True,
    )  # fmt: skip
    return Pop(name, link, Journal(str(time.time_ns())), settings)


async def test_whatever_kills_it_every_record_is_in_the_store_once(tmp_path: Path) -> None:
    config = provision(tmp_path)
    random = Random(SEED)
    lines = lines_of(make_population(60, SEED))
    daemon = DaemonProcess(config).wait_ready()
    host, port = daemon.addresses["feeds.pops"]
    async with AsyncExitStack() as stack:
        pops = []
        for index, name in enumerate(POPS):
            link = await stack.enter_async_context(HttpLink(f"http://{host}:{port}", name, gzipped=bool(index)))
            pops.append(a_pop(name, link))
        async with asyncio.TaskGroup() as running:
            for index, pop in enumerate(pops):
                calls = Traffic(
                    lines, seed=SEED + index, start=datetime.now(UTC), calls_per_s=CALLS_PER_S, steady=True,
                    switch=pop.name,
                )  # fmt: skip
                running.create_task(pop.run(pacing.at_rate(calls, CALLS_PER_S)))
            try:
                for _ in range(ROUNDS):
                    await asyncio.sleep(random.uniform(0.05, 0.8))
                    daemon.kill()
                    daemon.close()
                    daemon = await asyncio.to_thread(lambda: DaemonProcess(config).wait_ready())
                recounted = await asyncio.to_thread(tollkeeper, "recount", "--config", config)
                assert recounted.returncode == 0, recounted.stderr
            finally:
                for pop in pops:
                    pop.stop()
        for pop in pops:
            assert pop.status()["unacknowledged"] == 0, pop.status()
            assert pop.totals.suspended == 0, pop.totals
    running_recount = await asyncio.to_thread(tollkeeper, "recount", "--config", config)
    assert daemon.terminate() == 0, daemon.text
    daemon.close()
    stopped_recount = await asyncio.to_thread(tollkeeper, "recount", "--config", config)
    for recounted in (running_recount, stopped_recount):
        assert recounted.returncode == 0, recounted.stderr
    stored = stored_ids(tmp_path / "site.db")
    assert max(stored.values()) == 1
    assert stored.keys() == {(pop.name, id_) for pop in pops for id_ in pop.acknowledged_ids}
    assert len(stored) > 100 * ROUNDS, "hardly anything was sent: the test says nothing"


def stored_ids(store: Path) -> Counter[tuple[str, str]]:
    """How often each source's record is in the store, read without the program's own code."""
    cx = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    assert cx.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    names = dict(cx.execute("SELECT id, name FROM sources"))
    ids: Counter[tuple[str, str]] = Counter()
    for (table,) in cx.execute(
        "SELECT name FROM sqlite_master WHERE name GLOB 'transactions_[0-9]*' AND type = 'table'"
    ):
        ids.update((names[source], id_) for source, id_ in cx.execute(f"SELECT source, record_id FROM {table}"))
    cx.close()
    return ids
