"""kill -9 of the daemon while files and posts come in together: nothing is lost, and nothing is there twice."""

import asyncio
import gzip
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from random import Random

from simulators import pacing
from simulators.call_records import Record
from simulators.pop_link import HttpLink
from simulators.population import lines_of, make_population
from simulators.provisioning import write_provisioning
from simulators.traffic import Traffic
from tests.acceptance.daemon_process import DaemonProcess, tollkeeper
from tests.acceptance.test_kill import a_free_port, a_pop, stored_ids

ROUNDS = int(os.environ.get("TOLLKEEPER_KILL_ROUNDS", "4"))
SEED = int(os.environ.get("TOLLKEEPER_KILL_SEED", "1"))
POP, PBX = "pop-nyc", "pbx1"
POSTS_PER_S = 500.0
WITHIN_S = 60.0
POPULATION = 60


def provision(directory: Path) -> Path:
    """A configuration with a POP and a directory, and a population that can be rated."""
    config = directory / "site.toml"
    (directory / "drop").mkdir()
    config.write_text(
        f'[store]\nurl = "sqlite:///site.db"\n[ops]\nlisten = "127.0.0.1:0"\n'
        f'[feeds.pops]\ntype = "pop"\nlisten = "127.0.0.1:{a_free_port()}"\n'
        f'[feeds.pops.sources.{POP}]\ntoken = "{POP}"\n'
        f'[feeds.pbx]\ntype = "files"\nsource = "{PBX}"\ndirectory = "drop"\nformat = "ndjson"\nsettle = "1s"\n'
    )
    people = make_population(POPULATION, SEED)
    files = write_provisioning(directory, people, valid_from=datetime(2026, 1, 1, tzinfo=UTC).date())
    for kind, file in (("tariff", files.tariff), ("accounts", files.accounts), ("lines", files.lines)):
        done = tollkeeper("import", kind, file, "--config", config)
        assert done.returncode == 0, done.stderr
    return config


class Switch:
    """Drops files in every manner that switches have, until it is stopped."""

    def __init__(self, drop: Path) -> None:
        self.drop = drop
        self.ids: set[str] = set()
        self.files = 0
        self.stopped = False
        self._random = Random(SEED)
        lines = lines_of(make_population(POPULATION, SEED))
        calls = Traffic(lines, seed=SEED + 100, start=datetime.now(UTC), calls_per_s=2_000.0, steady=True, switch=PBX)
        self._records: Iterator[Record] = (call.record for call in calls)

    async def run(self) -> None:
        while not self.stopped:
            self.files += 1
            records = list(islice(self._records, self._random.randint(200, 4_000)))
            self.ids.update(record["id"] for record in records)
            content = "".join(json.dumps(record) + "\n" for record in records).encode()
            manner = (self._rename, self._grow, self._gzip, self._twice)[self.files % 4]
            await manner(f"{self.files:04d}.ndjson", content)
            await asyncio.sleep(self._random.uniform(0.02, 0.3))

    async def _rename(self, name: str, content: bytes) -> None:
        path = self.drop / f"{name}.tmp"
        path.write_bytes(content)
        path.rename(self.drop / name)

    async def _grow(self, name: str, content: bytes) -> None:
        """Open all the while, closed in the middle of a record now and then."""
        path = self.drop / name
        cut = self._random.randrange(len(content))
        for part in (content[:cut], content[cut:]):
            with path.open("ab") as file:
                file.write(part[: len(part) // 2])
                file.flush()
                await asyncio.sleep(0.1)
                file.write(part[len(part) // 2 :])
            await asyncio.sleep(0.1)

    async def _gzip(self, name: str, content: bytes) -> None:
        half = len(content) // 2
        packed = gzip.compress(content[:half], 1) + gzip.compress(content[half:], 1)
        await self._grow(f"{name}.gz", packed)

    async def _twice(self, name: str, content: bytes) -> None:
        """The same name twice, with the same content."""
        for _ in range(2):
            await self._rename(name, content)
            await asyncio.sleep(0.1)


def unfinished(drop: Path) -> list[str]:
    """What is not in `done` yet."""
    inside = [*drop.iterdir(), *(drop / "claimed").glob("*")]
    return sorted(path.name for path in inside if path.is_file())


async def until_one_is_claimed(drop: Path) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not any((drop / "claimed").glob("*")):
            await asyncio.sleep(0.002)


async def test_whatever_kills_it_every_record_of_files_and_posts_is_in_the_store_once(tmp_path: Path) -> None:
    config = provision(tmp_path)
    random = Random(SEED)
    drop = tmp_path / "drop"
    switch = Switch(drop)
    daemon = DaemonProcess(config).wait_ready()
    host, port = daemon.addresses["feeds.pops"]
    kills, killed_inside = 0, 0
    try:
        async with AsyncExitStack() as stack:
            link = await stack.enter_async_context(HttpLink(f"http://{host}:{port}", POP, gzipped=False))
            pop = a_pop(POP, link)
            lines = lines_of(make_population(POPULATION, SEED))
            calls = Traffic(lines, seed=SEED, start=datetime.now(UTC), calls_per_s=POSTS_PER_S, steady=True, switch=POP)
            async with asyncio.TaskGroup() as running:
                running.create_task(pop.run(pacing.at_rate(calls, POSTS_PER_S)))
                running.create_task(switch.run())
                try:
                    while kills < ROUNDS or not killed_inside:
                        await until_one_is_claimed(drop)
                        await asyncio.sleep(random.uniform(0.0, 0.1))
                        daemon.kill()
                        kills += 1
                        killed_inside += any((drop / "claimed").glob("*"))
                        assert kills < 10 * ROUNDS, "it is never killed inside a file: the test says nothing"
                        daemon.close()
                        daemon = await asyncio.to_thread(lambda: DaemonProcess(config).wait_ready())
                finally:
                    switch.stopped = True
                    pop.stop()
            assert pop.status()["unacknowledged"] == 0, pop.status()
            assert pop.totals.suspended == 0, pop.totals
        async with asyncio.timeout(WITHIN_S):
            while unfinished(drop):
                assert daemon.is_running, daemon.text
                await asyncio.sleep(0.05)
        running_recount = await asyncio.to_thread(tollkeeper, "recount", "--config", config)
        assert daemon.terminate() == 0, daemon.text
    finally:
        daemon.close()
    stopped_recount = await asyncio.to_thread(tollkeeper, "recount", "--config", config)
    for recounted in (running_recount, stopped_recount):
        assert recounted.returncode == 0, recounted.stderr
    stored = stored_ids(tmp_path / "site.db")
    assert max(stored.values()) == 1
    assert stored.keys() == {(POP, id_) for id_ in pop.acknowledged_ids} | {(PBX, id_) for id_ in switch.ids}
    assert suspended(tmp_path / "site.db") == 0
    assert not list((drop / "failed").iterdir())


def suspended(store: Path) -> int:
    """How many records are in suspense."""
    cx = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return int(cx.execute("SELECT count(*) FROM suspense").fetchone()[0])
    finally:
        cx.close()
