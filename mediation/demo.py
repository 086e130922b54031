"""The demo: a whole site in a temporary directory, fed by two simulated POPs, that prints what it does."""

import asyncio
import contextlib
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mediation.config import read_config
from mediation.daemon import Daemon
from mediation.provisions import import_accounts_alone
from rating.store.batch import STORED_COLUMNS
from rating.store.migrations import own_migrations
from rating.store.partitions import partitions, table_of
from rating.store.reading import exporter
from rating.store.sqlite import connect_reader, open_store
from rating.tariff import parse_tariff, read_tariff_text
from simulators import pacing
from simulators.journal import Journal
from simulators.pop import Pop
from simulators.pop_link import HttpLink
from simulators.pop_settings import PopSettings
from simulators.population import Line, lines_of, make_population
from simulators.provisioning import write_provisioning
from simulators.traffic import Traffic

STEPS: Final = ("calls", "rated", "limit", "bar", "mail", "bill", "refused")
"""The contract's story; this version plays the first two."""

_POPS: Final = ("pop-nyc", "pop-chi")
_ACCOUNTS: Final = 40
_CALLS_PER_S: Final = 2.0
_ONCE_CALLS: Final = 200
_SEED: Final = 7

Say = Callable[[str], None]


class Demo:
    """One run of the demo."""

    def __init__(self, directory: Path, say: Say) -> None:
        self._directory = directory
        self._say = say
        self._config = directory / "tollkeeper.toml"
        self._population = make_population(_ACCOUNTS, _SEED)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`: calls come in, and each is printed when it is rated."""
        async with self._site() as feed, asyncio.TaskGroup() as tasks:
            pops = [self._pop(tasks, feed, name, lines, live=True) for name, lines in self._shares()]
            async for call in self._rated(stop):
                self._say(call)
            for pop in pops:
                pop.stop()

    async def once(self) -> list[str]:
        """The scripted story; the steps that were observed, in order."""
        observed = []
        async with self._site() as feed:
            async with asyncio.TaskGroup() as tasks:
                pops = [self._pop(tasks, feed, name, lines, live=False) for name, lines in self._shares()]
            sent = sum(pop.totals.accepted for pop in pops)
            if sent == _ONCE_CALLS * len(_POPS):
                observed.append("calls")
                self._say(f"calls    {sent} call records were sent by {' and '.join(_POPS)}, and acknowledged")
            enough = asyncio.Event()
            rated = 0
            async for call in self._rated(enough):
                rated += 1
                if rated <= 5:
                    self._say(f"         {call}")
                if rated == sent:
                    enough.set()
            observed.append("rated")
            self._say(f"rated    {rated} transactions are in the store, each with its charge")
        return observed

    @contextlib.asynccontextmanager
    async def _site(self) -> AsyncIterator[str]:
        """Provision, start the daemon, say where to look; the address of its POP feed."""
        await self._provision()
        stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
        daemon = Daemon(read_config(self._config))
        running = asyncio.create_task(daemon.run(stop, ready.set_result), name="daemon")
        try:
            await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                await running  # raises what kept it from starting
            addresses = {name: f"http://{host}:{port}" for name, (host, port) in ready.result().items()}
            self._say(f"POP feed  {addresses['feeds.pops']}/v1/transactions   (bearer tokens: {', '.join(_POPS)})")
            self._say(f"health    {addresses['ops']}/readyz   metrics {addresses['ops']}/metrics")
            self._say(f"try       tollkeeper export transactions --config {self._config}")
            self._say(f"          tollkeeper recount --config {self._config}")
            self._say("")
            yield addresses["feeds.pops"]
        finally:
            stop.set()
            await asyncio.wait({running})
        running.result()

    async def _provision(self) -> None:
        files = write_provisioning(
            self._directory, self._population, valid_from=datetime.now(UTC).date().replace(day=1)
        )
        sources = "\n".join(f'[feeds.pops.sources.{name}]\ntoken = "{name}"' for name in _POPS)
        self._config.write_text(
            '[store]\nurl = "sqlite:///tollkeeper.db"\n[ops]\nlisten = "127.0.0.1:0"\n'
            f'[feeds.pops]\ntype = "pop"\nlisten = "127.0.0.1:0"\n{sources}\n'
        )
        now = time.time_ns() // 1000
        store = await open_store(self._directory / "tollkeeper.db", own_migrations(), now)
        try:
            text = read_tariff_text(files.tariff)
            await store.import_tariff(text, parse_tariff(text), now)
            accounts = await import_accounts_alone(store, files.accounts.read_text(), now)
            lines = await store.import_lines(files.lines.read_text())
        finally:
            await store.close()
        self._say(f"imported {accounts} accounts, {lines} services of their lines, and the tariff")

    def _shares(self) -> Iterator[tuple[str, list[Line]]]:
        lines = lines_of(self._population)
        for index, name in enumerate(_POPS):
            yield name, list(lines[index :: len(_POPS)])

    def _pop(self, tasks: asyncio.TaskGroup, feed: str, name: str, lines: list[Line], *, live: bool) -> Pop:
        """Start a POP on its share of the lines."""
        now = datetime.now(UTC)
        settings = PopSettings(batch_records=50 if live else 100, linger_s=0.5)
        link = HttpLink(feed, name)
        pop = Pop(name, link, Journal(str(time.time_ns() // 1_000_000)), settings)
        rate = _CALLS_PER_S if live else 1000.0
        calls = Traffic(lines, seed=_SEED + _POPS.index(name), start=now, calls_per_s=rate, steady=True, switch=name)
        timed = pacing.as_they_end(calls, now) if live else pacing.first(_ONCE_CALLS, pacing.at_once(calls.records()))

        async def feed_it() -> None:
            async with link:
                await pop.run(timed)

        tasks.create_task(feed_it(), name=name)
        return pop

    async def _rated(self, stop: asyncio.Event) -> AsyncIterator[str]:
        """A line for each transaction, as it appears in the store."""
        cx = connect_reader(self._directory / "tollkeeper.db")
        try:
            shown = 0
            while not stop.is_set():
                line = exporter(cx)
                for row in _transactions_after(cx, shown):
                    shown = row[0]
                    yield _told(line(row))
                    if stop.is_set():
                        break
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.25):
                        await stop.wait()
        finally:
            cx.close()


def _transactions_after(cx: sqlite3.Connection, after: int) -> list[tuple[Any, ...]]:
    rows = []
    for month in partitions(cx):
        columns = ", ".join(STORED_COLUMNS)
        rows += cx.execute(f"SELECT {columns} FROM {table_of(month)} WHERE id > ? ORDER BY id", (after,)).fetchall()  # noqa: S608  # names of our own
    return sorted(rows)


def _told(call: dict[str, Any]) -> str:
    where = call["place_called"] or call["destination"] or "not answered"
    return (
        f"{call['rated_at'][11:19]}  {call['source']}  {call['calling']:>15} → {call['called']:<16} {where:<22}"
        f" {call['billed_s']:>5} s {call['charge']:>9} {call['currency'] or ''}  account {call['account']}"
    )


def run_demo(*, once: bool, say: Say, stop: Callable[[], asyncio.Event] = asyncio.Event) -> list[str]:
    """Play the demo in a directory that goes with it; the steps observed."""

    async def play(directory: Path) -> list[str]:
        demo = Demo(directory, say)
        if once:
            return await demo.once()
        await demo.run(stop())
        return []

    with tempfile.TemporaryDirectory(prefix="tollkeeper-demo-") as directory:
        return asyncio.run(play(Path(directory)))
