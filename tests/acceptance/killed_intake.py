"""A site that takes records in by every way at once, and whose daemon is killed meanwhile: POPs over HTTP and over the
stream, and a switch whose records come in files and, some of them, in posts too. What was sent is noted."""

import asyncio
import gzip
import json
import socket
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final

from rating.store import natural_keys, write_ahead_log
from rating.store.connection import PAGE_BYTES
from simulators import pacing
from simulators.call_records import Record
from simulators.courier import Retry
from simulators.faults import parse_faults
from simulators.journal import Batch, Journal
from simulators.pop import Pop
from simulators.pop_link import HttpLink, Link
from simulators.pop_settings import PopSettings
from simulators.pop_stream import StreamLink
from simulators.population import lines_of, make_population
from simulators.provisioning import BANDS, deck_csv, write_provisioning
from simulators.traffic import Traffic
from tests.acceptance.daemon_process import DaemonProcess, run_here
from tests.disk.nursery import Nursery
from tests.small_site import STRANGER, a_record

POSTING: Final = ("pop-nyc", "pop-chi")
STREAMING: Final = "pop-lax"
SWITCH: Final = "pbx1"
"""Its records come from a directory and over HTTP: one source."""
RECORDS_PER_S: Final = 300.0
"""Of each POP."""
FAULTS: Final = "dup=0.1,reorder=0.1,truncate=0.05,disconnect=0.1"
POPULATION: Final = 60
UNFINISHED: Final = 6
"""Files at most that wait to be put away, however slow the machine is."""
PROGRAM: Final = (sys.executable, "-m", "tests.disk.daemon_on_shim", "FULL")
AS_EVER: Final = (*PROGRAM, str(write_ahead_log.WAL_BYTES // PAGE_BYTES), str(natural_keys.IN_MEMORY))
EAGER: Final = (*PROGRAM, "100", "2000")
"""Copies its log into the file, and moves its keys, many times in its short life."""
RULES: Final = """
[[allowance]]
name = "free minutes"
per = "month"
minutes = 500
[[discount]]
name = "volume"
per = "bill-cycle"
on = "charges"
steps = [{ above = "20.00", percent = 10 }]
"""
TOKENS: Final = (*POSTING, STREAMING, SWITCH)


def a_free_port() -> int:
    """The daemon must come back where the POPs know it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class IntakeSite:
    """Where everything is."""

    store: Path
    drop: Path
    tariff: Path
    deck: Path
    configs: tuple[Path, Path]
    """With a process in front of the seam, and without; else the same."""

    def change_price(self, number: int) -> None:
        """What calls home costs is another price for each number. The tariff is not imported yet."""
        deck = deck_csv()
        for price in (BANDS["home"].peak, BANDS["home"].off_peak):
            deck = deck.replace(f",{price},60,", f",0.05{number:02d},60,")
        self.deck.write_text(deck)


def provision(directory: Path, seed: int) -> IntakeSite:
    """Configurations, and a population that can be rated, by a tariff whose charges depend on use."""
    drop = directory / "drop"
    drop.mkdir()
    sources = "".join(f'[feeds.pops.sources.{name}]\ntoken = "{name}"\n' for name in TOKENS)
    config = (
        f'[store]\nurl = "sqlite:///site.db"\n[ops]\nlisten = "127.0.0.1:0"\n[feeds.pops]\ntype = "pop"\n'
        f'listen = "127.0.0.1:{a_free_port()}"\n{sources}[feeds.pbx]\ntype = "files"\nsource = "{SWITCH}"\n'
        f'directory = "drop"\nformat = "ndjson"\nsettle = "1s"\n[rating]\nprocesses = '
    )
    configs = directory / "in-front.toml", directory / "alone.toml"
    for path, processes in zip(configs, (1, 0), strict=True):
        path.write_text(f"{config}{processes}\n")
    people = make_population(POPULATION, seed)
    files = write_provisioning(directory, people, valid_from=datetime(2026, 1, 1, tzinfo=UTC).date())
    files.tariff.write_text(files.tariff.read_text() + RULES)
    for kind, file in (("tariff", files.tariff), ("accounts", files.accounts), ("lines", files.lines)):
        done = run_here("import", kind, file, "--config", configs[0])
        assert done.returncode == 0, done.stderr
    return IntakeSite(directory / "site.db", drop, files.tariff, files.deck, configs)


class CountingJournal(Journal):
    """Knows how many positions its POP has taken."""

    taken = 0

    def append(self, records: Sequence[bytes]) -> Batch:
        self.taken += 1
        return super().append(records)


class Switch:
    """Drops files in every manner that switches have, until it is stopped."""

    def __init__(self, drop: Path, records: Iterator[Record], random: Random) -> None:
        self.drop = drop
        self.ids: set[str] = set()
        self.strangers: set[str] = set()
        """Ids of records whose lines nobody has."""
        self.files: dict[str, int] = {}
        """How many lines each has."""
        self.posted: asyncio.Queue[Record] = asyncio.Queue()
        """Records that are posted as well."""
        self.stopped = False
        self._records, self._random = records, random
        self._earlier: list[Record] = []
        self._shares: deque[list[Record]] = deque()

    async def run(self) -> None:
        number = 0
        while not self.stopped:
            records = self._next_records(number)
            content = "".join(json.dumps(record) + "\n" for record in records).encode()
            manner = (self._rename, self._grow, self._gzip, self._twice)[number % 4]
            # What is posted comes before its file in half of the cases, and after it in the others.
            self._shares.append(self._random.sample(records, min(150, len(records))))
            while len(self._shares) > (number % 2) * 6:
                self._post(self._shares.popleft())
            await manner(f"{number:05d}.ndjson", content, len(records))
            await asyncio.sleep(self._random.uniform(0.2, 0.8))
            while len(self.unfinished) > UNFINISHED and not self.stopped:
                await asyncio.sleep(0.05)
            number += 1
        for share in self._shares:
            self._post(share)

    def _next_records(self, number: int) -> list[Record]:
        """New ones, some that were in the file before, and one that nobody pays for."""
        new = list(islice(self._records, self._random.randint(200, 2_000)))
        stranger = a_record(f"stranger-{number}", calling=STRANGER, start=new[0]["start"], answer=None)
        self.ids.update(record["id"] for record in new)
        self.strangers.add(stranger["id"])
        records = [*new, *self._earlier, stranger]
        self._earlier = self._random.sample(new, len(new) // 20)
        self._random.shuffle(records)
        return records

    def _post(self, records: Sequence[Record]) -> None:
        for record in records:
            self.posted.put_nowait(record)

    async def _rename(self, name: str, content: bytes, lines: int) -> None:
        self.files[name] = lines
        path = self.drop / f"{name}.tmp"
        path.write_bytes(content)
        path.rename(self.drop / name)

    async def _twice(self, name: str, content: bytes, lines: int) -> None:
        """The same under two names."""
        await self._rename(name, content, lines)
        await asyncio.sleep(0.1)
        await self._rename(f"again-{name}", content, lines)

    async def _grow(self, name: str, content: bytes, lines: int) -> None:
        """Open all the while, closed in the middle of a record once."""
        self.files[name] = lines
        path = self.drop / name
        cut = self._random.randrange(len(content))
        for part in (content[:cut], content[cut:]):
            with path.open("ab") as file:
                file.write(part[: len(part) // 2])
                file.flush()
                await asyncio.sleep(0.1)
                file.write(part[len(part) // 2 :])
            await asyncio.sleep(0.1)

    async def _gzip(self, name: str, content: bytes, lines: int) -> None:
        half = len(content) // 2
        await self._grow(f"{name}.gz", gzip.compress(content[:half], 1) + gzip.compress(content[half:], 1), lines)

    @property
    def unfinished(self) -> list[str]:
        """What is not put away yet."""
        inside = [*self.drop.iterdir(), *(self.drop / "claimed").glob("*")]
        return sorted(path.name for path in inside if path.is_file())

    @property
    def is_inside_a_file(self) -> bool:
        """Whether the daemon has claimed one."""
        return any((self.drop / "claimed").glob("*"))

    def put_away(self) -> dict[str, str]:
        """The claimed name of each file in `done/`, and its own."""
        return {path.name: path.name.split("-", 2)[2] for path in (self.drop / "done").iterdir()}


class Senders:
    """Everybody who sends."""

    def __init__(self, site: IntakeSite, seed: int) -> None:
        self._seed = seed
        self._lines = lines_of(make_population(POPULATION, seed))
        self._start = datetime.now(UTC)
        self.pops: dict[str, Pop] = {}
        self.journals = {name: CountingJournal(str(time.time_ns())) for name in TOKENS}
        random = Random(f"{seed}/switch")
        self.switch = Switch(site.drop, (call.record for call in self._traffic(SWITCH)), random)

    @property
    def acknowledged(self) -> int:
        """Records, of all POPs so far."""
        return sum(pop.totals.acknowledged for pop in self.pops.values())

    @asynccontextmanager
    async def sending(self, daemon: DaemonProcess) -> AsyncIterator[None]:
        """They send as long as this lasts, and then until everything is acknowledged."""
        host, port = daemon.addresses["feeds.pops"]
        url = f"http://{host}:{port}"
        links: dict[str, Link] = {name: HttpLink(url, name, gzipped=name == POSTING[0]) for name in (*POSTING, SWITCH)}
        links[STREAMING] = StreamLink(url, STREAMING)
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as running:
            for name, link in links.items():
                self.pops[name] = Pop(name, await stack.enter_async_context(link), self.journals[name], self._settings)
            for name in (*POSTING, STREAMING):
                running.create_task(self.pops[name].run(pacing.at_rate(self._traffic(name), RECORDS_PER_S)))
            running.create_task(self.pops[SWITCH].run_live(self.switch.posted))
            dropping = running.create_task(self.switch.run())
            try:
                yield
            finally:
                self.switch.stopped = True
                await asyncio.wait({dropping})
                for pop in self.pops.values():
                    pop.stop()

    @property
    def _settings(self) -> PopSettings:
        return PopSettings(
            batch_records=100, in_flight=8, linger_s=0.05, drain_s=60.0, retry=Retry(0.02, 0.2), seed=self._seed,
            faults=parse_faults(FAULTS), remember_ids=True,
        )  # fmt: skip

    def _traffic(self, name: str) -> Traffic:
        seed = self._seed * 10 + TOKENS.index(name)
        return Traffic(self._lines, seed=seed, start=self._start, calls_per_s=2_000.0, steady=True, switch=name)


class Daemons:
    """Daemons of either kind, with or without a process in front of the seam."""

    def __init__(self, site: IntakeSite, random: Random) -> None:
        self._site, self._random = site, random
        self._nurseries = [Nursery(program) for program in (AS_EVER, EAGER)]

    def close(self) -> None:
        """There will be no other."""
        for nursery in self._nurseries:
            nursery.close()

    def next(self) -> DaemonProcess:
        """Another one; the one before has ended."""
        return self._random.choice(self._nurseries).daemon(self._random.choice(self._site.configs))
