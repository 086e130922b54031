"""kill -9 of the daemon while records come by every way at once: whatever was acknowledged, and whatever was in a file,
is in the store, and every record once."""

import asyncio
import json
import os
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final, Self

import pytest

from mediation.feeds.chunks import LINES_A_CHUNK
from simulators.population import FIRST_ACCOUNT
from tests.acceptance.daemon_process import DaemonProcess, tollkeeper
from tests.acceptance.killed_intake import POSTING, SWITCH, Daemons, IntakeSite, Senders, provision
from tests.pop_by_hand import PopByHand

ROUNDS: Final = int(os.environ.get("TOLLKEEPER_KILL_ROUNDS", "20"))
SEED: Final = int(os.environ.get("TOLLKEEPER_KILL_SEED", "1"))
OF_A_SITE: Final = 100
"""Rounds at most: longer runs have several sites."""
RECORDS: Final = 1_000
"""So many are acknowledged at least between one kill and the next."""
CHARGED_AGAIN: Final = [str(FIRST_ACCOUNT + number) for number in range(8)]
"""Accounts whose charges are corrected while it is killed."""
WHOM: Final = ["--from", "2026-01-01", *(part for number in CHARGED_AGAIN for part in ("--account", number))]
WITHIN_S: Final = 60.0


@pytest.mark.parametrize("first", range(0, ROUNDS, OF_A_SITE))
async def test_whatever_kills_it_every_record_is_in_the_store_once(tmp_path: Path, first: int) -> None:
    began_at = datetime.now(UTC)
    site = await asyncio.to_thread(provision, tmp_path, SEED + first)
    senders = Senders(site, SEED + first)
    rounds = min(ROUNDS - first, OF_A_SITE)
    with Kills(site, senders, Random(SEED + first)) as kills:
        async with senders.sending(kills.daemon):
            for number in range(rounds):
                if number % 10 == 5:
                    await kills.while_it_charges_again(number)
                elif number % 3 == 1:
                    await kills.inside_a_file()
                elif number % 3 == 2:
                    await kills.as_a_file_is_put_away()
                else:
                    await kills.at_any_moment()
            await done(site, "recount")
        await until(lambda: not senders.switch.unfinished, "every file is put away")
        await done(site, "rerate", *WHOM)
        positions = await asyncio.to_thread(positions_of, kills.daemon)
        await done(site, "recount")
        assert await asyncio.to_thread(kills.daemon.terminate) == 0, kills.daemon.text
    assert kills.inside_files >= rounds // 5, "it was hardly killed inside a file: the test says little"
    assert kills.charging_again >= rounds // 10, "nothing was charged again: the test says little"
    everything_is_there_once(site, senders)
    files_are_accounted_for(senders, positions)
    await every_day_adds_up(site, senders, began_at)
    await done(site, "recount")
    told = await done(site, "rerate", *WHOM, "--dry-run")
    assert (told["changed"], told["not_ratable"]) == (0, {}), told


class Kills:
    """One daemon after the other; between two kills enough is acknowledged. A context manager."""

    def __init__(self, site: IntakeSite, senders: Senders, random: Random) -> None:
        self._site, self._senders, self._random = site, senders, random
        self._daemons = Daemons(site, random)
        self.daemon = self._daemons.next().wait_ready()
        self.inside_files = 0
        """Kills while a file was claimed."""
        self.charging_again = 0
        """Kills as something had just been charged again: within `rerate`, or after its last commit."""
        self._acknowledged = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.daemon.close()
        self._daemons.close()

    async def at_any_moment(self) -> None:
        await self._until_enough_came()
        await self._kill_within(0.3)
        await asyncio.to_thread(self._revive)

    async def inside_a_file(self) -> None:
        await self._until_enough_came()
        await until(lambda: self._senders.switch.is_inside_a_file, "a file is claimed")
        await self._kill_within(0.05)
        await asyncio.to_thread(self._revive)

    async def as_a_file_is_put_away(self) -> None:
        """Whatever it says to be done must be durable in this instant."""
        await self._until_enough_came()
        before = len(self._senders.switch.put_away())
        await until(lambda: len(self._senders.switch.put_away()) > before, "a file is put away", every_s=0.0)
        await self._kill_within(0.0)
        await asyncio.to_thread(self._revive)

    async def while_it_charges_again(self, number: int) -> None:
        """By a price that is new in each round."""
        await self._until_enough_came()
        self._site.change_price(number)
        await done(self._site, "import", "tariff", self._site.tariff)
        before = corrections(self._site.store)
        again = asyncio.create_task(asyncio.to_thread(run, self._site, "rerate", *WHOM))
        await until(lambda: again.done() or corrections(self._site.store) > before, "something is charged again")
        await self._kill_within(0.005)
        ended = await again
        assert b"Traceback" not in ended.stderr, ended.stderr
        self.charging_again += corrections(self._site.store) > before
        await asyncio.to_thread(self._revive)

    async def _until_enough_came(self) -> None:
        await until(lambda: self._senders.acknowledged >= self._acknowledged + RECORDS, "enough is acknowledged")

    async def _kill_within(self, most_s: float) -> None:
        await asyncio.sleep(self._random.uniform(0.0, most_s))
        self.daemon.kill()
        self.inside_files += self._senders.switch.is_inside_a_file
        self._acknowledged = self._senders.acknowledged

    def _revive(self) -> None:
        """Some are killed again before they are ready."""
        while True:
            self.daemon.close()
            self.daemon = self._daemons.next()
            if self._random.random() < 0.9:
                self.daemon.wait_ready()
                return
            time.sleep(self._random.uniform(0.0, 0.3))
            self.daemon.kill()


def everything_is_there_once(site: IntakeSite, senders: Senders) -> None:
    """What was acknowledged and what was in files, and nothing else."""
    stored = stored_ids(site.store)
    assert [id_ for id_, times in stored.items() if times > 1] == []
    switch = senders.switch
    sent = {(name, id_) for name, pop in senders.pops.items() for id_ in pop.acknowledged_ids}
    sent |= {(SWITCH, id_) for id_ in switch.ids | switch.strangers}
    strangers = {(SWITCH, id_) for id_ in switch.strangers}
    assert (sent - strangers - stored.keys(), stored.keys() - sent) == (set(), set())
    with closing(sqlite3.connect(f"file:{site.store}?mode=ro", uri=True)) as cx:
        suspended = cx.execute("SELECT record_id, reason FROM suspense").fetchall()
    assert sorted(suspended) == sorted((id_, "unknown-line") for id_ in switch.strangers)
    for name, pop in senders.pops.items():
        assert pop.status()["unacknowledged"] == 0, pop.status()
        assert pop.totals.suspended == 0 or name == SWITCH, pop.totals


def files_are_accounted_for(senders: Senders, positions: dict[str, Any]) -> None:
    """Each file was put away once, and the positions are those of its chunks and of the POPs' batches."""
    files, put_away = senders.switch.files, senders.switch.put_away()
    assert sorted(put_away.values()) == sorted(files)
    assert not list((senders.switch.drop / "failed").iterdir())
    chunks = {f"file:{claimed}": -(-files[name] // LINES_A_CHUNK) for claimed, name in put_away.items()}
    batches = {name: senders.journals[name] for name in (*POSTING, SWITCH)}
    wanted = {name: {journal.epoch: {"last": journal.taken, "gaps": []}} for name, journal in batches.items()}
    wanted[SWITCH] |= {epoch: {"last": last, "gaps": []} for epoch, last in chunks.items()}
    assert positions == wanted


async def every_day_adds_up(site: IntakeSite, senders: Senders, began_at: datetime) -> None:
    """What was received of each source, on the days of the run."""
    ids = Counter(source for source, _ in stored_ids(site.store))
    stored: Counter[str] = Counter()
    received: Counter[str] = Counter()
    for day in {began_at.date(), datetime.now(UTC).date()}:
        told = await done(site, "account-for", "--day", day.isoformat())
        stored.update({name: counts["stored"] for name, counts in told["sources"].items()})
        received.update({name: counts["received"] for name, counts in told["sources"].items()})
    assert stored == ids
    for name, pop in senders.pops.items():
        in_files = sum(senders.switch.files.values()) if name == SWITCH else 0
        assert received[name] >= pop.totals.acknowledged + in_files, name


def positions_of(daemon: DaemonProcess) -> dict[str, Any]:
    """What the daemon says to each source that has positions."""
    said = {}
    for name in (*POSTING, SWITCH):
        with PopByHand(daemon.addresses["feeds.pops"], name) as pop:
            said[name] = pop.get("/v1/positions").json
    return said


def stored_ids(store: Path) -> Counter[tuple[str, str]]:
    """How often each source's record is in the store, corrections aside, read without the program's own code."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as cx:
        assert cx.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        names = dict(cx.execute("SELECT id, name FROM sources"))
        tables = "SELECT name FROM sqlite_master WHERE name GLOB 'transactions_[0-9]*' AND type = 'table'"
        ids: Counter[tuple[str, str]] = Counter()
        for (table,) in cx.execute(tables).fetchall():
            found = cx.execute(f"SELECT source, record_id FROM {table} WHERE key >= 0")
            ids.update((names[source], id_) for source, id_ in found)
    return ids


def corrections(store: Path) -> int:
    """How many charges were taken back."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as cx:
        return int(cx.execute("SELECT count(*) FROM rerated").fetchone()[0])


def run(site: IntakeSite, *arguments: str | Path) -> "subprocess.CompletedProcess[bytes]":
    # As a process of its own: the senders here log to the stderr that a command in this process would take.
    return tollkeeper(*arguments, "--config", site.configs[0])


async def done(site: IntakeSite, *arguments: str | Path) -> Any:
    """The answer, in JSON, of a command that must succeed."""
    ended = await asyncio.to_thread(run, site, *arguments, "--json")
    assert ended.returncode == 0, (arguments, ended.stdout, ended.stderr)
    return json.loads(ended.stdout.splitlines()[-1])


async def until(holds: Callable[[], object], what: str, *, every_s: float = 0.005) -> None:
    """Wait for it. Fails after a while."""
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline, f"not in time: {what}"
        await asyncio.sleep(every_s)
